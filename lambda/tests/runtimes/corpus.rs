//! The corpus of requests that all points of enforcement decide in the same way: here the extension, against a sidecar.

use std::time::Duration;

use aecp_contract::trust::TrustRoot;
use aecp_enforcer::{
    AuditConfig, Sidecar, SidecarConfig,
    record::{Recording, Shipping},
    server::Limits,
};
use aecp_integration_tests::corpus::{self, Request};
use serde_json::{Value, value::RawValue};

use crate::function::{Function, Runtime};

const REQUESTS: usize = 10_000;

#[tokio::test]
async fn ten_thousand_events_are_decided_as_a_sidecar_decides_them() {
    let requests: Vec<Request> = corpus::requests(REQUESTS).collect();
    let unfrozen = |config: &mut aecp_integration_tests::lambda::Config| config.freeze = false;
    let mut function = Function::deciding(&corpus::set(), Runtime::Rust("echo"), unfrozen).await;
    let expected = by_sidecar(&function, &requests).await;
    let denied = expected.iter().filter(|decision| decision.starts_with("DENY denied")).count();
    assert!((REQUESTS / 20..REQUESTS * 19 / 20).contains(&denied), "{denied} are denied");
    for (request, expected) in requests.iter().zip(&expected) {
        let invocation = function.invoke(request.event().to_string()).await;
        let answer = invocation.answer.unwrap_or_else(|| panic!("{}", function.output()));
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(*expected, decision(&told), "{request:?}: {told}");
    }
    function.shutdown().await;
}

/// What the answer to an event says of it: a denial, or the event itself with the ADVISORY policies that it violates.
fn decision(told: &Value) -> String {
    if told["statusCode"] == 403 {
        let problem: Value = serde_json::from_str(told["body"].as_str().unwrap()).unwrap();
        let policies: Vec<&str> =
            problem["policies"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        return corpus::denied_by(problem["code"].as_str().unwrap(), &policies);
    }
    assert!(told.get("httpMethod").is_some(), "{told}");
    corpus::allowance(told["multiValueHeaders"]["x-aecp-advisory"][0].as_str().unwrap_or_default())
}

async fn by_sidecar(function: &Function, requests: &[Request]) -> Vec<String> {
    let published = &function.published;
    let sidecar = Sidecar::start(SidecarConfig {
        stores: vec![published.url("store")],
        channel: "prod".parse().unwrap(),
        root: TrustRoot::pinned(&std::fs::read(published.path("root.json")).unwrap()).unwrap(),
        state: published.path("sidecar"),
        listen: "127.0.0.1:0".parse().unwrap(),
        poll: Duration::from_secs(60),
        point: None,
        limits: Limits::default(),
        explain: false,
        audit: AuditConfig {
            store: None,
            instance: None,
            openings: None,
            witnesses: None,
            shipping: Shipping { every: Duration::from_secs(60), spool_bytes: 1 << 20 },
            recording: Recording::default(),
        },
    })
    .await
    .unwrap();
    sidecar.enforcer().watch().wait_for(Option::is_some).await.unwrap();
    let (client, url) = (reqwest::Client::new(), format!("http://{}/v1/decisions", sidecar.address()));
    let mut decisions = Vec::with_capacity(requests.len());
    for batch in requests.chunks(1000) {
        let batch: Vec<Value> = batch.iter().map(Request::attributes).collect();
        let answer = client.post(&url).json(&batch).send().await.unwrap().bytes().await.unwrap();
        let lines: Vec<Box<RawValue>> = serde_json::from_slice(&answer).unwrap();
        decisions.extend(lines.iter().map(|line| corpus::told_by_lambda(line.get())));
    }
    sidecar.stop().await.unwrap();
    decisions
}
