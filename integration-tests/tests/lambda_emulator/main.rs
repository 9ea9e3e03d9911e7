//! The emulator of AWS Lambda itself, with a runtime and extensions that do nothing but speak the two APIs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: what fails must fail loudly"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use aecp_integration_tests::lambda::{Config, Emulator, Invocation, MAX_PAYLOAD, TRACE};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the programs, and what was written about them.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn config(&self, extensions: &[&str]) -> Config {
        let extension = |name: &&str| self.program(name, include_str!("extension.py"));
        Config {
            extensions: extensions.iter().map(extension).collect(),
            env: vec![("SEEN".to_owned(), self.0.path().join("seen").into())],
            log: Some(self.0.path().join("log")),
            timeout: Duration::from_secs(30),
            // Python is slow to end where all processors are busy.
            shutdown: Duration::from_secs(6),
            ..Config::new([self.program("runtime", include_str!("runtime.py"))])
        }
    }

    async fn emulator(&self, extensions: &[&str]) -> Emulator {
        Emulator::new(self.config(extensions)).await.unwrap()
    }

    fn seen(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.path().join("seen")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn answer(invocation: &Invocation) -> Value {
    assert_eq!(invocation.failure, None);
    serde_json::from_slice(&invocation.answer.as_ref().expect("an answer").body).unwrap()
}

fn failure(invocation: &Invocation) -> &str {
    &invocation.failure.as_ref().expect("a failure").error_type
}

/// The state of a process: the third field of its `stat`.
fn state(pid: &Value) -> char {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap();
    stat.rsplit(')').next().unwrap().trim_start().chars().next().unwrap()
}

#[tokio::test]
async fn the_runtime_starts_after_all_extensions_registered_and_all_are_told_of_invocations_and_the_end()
{
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["one", "two", "untold"]).await;
    let event = br#" { "precise" : 1.00000000000000000001e2, "do" : "echo" } "#;
    let invocation = emulator.invoke(&event[..]).await;
    assert_eq!(invocation.answer.unwrap().body, &event[..]);
    let exits = emulator.shutdown().await;
    assert_eq!(exits["one"], "exit status: 0");
    assert_eq!(exits["runtime"], "exit status: 0", "it had a SIGTERM");
    assert!(exits["untold"].contains("SIGKILL"), "{exits:?}");
    let seen = folder.seen();
    assert_eq!(seen[3], "runtime started for app.handler", "{seen:?}");
    let of = |name: &str| -> Vec<String> {
        seen.iter().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
    };
    let told = [" registered".to_owned(), format!(" INVOKE {}", invocation.request_id)];
    assert_eq!(of("one"), [&told[..], &[" SHUTDOWN spindown".to_owned()]].concat());
    assert_eq!(of("two"), of("one"));
    assert_eq!(of("untold"), told);
}

