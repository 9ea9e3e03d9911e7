//! A store in a folder, with a signed release of a set of policies.

use std::{collections::BTreeMap, fs, path::PathBuf};

use aecp_compiler::{
    accept::examine,
    publish::{Base, Publication, Reason, Store},
    source::{Source, Sources},
};
use aecp_contract::{
    trust::{Role, RootPayload},
    value::Timestamp,
};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

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
        let published = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(published.path("store")).unwrap();
        fs::create_dir(published.path("audit")).unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
        let root = root.sign(&[&key]).to_json();
        fs::write(published.path("root.json"), &root).unwrap();
        let sources =
            Sources::new(vec![Source { path: "set.aecp".to_owned(), text: policies.to_owned() }]);
        let examined = examine(&sources, &Base::default(), &BTreeMap::new(), &mut |_| ()).unwrap();
        let accepted = examined.accepted.expect("the set is accepted");
        let issued = aecp_enforcer::now();
        let later = |seconds| Timestamp { seconds: issued.seconds + seconds, nanoseconds: 0 };
        let channel = "prod".parse().unwrap();
        let publication = Publication { channel, issued, expires: later(3600), stale: later(7200) };
        let store = Store::open(&published.url("store")).unwrap();
        let roots = store.roots(&root).await.unwrap();
        store.publish(&accepted, &publication, &Reason::default(), &[&key], &roots).await.unwrap();
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
