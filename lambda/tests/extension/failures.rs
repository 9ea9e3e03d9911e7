//! What happens when things fail, and when what comes is bad.

use std::{fs, process::Command, time::Duration};

use aecp_integration_tests::published::Published;
use serde_json::{Value, json};

use crate::environment::{Environment, POLICIES};

async fn without_a_release(fail: &str) -> Environment {
    let published = Published::new(POLICIES).await;
    fs::rename(published.path("store"), published.path("elsewhere")).unwrap();
    Environment::with(published, &[("AECP_FAIL", fail)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_open_lets_events_pass_without_a_release_and_says_so() {
    let environment = without_a_release("open").await;
    let id = environment.lambda.invoke(r#"{"job":"purge"}"#);
    assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *id);
    environment.post(&format!("invocation/{id}/response"), &[], "{}").await;
    assert_eq!(environment.lambda.posted().await.body, "{}");
    environment.lambda.invoke("{}");
    environment.next().await;
    let said = tokio::task::spawn_blocking(move || {
        let line = environment.metrics.recv().unwrap();
        let error = environment.logged.iter().find(|line| line.contains("undecided")).unwrap();
        (environment, line, error)
    });
    let (environment, line, error) = crate::environment::within(said).await.unwrap();
    assert!(line.contains("\"Undecided\":1"), "{line}");
    assert!(error.contains(&id) && error.contains("no_release"), "{error}");
    let spool = environment.published.path("tmp/decisions");
    let files = fs::read_dir(spool).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let log = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<String>();
    assert!(log.contains(r#""reason":"undecided""#), "{log}");
}

/// The audit store takes nothing, and no room is left for what waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_denied_or_passes_as_configured() {
    let inside = json!({
        "version": "2.0", "rawPath": "/admin", "rawQueryString": "", "headers": {},
        "requestContext": { "domainName": "id.lambda-url.eu-west-1.on.aws",
            "http": { "method": "GET", "path": "/admin", "sourceIp": "10.0.0.1" } }
    });
    for fail in ["closed", "open"] {
        let published = Published::new(POLICIES).await;
        fs::remove_dir(published.path("audit")).unwrap();
        fs::write(published.path("audit"), "no folder").unwrap();
        let environment =
            Environment::with(published, &[("AECP_FAIL", fail), ("AECP_AUDIT_SPOOL", "1")]).await;
        let id = environment.lambda.invoke(inside.to_string());
        if fail == "closed" {
            let posted = tokio::select! {
                passed = environment.next() => panic!("passed: {passed:?}"),
                posted = environment.lambda.posted() => posted,
            };
            let problem: Value = serde_json::from_str(posted.json()["body"].as_str().unwrap()).unwrap();
            assert_eq!(problem["code"], "audit_unavailable");
            continue;
        }
        assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *id);
        environment.post(&format!("invocation/{id}/response"), &[], "{}").await;
        environment.lambda.posted().await;
        environment.lambda.invoke("{}");
        environment.next().await;
        let line = tokio::task::spawn_blocking(move || {
            let line = environment.metrics.iter().find(|line| line.contains("\"Undecided\":1"));
            (environment, line)
        });
        let (_environment, line) = crate::environment::within(line).await.unwrap();
        assert!(line.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_open_never_opens_what_a_policy_denies() {
    let published = Published::new(POLICIES).await;
    let environment = Environment::with(published, &[("AECP_FAIL", "open")]).await;
    let denied = environment.lambda.invoke(r#"{"tenant":"a","job":"purge"}"#);
    let passes = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *passes);
    assert_eq!(environment.lambda.posted().await.path, format!("{denied}/error"));
}

/// As after a freeze of a day: the clock jumped, and no timer ran.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_went_stale_in_a_freeze_decides_nothing_after_it_even_failing_open() {
    for fail in ["closed", "open"] {
        let published = Published::going_stale(
            "POLICY none { SCOPE: requests WHERE event.x EXISTS CONSTRAINT: event.x == 1 ENFORCEMENT: BLOCKING }",
            8,
        )
        .await;
        let environment = Environment::with(published, &[("AECP_FAIL", fail)]).await;
        let id = environment.lambda.invoke(r#"{"x":1}"#);
        environment.next().await;
        environment.post(&format!("invocation/{id}/response"), &[], "{}").await;
        environment.lambda.posted().await;
        let signal = |name: &str| {
            let group = format!("-{}", environment.extension.id());
            assert!(Command::new("kill").args([name, "--", &group]).status().unwrap().success());
        };
        signal("-STOP");
        tokio::time::sleep(Duration::from_secs(9)).await;
        signal("-CONT");
        let id = environment.lambda.invoke(r#"{"x":1}"#);
        let posted = tokio::select! {
            passed = environment.next() => panic!("passed: {passed:?}"),
            posted = environment.lambda.posted() => posted,
        };
        assert_eq!(posted.path, format!("{id}/error"));
        assert_eq!(posted.json()["errorMessage"], "denied (release_stale)");
    }
}

/// As of a handler that crashed or timed out: its runtime starts anew and asks for the next event, and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invocation_that_was_never_answered_leaves_nothing_behind() {
    let environment = Environment::start().await;
    environment.lambda.invoke(json!({ "tenant": "a", "export": "one" }).to_string());
    environment.next().await;
    let id = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *id);
    let answer = r#"{"event":{"card":"12345678"}}"#;
    environment.post(&format!("invocation/{id}/response"), &[], answer).await;
    assert_eq!(environment.lambda.posted().await.body, answer, "the first one's mask is gone with it");
}
