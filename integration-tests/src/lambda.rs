//! An emulator of the execution environment of AWS Lambda: the Runtime API and the Extensions API, and the life of the
//! processes that speak them. Functions and extensions run in it unmodified, as processes.
//!
//! | | as AWS documents it |
//! |---|---|
//! | Init | all extensions are started and register; then the runtime starts; it ends when all have asked for their next event, and fails after 10 s |
//! | Invoke | INVOKE to the extensions that want it, the event to the runtime; it ends when the runtime has answered and all have asked for their next event |
//! | freeze | between invocations all process groups are stopped (SIGSTOP), and continued for the next one |
//! | time-out, crash | the runtime is killed, the extensions get SHUTDOWN with `timeout` or `failure`; the next invocation starts with a new Init. Files stay |
//! | Shutdown | SIGTERM to the runtime, which has 30 % of 2 s; then SHUTDOWN to the extensions; SIGKILL after the 2 s |
//! | errors | `init/error` of the runtime, `init/error` and `exit/error` of extensions are taken (202) and end the environment |
//! | limits | events and buffered answers of 6 MB (413 beyond), streamed answers of 20 MB, ten extensions |
//!
//! Not emulated: the Telemetry and Logs APIs (they answer 202 `…NotSupported`, as AWS's own emulator does), limits of memory
//! and processor, credentials, read-only file systems, retries of a failed Init, SnapStart, several invocations at once.
//!
//! Sources: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html> and
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>. The 30 %, and the names of some errors, are
//! those of AWS's runtime interface emulator.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::http::HeaderMap;
use bytes::Bytes;

mod api;
mod environment;
mod extensions_api;
mod processes;
mod state;

pub use environment::Emulator;

/// The most bytes of an event, and of an answer that is not streamed: 6 MiB, and some for what is around it.
pub const MAX_PAYLOAD: usize = (6 << 20) + 100;

/// The most bytes of a streamed answer.
pub const MAX_STREAMED: usize = 20 << 20;

/// How long Init may take.
pub const INIT: Duration = Duration::from_secs(10);

/// How long Shutdown may take, with extensions.
pub const SHUTDOWN: Duration = Duration::from_secs(2);

/// The X-Ray header of every invocation.
pub const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// A function and what runs beside it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The function's name.
    pub name: String,
    /// The function's handler, `_HANDLER` of its runtime.
    pub handler: String,
    /// What starts the runtime: a program and its arguments. A wrapper script, which AWS takes from
    /// `AWS_LAMBDA_EXEC_WRAPPER`, stands before it.
    pub command: Vec<OsString>,
    /// The folder with the function's package, where the runtime is started: AWS's `/var/task`.
    pub task_root: PathBuf,
    /// The programs of the extensions. Lambda knows them by their files' names.
    pub extensions: Vec<PathBuf>,
    /// Environment variables of all processes, beside those that Lambda sets.
    pub env: Vec<(String, OsString)>,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How long processes have to end, of which the runtime has 30 %.
    pub shutdown: Duration,
    /// Whether processes are stopped between invocations.
    pub freeze: bool,
    /// Where the processes' output goes, appended to; without it, to this process's standard error.
    pub log: Option<PathBuf>,
}

impl Config {
    /// A function of this command, without extensions, with 3 s for an invocation.
    #[must_use]
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            name: "function".to_owned(),
            handler: "app.handler".to_owned(),
            command: command.into_iter().map(Into::into).collect(),
            task_root: PathBuf::from("."),
            extensions: Vec::new(),
            env: Vec::new(),
            timeout: Duration::from_secs(3),
            shutdown: SHUTDOWN,
            freeze: true,
            log: None,
        }
    }

    /// The function's ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:eu-west-1:123456789012:function:{}", self.name)
    }
}

/// What became of an event.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its request id.
    pub request_id: String,
    /// The runtime's answer. There can be one in an environment that failed after it.
    pub answer: Option<Answer>,
    /// Why the environment ended, if it did.
    pub failure: Option<Failure>,
    /// From the event's being there until the answer was, or the environment failed.
    pub duration: Duration,
    /// From the event's being there until runtime and extensions had asked for their next one.
    pub until_idle: Duration,
}

/// An answer of a runtime.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it was posted as an error.
    pub is_error: bool,
    /// The headers that it was posted with.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Of streamed answers: what came after the body, which says how it ended.
    pub trailers: HeaderMap,
    at: Instant,
}

/// Why an environment ended, or an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Such as `Sandbox.Timedout`, `Runtime.ExitError`, `Extension.Crash`, or what an extension or a runtime said itself.
    pub error_type: String,
    /// In words.
    pub message: String,
}

impl Failure {
    fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self { error_type: error_type.to_owned(), message: message.into() }
    }
}

/// How processes ended: names of extensions, and `runtime`; their exit status, or the signal that killed them, in words.
pub type Exits = BTreeMap<String, String>;

/// Milliseconds since 1970, as Lambda gives deadlines.
fn epoch_ms(from_now: Duration) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + from_now;
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
