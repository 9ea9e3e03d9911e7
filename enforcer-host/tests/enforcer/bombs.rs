//! Requests that are deep or large in little: answered like any other, and so is the next one.

use aecp_enforcer::Sidecar;
use reqwest::Client;
use serde_json::{Value, json};

use crate::{
    fixture::{Publisher, within},
    http::url,
};

async fn send(sidecar: &Sidecar, path: &str, body: String) -> (u16, Value) {
    let request = Client::new().post(url(sidecar, path)).header("content-type", "application/json");
    let response = request.body(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A release that allows the region E.
async fn sidecar(publisher: &Publisher) -> Sidecar {
    publisher.publish(1, 'E');
    let sidecar = publisher.sidecar().await;
    within(sidecar.enforcer().watch().wait_for(Option::is_some)).await.unwrap();
    sidecar
}

#[tokio::test]
async fn what_nests_deeply_is_passed_over_or_refused_and_harms_no_other_request() {
    let publisher = Publisher::new();
    let sidecar = sidecar(&publisher).await;
    let bombs = [
        ("[".repeat(100_000), "]".repeat(100_000)),
        (r#"{"a":"#.repeat(80_000), "}".repeat(80_000)),
        (r#"[{"a":"#.repeat(50_000), "}]".repeat(50_000)),
    ];
    let paths = ["/v1/decision", "/v1/decisions", "/access/v1/evaluation", "/access/v1/evaluations"];
    for (open, close) in bombs {
        let bomb = format!("{open}1{close}");
        // Where nobody looks, it is passed over.
        let plain = format!(r#"{{"customer.region":"EU","bomb":{bomb}}}"#);
        let who = r#""subject":{"type":"u","id":"1"},"action":{"name":"a"}"#;
        let authzen = |bomb: &str| {
            format!(
                r#"{{{who},"resource":{{"type":"r","id":"1"}},"context":{{"customer.region":"EU","b":{bomb}}}}}"#
            )
        };
        let (status, answer) = send(&sidecar, paths[0], plain.clone()).await;
        assert_eq!((status, &answer["decision"]), (200, &json!("ALLOW")), "{answer}");
        let (status, answer) = send(&sidecar, paths[1], format!("[{plain},{plain}]")).await;
        assert_eq!((status, &answer[1]["decision"]), (200, &json!("ALLOW")), "{answer}");
        for path in &paths[2..] {
            let (status, answer) = send(&sidecar, path, authzen(&bomb)).await;
            assert_eq!((status, &answer["decision"]), (200, &json!(true)), "{answer}");
        }
        // Alone, unclosed, or in the place of an attribute it is no way in.
        for path in paths {
            for body in [bomb.clone(), open.clone(), authzen(&open), format!("[{open}")] {
                let (status, answer) = send(&sidecar, path, body).await;
                let answers = answer.as_array().into_iter().flatten().chain([&answer]);
                let denied = |answer: &Value| {
                    !matches!(&answer["decision"], Value::Bool(true)) && answer["decision"] != "ALLOW"
                };
                assert!(status == 400 || answers.into_iter().all(denied), "{path}: {status} {answer}");
            }
            let attribute = format!(r#"{{"customer.region":{bomb}}}"#);
            let (_, answer) = send(&sidecar, "/v1/decision", attribute).await;
            assert_eq!(answer["decision"], "DENY");
        }
        let (_, answer) = send(&sidecar, "/v1/decision", r#"{"customer.region":"EU"}"#.to_owned()).await;
        assert_eq!(answer["decision"], "ALLOW");
    }
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn defaults_that_a_batch_would_read_over_and_over_have_a_limit() {
    let publisher = Publisher::new();
    let sidecar = sidecar(&publisher).await;
    let batch = |bytes: usize, requests: usize| {
        let body = json!({
            "subject": {"type": "u", "id": "1"}, "action": {"name": "a"}, "resource": {"type": "r", "id": "1"},
            "context": {"customer.region": "EU", "large": "x".repeat(bytes)},
            "evaluations": vec![json!({}); requests],
        });
        send(&sidecar, "/access/v1/evaluations", body.to_string())
    };
    let (status, answer) = batch(15_000, 1000).await;
    assert_eq!((status, answer["evaluations"].as_array().unwrap().len()), (200, 1000));
    assert_eq!(answer["evaluations"][999]["decision"], true);
    let (status, answer) = batch(900_000, 10).await;
    assert_eq!((status, answer["evaluations"].as_array().unwrap().len()), (200, 10));
    let (status, answer) = batch(17_000, 1000).await;
    assert_eq!((status, &answer["code"]), (413, &json!("request_too_large")));
    let (status, answer) = batch(900_000, 19).await;
    assert_eq!((status, &answer["code"]), (413, &json!("request_too_large")));
    sidecar.stop().await.unwrap();
}
