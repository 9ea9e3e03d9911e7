use serde_json::{Value, json};

use crate::environment::Environment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_events_that_are_denied_or_malformed_become_errors_of_the_function() {
    let environment = Environment::start().await;
    let denied: [(&[u8], &str); 6] = [
        (br#"{"tenant":"a","job":"purge"}"#, "denied by policy closed_jobs (denied)"),
        // Given twice: the function may read either.
        (br#"{"tenant":"a","job":"purge","job":"tidy"}"#, "denied by policy closed_jobs (denied)"),
        // Allowed if it is limited, which nothing here can do.
        (
            br#"{"tenant":"a","import":"one"}"#,
            "denied by policy limited_imports (obligation_unsupported)",
        ),
        (br#"{"tenant":"a","job":"#, "denied (invalid_request)"),
        (b"", "denied (invalid_request)"),
        // No UTF-8.
        (b"{\"tenant\":\"\xff\"}", "denied (invalid_request)"),
    ];
    let ids: Vec<String> = denied.iter().map(|(event, _)| environment.lambda.invoke(*event)).collect();
    let last = environment.lambda.invoke(r#"{"tenant":"a","job":"tidy"}"#);
    let response = environment.next().await;
    assert_eq!(response.headers()["lambda-runtime-aws-request-id"], *last, "only the last may pass");
    for (id, (_, message)) in ids.iter().zip(denied) {
        let posted = environment.lambda.posted().await;
        assert_eq!(posted.path, format!("{id}/error"), "{message}");
        assert_eq!(posted.headers["lambda-runtime-function-error-type"], "AECP.Denied");
        let error = posted.json();
        assert_eq!(error["errorType"], "AECP.Denied");
        assert_eq!(error["errorMessage"], message);
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
