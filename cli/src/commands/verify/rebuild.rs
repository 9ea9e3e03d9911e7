//! Compiling a release's sources again, to see that its artifacts are what the sources say.

use aecp_compiler::{
    compile::{COMPILER, compile_sources_under},
    source::Sources,
};
use aecp_contract::{
    manifest::{COMPONENT_PREFIX, Manifest},
    release::{Artifact, SOURCES, SUBMISSION},
};
use aecp_enforcer::VerifiedRelease;
use serde::Serialize;

use crate::{
    diagnostics,
    profile::Profile,
    terminal::{BAD, GOOD, PLAIN},
};

/// What compiling again came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Rebuild {
    /// Every artifact of the release; none if its sources cannot be compiled.
    artifacts: Vec<Rebuilt>,
    /// Why not all is as it was signed, as far as that can be told.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rebuilt {
    name: String,
    result: Comparison,
}

/// How an artifact that was signed compares with one compiled here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Comparison {
    /// The bytes are the same.
    Rebuilt,
    /// They are not.
    Differs,
    /// This version of the compiler makes no artifact of that name.
    NotRebuilt,
}

impl Rebuild {
    /// Compiles what the release says that it was compiled from.
    pub(super) fn of(release: &VerifiedRelease, manifest: &Manifest) -> Self {
        let about = release.statement().release();
        let mut rebuild = match compare(release, manifest) {
            Ok(artifacts) => Self { artifacts, reason: None },
            Err(reason) => Self { artifacts: Vec::new(), reason: Some(reason) },
        };
        if !rebuild.is_same() && about.compiler != COMPILER {
            let other = format!("it was compiled by {}, this is {COMPILER}", about.compiler);
            rebuild.reason = Some(match rebuild.reason {
                Some(reason) => format!("{reason}; {other}"),
                None => other,
            });
        }
        rebuild
    }

    /// Whether every artifact is what its sources say.
    pub(super) fn is_same(&self) -> bool {
        self.reason.is_none()
            && self.artifacts.iter().all(|artifact| artifact.result == Comparison::Rebuilt)
    }

    pub(super) fn print(&self) {
        for Rebuilt { name, result } in &self.artifacts {
            let (colour, word) = match result {
                Comparison::Rebuilt => (GOOD, "rebuilt"),
                Comparison::Differs => (BAD, "differs"),
                Comparison::NotRebuilt => (BAD, "not rebuilt"),
            };
            anstream::println!("{colour}{word:<9}{PLAIN} {name}");
        }
        if let Some(reason) = &self.reason {
            anstream::println!("{BAD}not as signed{PLAIN}: {reason}");
        }
    }
}

fn compare(release: &VerifiedRelease, manifest: &Manifest) -> Result<Vec<Rebuilt>, String> {
    let archive = release.artifact(SOURCES).map_err(|refusal| refusal.detail)?;
    let sources = Sources::from_archive(archive).map_err(|error| error.to_string())?;
    if sources.digest() != release.statement().release().source {
        return Err(format!("`{SOURCES}` does not have the digest of the release's sources"));
    }
    let components = &manifest.components;
    let mut profile = Profile::start();
    let outcome = compile_sources_under(&sources, &manifest.states, &mut |phase| profile.phase(phase));
    let outcome = outcome.map_err(|error| error.to_string())?;
    let Some(mut compiled) = outcome.compiled else {
        diagnostics::print(&outcome.findings, &sources);
        return Err("the release's sources do not compile here".to_owned());
    };
    // Beside what is compiled stands what is not.
    compiled.manifest.components.clone_from(components);
    let compiled = compiled.artifacts();
    let compare = |(name, signed): (&str, Artifact)| {
        let result = match compiled.get(name) {
            Some(bytes) if Artifact::of(bytes) == signed => Comparison::Rebuilt,
            Some(_) => Comparison::Differs,
            None => Comparison::NotRebuilt,
        };
        Rebuilt { name: name.to_owned(), result }
    };
    // What the author signed is none of the compiler's artifacts, nor are components; `verify` has checked both.
    let made = release
        .statement()
        .artifacts()
        .filter(|(name, _)| *name != SUBMISSION && !name.starts_with(COMPONENT_PREFIX));
    Ok(made.map(compare).collect())
}
