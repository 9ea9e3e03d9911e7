//! An execution environment: a store with a signed release, the extension, and a runtime that asks for events.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
    time::Duration,
};

use aecp_integration_tests::published::Published;
use reqwest::{Client, Response};
use serde_json::Value;

use crate::lambda::Lambda;

/// Fails the test instead of hanging it.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("done within a minute")
}

/// The policies of these tests.
pub(crate) const POLICIES: &str = r#"
POLICY admin_from_inside {
  SCOPE: requests WHERE request.path EXISTS AND request.path STARTS WITH "/admin"
  CONSTRAINT: source.ip IN CIDR "10.0.0.0/8"
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY known_claims {
  SCOPE: requests WHERE request.path EXISTS AND request.path == "/claims"
  CONSTRAINT: principal.claims.sub == "u1"
  ENFORCEMENT: BLOCKING
}
POLICY known_signers {
  SCOPE: requests WHERE request.path EXISTS AND request.path == "/signed"
  CONSTRAINT: principal.arn == "arn:aws:iam::1:user/ann" AND principal.account == "1"
  ENFORCEMENT: BLOCKING
}
POLICY known_tiers {
  SCOPE: requests WHERE request.path EXISTS AND request.path == "/tier"
  CONSTRAINT: principal.authorizer.tier == "gold"
  ENFORCEMENT: BLOCKING
}
POLICY known_queries {
  SCOPE: requests WHERE request.path EXISTS AND request.path == "/query"
  CONSTRAINT: request.method == "GET" AND request.query.q == "1 2&3"
  ENFORCEMENT: BLOCKING
}
POLICY known_cookies {
  SCOPE: requests WHERE request.path EXISTS AND request.path == "/cookie"
  CONSTRAINT: request.headers.cookie == "a=1; b=2"
  ENFORCEMENT: BLOCKING
}
POLICY small_orders {
  SCOPE: requests WHERE body.amount EXISTS
  CONSTRAINT: body.amount <= 100
  ENFORCEMENT: BLOCKING
}
POLICY closed_jobs {
  SCOPE: requests WHERE event.job EXISTS
  CONSTRAINT: event.job != "purge"
  ENFORCEMENT: BLOCKING
}
POLICY open_buckets {
  SCOPE: requests WHERE event.s3.bucket.name EXISTS
  CONSTRAINT: event.s3.bucket.name != "secrets"
  ENFORCEMENT: BLOCKING
}
POLICY no_purges {
  SCOPE: requests WHERE event.detail_type EXISTS
  CONSTRAINT: event.detail_type != "OrderPurged"
  ENFORCEMENT: BLOCKING
}
POLICY masked_exports {
  SCOPE: requests WHERE event.export EXISTS
  CONSTRAINT: event.export != "all"
  ENFORCEMENT: BLOCKING
  MASK: event.card WITH LAST(4)
}
POLICY limited_imports {
  SCOPE: requests WHERE event.import EXISTS
  CONSTRAINT: event.import != "all"
  ENFORCEMENT: BLOCKING
  LIMIT: 100 PER 1m BY event.import
}
POLICY named_tenant {
  SCOPE: requests WHERE request.headers.x_tenant IS MISSING AND event.tenant IS MISSING
  CONSTRAINT: lambda.event == "never"
  ENFORCEMENT: ADVISORY
}
"#;

/// The extension's process, and a runtime that speaks through it.
pub(crate) struct Environment {
    pub(crate) lambda: Lambda,
    pub(crate) published: Published,
    pub(crate) extension: Child,
    pub(crate) api: String,
    /// What the extension logs after its start, and what it writes to its standard output.
    pub(crate) logged: Receiver<String>,
    pub(crate) metrics: Receiver<String>,
    proxy: String,
    http: Client,
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = self.extension.kill();
        let _ = self.extension.wait();
    }
}

/// The extension's command, in an environment that is configured for `published`.
pub(crate) fn command(lambda: &Lambda, published: &Published) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aecp-extension"));
    command
        // With the process that it starts, so that signals reach both.
        .process_group(0)
        .env("AWS_LAMBDA_RUNTIME_API", &lambda.address)
        .env("AECP_STORE", published.url("store"))
        .env("AECP_CHANNEL", "prod")
        .env("AECP_ROOT", published.path("root.json"))
        .env("AECP_STATE", published.path("tmp"))
        .env("AECP_LAYER_STATE", published.path("layer"))
        .env("AECP_AUDIT_STORE", published.url("audit"))
        .env("AECP_LISTEN", "127.0.0.1:0")
        .env("AECP_PROXY", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Environment {
    pub(crate) async fn start() -> Self {
        Self::of(Published::new(POLICIES).await).await
    }

    pub(crate) async fn of(published: Published) -> Self {
        Self::with(published, &[]).await
    }

    /// With these environment variables as well.
    pub(crate) async fn with(published: Published, variables: &[(&str, &str)]) -> Self {
        let lambda = Lambda::start().await;
        let mut command = command(&lambda, &published);
        let mut extension = command.envs(variables.iter().copied()).spawn().unwrap();
        let mut lines = BufReader::new(extension.stderr.take().unwrap()).lines();
        let serving = lines
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).expect("a JSON log line"))
            .find(|line| line["proxy"].is_string())
            .expect("the log says where it serves");
        let (log, logged) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| log.send(line)));
        let (metric, metrics) = std::sync::mpsc::channel();
        let mut written = BufReader::new(extension.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            written.by_ref().map_while(Result::ok).try_for_each(|line| metric.send(line))
        });
        let of = |name: &str| format!("http://{}", serving[name].as_str().unwrap());
        let (api, proxy) = (of("address"), of("proxy"));
        Self { lambda, published, extension, api, proxy, logged, metrics, http: Client::new() }
    }

    /// The next event that reaches the function.
    pub(crate) async fn next(&self) -> Response {
        let url = format!("{}/2018-06-01/runtime/invocation/next", self.proxy);
        within(self.http.get(url).send()).await.unwrap()
    }

    /// Posts as the function's runtime does.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let mut post = self.http.post(format!("{}/2018-06-01/runtime/{path}", self.proxy)).body(body);
        for (name, value) in headers {
            post = post.header(*name, *value);
        }
        within(post.send()).await.unwrap()
    }

    /// Where the function's runtime finds its API.
    pub(crate) fn proxy(&self) -> &str {
        self.proxy.strip_prefix("http://").unwrap()
    }
}
