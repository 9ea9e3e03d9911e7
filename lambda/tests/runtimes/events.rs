//! Events as AWS sends them: what is allowed reaches the handler as it is, what is denied never does.

use std::{path::PathBuf, process::Command};

use aecp_integration_tests::lambda::MAX_PAYLOAD;
use serde_json::Value;

use crate::function::{Function, Runtime, digest};

/// An event, and what is changed in it so that it is denied.
struct Recorded {
    form: &'static str,
    event: &'static str,
    change: (&'static str, &'static str),
}

impl Recorded {
    fn denied(&self) -> String {
        let (from, to) = self.change;
        assert!(self.event.contains(from), "{}", self.form);
        self.event.replace(from, to)
    }
}

macro_rules! recorded {
    ($form:literal, $from:literal => $to:literal) => {
        Recorded {
            form: $form,
            event: include_str!(concat!("events/", $form, ".json")),
            change: ($from, $to),
        }
    };
}

const RECORDED: [Recorded; 9] = [
    recorded!("rest_api", r#""path": "/hello/world""# => r#""path": "/admin/world""#),
    recorded!("http_api", r#""rawPath": "/my/path""# => r#""rawPath": "/admin""#),
    recorded!("function_url", r#""rawPath": "/my/path""# => r#""rawPath": "/admin""#),
    recorded!("alb", r#""path": "/""# => r#""path": "/admin""#),
    recorded!("sqs", r#""Message Body""# => r#""{\"amount\":101}""#),
    recorded!("sns", r#""Hello\r\nworld!""# => r#""{\"amount\":101}""#),
    recorded!("s3", r#""sourcebucket""# => r#""secrets""#),
    recorded!("eventbridge", r#""pending""# => r#""stopped""#),
    recorded!("plain", r#""tidy""# => r#""purge""#),
];

/// Sends each event, once to be denied and once to be allowed, and checks what its sender is told.
async fn send_all(function: &mut Function, is_same: impl Fn(&[u8], &str) -> bool) {
    for recorded in &RECORDED {
        let denied = function.invoke(recorded.denied()).await;
        let answer = denied.answer.unwrap_or_else(|| panic!("{}: {}", recorded.form, function.output()));
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        match recorded.form {
            "rest_api" | "http_api" | "function_url" | "alb" => {
                assert!(!answer.is_error);
                assert_eq!(told["statusCode"], 403, "{told}");
            }
            "sqs" => {
                assert!(!answer.is_error);
                assert_eq!(told["batchItemFailures"][0]["itemIdentifier"], "MessageID_1");
            }
            _ => {
                assert!(answer.is_error);
                assert_eq!(answer.headers["lambda-runtime-function-error-type"], "AECP.Denied");
            }
        }
        let allowed = function.invoke(recorded.event).await;
        assert_eq!(allowed.failure, None, "{}", function.output());
        let answer = allowed.answer.unwrap();
        assert!(!answer.is_error, "{}: {}", recorded.form, String::from_utf8_lossy(&answer.body));
        assert!(is_same(&answer.body, recorded.event), "{}", recorded.form);
    }
    function.shutdown().await;
    let decisions = function.decisions();
    assert_eq!(decisions.len(), 2 * RECORDED.len());
    assert!(decisions.iter().all(|decision| decision.reason.is_none()), "all were read and decided");
}

fn as_json(bytes: &[u8], event: &str) -> bool {
    read(bytes) == read(event.as_bytes())
}

/// JSON with all numbers of one kind: JavaScript writes 1e2 as 100.
fn read(bytes: &[u8]) -> Value {
    fn same(value: &mut Value) {
        match value {
            Value::Number(number) => *value = serde_json::json!(number.as_f64()),
            Value::Array(values) => values.iter_mut().for_each(same),
            Value::Object(members) => members.values_mut().for_each(same),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_slice(bytes).unwrap();
    same(&mut value);
    value
}

/// What a function that writes one event a line saw must be the allowed events.
fn assert_seen(function: &Function) {
    let seen = function.seen();
    assert_eq!(seen.lines().count(), RECORDED.len(), "the denied ones never woke it");
    for (line, recorded) in seen.lines().zip(&RECORDED) {
        assert!(as_json(line.as_bytes(), recorded.event), "{}", recorded.form);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_in_python_sees_what_is_allowed_and_nothing_else() {
    let mut function = Function::of(Runtime::Python("app")).await;
    send_all(&mut function, as_json).await;
    assert_seen(&function);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_in_rust_sees_what_is_allowed_byte_for_byte_and_nothing_else() {
    let mut function = Function::of(Runtime::Rust("echo")).await;
    send_all(&mut function, |bytes, event| bytes == event.trim().as_bytes()).await;
    let seen = function.seen();
    let seen: Vec<&str> = seen.split_terminator('\0').collect();
    let allowed: Vec<&str> = RECORDED.iter().map(|recorded| recorded.event.trim()).collect();
    assert_eq!(seen, allowed);
}

/// `aws-lambda-ric` in a folder of its own, made once.
pub(crate) fn node_modules() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("node");
    let modules = folder.join("node_modules");
    if !modules.join("aws-lambda-ric/rapid-client.node").exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "aws-lambda-ric@4.0.2", "--prefix"])
            .arg(&folder);
        let status = npm.status().expect("npm can be run");
        assert!(status.success(), "aws-lambda-ric cannot be installed");
    }
    modules
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "installs aws-lambda-ric, which compiles curl for minutes: needs node, npm, cmake, a C++ compiler and autotools"]
async fn a_function_in_node_sees_what_is_allowed_and_nothing_else() {
    let mut function = Function::of(Runtime::Node("app", node_modules())).await;
    send_all(&mut function, as_json).await;
    assert_seen(&function);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_answers_of_six_megabytes_pass_whole() {
    let mut function = Function::of(Runtime::Rust("echo")).await;
    let text = "\u{e4}".repeat((MAX_PAYLOAD - 30) / 2);
    let event = format!(r#"{{"job":"tidy","text":"{text}"}}"#);
    let answer = function.invoke(event.clone()).await.answer.expect("an answer");
    assert!(!answer.is_error);
    assert_eq!(digest(&answer.body), digest(event.as_bytes()));
    let denied = event.replace("tidy", "purge");
    assert!(function.invoke(denied).await.answer.unwrap().is_error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_no_json_or_no_text_are_denied() {
    let mut function = Function::of(Runtime::Rust("echo")).await;
    for event in [&b"{\"job\":\"\xff\"}"[..], b"{\"job\":", b""] {
        let invocation = function.emulator.invoke(event).await;
        let answer = invocation.answer.unwrap_or_else(|| panic!("{:?}", invocation.failure));
        assert!(answer.is_error);
        assert_eq!(answer.headers["lambda-runtime-function-error-type"], "AECP.Denied");
    }
    assert_eq!(function.seen(), "");
    assert_eq!(function.answer(r#"{"job":"tidy"}"#).await["job"], "tidy");
    function.shutdown().await;
    let reasons: Vec<_> = function.decisions().into_iter().map(|decision| decision.reason).collect();
    let invalid = Some("invalid_request".to_owned());
    assert_eq!(reasons, [invalid.clone(), invalid.clone(), invalid, None]);
}
