//! The component for the edge, as a gateway under `aecp-enforcer serve`: real releases in a store over HTTP, a real
//! upstream, and what becomes of requests when any of it is not as it should be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aecp_compiler::publish::Store;
use aecp_enforcer::component::{ComponentConfig, ComponentServer, Limits};
use aecp_integration_tests::{guest, published};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

/// Policies of requests and answers; `NAME` is what a later release calls the last one.
const POLICIES: &str = r#"
POLICY no_deletes {
  SCOPE: requests WHERE request.method == "DELETE"
  CONSTRAINT: request.headers.x_key EXISTS
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY small_orders {
  SCOPE: requests WHERE body.amount EXISTS
  CONSTRAINT: body.amount <= 100
  ENFORCEMENT: BLOCKING
}
POLICY known_tenant {
  SCOPE: requests WHERE request.headers.x_tenant IS MISSING
  CONSTRAINT: request.method == "NONE"
  ENFORCEMENT: ADVISORY
}
POLICY hidden_cards {
  AT: [EGRESS]
  SCOPE: requests WHERE request.path STARTS WITH "/customers"
  CONSTRAINT: response.status < 500
  ENFORCEMENT: BLOCKING
  MASK: card WITH LAST(4)
}
POLICY NAME {
  SCOPE: requests WHERE request.path == "/closed"
  CONSTRAINT: request.headers.x_key EXISTS
  ENFORCEMENT: BLOCKING
}
"#;

/// A folder that is served over HTTP, with `/up` as the upstream; and what was asked of the upstream.
struct World {
    folder: TempDir,
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// How many were published.
    releases: AtomicU64,
}

#[derive(Clone)]
struct Served {
    folder: std::path::PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn serve(State(served): State<Served>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(path) = path.strip_prefix("/up") {
        served.asked.lock().unwrap().push(format!("{} {path}", request.method()));
        if path == "/hangs" {
            std::future::pending::<()>().await;
        }
        let answer = r#"{"name":"Ada","card":"4111111111111111"}"#;
        return ([("content-type", "application/json")], answer).into_response();
    }
    let file = served.folder.join(path.trim_start_matches('/'));
    if request.method() == "PUT" {
        let bytes = axum::body::to_bytes(request.into_body(), 1 << 24).await.unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
        return StatusCode::CREATED.into_response();
    }
    if path.ends_with("channels/flood.json") {
        // Without an end, and without saying how much it is.
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 65_536]))
        });
        return Body::from_stream(endless).into_response();
    }
    match std::fs::read(file) {
        Ok(bytes) => bytes.into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let asked = Arc::default();
        let served = Served { folder: folder.path().to_owned(), asked: Arc::clone(&asked) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(serve).with_state(served);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { folder, address, asked, releases: AtomicU64::default() }
    }

    /// Publishes the policies as the next release.
    async fn publish(&self, name: &str) {
        let store =
            Store::open(&format!("file://{}", self.folder.path().join("store").display())).unwrap();
        let before = self.releases.fetch_add(1, Ordering::Relaxed);
        let set = published::accepted(&POLICIES.replace("NAME", name));
        published::publish(&store, &set, before).await.unwrap();
    }

    async fn gateway(&self, more: &[(&str, &str)]) -> Gateway {
        let url = |path: &str| format!("http://{}/{path}", self.address);
        let mut settings = BTreeMap::from([
            ("aecp_root".to_owned(), String::from_utf8(published::root()).unwrap()),
            ("aecp_channel".to_owned(), "prod".to_owned()),
            ("aecp_store".to_owned(), url("store")),
            ("aecp_upstream".to_owned(), url("up")),
            ("aecp_upstream_timeout".to_owned(), "1s".to_owned()),
            ("aecp_poll".to_owned(), "1s".to_owned()),
            ("aecp_max_body".to_owned(), "1000".to_owned()),
        ]);
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let server = ComponentServer::start(ComponentConfig {
            component: guest::component("gateway"),
            settings,
            state: self.folder.path().join("state"),
            outbound: vec![self.address.parse().unwrap()],
            listen: "127.0.0.1:0".parse().unwrap(),
            limits: Limits::default(),
        });
        Gateway { server: server.await.unwrap(), client: Client::new() }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("store").join(path)
    }
}

struct Gateway {
    server: ComponentServer,
    client: Client,
}

