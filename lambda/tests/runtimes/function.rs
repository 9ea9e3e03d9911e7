//! A function with the extension, in the emulator.

use std::{
    env,
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use aecp_contract::{
    audit::{DecisionRecord, Event},
    digest::Digest,
};
use aecp_integration_tests::{
    lambda::{Config, Emulator, Exits, Invocation},
    log,
    published::Published,
    python,
};
use serde_json::Value;

/// One policy for each form of event, all of which must be recorded.
const POLICIES: &str = r#"
POLICY no_admin {
  SCOPE: requests WHERE request.path EXISTS
  CONSTRAINT: NOT request.path STARTS WITH "/admin"
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY small_orders {
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event IN ["sqs", "sns"]
  CONSTRAINT: body.amount IS MISSING OR body.amount <= 100
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY open_buckets {
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event == "s3"
  CONSTRAINT: event.s3.bucket.name != "secrets"
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY no_stops {
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event == "eventbridge"
  CONSTRAINT: event.detail.state != "stopped"
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY no_purges {
  SCOPE: requests WHERE lambda.event EXISTS AND lambda.event == "json"
  CONSTRAINT: event.job IS MISSING OR event.job != "purge"
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY readers {
  SCOPE: requests WHERE action.name EXISTS
  CONSTRAINT: principal.id == "ann" AND action.name == "read"
  ENFORCEMENT: BLOCKING
}
"#;

/// What a function is made of.
pub(crate) enum Runtime<'a> {
    /// A module `NAME.py` with a `handler`, on `awslambdaric`.
    Python(&'a str),
    /// A module `NAME.mjs` with a `handler`, on `aws-lambda-ric`, which was installed in this folder.
    Node(&'a str, PathBuf),
    /// An example of this package, on `lambda_runtime`.
    Rust(&'a str),
}

/// A running function.
pub(crate) struct Function {
    pub(crate) published: Published,
    pub(crate) emulator: Emulator,
}

/// An address that nobody listens on, each time another, below the ports that systems give by themselves.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000 * 10) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return format!("127.0.0.1:{port}");
        }
    }
}

fn layer(script: &str) -> OsString {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("layer").join(script).into()
}

impl Function {
    pub(crate) async fn of(runtime: Runtime<'_>) -> Self {
        Self::with(runtime, |_| ()).await
    }

    /// A function whose configuration is changed before it starts.
    pub(crate) async fn with(runtime: Runtime<'_>, change: impl FnOnce(&mut Config)) -> Self {
        Self::deciding(POLICIES, runtime, change).await
    }

    /// A function before which these policies decide.
    pub(crate) async fn deciding(
        policies: &str,
        runtime: Runtime<'_>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let published = Published::new(policies).await;
        let task = published.path("task");
        fs::create_dir(&task).unwrap();
        let own = |path: String| Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let source = |name: &str| {
            let [test, sample] =
                ["tests/runtimes", "samples"].map(|folder| own(format!("{folder}/{name}")));
            if test.exists() { test } else { sample }
        };
        let (command, handler): (Vec<OsString>, String) = match &runtime {
            Runtime::Python(name) => {
                fs::copy(source(&format!("{name}.py")), task.join(format!("{name}.py"))).unwrap();
                let python = python::interpreter(env!("CARGO_TARGET_TMPDIR")).into();
                let handler = format!("{name}.handler");
                let arguments = ["-m".into(), "awslambdaric".into(), handler.clone().into()];
                ([layer("aecp-wrapper"), python].into_iter().chain(arguments).collect(), handler)
            }
            Runtime::Node(name, modules) => {
                fs::copy(source(&format!("{name}.mjs")), task.join(format!("{name}.mjs"))).unwrap();
                let handler = format!("{name}.handler");
                let start = modules.join("aws-lambda-ric/index.mjs").into();
                let command = [layer("aecp-wrapper"), "node".into(), start, handler.clone().into()];
                (command.into(), handler)
            }
            Runtime::Rust(name) => {
                let extension = Path::new(env!("CARGO_BIN_EXE_aecp-extension"));
                let program = extension.with_file_name("examples").join(name);
                assert!(program.exists(), "run `cargo build -p aecp-lambda --examples` first");
                symlink(program, task.join(name)).unwrap();
                (vec![layer("bootstrap")], (*name).to_owned())
            }
        };
        let variables: [(&str, OsString); 10] = [
            ("SEEN", published.path("seen").into()),
            ("AECP_STORE", published.url("store").into()),
            ("AECP_CHANNEL", "prod".into()),
            ("AECP_ROOT", published.path("root.json").into()),
            ("AECP_STATE", published.path("tmp").into()),
            ("AECP_LAYER_STATE", published.path("layer").into()),
            ("AECP_AUDIT_STORE", published.url("audit").into()),
            ("AECP_AUDIT_CLEAR", "event.n".into()),
            ("AECP_LISTEN", free_address().into()),
            ("AECP_PROXY", free_address().into()),
        ];
        let extension = env::var_os("AECP_EXTENSION").map(PathBuf::from);
        let extension = extension.unwrap_or_else(|| env!("CARGO_BIN_EXE_aecp-extension").into());
        let mut config = Config {
            handler,
            task_root: task,
            extensions: vec![extension],
            env: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            timeout: Duration::from_secs(60),
            log: Some(published.path("output")),
            ..Config::new(command)
        };
        change(&mut config);
        Self { published, emulator: Emulator::new(config).await.unwrap() }
    }

    /// What the function did with an event.
    pub(crate) async fn invoke(&mut self, event: impl Into<String>) -> Invocation {
        self.emulator.invoke(event.into()).await
    }

    /// The answer to an event that must have one.
    pub(crate) async fn answer(&mut self, event: impl Into<String>) -> Value {
        let invocation = self.invoke(event).await;
        assert_eq!(invocation.failure, None, "{}", self.output());
        serde_json::from_slice(&invocation.answer.expect("an answer").body).unwrap()
    }

    /// All that the processes wrote.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.published.path("output")).unwrap_or_default()
    }

    /// What the function wrote of the events that it saw.
    pub(crate) fn seen(&self) -> String {
        fs::read_to_string(self.published.path("seen")).unwrap_or_default()
    }

    /// Ends the environment.
    pub(crate) async fn shutdown(&mut self) -> Exits {
        self.emulator.shutdown().await
    }

    /// The decisions in the audit store, in all logs that are there, each log verified.
    pub(crate) fn decisions(&self) -> Vec<DecisionRecord> {
        let decision = |event: Event| match event {
            Event::Decision(decision) => Some(*decision),
            Event::Gap(gap) => panic!("{gap:?}"),
            _ => None,
        };
        self.logged().into_iter().filter_map(decision).collect()
    }

    /// All that is in the logs of the audit store, each log verified.
    pub(crate) fn logged(&self) -> Vec<Event> {
        let logs = fs::read_dir(self.published.path("audit/audit")).unwrap();
        logs.flat_map(|log| log::verified(&log.unwrap().path())).map(|entry| entry.event).collect()
    }
}

/// What stands in a panic's stead of megabytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}
