//! Runs what was compiled here as an enforcer runs what it fetched.

use aecp_compiler::{compile::Compiled, local::LocalRelease};
use aecp_enforcer::{Artifacts, Engine, PolicyPre, VerifiedRelease};
use ed25519_dalek::SigningKey;

use super::now;

/// Signs it with a key that nobody keeps.
pub(crate) fn sign(compiled: &Compiled) -> anyhow::Result<LocalRelease> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(LocalRelease::sign(compiled, &SigningKey::from_bytes(&secret), now()?)?)
}

/// Verifies and loads what an enforcer would fetch of it.
pub(crate) fn load(
    release: LocalRelease,
    engine: &Engine,
    fetched: Artifacts,
) -> anyhow::Result<PolicyPre> {
    let LocalRelease { envelope, mut artifacts, root, channel } = release;
    artifacts.retain(|name, _| fetched.wants(name));
    let release = VerifiedRelease::verify(envelope, artifacts, &root, &channel)?;
    Ok(PolicyPre::load(engine, &release)?)
}
