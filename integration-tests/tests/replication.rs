//! A channel in several stores: one gives the serials, the others get copies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aecp_compiler::publish::{PublishError, Replica, Store};
use aecp_contract::{
    layout::{self, Name},
    refusal::Code,
    trust::{Role, RootPayload, TrustRoot},
};
use aecp_enforcer::{Artifacts, ReleaseSource, now};
use aecp_integration_tests::published::{accepted, key, publish, root};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(60);

fn prod() -> Name {
    "prod".parse().unwrap()
}

/// A set of one policy of this name.
fn policy(name: &str) -> String {
    format!(
        "POLICY {name} {{\n  SCOPE: requests\n  CONSTRAINT: a == \"{name}\"\n  ENFORCEMENT: BLOCKING\n}}\n"
    )
}

/// Stores in folders.
struct Stores {
    folder: TempDir,
}

impl Stores {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    fn store(&self, name: &str) -> Store {
        Store::open(&self.url(name)).unwrap()
    }

    /// Brings the others up to the first, and gives what came of each.
    async fn replicate(&self, first: &str, others: &[&str], within: Duration) -> Vec<Replica> {
        let (first, others) =
            (self.store(first), others.iter().map(|name| self.store(name)).collect::<Vec<_>>());
        let roots = first.roots(&root()).await.unwrap();
        first.replicate(&others, &prod(), &roots, within).await.unwrap()
    }

    /// Every object and its bytes.
    fn objects(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, top: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, top, found);
                } else if path.file_name().unwrap() != ".publish.lock" {
                    found.insert(path.strip_prefix(top).unwrap().to_owned(), fs::read(&path).unwrap());
                }
            }
        }
        let (top, mut found) = (self.path(name), BTreeMap::new());
        walk(&top, &top, &mut found);
        found
    }

    /// The serial that an enforcer would take up, down to the last byte, or the code of its refusal.
    async fn enforced(&self, name: &str) -> Result<u64, Code> {
        let store = aecp_enforcer::Store::open(&self.url(name)).unwrap();
        let pinned = TrustRoot::pinned(&root()).unwrap();
        let release =
            ReleaseSource::new(store, prod()).fetch_latest(&pinned, now(), Artifacts::All).await;
        release.map(|release| release.id().serial).map_err(|refusal| refusal.code)
    }
}

fn codes(replicas: &[Replica]) -> Vec<Option<Code>> {
    replicas.iter().map(|replica| replica.result.as_ref().err().map(|refusal| refusal.code)).collect()
}

#[tokio::test]
async fn a_replica_gets_what_the_first_store_has_and_later_what_it_missed() {
    let stores = Stores::new();
    publish(&stores.store("a"), &accepted(&policy("one")), 0).await.unwrap();
    let replicas = stores.replicate("a", &["b", "c"], WITHIN).await;
    for (replica, name) in replicas.iter().zip(["b", "c"]) {
        assert_eq!(replica.store, stores.url(name));
        let done = replica.result.as_ref().unwrap();
        assert_eq!((done.serial, done.copied), (1, stores.objects("a").len()));
        assert_eq!(stores.enforced(name).await, Ok(1));
    }
    assert_eq!(stores.objects("b"), stores.objects("a"));
    // Nothing is copied twice.
    let again = stores.replicate("a", &["b"], WITHIN).await;
    assert_eq!(again[0].result.as_ref().unwrap().copied, 0);
    // It was away for two releases.
    publish(&stores.store("a"), &accepted(&policy("two")), 1).await.unwrap();
    publish(&stores.store("a"), &accepted(&policy("three")), 2).await.unwrap();
    assert_eq!(stores.enforced("b").await, Ok(1));
    assert_eq!(codes(&stores.replicate("a", &["b"], WITHIN).await), [None]);
    assert_eq!(stores.enforced("b").await, Ok(3));
    assert_eq!(stores.objects("b"), stores.objects("a"));
    // What is gone or damaged is there again: an artifact, an old release, an entry of the history.
    let sound = stores.objects("b");
    let blob = sound.keys().find(|key| key.starts_with("blobs")).unwrap();
    fs::write(stores.path("b").join(blob), b"damaged").unwrap();
    fs::remove_file(stores.path("b").join(layout::release(&prod(), 2))).unwrap();
    fs::remove_file(stores.path("b").join(layout::legislation(&prod(), 1))).unwrap();
    assert_eq!(codes(&stores.replicate("a", &["b"], WITHIN).await), [None]);
    let mended = stores.objects("b");
    assert_eq!(mended.keys().collect::<Vec<_>>(), sound.keys().collect::<Vec<_>>());
    assert!(
        stores
            .store("b")
            .history(&prod(), &stores.store("b").roots(&root()).await.unwrap())
            .await
            .is_ok()
    );
    // And it can take the first one's place.
    publish(&stores.store("b"), &accepted(&policy("four")), 3).await.unwrap();
    assert_eq!(codes(&stores.replicate("b", &["a", "c"], WITHIN).await), [None, None]);
    assert_eq!((stores.enforced("a").await, stores.enforced("c").await), (Ok(4), Ok(4)));
}

