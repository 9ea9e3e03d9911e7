//! Components are served within limits: what a real one, built for WASI 0.3, may reach, and what becomes of one that takes
//! too much.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{collections::BTreeMap, path::Path, sync::LazyLock, time::Duration};

use aecp_enforcer::component::{Component, ComponentConfig, ComponentError, ComponentServer, Limits};
use aecp_integration_tests::guest;
use reqwest::{Client, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const PROBLEM: &str = "application/problem+json";

static PROBE: LazyLock<Component> =
    LazyLock::new(|| Component::load(&guest::component("probe")).unwrap());

fn limits() -> Limits {
    Limits {
        memory_bytes: 32 << 20,
        request_time: Duration::from_secs(1),
        exchange_time: Duration::from_secs(2),
        requests: 16,
        reuse: 128,
    }
}

fn config(state: &Path) -> ComponentConfig {
    ComponentConfig {
        component: PROBE.clone(),
        settings: BTreeMap::from([("greeting".to_owned(), "hello".to_owned())]),
        state: state.to_owned(),
        outbound: Vec::new(),
        listen: "127.0.0.1:0".parse().unwrap(),
        limits: limits(),
    }
}

/// Asks and reads the answer whole.
async fn ask(server: &ComponentServer, path: &str) -> (StatusCode, String) {
    let response = reqwest::get(format!("http://{}/{path}", server.address())).await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The same with the path as it stands here, which clients rewrite; the answer with its head.
async fn ask_exactly(server: &ComponentServer, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET /{path} HTTP/1.0\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn says(server: &ComponentServer, path: &str, text: &str) {
    assert_eq!(ask(server, path).await, (StatusCode::OK, text.to_owned()), "{path}");
}

/// A host that answers every connection with these bytes.
async fn host(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                // The path, as it came.
                let path =
                    request[..read].split(|byte| *byte == b' ').nth(1).unwrap_or_default().to_vec();
                let _ = stream.write_all(answer).await;
                let _ = stream.write_all(&path).await;
            });
        }
    });
    address.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_reaches_its_settings_its_store_and_the_hosts_that_are_allowed_and_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let allowed = host(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nyou asked ").await;
    let other = host(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let outbound = vec![allowed.parse().unwrap()];
    let server =
        ComponentServer::start(ComponentConfig { outbound, ..config(state.path()) }).await.unwrap();

    says(&server, "setting/greeting", r#"Ok(Some("hello"))"#).await;
    says(&server, "setting/PATH", "Ok(None)").await;
    // No folder, no writing, no variable.
    says(&server, "reach", "None false 0").await;
    // Paths arrive as they were decided on: nothing in between makes `/admin` of it.
    let path = "a/%2e%2e/./../admin//x?b=%zz";
    let asked = ask_exactly(&server, &format!("fetch/http/{allowed}/{path}")).await;
    assert!(asked.ends_with(&format!("200 you asked /{path}")), "{asked}");
    says(&server, &format!("fetch/http/{other}/"), "ErrorCode::HttpRequestDenied").await;
    says(&server, &format!("fetch/https/{other}/"), "ErrorCode::HttpRequestDenied").await;
    says(&server, "open/another", "Err(Error::NoSuchStore)").await;

    let client = Client::new();
    let key = |key: &str| format!("http://{}/key/{key}", server.address());
    let set = client.put(key("highest/serial")).body("12").send().await.unwrap();
    assert_eq!(set.text().await.unwrap(), "Ok(())");
    client.put(key("gone")).body("soon").send().await.unwrap();
    client.delete(key("gone")).send().await.unwrap();
    assert_eq!(ask(&server, "key/gone").await, (StatusCode::NOT_FOUND, "Ok(false)".to_owned()));
    // An answer is not the end of the work, and the work not lost by stopping.
    says(&server, "after/late", "").await;

    // Another process would tear the store.
    let again = ComponentServer::start(config(state.path())).await.err().unwrap();
    assert!(matches!(again, ComponentError::State { .. }), "{again}");
    server.stop().await.unwrap();

    let server = ComponentServer::start(config(state.path())).await.unwrap();
    says(&server, "key/highest/serial", "12").await;
    says(&server, "key/late", "after the answer").await;
    says(&server, "keys", r#"Ok(["highest/serial", "late"])"#).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_takes_too_much_is_ended_and_the_next_request_is_served() {
    let state = tempfile::tempdir().unwrap();
    let server = ComponentServer::start(config(state.path())).await.unwrap();
    says(&server, "memory/8", "8").await;
    says(&server, "served", "2").await;
    // With half of what it may have it serves no others, and so comes to no harm.
    says(&server, "memory/16", "16").await;
    says(&server, "served", "1").await;
    for (path, status, code) in [
        ("memory/64", StatusCode::INTERNAL_SERVER_ERROR, "component_failed"),
        ("trap", StatusCode::INTERNAL_SERVER_ERROR, "component_failed"),
        ("loop", StatusCode::GATEWAY_TIMEOUT, "component_timeout"),
        ("wait/60000", StatusCode::GATEWAY_TIMEOUT, "component_timeout"),
    ] {
        let response = reqwest::get(format!("http://{}/{path}", server.address())).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], PROBLEM, "{path}");
        let problem: serde_json::Value =
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(problem["code"], code, "{path}");
        says(&server, "setting/greeting", r#"Ok(Some("hello"))"#).await;
    }
    // A loop for each thread of this host, and another request all the same.
    let address = server.address();
    let loops: Vec<_> = (0..4)
        .map(|_| tokio::spawn(async move { reqwest::get(format!("http://{address}/loop")).await }))
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    says(&server, "setting/greeting", r#"Ok(Some("hello"))"#).await;
    for looping in loops {
        assert_eq!(looping.await.unwrap().unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    }

    // An answer without an end is cut off, and does not look whole.
    let endless = reqwest::get(format!("http://{address}/endless")).await.unwrap();
    assert_eq!(endless.status(), StatusCode::OK);
    assert!(endless.bytes().await.is_err());
    // So is a request without an end.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = b"PUT /key/k HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let feeding = async {
        let (mut reader, mut writer) = stream.split();
        let feed = async {
            while writer.write_all(b"1\r\nx\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = [0; 12];
        tokio::select! {
            read = reader.read_exact(&mut answer) => { read.unwrap(); }
            () = feed => {}
        }
        answer
    };
    assert_eq!(&feeding.await, b"HTTP/1.1 504");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_serves_many_requests_some_of_them_at_once_and_no_more_than_that() {
    let state = tempfile::tempdir().unwrap();
    let server = ComponentServer::start(config(state.path())).await.unwrap();
    let client = Client::new();
    let address = server.address();
    let mut highest = 0;
    let mut instances = 0;
    for _ in 0..300 {
        let served = client.get(format!("http://{address}/served")).send().await.unwrap();
        let served: u32 = served.text().await.unwrap().parse().unwrap();
        instances += u32::from(served == 1);
        highest = highest.max(served);
    }
    assert_eq!((instances, highest), (3, 128));

    let mut waiting = JoinSet::new();
    for _ in 0..40 {
        let client = client.clone();
        waiting.spawn(async move {
            let waited = client.get(format!("http://{address}/wait/100")).send().await.unwrap();
            assert_eq!(waited.status(), StatusCode::OK);
            waited.text().await.unwrap().parse::<usize>().unwrap()
        });
    }
    let most = waiting.join_all().await.into_iter().max().unwrap();
    assert!((2..=16).contains(&most), "{most} at once in one instance");

    // Who asks is what the host saw, not what the client says; the answer is what it sent, byte for byte.
    let body = vec![b'x'; 300_000];
    let request =
        client.post(format!("http://{address}/echo")).header("spin-client-addr", "203.0.113.9");
    let response = request.body(body.clone()).send().await.unwrap();
    assert_eq!(response.headers()["x-client"], "127.0.0.1");
    assert_eq!(response.headers()["x-authority"], address.to_string());
    assert_eq!(response.bytes().await.unwrap(), body);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_component_of_wasi_0_2_is_served_by_an_instance_for_each_request() {
    let state = tempfile::tempdir().unwrap();
    let component = Component::load(&guest::component("probe_p2")).unwrap();
    let server =
        ComponentServer::start(ComponentConfig { component, ..config(state.path()) }).await.unwrap();
    for path in ["a?b=%2F", "c"] {
        says(&server, path, &format!("GET /{path} 1")).await;
    }
    server.stop().await.unwrap();
}

#[test]
fn what_is_no_component_for_http_or_wants_more_than_there_is_is_refused_at_the_start() {
    let state = tempfile::tempdir().unwrap();
    for (text, why) in [
        ("(module)", "component"),
        ("(component)", "wasi:http"),
        (
            r#"(component (import "wasi:nn/tensor@0.2.0-rc-2024-10-28" (instance (export "f" (func)))))"#,
            "wasi:nn",
        ),
    ] {
        let file = state.path().join("component.wasm");
        std::fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
        let refused = Component::load(&file);
        let Err(ComponentError::Load { error, .. }) = refused else { panic!("{text} is served") };
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}
