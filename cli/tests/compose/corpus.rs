//! One corpus of requests is decided in the same bytes by the sidecar and by the component for the edge, whether it fetches
//! its policies and interprets them or has them composed in.

use std::fs;

use aecp_enforcer::component::ComponentServer;
use aecp_integration_tests::{
    corpus::{self, Request},
    guest,
};
use reqwest::{Client, Method};

use crate::{
    edge,
    helpers::{err, url},
};

const REQUESTS: usize = 10_000;

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_are_decided_in_the_same_bytes_everywhere() {
    let folder = edge::folder(&corpus::set());
    let folder = folder.path();
    let requests: Vec<Request> = corpus::requests(REQUESTS).collect();

    let store = url(&folder.join("store"));
    let root = folder.join("keys/root.json");
    let told = corpus::by_sidecar(store.clone(), &root, &folder.join("sidecar"), &requests).await;
    let expected: Vec<String> = told.iter().map(|line| corpus::of_sidecar(line)).collect();
    let allowed = expected.iter().filter(|decision| decision.starts_with("ALLOW")).count();
    assert!((REQUESTS / 20..REQUESTS * 19 / 20).contains(&allowed), "{allowed} are allowed");

    // Fetched and interpreted.
    let app = guest::component("example");
    let app = app.to_str().unwrap();
    let composed = edge::compose(folder, "middleware", &["--app", app]);
    assert!(composed.status.success(), "{}", err(&composed));
    let web = edge::web_store(&folder.join("store")).await;
    let server = edge::serve(folder, &[("aecp_store", &format!("http://{web}"))], &[web]).await;
    same(&expected, &by_component(&server, &requests).await, &requests);
    server.stop().await.unwrap();

    // Composed in.
    let release = ["--store", &store, "--channel", "prod", "--root", "keys/root.json", "--app", app];
    let composed = edge::compose(folder, "middleware_sealed", &release);
    assert!(composed.status.success(), "{}", err(&composed));
    fs::remove_dir_all(folder.join("state")).unwrap();
    let server = edge::serve(folder, &[], &[]).await;
    same(&expected, &by_component(&server, &requests).await, &requests);
    server.stop().await.unwrap();
}

fn same(expected: &[String], decided: &[String], requests: &[Request]) {
    assert_eq!(expected.len(), decided.len());
    for ((expected, decided), request) in expected.iter().zip(decided).zip(requests) {
        assert_eq!(expected, decided, "{request:?}");
    }
}

async fn by_component(server: &ComponentServer, requests: &[Request]) -> Vec<String> {
    let client = Client::new();
    let mut decisions = Vec::with_capacity(requests.len());
    for some in requests.chunks(AT_ONCE) {
        let asked = some.iter().map(|request| decide(&client, server, request));
        decisions.extend(futures_util::future::join_all(asked).await);
    }
    decisions
}

async fn decide(client: &Client, server: &ComponentServer, request: &Request) -> String {
    let url = format!("http://{}{}", server.address(), request.target());
    let method: Method = request.method.parse().unwrap();
    let mut asking = client.request(method, url);
    for (name, value) in &request.headers {
        asking = asking.header(*name, value);
    }
    if let Some(body) = &request.body {
        asking = asking.body(body.clone());
    }
    let answer = asking.send().await.unwrap();
    match answer.status().as_u16() {
        200 => {
            let advisory = answer.headers().get("x-aecp-advisory").map(|names| names.to_str().unwrap());
            corpus::allowance(advisory.unwrap_or_default())
        }
        403 => corpus::denial(&answer.text().await.unwrap()),
        status => panic!("{request:?}: {status} {}", answer.text().await.unwrap()),
    }
}