#[tokio::test]
async fn a_replica_that_holds_something_else_is_refused_and_left_as_it_is() {
    let stores = Stores::new();
    let [one, two] = ["one", "two"].map(|name| accepted(&policy(name)));
    publish(&stores.store("a"), &one, 0).await.unwrap();
    publish(&stores.store("a"), &two, 1).await.unwrap();
    // Another past; another release under the same serial; a newer one; a newer one that nothing points at yet.
    publish(&stores.store("past"), &two, 0).await.unwrap();
    for (base, set) in [(0, &two), (1, &one)] {
        publish(&stores.store("same"), set, base).await.unwrap();
    }
    for newer in ["newer", "unpointed"] {
        for base in 0..3 {
            publish(&stores.store(newer), &one, base).await.unwrap();
        }
    }
    fs::remove_file(stores.path("unpointed").join("channels/prod.json")).unwrap();
    fs::create_dir_all(stores.path("broken/channels")).unwrap();
    fs::write(stores.path("broken/channels/prod.json"), b"{}").unwrap();
    let others = ["past", "same", "newer", "unpointed", "broken"];
    let before = others.map(|name| stores.objects(name));
    let replicas =
        stores.replicate("a", &["past", "same", "newer", "unpointed", "broken", "good"], WITHIN).await;
    let replayed = Some(Code::SerialReplayed);
    assert_eq!(codes(&replicas), [replayed, replayed, replayed, replayed, Some(Code::Malformed), None]);
    assert_eq!(others.map(|name| stores.objects(name)), before);
    assert_eq!(stores.enforced("good").await, Ok(2));
}

#[tokio::test]
async fn what_does_not_verify_is_not_copied() {
    let stores = Stores::new();
    publish(&stores.store("a"), &accepted(&policy("one")), 0).await.unwrap();
    assert_eq!(codes(&stores.replicate("a", &["b"], WITHIN).await), [None]);
    let old = stores.objects("b");
    publish(&stores.store("a"), &accepted(&policy("two")), 1).await.unwrap();
    let new = stores.objects("a");
    let blob = new.keys().find(|key| key.starts_with("blobs") && !old.contains_key(*key)).unwrap();
    fs::write(stores.path("a").join(blob), vec![0; new[blob].len()]).unwrap();
    assert_eq!(codes(&stores.replicate("a", &["b"], WITHIN).await), [Some(Code::DigestMismatch)]);
    assert_eq!(stores.enforced("b").await, Ok(1));
    fs::write(stores.path("a").join(blob), &new[blob]).unwrap();
    assert_eq!(codes(&stores.replicate("a", &["b"], WITHIN).await), [None]);
    assert_eq!(stores.objects("b"), new);
}

