//! The HTTP API.

use std::time::Duration;

use aecp_contract::manifest::AuditLevel;
use aecp_enforcer::{Sidecar, server::Limits};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::fixture::{Publisher, artifacts, entries, key, release, within};

pub(crate) fn url(sidecar: &Sidecar, path: &str) -> String {
    format!("http://{}{path}", sidecar.address())
}

pub(crate) async fn post(sidecar: &Sidecar, path: &str, body: &Value) -> Response {
    Client::new().post(url(sidecar, path)).json(body).send().await.unwrap()
}

pub(crate) async fn answer(sidecar: &Sidecar, path: &str, body: &Value) -> Value {
    let response = post(sidecar, path, body).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

fn authzen(region: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": "ann"},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "7"},
        "context": {"customer": {"region": region}},
    })
}

/// What a caller is told of a denial: not the policy that only auditors see.
fn violated() -> Value {
    json!([
        {"policy": "advice", "enforcement": "ADVISORY"},
        {"policy": "region", "enforcement": "BLOCKING"},
    ])
}

#[tokio::test]
async fn without_a_release_everything_is_denied_with_that_reason() {
    let publisher = Publisher::new();
    let sidecar = publisher.sidecar().await;
    let denied = json!({
        "decision": "DENY", "violated": [], "indeterminate": [], "reason": "no_release",
    });
    assert_eq!(answer(&sidecar, "/v1/decision", &json!({"customer.region": "EU"})).await, denied);
    assert_eq!(
        answer(&sidecar, "/access/v1/evaluation", &authzen("EU")).await["decision"],
        json!(false)
    );
    let health = reqwest::get(url(&sidecar, "/healthz")).await.unwrap();
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.json::<Value>().await.unwrap()["status"], "no_release");
    publisher.publish(1, 'E');
    let mut swaps = sidecar.enforcer().watch();
    sidecar.poll_now();
    within(swaps.wait_for(Option::is_some)).await.unwrap();
    assert_eq!(
        answer(&sidecar, "/v1/decision", &json!({"customer.region": "EU"})).await["decision"],
        "ALLOW"
    );
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn the_plain_form_answers_with_the_line_of_decide() {
    let publisher = Publisher::new();
    publisher.publish(3, 'E');
    let sidecar = publisher.sidecar().await;
    let allowed = json!({"decision": "ALLOW", "violated": [], "indeterminate": [], "release": 3});
    let denied = json!({"decision": "DENY", "violated": violated(), "indeterminate": [], "release": 3});
    let broken = json!({
        "decision": "DENY", "violated": [], "indeterminate": [], "reason": "invalid_request", "release": 3,
    });
    assert_eq!(answer(&sidecar, "/v1/decision", &json!({"customer": {"region": "EU"}})).await, allowed);
    assert_eq!(answer(&sidecar, "/v1/decision", &json!({"customer.region": "US"})).await, denied);
    let batch = json!([{"customer.region": "EU"}, {}, 7]);
    assert_eq!(answer(&sidecar, "/v1/decisions", &batch).await, json!([allowed, denied, broken]));
    assert_eq!(answer(&sidecar, "/v1/decisions", &json!([])).await, json!([]));
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn authzen_evaluations_take_defaults_and_stop_where_they_are_asked_to() {
    let publisher = Publisher::new();
    publisher.publish(3, 'E');
    let sidecar = publisher.sidecar().await;
    let allowed = json!({
        "decision": true, "context": {"violated": [], "indeterminate": [], "release": 3},
    });
    let denied = json!({
        "decision": false, "context": {"violated": violated(), "indeterminate": [], "release": 3},
    });
    assert_eq!(answer(&sidecar, "/access/v1/evaluation", &authzen("EU")).await, allowed);
    assert_eq!(answer(&sidecar, "/access/v1/evaluation", &authzen("US")).await, denied);
    for empty in [json!(null), json!([])] {
        let mut single = authzen("EU");
        single["evaluations"] = empty;
        assert_eq!(answer(&sidecar, "/access/v1/evaluations", &single).await, allowed);
    }
    let us = json!({"context": {"customer.region": "US"}});
    let mut batch = authzen("EU");
    batch["evaluations"] = json!([{}, us, {}, us, {"subject": {"type": "user"}}, 3]);
    let all = answer(&sidecar, "/access/v1/evaluations", &batch).await;
    let all = all["evaluations"].as_array().unwrap();
    assert_eq!(all[..4], [allowed.clone(), denied.clone(), allowed.clone(), denied.clone()]);
    assert_eq!(
        all[4]["context"]["error"],
        json!({"status": 400, "message": "the request cannot be read: `subject.id` is required"})
    );
    assert_eq!((all[5]["decision"].as_bool(), all.len()), (Some(false), 6));
    let mut ending = async |semantic: &str| {
        batch["options"] = json!({"evaluations_semantic": semantic, "other": 1});
        answer(&sidecar, "/access/v1/evaluations", &batch).await["evaluations"].clone()
    };
    assert_eq!(ending("deny_on_first_deny").await, json!([allowed, denied]));
    assert_eq!(ending("permit_on_first_permit").await, json!([allowed]));
    assert_eq!(ending("execute_all").await.as_array().unwrap().len(), 6);
    batch["options"] = json!({"evaluations_semantic": "maybe"});
    let refused = post(&sidecar, "/access/v1/evaluations", &batch).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_is_a_problem_with_a_code() {
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    let config = aecp_enforcer::SidecarConfig {
        limits: Limits { body_bytes: 3000, batch: 5, ..Limits::default() },
        ..publisher.config()
    };
    let sidecar = Sidecar::start(config).await.unwrap();
    within(sidecar.enforcer().watch().wait_for(Option::is_some)).await.unwrap();
    let client = Client::new();
    let send = async |path: &str, media_type: &str, body: String| {
        let request = client.post(url(&sidecar, path)).header("content-type", media_type);
        let response = request.body(body).send().await.unwrap();
        let status = response.status().as_u16();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(media_type, "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        (status, problem["code"].as_str().unwrap().to_owned())
    };
    let json = "application/json; charset=utf-8";
    let expect = |status, code: &str| (status, code.to_owned());
    for path in ["/v1/decision", "/v1/decisions", "/access/v1/evaluation", "/access/v1/evaluations"] {
        for body in ["", "{", "nonsense", "\"\u{0}\"", "7"] {
            assert_eq!(
                send(path, json, body.to_owned()).await,
                expect(400, "invalid_request"),
                "{path}"
            );
        }
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(3000));
        assert_eq!(send(path, json, large).await, expect(413, "request_too_large"));
        assert_eq!(
            send(path, "text/plain", "{}".to_owned()).await,
            expect(415, "unsupported_media_type")
        );
    }
    assert_eq!(
        send("/v1/decisions", json, "[1,2,3,4,5,6]".to_owned()).await,
        expect(413, "request_too_large")
    );
    assert_eq!(send("/nowhere", json, "{}".to_owned()).await, expect(404, "not_found"));
    assert_eq!(send("/healthz", json, "{}".to_owned()).await, expect(405, "method_not_allowed"));
    // In chunks, so that no length announces it.
    let chunked = b"POST /v1/decision HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\n1000\r\n";
    let mut stream = TcpStream::connect(sidecar.address()).await.unwrap();
    stream.write_all(chunked).await.unwrap();
    stream.write_all(&[b' '; 4096]).await.unwrap();
    assert!(first_line(&mut stream).await.contains("413"));
    sidecar.stop().await.unwrap();
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 64];
    let read = within(stream.read(&mut buffer)).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    let short = Duration::from_secs(1);
    let config = aecp_enforcer::SidecarConfig {
        limits: Limits { head_time: short, body_time: short, connections: 2, ..Limits::default() },
        ..publisher.config()
    };
    let sidecar = Sidecar::start(config).await.unwrap();
    within(sidecar.enforcer().watch().wait_for(Option::is_some)).await.unwrap();
    let mut head = TcpStream::connect(sidecar.address()).await.unwrap();
    head.write_all(b"POST /v1/decision HTTP/1.1\r\nhost:").await.unwrap();
    let mut body = TcpStream::connect(sidecar.address()).await.unwrap();
    let start = b"POST /v1/decision HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        content-length: 99\r\n\r\n{";
    body.write_all(start).await.unwrap();
    assert!(first_line(&mut body).await.contains("408"));
    let mut rest = Vec::new();
    within(head.read_to_end(&mut rest)).await.unwrap();
    // Both places are free again.
    let health = within(reqwest::get(url(&sidecar, "/healthz"))).await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_keeps_its_id_and_gets_one_if_it_has_none() {
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    let sidecar = publisher.sidecar().await;
    let id = async |given: Option<&str>| {
        let mut request =
            Client::new().post(url(&sidecar, "/access/v1/evaluation")).json(&authzen("EU"));
        if let Some(given) = given {
            request = request.header("X-Request-ID", given);
        }
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id(Some("bfe9eb29-ab87")).await, "bfe9eb29-ab87");
    assert_eq!(id(None).await.len(), 32);
    assert_ne!(id(None).await, id(None).await);
    assert_eq!(id(Some(&"x".repeat(200))).await.len(), 32);
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn refusals_show_in_health_and_metrics_until_the_next_good_poll() {
    let publisher = Publisher::new();
    publisher.publish(1, 'E');
    let sidecar = publisher.sidecar().await;
    let health =
        async || reqwest::get(url(&sidecar, "/healthz")).await.unwrap().json::<Value>().await.unwrap();
    let metrics = async || reqwest::get(url(&sidecar, "/metrics")).await.unwrap().text().await.unwrap();
    for code in aecp_contract::refusal::Code::ALL {
        assert!(metrics().await.contains(&format!("aecp_refusals_total{{code=\"{code}\"}} 0")));
    }
    publisher.publish_as(&key(9), &release(2), &artifacts('U', AuditLevel::None));
    sidecar.poll_now();
    within(async { while health().await["last_refusal"].is_null() {} }).await;
    let refused = health().await;
    assert_eq!(refused["status"], "serving");
    assert_eq!((refused["serial"].as_u64(), refused["policies"].as_u64()), (Some(1), Some(3)));
    assert_eq!(refused["last_refusal"]["code"], "unknown_key");
    assert!(refused["last_refusal"]["at"].as_str().unwrap().ends_with('Z'));
    let text = metrics().await;
    assert!(text.contains("aecp_refusals_total{code=\"unknown_key\"} 1"), "{text}");
    assert!(text.contains("aecp_release_serial 1"), "{text}");
    publisher.publish(3, 'E');
    sidecar.poll_now();
    within(async { while !health().await["last_refusal"].is_null() {} }).await;
    assert_eq!(health().await["serial"], 3);
    answer(&sidecar, "/v1/decision", &json!({"customer.region": "EU"})).await;
    answer(&sidecar, "/v1/decision", &json!({"behave": 1})).await;
    let text = metrics().await;
    for line in [
        "aecp_swaps_total 2",
        "aecp_decisions_total{decision=\"allow\",reason=\"policy\"} 1",
        "aecp_decisions_total{decision=\"deny\",reason=\"policy_trap\"} 1",
        "aecp_decision_seconds_count 2",
        "aecp_http_requests_total{path=\"/v1/decision\",status=\"200\"} 2",
        "aecp_polls_total{outcome=\"refused\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    sidecar.stop().await.unwrap();
}

#[tokio::test]
async fn decisions_are_recorded_as_their_policies_ask_and_shown_to_subscribers() {
    let publisher = Publisher::new();
    publisher.publish_as(&publisher.key, &release(1), &artifacts('E', AuditLevel::Required));
    let sidecar = publisher.sidecar().await;
    let mut events = sidecar.subscribe();
    let request = Client::new().post(url(&sidecar, "/v1/decision")).header("x-request-id", "seven");
    request.json(&json!({"customer.region": "US"})).send().await.unwrap();
    // The answer is there, so the record is.
    let entry = entries(&publisher.state()).remove(1);
    assert_eq!(entry["seq"], 1);
    let record = &entry["event"]["decision"];
    assert_eq!(record["request_id"], "seven");
    assert_eq!(record["point"], "v1/decision");
    assert_eq!(record["decision"], "DENY");
    assert_eq!(record["violated"].as_array().unwrap().len(), 3, "auditors see every policy");
    assert_eq!(record["release"]["serial"], 1);
    assert!(entry["time"].is_string() && record["latency_us"].is_u64());
    let event = within(events.recv()).await.unwrap();
    assert_eq!((&*event.request_id, event.decided.violated().count()), ("seven", 3));
    sidecar.stop().await.unwrap();
}
