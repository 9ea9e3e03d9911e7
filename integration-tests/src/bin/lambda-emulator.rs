//! Runs a function with its extensions as AWS Lambda would, on this machine: [`aecp_integration_tests::lambda`].

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use aecp_integration_tests::lambda::{Config, Emulator, Invocation};
use anyhow::Context as _;
use bytes::Bytes;
use clap::Parser;
use serde_json::{Value, json};

/// Runs a function and its extensions as AWS Lambda would, gives it events, and prints its answers, one JSON object a line.
///
/// Emulated are the Runtime API and the Extensions API, Init, time-outs, freezing between events, and Shutdown.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example, with awslambdaric from the Python package index:
  AECP_STORE=s3://policies AECP_CHANNEL=prod AECP_ROOT=root.json lambda-emulator \\
    --extension target/debug/aecp-extension --handler app.handler --event event.json \\
    -- lambda/layer/aecp-wrapper python3 -m awslambdaric app.handler

Exit code: 0 if every event was answered, else 1."
)]
struct Arguments {
    /// Program of an extension; may be given ten times
    #[arg(long = "extension", value_name = "FILE")]
    extensions: Vec<PathBuf>,

    /// File with an event, in the order given; without any, standard input has one event a line
    #[arg(long = "event", value_name = "FILE")]
    events: Vec<PathBuf>,

    /// Environment variable of the function and the extensions, beside those of this process
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, OsString)>,

    /// The function's name
    #[arg(long, default_value = "function", value_name = "NAME")]
    name: String,

    /// The function's handler
    #[arg(long, default_value = "app.handler", value_name = "NAME")]
    handler: String,

    /// Folder of the function's package, where all is started; paths of programs are absolute, or as seen from there
    #[arg(long, default_value = ".", value_name = "DIR")]
    task_root: PathBuf,

    /// Seconds that an event may take
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", value_parser = seconds)]
    timeout: f64,

    /// Leave the processes running between events
    #[arg(long)]
    no_freeze: bool,

    /// What starts the function's runtime
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut emulator = Emulator::new(Config {
        name: arguments.name,
        handler: arguments.handler,
        task_root: std::path::absolute(arguments.task_root).context("there is no such folder")?,
        extensions: arguments.extensions,
        env: arguments.env,
        timeout: Duration::from_secs_f64(arguments.timeout),
        freeze: !arguments.no_freeze,
        ..Config::new(arguments.command)
    })
    .await
    .context("no port is free")?;
    let mut all = true;
    let mut lines = io::stdin().lock().lines();
    let mut files = arguments.events.iter();
    loop {
        let (event, source) = if arguments.events.is_empty() {
            let Some(line) = lines.next() else { break };
            (line.context("standard input cannot be read")?.into_bytes(), None)
        } else {
            let Some(file) = files.next() else { break };
            let event = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            (event, Some(file.display().to_string()))
        };
        let invocation = emulator.invoke(event).await;
        all &= invocation.failure.is_none();
        print(&described(&invocation, source))?;
    }
    print(&json!({ "ended": emulator.shutdown().await }))?;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(value: &Value) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}").and_then(|()| out.flush()).context("standard output cannot be written")
}

fn described(invocation: &Invocation, source: Option<String>) -> Value {
    let mut line = json!({
        "requestId": invocation.request_id,
        "durationMs": invocation.duration.as_secs_f64() * 1e3,
        "untilIdleMs": invocation.until_idle.as_secs_f64() * 1e3,
    });
    if let Some(source) = source {
        line["event"] = json!(source);
    }
    if let Some(answer) = &invocation.answer {
        line[if answer.is_error { "error" } else { "response" }] = shown(&answer.body);
    }
    if let Some(failure) = &invocation.failure {
        line["failure"] = json!({ "errorType": failure.error_type, "message": failure.message });
    }
    line
}

/// JSON as it is, and all else as a text.
fn shown(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)))
}

fn variable(text: &str) -> Result<(String, OsString), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.into()))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=900.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, 900 at most".to_owned())
}
