//! `aecp compile`: a set's artifacts, unsigned, in a folder.

use std::{fs, path::PathBuf};

use aecp_contract::digest::Digest;
use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Format, SetArgument, local};
use crate::{
    Outcome,
    profile::{Cost, Profile},
    terminal::{GOOD, PLAIN},
};

/// Compile a policy set to WebAssembly, unsigned
///
/// Writes policy.wasm (a component of the world aecp:policy/policy), policy.core.wasm (the core module inside
/// it), the same as machine code for each target (policy.<target>.cwasm), manifest.json, clauses.json (what
/// explains decisions) and sources.json. Nothing is written unless the set's tests pass and the module decides as
/// the reference evaluator does.
///
/// --profile adds what each phase cost, with the cost of signing, which is then thrown away. As JSON:
/// {"artifacts":[{"name","bytes","sha256"}],"profile":{"rules","phases":[{"phase","ms","rules_per_second",
/// "peak_kb"}],"total_ms","peak_kb"}}; peak_kb is null where the system does not tell.
///
/// Example: aecp compile policies/gdpr_residency --out build --profile
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// The folder to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Show what each phase cost: time, rules a second, memory
    #[arg(long)]
    profile: bool,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = arguments.set.sources()?;
    let mut profile = Profile::start();
    let Some(compiled) = super::compile(&sources, &mut profile)? else { return Ok(Outcome::Bad) };
    if arguments.profile {
        profile.begin("sign");
        local::sign(&compiled)?;
        profile.end();
    }
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
    let mut written = Vec::new();
    for (name, bytes) in compiled.artifacts() {
        let path = out.join(&name);
        fs::write(&path, &bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
        match arguments.format {
            Format::Text => {
                anstream::println!("{GOOD}wrote{PLAIN} {} ({} bytes)", path.display(), bytes.len());
            }
            Format::Json => {
                let digest = Digest::of(&bytes);
                written.push(json!({ "name": name, "bytes": bytes.len(), "sha256": digest }));
            }
        }
    }
    let rules = compiled.manifest.policies.len();
    match arguments.format {
        Format::Json => {
            let profile = arguments.profile.then(|| to_json(&profile, rules));
            println!("{}", json!({ "artifacts": written, "profile": profile }));
        }
        Format::Text if arguments.profile => print(&profile, rules),
        Format::Text => {}
    }
    Ok(Outcome::Good)
}

fn to_json(profile: &Profile, rules: usize) -> Value {
    let phase = |cost: &Cost| {
        json!({
            "phase": cost.phase, "ms": cost.ms, "rules_per_second": per_second(rules, cost.ms),
            "peak_kb": cost.peak_kb,
        })
    };
    json!({
        "rules": rules,
        "phases": profile.costs().iter().map(phase).collect::<Vec<_>>(),
        "total_ms": profile.total_ms(),
        "peak_kb": profile.peak_kb(),
    })
}

/// The paper's Table 6 for this run.
fn print(profile: &Profile, rules: usize) {
    let row = |phase: &str, ms: f64, peak_kb: Option<u64>| {
        let memory = peak_kb.map_or("–".to_owned(), |kb| format!("{:.1} MB", kb as f64 / 1024.0));
        println!("{phase:<12} {ms:>10.1} ms {:>12.0} rules/s {memory:>10}", per_second(rules, ms));
    };
    println!();
    for cost in profile.costs() {
        row(&cost.phase.replace('_', "-"), cost.ms, cost.peak_kb);
    }
    row("total", profile.total_ms(), profile.peak_kb());
}

fn per_second(rules: usize, ms: f64) -> f64 {
    if ms > 0.0 { (rules as f64 * 1000.0 / ms).round() } else { 0.0 }
}
