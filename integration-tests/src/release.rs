//! Loading a generated module as enforcers do: out of a signed release, as machine code.

use std::collections::BTreeMap;

use aecp_compiler::native;
use aecp_contract::{
    layout::Name,
    manifest::Manifest,
    native::this_machine,
    release::{Artifact, CORE_MODULE, MANIFEST, Release, Statement},
    trust::{Role, RootPayload, TrustRoot},
};
use aecp_enforcer::{Engine, PolicyPre, VerifiedRelease};
use ed25519_dalek::SigningKey;

/// The set of a core module, with machine code where this machine is one that releases have code for.
pub fn load(engine: &Engine, core: &[u8], manifest: &Manifest) -> PolicyPre {
    let mut artifacts = BTreeMap::from([
        (CORE_MODULE.to_owned(), core.to_vec()),
        (MANIFEST.to_owned(), serde_json::to_vec(manifest).unwrap()),
    ]);
    if let Some(target) = this_machine() {
        artifacts.insert(target.artifact.to_owned(), native::compile_for(target, core).unwrap());
    }
    let key = SigningKey::from_bytes(&[1; 32]);
    let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
    let root = TrustRoot::pinned(&root.sign(&[&key]).to_json()).unwrap();
    let channel: Name = "test".parse().unwrap();
    let now = aecp_enforcer::now();
    let release = Release {
        channel: channel.clone(),
        serial: 1,
        issued: now,
        expires: now,
        stale: now,
        source: manifest.source,
        compiler: manifest.compiler.clone(),
    };
    let named = artifacts.iter().map(|(name, bytes)| (name.clone(), Artifact::of(bytes))).collect();
    let envelope = Statement::new(&named, release).sign(&[&key]).to_json();
    let artifacts = artifacts.into_iter().map(|(name, bytes)| (name, bytes.into())).collect();
    let release = VerifiedRelease::verify(envelope.into(), artifacts, &root, &channel).unwrap();
    PolicyPre::load(engine, &release).unwrap()
}
