//! Signed releases of sets of policies, and a store in a folder that has one.

use std::{collections::BTreeMap, fs, path::PathBuf};

use aecp_compiler::{
    accept::{Accepted, examine},
    publish::{Base, Publication, PublishError, Reason, Store},
    source::{Source, Sources},
};
use aecp_contract::{
    trust::{Role, RootPayload},
    value::Timestamp,
};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

/// The key that signs them.
#[must_use]
pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The trust root that names it, as JSON.
#[must_use]
pub fn root() -> Vec<u8> {
    let root = RootPayload::first(&key().verifying_key(), &[Role::Root, Role::Judicial]);
    root.sign(&[&key()]).to_json()
}

/// A set of these policies, for a channel without a release.
///
/// # Panics
/// If it is not accepted.
#[must_use]
pub fn accepted(policies: &str) -> Accepted {
    let source = Source { path: "set.aecp".to_owned(), text: policies.to_owned() };
    let sources = Sources::new(vec![source]);
    let examined = examine(&sources, &Base::default(), &BTreeMap::new(), &mut |_| ()).unwrap();
    examined.accepted.expect("the set is accepted")
}

/// Publishes a set for an hour on the channel `prod`, in the place of the release of serial `base`.
///
/// # Errors
/// [`PublishError`].
pub async fn publish(
    store: &Store,
    set: &Accepted,
    base: u64,
) -> Result<aecp_compiler::publish::Published, PublishError> {
    publish_for(store, set, base, (3600, 7200), &key()).await
}

/// The same, signed by this key, to expire and to be stale after so many seconds.
///
/// # Errors
/// [`PublishError`].
pub async fn publish_for(
    store: &Store,
    set: &Accepted,
    base: u64,
    (expires, stale): (i64, i64),
    key: &SigningKey,
) -> Result<aecp_compiler::publish::Published, PublishError> {
    let issued = aecp_enforcer::now();
    let later = |seconds| Timestamp { seconds: issued.seconds + seconds, nanoseconds: 0 };
    let channel = "prod".parse().expect("a name");
    let publication = Publication { channel, issued, expires: later(expires), stale: later(stale) };
    let roots = store.roots(&root()).await?;
    let set = Accepted { base, ..set.clone() };
    store.publish(&set, &publication, &Reason::default(), &[key], &roots).await
}

/// A folder that holds `store`, with a release on the channel `prod`, `root.json`, and an empty `audit`.
#[derive(Debug)]
pub struct Published {
    /// Removed when this is dropped.
    pub folder: TempDir,
}

impl Published {
    /// Publishes these policies, for an hour.
    ///
    /// # Panics
    /// If they are not accepted.
    pub async fn new(policies: &str) -> Self {
        Self::going_stale(policies, 7200).await
    }

    /// Publishes these policies, in a release that is stale after so many seconds.
    ///
    /// # Panics
    /// If they are not accepted.
    pub async fn going_stale(policies: &str, seconds: i64) -> Self {
        let published = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(published.path("store")).unwrap();
        fs::create_dir(published.path("audit")).unwrap();
        fs::write(published.path("root.json"), root()).unwrap();
        let store = Store::open(&published.url("store")).unwrap();
        let times = (seconds.min(3600), seconds);
        publish_for(&store, &accepted(policies), 0, times, &key()).await.unwrap();
        published
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its `file://` URL.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }
}
