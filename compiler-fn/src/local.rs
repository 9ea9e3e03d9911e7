//! A release that goes to no store: for who compiles a set and runs it in the same process, since enforcers run
//! machine code out of verified releases only.

use std::collections::BTreeMap;

use aecp_contract::{
    layout::Name,
    refusal::Refusal,
    release::{Artifact, Release, Statement},
    trust::{Role, RootPayload, TrustRoot},
    value::Timestamp,
};
use bytes::Bytes;
use ed25519_dalek::SigningKey;

use crate::compile::{COMPILER, Compiled};

/// What an enforcer's `VerifiedRelease::verify` takes.
#[derive(Debug, Clone)]
pub struct LocalRelease {
    /// The signed statement.
    pub envelope: Bytes,
    /// All artifacts by name.
    pub artifacts: BTreeMap<String, Bytes>,
    /// A root that trusts the key alone.
    pub root: TrustRoot,
    /// The channel `local`.
    pub channel: Name,
}

impl LocalRelease {
    /// Signs what was compiled with a key of the moment.
    ///
    /// # Errors
    /// None, unless this crate's own forms do not hold together.
    pub fn sign(compiled: &Compiled, key: &SigningKey, now: Timestamp) -> Result<Self, Refusal> {
        let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
        let root = TrustRoot::pinned(&root.sign(&[key]).to_json())?;
        #[expect(clippy::expect_used, reason = "plain letters are a name")]
        let channel: Name = "local".parse().expect("a name");
        let artifacts: BTreeMap<String, Bytes> =
            compiled.artifacts().into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
        let named = artifacts.iter().map(|(name, bytes)| (name.clone(), Artifact::of(bytes))).collect();
        let release = Release {
            channel: channel.clone(),
            serial: 1,
            issued: now,
            expires: now,
            stale: now,
            source: compiled.manifest.source,
            compiler: COMPILER.to_owned(),
            legislation: None,
        };
        let envelope = Statement::new(&named, release).sign(&[key]).to_json().into();
        Ok(Self { envelope, artifacts, root, channel })
    }
}