impl Gateway {
    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.server.address());
        self.client.request(method.parse().unwrap(), url)
    }

    /// Status and code of a problem, or the answer.
    async fn ask(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let json: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let code = json.get("code").cloned();
        (status, code.unwrap_or(json))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(self.request("GET", path)).await
    }

    /// Asks until the answer is this one, since releases are looked for after answers.
    async fn comes_to(&self, path: &str, status: u16) -> bool {
        for _ in 0..100 {
            if self.get(path).await.0 == status {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_answers_are_decided_on_and_denied_ones_never_reach_the_upstream() {
    let world = World::new().await;
    world.publish("closed").await;
    let gateway = world.gateway(&[]).await;

    let response = gateway.request("GET", "/customers?id=1").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-aecp-advisory"], "known_tenant");
    assert_eq!(response.text().await.unwrap(), r#"{"name":"Ada","card":"************1111"}"#);
    let tenant = gateway.request("GET", "/x").header("x-tenant", "a").send().await.unwrap();
    assert!(!tenant.headers().contains_key("x-aecp-advisory"));
    assert_eq!(world.asked(), ["GET /customers", "GET /x"]);

    let denied = gateway.request("DELETE", "/x").send().await.unwrap();
    assert_eq!(denied.status(), 403);
    assert_eq!(denied.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(&denied.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "denied");
    assert_eq!(problem["violated"][0]["policy"], "known_tenant");
    assert_eq!(problem["violated"][1]["policy"], "no_deletes");
    let post = |body: String| gateway.request("POST", "/orders").body(body);
    assert_eq!(gateway.ask(post(r#"{"amount":101}"#.to_owned())).await, (403, "denied".into()));
    assert_eq!(gateway.ask(post(r#"{"amount":"#.to_owned())).await, (400, "invalid_request".into()));
    let large = post(format!(r#"{{"amount":1,"note":"{}"}}"#, "x".repeat(1000)));
    assert_eq!(gateway.ask(large).await, (413, "request_too_large".into()));
    let mut flood = gateway.request("GET", "/x");
    for n in 0..200 {
        flood = flood.header(format!("x-{n}"), "1");
    }
    assert_eq!(flood.send().await.unwrap().status().as_u16() / 100, 4);
    assert_eq!(world.asked(), Vec::<String>::new());

    assert_eq!(gateway.ask(post(r#"{"amount":100}"#.to_owned())).await.0, 200);
    assert_eq!(world.asked(), ["POST /orders"]);
    assert_eq!(gateway.get("/hangs").await, (504, "upstream_timeout".into()));
    gateway.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_releases_are_taken_up_and_tampered_and_older_ones_are_not() {
    let world = World::new().await;
    let gateway = world.gateway(&[]).await;
    assert_eq!(gateway.get("/open").await, (403, "no_release".into()));
    world.publish("closed").await;
    let first = std::fs::read(world.file("channels/prod.json")).unwrap();
    assert!(gateway.comes_to("/open", 200).await);
    let (status, _) = gateway.get("/closed").await;
    assert_eq!(status, 403);

    // Another policy by the same rules: its name is in the answers.
    world.publish("shut").await;
    let name = async || {
        let problem = gateway.request("GET", "/closed").send().await.unwrap().bytes().await.unwrap();
        String::from_utf8(problem.to_vec()).unwrap()
    };
    for _ in 0..100 {
        if name().await.contains("\"shut\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(name().await.contains("\"release\":2"), "{}", name().await);

    // A third one, of which a byte is another.
    world.publish("barred").await;
    let third = world.file("releases/prod/3.json");
    let good = std::fs::read_to_string(&third).unwrap();
    std::fs::write(&third, good.replacen("\"payload\":\"e", "\"payload\":\"f", 1)).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    name().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(name().await.contains("\"release\":2"));

    // The store goes back to the first. A new process with the same key-value store still knows the second.
    std::fs::write(world.file("channels/prod.json"), first).unwrap();
    gateway.server.stop().await.unwrap();
    let gateway = world.gateway(&[]).await;
    let serves = async || {
        let problem = gateway.request("GET", "/closed").send().await.unwrap().bytes().await.unwrap();
        String::from_utf8(problem.to_vec()).unwrap()
    };
    for _ in 0..3 {
        assert!(serves().await.contains("\"release\":2"), "{}", serves().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    gateway.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_an_end_and_wrong_settings_deny() {
    let world = World::new().await;
    let gateway = world.gateway(&[("aecp_channel", "flood")]).await;
    assert_eq!(gateway.get("/open").await, (403, "no_release".into()));
    gateway.server.stop().await.unwrap();
    let gateway = world.gateway(&[("aecp_root", "{}")]).await;
    assert_eq!(gateway.get("/open").await, (503, "not_set_up".into()));
    gateway.server.stop().await.unwrap();
    assert_eq!(world.asked(), Vec::<String>::new());
}
