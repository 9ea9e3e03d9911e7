use serde_json::{Value, json};

use crate::environment::Environment;

fn message(id: &str, queue: &str, body: &str) -> Value {
    json!({
        "messageId": id, "receiptHandle": "r", "body": body, "attributes": {}, "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:eu-west-1:123456789012:{queue}"),
        "awsRegion": "eu-west-1"
    })
}

pub(crate) fn batch(queue: &str, bodies: &[&str]) -> String {
    let records: Vec<Value> =
        bodies.iter().enumerate().map(|(n, body)| message(&format!("m{n}"), queue, body)).collect();
    json!({ "Records": records }).to_string()
}

/// The ids of the messages in an event.
pub(crate) fn ids(event: &str) -> Vec<String> {
    let event: Value = serde_json::from_str(event).unwrap();
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|record| record["messageId"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect()
}

pub(crate) const GOOD: &str = r#"{"amount":1}"#;
pub(crate) const DENIED: &str = r#"{"amount":101}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_messages_go_back_to_their_queue_and_the_function_gets_the_others() {
    let environment = Environment::start().await;
    let id = environment.lambda.invoke(batch("orders", &[GOOD, DENIED, "no JSON", "{broken", GOOD]));
    let event = environment.next().await.text().await.unwrap();
    assert_eq!(ids(&event), ["m0", "m2", "m4"]);
    let own = r#"{"batchItemFailures":[{"itemIdentifier":"m4"}],"other":1}"#;
    environment.post(&format!("invocation/{id}/response"), &[], own).await;
    let answer = environment.lambda.posted().await.json();
    assert_eq!(failures(&answer), ["m4", "m1", "m3"]);
    assert_eq!(answer["other"], 1);

    for own in ["null", "", "\"done\""] {
        let id = environment.lambda.invoke(batch("orders", &[DENIED, GOOD]));
        assert_eq!(ids(&environment.next().await.text().await.unwrap()), ["m1"]);
        environment.post(&format!("invocation/{id}/response"), &[], own).await;
        assert_eq!(failures(&environment.lambda.posted().await.json()), ["m0"]);
    }

    let id = environment.lambda.invoke(batch("orders", &[DENIED, DENIED]));
    let whole = batch("orders", &[GOOD, GOOD]);
    environment.lambda.invoke(whole.clone());
    let passed = environment.next().await.text().await.unwrap();
    assert_eq!(ids(&passed), ["m0", "m1"], "the function was not asked about the batch before");
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.path, format!("{id}/response"));
    assert_eq!(failures(&posted.json()), ["m0", "m1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_keeps_an_order_gets_back_all_from_the_first_denied_message_on() {
    let environment = Environment::start().await;
    let id = environment.lambda.invoke(batch("orders.fifo", &[GOOD, DENIED, GOOD]));
    assert_eq!(ids(&environment.next().await.text().await.unwrap()), ["m0"]);
    environment.post(&format!("invocation/{id}/response"), &[], "null").await;
    assert_eq!(failures(&environment.lambda.posted().await.json()), ["m1", "m2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_other_services_pass_or_become_errors() {
    let environment = Environment::start().await;
    let sns = |message: &str| {
        json!({ "Records": [{ "EventSource": "aws:sns", "EventVersion": "1.0",
            "Sns": { "TopicArn": "arn:aws:sns:…", "Message": message } }] })
    };
    let s3 = |bucket: &str| {
        json!({ "Records": [{ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "s3": { "bucket": { "name": bucket }, "object": { "key": "a%2Bb", "size": 3 } } }] })
    };
    let bus = |kind: &str| {
        json!({ "version": "0", "id": "e1", "source": "shop", "account": "1", "region": "eu-west-1",
            "detail-type": kind, "detail": { "order": 7 } })
    };
    for (allowed, denied) in [
        (sns(GOOD), sns(DENIED)),
        (s3("inbox"), s3("secrets")),
        (bus("OrderPlaced"), bus("OrderPurged")),
    ] {
        let refused = environment.lambda.invoke(denied.to_string());
        environment.lambda.invoke(allowed.to_string());
        let event: Value = environment.next().await.json().await.unwrap();
        assert_eq!(event["Records"][0]["s3"], allowed["Records"][0]["s3"]);
        assert_eq!(event["detail-type"], allowed["detail-type"]);
        let posted = environment.lambda.posted().await;
        assert_eq!(posted.path, format!("{refused}/error"), "{denied}");
        assert_eq!(posted.json()["errorType"], "AECP.Denied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_like_http_and_is_none_is_denied() {
    let environment = Environment::start().await;
    let event = json!({
        "httpMethod": "GET", "path": "/", "headers": { "x-tenant": 7 }, "requestContext": {}
    });
    let id = environment.lambda.invoke(event.to_string());
    let passes = environment.lambda.invoke(r#"{"tenant":"a"}"#);
    assert_eq!(environment.next().await.headers()["lambda-runtime-aws-request-id"], *passes);
    let posted = environment.lambda.posted().await;
    assert_eq!(posted.path, format!("{id}/error"));
    assert_eq!(posted.json()["errorMessage"], "denied (invalid_request)");
}
