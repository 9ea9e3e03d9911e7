//! The corpus of requests that all points of enforcement decide in the same way: here the extension, against a sidecar.

use aecp_integration_tests::{
    corpus::{self, Request},
    lambda::Config,
};
use serde_json::Value;

use crate::function::{Function, Runtime};

const REQUESTS: usize = 10_000;

#[tokio::test]
async fn ten_thousand_events_are_decided_as_a_sidecar_decides_them() {
    let requests: Vec<Request> = corpus::requests(REQUESTS).collect();
    let unfrozen = |config: &mut Config| config.freeze = false;
    let mut function = Function::deciding(&corpus::set(), Runtime::Rust("echo"), unfrozen).await;
    let published = &function.published;
    let (root, state) = (published.path("root.json"), published.path("sidecar"));
    let told = corpus::by_sidecar(published.url("store"), &root, &state, &requests).await;
    let expected: Vec<String> = told.iter().map(|line| corpus::told_by_lambda(line)).collect();
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
