//! A store that fails between any two writes of a publication to two stores: for enforcers the old release is in force or
//! the new one, whole, in each of both, and the next run ends what was begun.
//!
//! The stores are two folders of a bucket of the S3 emulator, behind a proxy that fails. A store is configured by its
//! process's environment, so that [`each_crash_point`] runs in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aecp_compiler::{
    accept::Accepted,
    publish::{PublishError, Replica, Store},
};
use aecp_contract::{layout::Name, trust::TrustRoot};
use aecp_enforcer::{Artifacts, Engine, PolicyPre, ReleaseSource, now};
use aecp_integration_tests::{
    published::{accepted, publish, root},
    python::S3,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// Where the proxy is to listen.
const PROXY: &str = "AECP_TEST_PROXY";

/// The emulator behind it.
const UPSTREAM: &str = "AECP_TEST_UPSTREAM";

/// What the proxy does with the next requests.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Passes everything on.
    Sound,
    /// Passes so many writes on; from then on nothing. The last of them is carried out, and its answer is lost, if
    /// `answer_lost`.
    Fails { after: usize, answer_lost: bool },
    /// Passes no writes on.
    ReadOnly,
}

#[derive(Clone)]
struct Proxy {
    mode: Arc<Mutex<Mode>>,
    upstream: String,
    client: reqwest::Client,
}

