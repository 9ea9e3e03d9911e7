use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use aecp_integration_tests::published::Published;
use serde_json::{Value, json};

use crate::{
    environment::{Environment, POLICIES, command, within},
    lambda::Lambda,
};

/// The checkpoints' sizes in an audit store.
fn shipped(folder: &Path) -> Vec<u64> {
    let Some(Ok(log)) = fs::read_dir(folder.join("audit")).ok().and_then(|mut logs| logs.next()) else {
        return Vec::new();
    };
    let checkpoints = fs::read_dir(log.path().join("checkpoints")).unwrap();
    let mut sizes: Vec<u64> =
        checkpoints.map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    sizes.sort_unstable();
    sizes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_carried_between_invocations_and_at_shutdown() {
    let published = Published::new(POLICIES).await;
    let openings = published.url("elsewhere");
    let mut environment = Environment::with(published, &[("AECP_AUDIT_OPENINGS", &openings)]).await;
    let audit = environment.published.path("audit");
    let id = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    environment.next().await;
    environment.post(&format!("invocation/{id}/response"), &[], "{}").await;
    environment.lambda.posted().await;
    environment.lambda.invoke(r#"{"tenant":"a","job":"purge"}"#);
    environment.lambda.invoke(r#"{"tenant":"a"}"#);
    environment.next().await;
    let before = shipped(&audit);
    assert!(!before.is_empty(), "carried before the next event was asked for");
    environment.lambda.shutdown();
    let ended = within(tokio::task::spawn_blocking(move || {
        let status = environment.extension.wait().unwrap();
        (environment, status)
    }));
    let (environment, status) = ended.await.unwrap();
    assert!(status.success());
    assert!(shipped(&audit).last() > before.last(), "the end of the log too");
    let other = environment.published.path("elsewhere");
    let is_there =
        [audit.join("audit"), audit.join("openings"), other.join("audit"), other.join("openings")]
            .map(|folder| folder.exists());
    assert_eq!(is_there, [true, false, false, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_start_needs_no_network_if_the_layer_has_a_release() {
    let published = Published::new(POLICIES).await;
    fs::rename(published.path("store"), published.path("layer")).unwrap();
    let environment = Environment::of(published).await;
    environment.lambda.invoke(r#"{"tenant":"a","job":"purge"}"#);
    let passes = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *passes);
    assert_eq!(
        environment.lambda.posted().await.json()["errorMessage"],
        "denied by policy closed_jobs (denied)"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_release_every_event_is_denied() {
    let published = Published::new(POLICIES).await;
    fs::rename(published.path("store"), published.path("elsewhere")).unwrap();
    let environment = Environment::of(published).await;
    environment.lambda.invoke(r#"{"tenant":"a"}"#);
    let answer = async {
        tokio::select! {
            passed = environment.next() => panic!("passed: {passed:?}"),
            posted = environment.lambda.posted() => posted,
        }
    };
    assert_eq!(answer.await.json()["errorMessage"], "denied (no_release)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_function_and_of_its_start_pass() {
    let environment = Environment::start().await;
    let body = r#"{"errorType":"Runtime.ImportModuleError","errorMessage":"no module"}"#;
    let kind = [("lambda-runtime-function-error-type", "Runtime.ImportModuleError")];
    assert_eq!(environment.post("init/error", &kind, body).await.status(), 202);
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.path, "init/error");
    assert_eq!(posted.headers["lambda-runtime-function-error-type"], "Runtime.ImportModuleError");
    assert_eq!(posted.body, body);
    let id = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    environment.next().await;
    environment.post(&format!("invocation/{id}/error"), &kind, body).await;
    assert_eq!(environment.lambda.posted().await.path, format!("{id}/error"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_response_passes_with_its_trailers() {
    let environment = Environment::start().await;
    let id = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    environment.next().await;
    let address = environment.proxy().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
             Trailer: Lambda-Runtime-Function-Error-Type\r\nConnection: close\r\n\r\n5\r\nfirst\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
            .write_all(b"6\r\nsecond\r\n0\r\nLambda-Runtime-Function-Error-Type: Broken\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.body, "firstsecond");
    assert_eq!(posted.headers["lambda-runtime-function-response-mode"], "streaming");
    assert_eq!(posted.headers["lambda-runtime-function-error-type"], "Broken");
    assert!(within(answer).await.unwrap().starts_with("HTTP/1.1 202"));
}

/// As runtimes do that are made with libcurl, for large answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_asks_before_it_sends_is_told_to_go_on() {
    let environment = Environment::start().await;
    let id = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    environment.next().await;
    let address = environment.proxy().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: x\r\n\
             Content-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 21];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue");
        stream.write_all(b"done").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.body, "done");
    assert!(!posted.headers.contains_key("expect"));
    assert!(within(answer).await.unwrap().contains("HTTP/1.1 202"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decision_api_answers_beside_the_function() {
    let environment = Environment::start().await;
    let ask = |event: Value| {
        let post = reqwest::Client::new().post(format!("{}/v1/decision", environment.api));
        post.json(&json!({ "request.headers.x_tenant": "a", "event": event })).send()
    };
    let answer: Value = ask(json!({ "job": "purge" })).await.unwrap().json().await.unwrap();
    assert_eq!(answer["decision"], "DENY");
    let answer: Value = ask(json!({ "job": "tidy" })).await.unwrap().json().await.unwrap();
    assert_eq!(answer["decision"], "ALLOW", "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_extension_lets_nothing_pass() {
    let mut environment = Environment::start().await;
    environment.extension.kill().unwrap();
    environment.extension.wait().unwrap();
    // The process that decides ends with the one that was killed.
    let gone = async {
        while TcpStream::connect(environment.proxy()).is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(gone).await;
    environment.lambda.invoke(r#"{"tenant":"a"}"#);
    let url = format!("http://{}/2018-06-01/runtime/invocation/next", environment.proxy());
    assert!(reqwest::get(url).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_cannot_start_says_so_and_ends() {
    let published = Published::new(POLICIES).await;
    let lambda = Lambda::start().await;
    let mut extension =
        command(&lambda, &published).env("AECP_ROOT", "/nowhere/root.json").spawn().unwrap();
    let told = lambda.posted().await;
    assert_eq!(told.path, "extension/init/error");
    assert_eq!(told.headers["lambda-extension-function-error-type"], "AECP.CannotStart");
    assert!(told.json()["errorMessage"].as_str().unwrap().contains("/nowhere/root.json"));
    assert!(!tokio::task::spawn_blocking(move || extension.wait().unwrap()).await.unwrap().success());
}
