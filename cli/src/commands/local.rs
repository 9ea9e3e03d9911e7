//! Runs what was compiled here as an enforcer runs what it fetched.

use std::collections::BTreeMap;

use aecp_compiler::compile::{COMPILER, Compiled};
use aecp_contract::{
    layout::Name,
    release::{Artifact, Release, Statement},
    trust::{Role, RootPayload, TrustRoot},
};
use aecp_enforcer::{Engine, PolicyPre, VerifiedRelease, source::needed};
use bytes::Bytes;
use ed25519_dalek::SigningKey;

use super::now;

/// A release that never leaves this process: signed by a key of the moment, since enforcers run machine code
/// out of verified releases only.
pub(crate) struct LocalRelease {
    envelope: Bytes,
    artifacts: BTreeMap<String, Bytes>,
    root: TrustRoot,
    channel: Name,
}

impl LocalRelease {
    pub(crate) fn sign(compiled: &Compiled) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let key = SigningKey::from_bytes(&secret);
        let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
        let root = TrustRoot::pinned(&root.sign(&[&key]).to_json())?;
        let channel: Name = "local".parse()?;
        let artifacts: BTreeMap<String, Bytes> =
            compiled.artifacts().into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
        let named = artifacts.iter().map(|(name, bytes)| (name.clone(), Artifact::of(bytes))).collect();
        let now = now()?;
        let release = Release {
            channel: channel.clone(),
            serial: 1,
            issued: now,
            expires: now,
            stale: now,
            source: compiled.manifest.source,
            compiler: COMPILER.to_owned(),
        };
        let envelope = Statement::new(&named, release).sign(&[&key]).to_json().into();
        Ok(Self { envelope, artifacts, root, channel })
    }

    /// Verifies and loads it.
    pub(crate) fn load(self, engine: &Engine) -> anyhow::Result<PolicyPre> {
        let Self { envelope, mut artifacts, root, channel } = self;
        artifacts.retain(|name, _| needed(name));
        let release = VerifiedRelease::verify(envelope, artifacts, &root, &channel)?;
        Ok(PolicyPre::load(engine, &release)?)
    }
}