impl Proxy {
    async fn start() -> Self {
        let proxy = Self {
            mode: Arc::new(Mutex::new(Mode::Sound)),
            upstream: std::env::var(UPSTREAM).unwrap(),
            client: reqwest::Client::new(),
        };
        let listener = tokio::net::TcpListener::bind(std::env::var(PROXY).unwrap()).await.unwrap();
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Whether a request is passed on, and whether its answer is.
    fn passes(&self, is_write: bool) -> (bool, bool) {
        let mut mode = self.mode.lock().unwrap();
        match &mut *mode {
            Mode::Sound => (true, true),
            Mode::ReadOnly => (!is_write, !is_write),
            Mode::Fails { after: 0, .. } => (false, false),
            Mode::Fails { after, answer_lost } if is_write => {
                *after -= 1;
                (true, !(*answer_lost && *after == 0))
            }
            Mode::Fails { .. } => (true, true),
        }
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (request_passes, answer_passes) = proxy.passes(head.method == Method::PUT);
    let denied = || {
        let xml = "<Error><Code>AccessDenied</Code><Message>the bucket is read-only</Message></Error>";
        (StatusCode::FORBIDDEN, xml).into_response()
    };
    if !request_passes {
        return denied();
    }
    let mut headers = head.headers;
    headers.remove(header::HOST);
    let url = format!("{}{}", proxy.upstream, head.uri);
    let sent = proxy.client.request(head.method, url).headers(headers);
    let answer = sent.body(to_bytes(body, usize::MAX).await.unwrap()).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    if !answer_passes {
        return denied();
    }
    // The server counts the body itself, but for HEAD, which has none.
    headers.remove(header::TRANSFER_ENCODING);
    let mut passed = Response::new(Body::from(body));
    *passed.status_mut() = status;
    *passed.headers_mut() = headers;
    passed
}

fn prod() -> Name {
    "prod".parse().unwrap()
}

fn set(policy: &str) -> Accepted {
    accepted(&format!(
        "POLICY {policy} {{\n  SCOPE: requests\n  CONSTRAINT: a == \"{policy}\"\n  ENFORCEMENT: BLOCKING\n}}\n"
    ))
}

/// What a publisher does: publishes what is not in force, and brings the other store up to it.
async fn run(first: &Store, other: &Store, set: &Accepted) -> Result<Vec<Replica>, PublishError> {
    let roots = first.roots(&root()).await?;
    let base = first.base(&prod(), &roots).await?;
    let source = set.compiled.manifest.source;
    if base.sources.is_none_or(|sources| sources.digest() != source) {
        publish(first, set, base.serial).await?;
    }
    let others = [other.clone()];
    first.replicate(&others, &prod(), &roots, Duration::from_secs(60)).await
}

/// The serial of the release that an enforcer takes up, and the policy in it.
async fn enforced(url: &str) -> (u64, String) {
    let store = aecp_enforcer::Store::open(url).unwrap();
    let pinned = TrustRoot::pinned(&root()).unwrap();
    let source = ReleaseSource::new(store, prod());
    let release = source.fetch_latest(&pinned, now(), Artifacts::All).await;
    let release = release.unwrap_or_else(|refusal| panic!("{url}: {refusal}"));
    let set = PolicyPre::load(&Engine::new().unwrap(), &release).unwrap();
    (release.id().serial, set.manifest().policies[0].name.clone())
}

#[test]
fn whichever_write_fails_the_old_release_or_the_new_one_is_in_force_in_each_store() {
    let s3 = S3::start(env!("CARGO_TARGET_TMPDIR"));
    let (started, client) = (Instant::now(), reqwest::Client::new());
    let bucket = format!("{}/policies", s3.url);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    while !runtime.block_on(client.put(&bucket).send()).is_ok_and(|answer| answer.status().is_success())
    {
        assert!(started.elapsed() < Duration::from_secs(60), "the S3 emulator does not start");
        std::thread::sleep(Duration::from_millis(200));
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "each_crash_point", "--ignored", "--nocapture"])
        .env(PROXY, free.to_string())
        .env(UPSTREAM, &s3.url)
        .env("AWS_ENDPOINT", format!("http://{free}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.contains("1 passed"), "{words}{errors}");
    print!("{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other test, with a store in its environment"]
async fn each_crash_point() {
    let proxy = Proxy::start().await;
    let (old, new) = (set("old"), set("new"));
    let was = |serial, name: &str| (serial, name.to_owned());
    let (mut points, mut ended) = (0, [false, false]);
    for after in 0.. {
        for answer_lost in [false, true] {
            if ended[usize::from(answer_lost)] || (answer_lost && after == 0) {
                continue;
            }
            let urls = ["a", "b"].map(|name| format!("s3://policies/{after}-{answer_lost}/{name}"));
            let [first, other] = urls.each_ref().map(|url| Store::open(url).unwrap());
            proxy.set(Mode::Sound);
            let replicas = run(&first, &other, &old).await.unwrap();
            assert!(replicas[0].result.is_ok(), "{replicas:?}");

            proxy.set(Mode::Fails { after, answer_lost });
            let outcome = run(&first, &other, &new).await;
            let failed = match &outcome {
                Ok(replicas) => replicas[0].result.is_err(),
                Err(_) => true,
            };
            proxy.set(Mode::Sound);
            let at = format!("after {after} writes, answer lost {answer_lost}: {outcome:?}");
            let [at_first, at_other] = [enforced(&urls[0]).await, enforced(&urls[1]).await];
            for there in [&at_first, &at_other] {
                assert!([was(1, "old"), was(2, "new")].contains(there), "{there:?} {at}");
            }
            assert!(at_first.0 >= at_other.0, "a replica is never ahead: {at}");

            let replicas =
                run(&first, &other, &new).await.unwrap_or_else(|error| panic!("{error} {at}"));
            assert!(replicas[0].result.is_ok(), "{replicas:?} {at}");
            for (url, store) in urls.iter().zip([&first, &other]) {
                assert_eq!(enforced(url).await, was(2, "new"), "{at}");
                let roots = store.roots(&root()).await.unwrap();
                store.history(&prod(), &roots).await.unwrap_or_else(|error| panic!("{error} {at}"));
            }
            points += 1;
            // All writes went through: there is no later point.
            if !failed {
                ended[usize::from(answer_lost)] = true;
            }
        }
        if ended == [true, true] {
            println!("{points} crash points, up to {after} writes");
            assert!(after > 10, "a publication to two stores writes more than that");
            break;
        }
    }

    // A bucket that takes no writes: said plainly, and nothing of it is there.
    let url = "s3://policies/read-only";
    let first = Store::open(url).unwrap();
    proxy.set(Mode::ReadOnly);
    let error = publish(&first, &new, 0).await.unwrap_err().to_string();
    assert!(error.contains("writing `root/1.json`") && error.contains("read-only"), "{error}");
    let sound = Store::open("s3://policies/sound").unwrap();
    proxy.set(Mode::Sound);
    publish(&sound, &new, 0).await.unwrap();
    proxy.set(Mode::ReadOnly);
    let roots = sound.roots(&root()).await.unwrap();
    let replicas = sound.replicate(&[first], &prod(), &roots, Duration::from_secs(60)).await.unwrap();
    let refusal = replicas[0].result.as_ref().unwrap_err();
    assert_eq!(refusal.code.as_str(), "store_unavailable");
    assert!(refusal.detail.contains("writing") && refusal.detail.contains("read-only"), "{refusal}");
    let there = aecp_enforcer::Store::open(url).unwrap();
    assert!(there.names("").await.unwrap().is_empty());
}