#[tokio::test]
async fn between_invocations_processes_are_stopped_and_go_on_as_they_were() {
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["one"]).await;
    let first = answer(&emulator.invoke(r#"{"do":"describe"}"#).await);
    assert_eq!(first["lambda-runtime-trace-id"], TRACE);
    assert_eq!(state(&first["pid"]), 'T');
    let second = answer(&emulator.invoke(r#"{"do":"describe"}"#).await);
    assert_eq!(second["pid"], first["pid"]);
    assert_ne!(second["lambda-runtime-aws-request-id"], first["lambda-runtime-aws-request-id"]);
}

#[tokio::test]
async fn what_takes_too_long_is_killed_and_the_next_event_gets_a_new_environment() {
    let folder = Folder::new();
    let config = Config { timeout: Duration::from_secs(1), ..folder.config(&["one"]) };
    let mut emulator = Emulator::new(config).await.unwrap();
    let invocation = emulator.invoke(r#"{"do":"sleep"}"#).await;
    assert_eq!(failure(&invocation), "Sandbox.Timedout");
    assert!(invocation.answer.is_none());
    assert_eq!(answer(&emulator.invoke("[7]").await), json!([7]));
    let seen = folder.seen();
    assert_eq!(seen[3], "one SHUTDOWN timeout", "{seen:?}");
    assert_eq!(seen[4], "one registered", "{seen:?}");
}

#[tokio::test]
async fn what_ends_by_itself_ends_the_environment() {
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["one"]).await;
    let invocation = emulator.invoke(r#"{"do":"exit"}"#).await;
    assert_eq!(failure(&invocation), "Runtime.ExitError");
    assert!(invocation.failure.unwrap().message.contains("exit status: 3"));
    assert_eq!(folder.seen()[3], "one SHUTDOWN failure");
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["one", "crashes"]).await;
    let invocation = emulator.invoke(r#"{"do":"sleep"}"#).await;
    assert_eq!(failure(&invocation), "Extension.Crash");
    assert!(folder.seen().contains(&"one SHUTDOWN failure".to_owned()));
}

#[tokio::test]
async fn processes_can_say_that_they_failed() {
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["one", "no-start"]).await;
    assert_eq!(emulator.init().await.unwrap_err().error_type, "no-start.Broken");
    assert!(!folder.seen().iter().any(|line| line.starts_with("runtime")), "it was not started");
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["breaks"]).await;
    let invocation = emulator.invoke(r#"{"do":"sleep"}"#).await;
    assert_eq!(failure(&invocation), "breaks.Broken");
    let folder = Folder::new();
    let mut config = folder.config(&["one"]);
    config.env.push(("NO_START".to_owned(), "yes".into()));
    let mut emulator = Emulator::new(config).await.unwrap();
    assert_eq!(failure(&emulator.invoke("1").await), "Runtime.ImportModuleError");
}

#[tokio::test]
async fn an_extension_that_stays_is_killed() {
    let folder = Folder::new();
    let mut emulator = folder.emulator(&["stays"]).await;
    emulator.init().await.unwrap();
    let exits = emulator.shutdown().await;
    assert!(exits["stays"].contains("SIGKILL"), "{exits:?}");
    assert_eq!(folder.seen().last().unwrap(), "stays SHUTDOWN spindown");
}

#[tokio::test]
async fn answers_are_taken_as_they_are_and_refused_where_aws_refuses_them() {
    let folder = Folder::new();
    let mut emulator = folder.emulator(&[]).await;
    let error = emulator.invoke(r#"{"do":"error"}"#).await.answer.unwrap();
    assert!(error.is_error);
    assert_eq!(error.headers["lambda-runtime-function-error-type"], "Oops");
    let streamed = emulator.invoke(r#"{"do":"stream"}"#).await.answer.unwrap();
    assert_eq!(streamed.body, "firstsecond");
    assert_eq!(streamed.trailers["lambda-runtime-function-error-type"], "Broken");
    let large = emulator.invoke(r#"{"do":"large"}"#).await.answer.unwrap();
    assert!(large.is_error);
    assert_eq!(large.headers["lambda-runtime-function-error-type"], "Function.ResponseSizeTooLarge");
    assert_eq!(answer(&emulator.invoke(r#"{"do":"misbehave"}"#).await), json!([403, 400]));
    let most = format!("\"{}\"", "x".repeat(MAX_PAYLOAD - 2));
    assert_eq!(emulator.invoke(most.clone()).await.answer.unwrap().body, most);
    assert_eq!(failure(&emulator.invoke(most + " ").await), "RequestTooLargeException");
}

#[tokio::test]
async fn who_is_unknown_or_late_is_refused() {
    let folder = Folder::new();
    let mut emulator = Emulator::new(Config { freeze: false, ..folder.config(&["one"]) }).await.unwrap();
    emulator.init().await.unwrap();
    let of = |path: &str| format!("http://{}/{path}", emulator.address());
    let client = reqwest::Client::new();
    let named =
        |name| client.post(of("2020-01-01/extension/register")).header("Lambda-Extension-Name", name);
    let next = || client.get(of("2020-01-01/extension/event/next"));
    let said = async |request: reqwest::RequestBuilder| -> Value {
        let response = request.send().await.unwrap();
        json!([response.status().as_u16(), response.json::<Value>().await.unwrap()["errorType"]])
    };
    assert_eq!(said(named("").body("{}")).await, json!([403, "Extension.InvalidExtensionName"]));
    assert_eq!(said(named("late").body("[]")).await, json!([403, "InvalidRequestFormat"]));
    let late = named("late").body(r#"{"events":["INVOKE"]}"#);
    assert_eq!(said(late).await, json!([403, "Extension.RegistrationClosed"]));
    let inside = named("late").body(r#"{"events":["SHUTDOWN"]}"#);
    assert_eq!(said(inside).await, json!([403, "Extension.InvalidEventType"]));
    assert_eq!(said(next()).await, json!([403, "Extension.MissingExtensionIdentifier"]));
    let unknown = next().header("Lambda-Extension-Identifier", "x");
    assert_eq!(said(unknown).await, json!([403, "Extension.UnknownExtensionIdentifier"]));
    let telemetry = client.put(of("2022-07-01/telemetry"));
    assert_eq!(said(telemetry).await, json!([202, "Telemetry.NotSupported"]));
}

#[test]
fn as_a_program_it_prints_answers_and_how_all_ended() {
    let folder = Folder::new();
    let config = folder.config(&["one"]);
    let event = folder.program("event.json", r#"{"do":"echo","n":1}"#);
    let output = Command::new(env!("CARGO_BIN_EXE_lambda-emulator"))
        .arg("--extension")
        .arg(&config.extensions[0])
        .arg("--event")
        .arg(event)
        .arg("--env")
        .arg(format!("SEEN={}", folder.0.path().join("seen").display()))
        .arg("--")
        .args(&config.command)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let lines: Vec<Value> = output
        .stdout
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    assert_eq!(lines[0]["response"], json!({ "do": "echo", "n": 1 }));
    assert_eq!(lines[1]["ended"]["one"], "exit status: 0");
}
