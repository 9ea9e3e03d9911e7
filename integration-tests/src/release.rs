//! Loading a generated module as enforcers do: out of a signed release, as machine code.

use aecp_compiler::{compile::Compiled, local::LocalRelease, native};
use aecp_contract::{manifest::Manifest, native::this_machine};
use aecp_enforcer::{Engine, PolicyPre, VerifiedRelease};
use ed25519_dalek::SigningKey;

/// The set of a core module, with machine code where this machine is one that releases have code for.
pub fn load(engine: &Engine, core: &[u8], manifest: &Manifest) -> PolicyPre {
    let code = |target| native::compile_for(target, core).unwrap();
    let compiled = Compiled {
        core: core.to_vec(),
        component: Vec::new(),
        native: this_machine().map(|target| (target.artifact, code(target))).into_iter().collect(),
        manifest: manifest.clone(),
        clauses: Vec::new(),
        sources: Vec::new(),
        components: Default::default(),
    };
    let key = SigningKey::from_bytes(&[1; 32]);
    let LocalRelease { envelope, artifacts, root, channel } =
        LocalRelease::sign(&compiled, &key, aecp_enforcer::now()).unwrap();
    let release = VerifiedRelease::verify(envelope, artifacts, &root, &channel).unwrap();
    PolicyPre::load(engine, &release).unwrap()
}