#[tokio::test]
async fn a_replica_that_is_new_gets_every_trust_root_so_that_enforcers_can_follow() {
    let stores = Stores::new();
    publish(&stores.store("a"), &accepted(&policy("one")), 0).await.unwrap();
    // Two successions: another judicial key each time, signed by the root key.
    let mut given = root();
    for version in 2..=3 {
        let mut next = TrustRoot::pinned(&given).unwrap().payload().clone();
        next.version = version;
        next.add(Role::Judicial, &SigningKey::from_bytes(&[version as u8; 32]).verifying_key());
        given = next.sign(&[&key()]).to_json();
        fs::write(stores.path("a").join(layout::root(version)), &given).unwrap();
    }
    // By the newest of them, which alone the publisher was given.
    let first = stores.store("a");
    let roots = first.roots(&given).await.unwrap();
    let replicas = first.replicate(&[stores.store("b")], &prod(), &roots, WITHIN).await.unwrap();
    assert_eq!(codes(&replicas), [None]);
    assert_eq!(stores.enforced("b").await, Ok(1));
    assert_eq!(stores.objects("b"), stores.objects("a"));
    // One that nobody vouches for is not copied, nor is a replica with another one taken for one.
    fs::remove_file(stores.path("b").join(layout::root(1))).unwrap();
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let other = RootPayload::first(&stranger.verifying_key(), &[Role::Root, Role::Judicial]);
    let other = other.sign(&[&stranger]).to_json();
    for store in ["a", "b"] {
        let path = stores.path(store).join(layout::root(1));
        let before = fs::read(&path).ok();
        fs::write(&path, &other).unwrap();
        let replicas = first.replicate(&[stores.store("b")], &prod(), &roots, WITHIN).await.unwrap();
        assert_eq!(codes(&replicas), [Some(Code::RootMismatch)], "{store}");
        match before {
            Some(before) => fs::write(&path, before).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    assert_eq!(codes(&stores.replicate("a", &["b"], WITHIN).await), [None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_at_once_bring_each_other_s_releases_and_none_is_refused() {
    const EACH: u64 = 6;
    let stores = Arc::new(Stores::new());
    let publishers = ["one", "two"].map(|name| {
        let stores = Arc::clone(&stores);
        tokio::spawn(async move {
            let (store, set) = (stores.store("a"), accepted(&policy(name)));
            let mut published = 0;
            while published < EACH {
                let roots = store.roots(&root()).await.unwrap();
                let base = store.base(&prod(), &roots).await.unwrap().serial;
                match publish(&store, &set, base).await {
                    Ok(_) => published += 1,
                    Err(PublishError::Conflict { .. } | PublishError::Busy { .. }) => continue,
                    Err(error) => panic!("{error}"),
                }
                let replicas = stores.replicate("a", &["b", "c"], WITHIN).await;
                assert_eq!(codes(&replicas), [None, None], "{replicas:?}");
            }
        })
    });
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!(stores.enforced("b").await, Ok(2 * EACH));
    assert_eq!(stores.objects("b"), stores.objects("a"));
    assert_eq!(stores.objects("c"), stores.objects("a"));
}

#[tokio::test]
async fn a_replica_that_hangs_or_fails_holds_no_other_up() {
    let stores = Stores::new();
    publish(&stores.store("a"), &accepted(&policy("one")), 0).await.unwrap();
    // Another publisher that does not come to its end; a folder that cannot be one.
    fs::create_dir(stores.path("hangs")).unwrap();
    let other = fs::File::create(stores.path("hangs/.publish.lock")).unwrap();
    other.lock().unwrap();
    fs::write(stores.path("fails"), b"a file").unwrap();
    let replicas = stores.replicate("a", &["hangs", "fails", "good"], Duration::from_secs(2)).await;
    let unavailable = Some(Code::StoreUnavailable);
    assert_eq!(codes(&replicas), [unavailable, unavailable, None], "{replicas:?}");
    assert_eq!(stores.enforced("good").await, Ok(1));
    drop(other);
    assert_eq!(codes(&stores.replicate("a", &["hangs"], WITHIN).await), [None]);
    assert_eq!(stores.enforced("hangs").await, Ok(1));
}
