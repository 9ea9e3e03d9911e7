use serde_json::{Value, json};

use crate::environment::Environment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_events_that_are_denied_or_malformed_become_errors_of_the_function() {
    let environment = Environment::start().await;
    let denied = [
        (r#"{"tenant":"a","job":"purge"}"#, "denied"),
        // Given twice: the function may read either.
        (r#"{"tenant":"a","job":"purge","job":"tidy"}"#, "denied"),
        // Allowed if masked, which nothing here can do.
        (r#"{"tenant":"a","export":"one","card":"4444"}"#, "obligation_unsupported"),
        (r#"{"tenant":"a","job":"#, "invalid_request"),
        ("", "invalid_request"),
    ];
    let ids: Vec<String> = denied.iter().map(|(event, _)| environment.lambda.invoke(*event)).collect();
    let last = environment.lambda.invoke(r#"{"tenant":"a","job":"tidy"}"#);
    let response = environment.next().await;
    assert_eq!(response.headers()["lambda-runtime-aws-request-id"], *last, "only the last may pass");
    for (id, (event, code)) in ids.iter().zip(denied) {
        let posted = environment.lambda.posted().await;
        assert_eq!(posted.path, format!("{id}/error"), "{event}");
        assert_eq!(posted.headers["lambda-runtime-function-error-type"], "AECP.Denied");
        let error = posted.json();
        assert_eq!(error["errorType"], "AECP.Denied");
        assert_eq!(error["errorMessage"], format!("denied by policy ({code})"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advice_is_a_member_of_an_event_that_is_no_http() {
    let environment = Environment::start().await;
    environment.lambda.invoke(r#"{ "n": 1.10 }"#);
    let text = environment.next().await.text().await.unwrap();
    assert_eq!(text, r#"{ "n": 1.10 ,"aecp_advisory":["named_tenant"]}"#);
    environment.lambda.invoke("{}");
    let text = environment.next().await.text().await.unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "aecp_advisory": ["named_tenant"] })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_megabytes_pass_both_ways() {
    let environment = Environment::start().await;
    let event = json!({ "tenant": "a", "blob": "x".repeat(6 * 1024 * 1024 - 64) }).to_string();
    let id = environment.lambda.invoke(event.clone());
    let received = environment.next().await.text().await.unwrap();
    assert!(received == event);
    environment.post(&format!("invocation/{id}/response"), &[], received).await;
    assert!(environment.lambda.posted().await.body == event);
}
