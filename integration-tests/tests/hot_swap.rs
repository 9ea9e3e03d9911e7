//! New releases while requests are in flight: none fails, and each request is decided wholly by one release.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aecp_compiler::{
    accept::{Accepted, examine},
    publish::{Base, Publication, Reason, Roots, Store},
    source::{Source, Sources},
};
use aecp_contract::{
    trust::{Role, RootPayload, TrustRoot},
    value::Timestamp,
};
use aecp_enforcer::{AuditConfig, Sidecar, SidecarConfig, now, server::Limits};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// A set of one policy, which every request of the test violates.
fn set(policy: &str) -> Accepted {
    let text = format!(
        "POLICY {policy} {{\n  SCOPE: requests\n  CONSTRAINT: sent.to == \"{policy}\"\n  ENFORCEMENT: BLOCKING\n}}\n"
    );
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text }]);
    let examined = examine(&sources, &Base::default(), &BTreeMap::new(), &mut |_| ()).unwrap();
    examined.accepted.unwrap()
}

struct Publisher {
    store: Store,
    key: SigningKey,
    roots: Roots,
}

impl Publisher {
    /// The set in place of the release of serial `base`.
    async fn publish(&self, set: &Accepted, base: u64) -> u64 {
        let issued = now();
        let later = |seconds| Timestamp { seconds: issued.seconds + seconds, nanoseconds: 0 };
        let publication = Publication {
            channel: "prod".parse().unwrap(),
            issued,
            expires: later(3600),
            stale: later(7200),
        };
        let (set, reason) = (Accepted { base, ..set.clone() }, Reason::default());
        let keys = [&self.key];
        let published = self.store.publish(&set, &publication, &reason, &keys, &self.roots);
        published.await.unwrap().serial
    }
}

/// The policy that release `serial` holds: the two sets take turns.
fn expected(serial: u64) -> &'static str {
    if serial % 2 == 1 { "odd" } else { "even" }
}

fn check(decision: &Value) -> u64 {
    let serial = decision["release"].as_u64().unwrap_or_else(|| panic!("{decision}"));
    let violated = json!([{ "policy": expected(serial), "enforcement": "BLOCKING" }]);
    assert_eq!(decision["violated"], violated, "{decision}");
    assert_eq!(decision["decision"], json!("DENY"));
    serial
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_and_none_is_mixed_while_a_release_is_swapped_every_second() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/store", folder.path().display());
    std::fs::create_dir(folder.path().join("store")).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let root_json =
        RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]).sign(&[&key]).to_json();
    let root = TrustRoot::pinned(&root_json).unwrap();
    let store = Store::open(&url).unwrap();
    let roots = store.roots(&root_json).await.unwrap();
    let publisher = Publisher { store, key, roots };
    let sets = [set("even"), set("odd")];
    assert_eq!(publisher.publish(&sets[1], 0).await, 1);

    let sidecar = Sidecar::start(SidecarConfig {
        audit: AuditConfig::default(),
        point: None,
        stores: vec![url],
        channel: "prod".parse().unwrap(),
        root,
        state: folder.path().join("state"),
        listen: "127.0.0.1:0".parse().unwrap(),
        poll: Duration::from_millis(100),
        limits: Limits::default(),
        explain: false,
    })
    .await
    .unwrap();
    let mut served = sidecar.enforcer().watch();
    served.wait_for(Option::is_some).await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let address = sidecar.address();
    let clients = [0, 1].map(|client| {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let http = reqwest::Client::new();
            let mut serials = BTreeSet::new();
            let mut requests = 0;
            let mut tick = tokio::time::interval(Duration::from_millis(10)); // 100 a second each
            while !done.load(Ordering::Relaxed) {
                tick.tick().await;
                let one = json!({ "sent": { "to": "nobody" } });
                let batch = client == 1 && requests % 10 == 0;
                let (path, body) = if batch {
                    ("v1/decisions", Value::from(vec![one; 50]))
                } else {
                    ("v1/decision", one)
                };
                let answer = http.post(format!("http://{address}/{path}")).json(&body).send();
                let answer = answer.await.unwrap();
                assert!(answer.status().is_success(), "{}", answer.status());
                let answer: Value = answer.json().await.unwrap();
                match answer.as_array() {
                    Some(decisions) => {
                        let deciders: BTreeSet<u64> = decisions.iter().map(check).collect();
                        assert_eq!((decisions.len(), deciders.len()), (50, 1), "one release each");
                        serials.extend(deciders);
                    }
                    None => {
                        serials.insert(check(&answer));
                    }
                }
                requests += 1;
            }
            (requests, serials)
        })
    });
    let started = Instant::now();
    for serial in 2..=6 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(publisher.publish(&sets[serial % 2], serial as u64 - 1).await, serial as u64);
    }
    served.wait_for(|release| release.is_some_and(|release| release.serial == 6)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    done.store(true, Ordering::Relaxed);
    let mut seen = BTreeSet::new();
    let mut total = 0;
    for client in clients {
        let (requests, serials) = client.await.unwrap();
        total += requests;
        seen.extend(serials);
    }
    assert_eq!(seen, (1..=6).collect(), "every release served");
    let rate = f64::from(total) / started.elapsed().as_secs_f64();
    println!("{total} requests, {rate:.0} a second, none failed");
    sidecar.stop().await.unwrap();
}
