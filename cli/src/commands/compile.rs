//! `aecp compile`: a set's artifacts, unsigned, in a folder.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::SetArgument;
use crate::{
    Outcome,
    terminal::{GOOD, PLAIN},
};

/// Compile a policy set to WebAssembly, unsigned
///
/// Writes policy.wasm (a component of the world aecp:policy/policy), policy.core.wasm (the core module inside
/// it) and manifest.json. Nothing is written unless the set's tests pass.
///
/// Example: aecp compile policies/gdpr_residency --out build
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = arguments.set.sources()?;
    let Some(compiled) = super::compile(&sources)? else { return Ok(Outcome::Bad) };
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
    for (name, bytes) in compiled.artifacts() {
        let path = out.join(&name);
        fs::write(&path, &bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
        anstream::println!("{GOOD}wrote{PLAIN} {} ({} bytes)", path.display(), bytes.len());
    }
    Ok(Outcome::Good)
}
