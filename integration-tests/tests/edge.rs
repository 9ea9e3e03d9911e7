//! The component for the edge, as a gateway under `aecp-enforcer serve`: real releases in a store over HTTP, a real
//! upstream, and what becomes of requests when any of it is not as it should be.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aecp_compiler::publish::Store;
use aecp_contract::trust::{Role, RootPayload, TrustRoot};
use aecp_enforcer::component::{Component, ComponentConfig, ComponentServer, Limits};
use aecp_integration_tests::{guest, published};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

static GATEWAY: LazyLock<Component> =
    LazyLock::new(|| Component::load(&guest::component("gateway")).unwrap());

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
    folder: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn serve(State(served): State<Served>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(path) = path.strip_prefix("/up") {
        served.asked.lock().unwrap().push(format!("{} {path}", request.method()));
        if path == "/hangs" {
            std::future::pending::<()>().await;
        }
        let answer = match request.headers().get("x-says") {
            Some(says) => says.to_str().unwrap().to_owned(),
            None => r#"{"name":"Ada","card":"4111111111111111"}"#.to_owned(),
        };
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
        self.publish_set(&POLICIES.replace("NAME", name), (3600, 7200), &published::key()).await;
    }

    /// Publishes these as the next release, signed by this key, to expire and to be stale after so many seconds.
    async fn publish_set(&self, policies: &str, lasts: (i64, i64), key: &SigningKey) {
        let store =
            Store::open(&format!("file://{}", self.folder.path().join("store").display())).unwrap();
        let before = self.releases.fetch_add(1, Ordering::Relaxed);
        let set = published::accepted(policies);
        published::publish_for(&store, &set, before, lasts, key).await.unwrap();
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
            component: GATEWAY.clone(),
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

    fn file(&self, path: &str) -> PathBuf {
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

    /// The serial of the release that denies `/closed`; `None` if none does.
    async fn serial(&self) -> Option<u64> {
        let denied = self.request("GET", "/closed").send().await.unwrap();
        let problem: Value = serde_json::from_slice(&denied.bytes().await.unwrap()).unwrap();
        assert!(problem["code"] == "denied" || problem["code"] == "no_release", "{problem}");
        problem["release"].as_u64()
    }

    /// Asks until the release of this serial decides.
    async fn comes_to_release(&self, serial: u64) {
        for _ in 0..100 {
            if self.serial().await == Some(serial) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("release {serial} is not taken up");
    }

    /// Asks for longer than passes between two looks for releases: the same release decides all the time.
    async fn stays_at(&self, serial: Option<u64>) {
        for _ in 0..10 {
            assert_eq!(self.serial().await, serial);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
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

/// A token of these claims, signed with EdDSA.
fn token(key: &SigningKey, claims: &Value) -> String {
    let encode = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", encode(&json!({"alg": "EdDSA"})), encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).to_bytes());
    format!("Bearer {message}.{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_count_if_a_known_key_signed_them_and_addresses_if_a_trusted_proxy_saw_them() {
    const WHO: &str = r#"
POLICY clerks {
  SCOPE: requests WHERE request.path == "/orders"
  CONSTRAINT: principal.claims.role == "clerk"
  ENFORCEMENT: BLOCKING
}
POLICY inside {
  SCOPE: requests WHERE request.path == "/inside"
  CONSTRAINT: source.ip IN CIDR "10.0.0.0/8"
  ENFORCEMENT: BLOCKING
}
"#;
    let world = World::new().await;
    world.publish_set(WHO, (3600, 7200), &published::key()).await;
    let signer = SigningKey::from_bytes(&[3; 32]);
    let x = BASE64_URL_SAFE_NO_PAD.encode(signer.verifying_key().as_bytes());
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}).to_string();
    let settings = [
        ("aecp_jwt_keys", keys.as_str()),
        ("aecp_jwt_issuer", "https://id.example"),
        ("aecp_jwt_audience", "shop"),
        ("aecp_trusted_proxies", "1"),
    ];
    let gateway = world.gateway(&settings).await;

    let now = aecp_enforcer::now().seconds;
    let claims = |role: &str, audience: &str, exp: i64| json!({"iss": "https://id.example", "aud": audience, "exp": exp, "role": role});
    let good = claims("clerk", "shop", now + 600);
    let mut forged = token(&signer, &claims("guest", "shop", now + 600));
    let body = token(&signer, &good);
    let (own, others) = (body.split('.').nth(1).unwrap(), forged.split('.').nth(1).unwrap());
    forged = forged.replace(others, own);
    for (authorization, status) in [
        (token(&signer, &good), 200),
        (token(&signer, &claims("guest", "shop", now + 600)), 403),
        (token(&signer, &claims("clerk", "other", now + 600)), 403),
        (token(&signer, &claims("clerk", "shop", now - 600)), 403),
        (token(&SigningKey::from_bytes(&[4; 32]), &good), 403),
        (forged, 403),
        ("Bearer a.b.c".to_owned(), 403),
        (format!("Bearer {}", "a".repeat(20_000)), 403),
        (String::new(), 403),
    ] {
        let asked = gateway.request("GET", "/orders").header("authorization", &authorization);
        assert_eq!(asked.send().await.unwrap().status(), status, "{authorization:.100}");
    }

    let from = async |name: &str, value: &str| {
        let asked = gateway.request("GET", "/inside").header(name, value);
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(from("x-forwarded-for", "10.1.2.3").await, 200);
    assert_eq!(from("x-forwarded-for", "10.1.2.3, 192.0.2.1").await, 403, "the proxy saw the last");
    assert_eq!(from("x-forwarded-for", "nobody").await, 403);
    assert_eq!(from("spin-client-addr", "10.1.2.3").await, 403, "only the host says that");
    gateway.server.stop().await.unwrap();
    assert_eq!(world.asked(), ["GET /orders", "GET /inside"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answers_body_that_is_no_json_leaves_policies_that_look_at_it_in_doubt() {
    const SECRETS: &str = r#"
POLICY no_secrets {
  AT: [EGRESS]
  SCOPE: requests WHERE request.path EXISTS
  CONSTRAINT: response.body.secret IS MISSING
  ENFORCEMENT: BLOCKING
}
"#;
    let world = World::new().await;
    world.publish_set(SECRETS, (3600, 7200), &published::key()).await;
    let gateway = world.gateway(&[]).await;
    for (says, status) in [
        (r#"{"name":"Ada"}"#, 200),
        ("", 200),
        (r#"{"secret":1}"#, 403),
        (r#"{"name":"#, 403),
        ("<p>secret</p>", 403),
    ] {
        let answer = gateway.request("GET", "/x").header("x-says", says).send().await.unwrap();
        assert_eq!(answer.status(), status, "{says}");
        let text = answer.text().await.unwrap();
        assert_eq!(text.contains("\"code\":\"denied\""), status == 403, "{says}: {text}");
    }
    gateway.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_root_is_followed_and_then_what_the_withdrawn_key_signs_is_refused() {
    let world = World::new().await;
    let policies = |name: &str| POLICIES.replace("NAME", name);
    world.publish("first").await;
    // What the old key signs elsewhere, while it still may.
    let elsewhere = World::new().await;
    for name in ["first", "second", "third"] {
        elsewhere.publish(name).await;
    }
    let gateway = world.gateway(&[]).await;
    gateway.comes_to_release(1).await;

    let judge = SigningKey::from_bytes(&[8; 32]);
    let old = published::key();
    let mut next = TrustRoot::pinned(&published::root()).unwrap().payload().clone();
    next.version = 2;
    next.add(Role::Judicial, &judge.verifying_key());
    let withdrawn = next.roles[&Role::Root].keyids.first().copied().unwrap();
    assert!(next.remove(Role::Judicial, withdrawn));
    // A stranger's root comes to nothing, though it is there first.
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let mut foreign = RootPayload::first(&stranger.verifying_key(), &[Role::Root, Role::Judicial]);
    foreign.version = 2;
    let root = world.file("root/2.json");
    std::fs::create_dir_all(root.parent().unwrap()).unwrap();
    std::fs::write(&root, foreign.sign(&[&stranger]).to_json()).unwrap();
    gateway.stays_at(Some(1)).await;
    std::fs::write(&root, next.sign(&[&old]).to_json()).unwrap();
    world.publish_set(&policies("second"), (3600, 7200), &judge).await;
    gateway.comes_to_release(2).await;

    for part in ["releases/prod/3.json", "channels/prod.json", "blobs/sha256"] {
        let from = elsewhere.file(part);
        let files = if from.is_dir() {
            std::fs::read_dir(&from).unwrap().map(|entry| entry.unwrap().path()).collect()
        } else {
            vec![from.clone()]
        };
        for file in files {
            let below = file.strip_prefix(elsewhere.file("")).unwrap().to_owned();
            std::fs::copy(&file, world.file("").join(below)).unwrap();
        }
    }
    gateway.stays_at(Some(2)).await;
    gateway.server.stop().await.unwrap();

    // The key-value store remembers the root too: no store is needed.
    std::fs::remove_dir_all(world.file("")).unwrap();
    let gateway = world.gateway(&[]).await;
    gateway.stays_at(Some(2)).await;
    gateway.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_value_store_that_forgets_is_told_again_and_a_release_ends_when_it_is_stale() {
    let world = World::new().await;
    world.publish("first").await;
    let first = std::fs::read(world.file("channels/prod.json")).unwrap();
    world.publish("second").await;
    let second = std::fs::read(world.file("channels/prod.json")).unwrap();
    let gateway = world.gateway(&[]).await;
    gateway.comes_to_release(2).await;

    // All is forgotten, and the store of releases goes back: the instance still knows, and says so.
    let forget = || {
        for entry in std::fs::read_dir(world.folder.path().join("state/key-value")).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with(".lock") {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    forget();
    std::fs::write(world.file("channels/prod.json"), &first).unwrap();
    gateway.stays_at(Some(2)).await;
    gateway.server.stop().await.unwrap();
    // The next process has the highest serial from it, and nothing of that release: it denies rather than go back.
    let gateway = world.gateway(&[]).await;
    gateway.stays_at(None).await;
    std::fs::write(world.file("channels/prod.json"), second).unwrap();
    gateway.comes_to_release(2).await;

    // One that nothing follows; it lasts long enough to be seen by a slow machine.
    world.publish_set(&POLICIES.replace("NAME", "third"), (10, 11), &published::key()).await;
    gateway.comes_to_release(3).await;
    for _ in 0..200 {
        if gateway.get("/open").await == (403, "release_stale".into()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(gateway.get("/open").await, (403, "release_stale".into()));
    gateway.server.stop().await.unwrap();
}
