//! `aecp verify`: whether a store's newest release would be believed, and what is in it.

mod legislation;
mod rebuild;

use aecp_contract::manifest::{ProofKind, ProofStatus};
use aecp_enforcer::{Artifacts, Engine, Execution, PolicyPre, ReleaseSource, Store, now};

use self::rebuild::Rebuild;
use super::{
    Format,
    release::{ChannelArguments, pinned_root},
};
use crate::{
    Outcome,
    terminal::{BAD, CARE, GOOD, PLAIN},
};

/// Verify the newest release of a channel as an enforcer would, down to the last byte
///
/// Checks the trust root and its successors, the channel pointer, the signatures, serial and expiry, the size
/// and digest of every artifact, its entry in the history, the author's signature where it carries one, and that the
/// module loads; says how an enforcer on this machine would run it.
///
/// With --rebuild it also compiles the sources that the release carries and compares every artifact with the one
/// that was signed: what runs is what the policies say, whoever compiled it. Each is `rebuilt`, or it `differs`,
/// or is `not rebuilt`, where this version makes no such artifact. As JSON: {"rebuild":{"artifacts":[{"name",
/// "result"}],"reason"}}, result one of rebuilt, differs, not_rebuilt.
///
/// Example: aecp verify --store s3://bucket --channel prod --root keys/root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: ChannelArguments,
    /// Compile the release's sources again and compare
    #[arg(long)]
    rebuild: bool,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let root = pinned_root(&arguments.of.root)?;
    let store = Store::open(&arguments.of.store)?;
    let source = ReleaseSource::new(store.clone(), arguments.of.channel.clone());
    let engine = Engine::new()?;
    let verified = super::block_on(async {
        let release = match source.fetch_latest(&root, now(), Artifacts::All).await {
            Ok(release) => release,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let checked = async {
            let set = PolicyPre::load(&engine, &release)?;
            let successions = source.successions(&root).await?;
            let mut roots = vec![root.clone()];
            roots.extend(successions.into_iter().map(|succession| succession.root));
            let submission = legislation::submission(&release, &roots)?;
            let entry = legislation::entry(&store, &release).await?;
            Ok((release, set, submission, entry))
        };
        Ok(checked.await)
    })?;
    let (release, set, submission, entry) = match verified {
        Ok(verified) => verified,
        Err(refusal) => {
            match arguments.format {
                Format::Text => anstream::println!("{BAD}refused{PLAIN} {refusal}"),
                Format::Json => println!(
                    "{}",
                    serde_json::json!({
                        "verified": false, "code": refusal.code.as_str(), "detail": refusal.detail,
                    })
                ),
            }
            return Ok(Outcome::Bad);
        }
    };
    let manifest = set.manifest();
    let rebuild = arguments.rebuild.then(|| Rebuild::of(&release, manifest));
    let about = release.statement().release();
    match arguments.format {
        Format::Json => println!(
            "{}",
            serde_json::json!({
                "verified": true,
                "release": about,
                "digest": release.pointer().release,
                "policies": manifest.policies.len(),
                "components": manifest.components,
                "tests": manifest.tests,
                "proofs": manifest.proofs,
                "states": manifest.states,
                "submission": submission,
                "execution": set.execution().as_str(),
                "rebuild": rebuild,
            })
        ),
        Format::Text => {
            anstream::println!(
                "{GOOD}verified{PLAIN} release {} of channel {}",
                about.serial,
                about.channel
            );
            println!("  digest    {}", release.pointer().release);
            println!("  issued    {}", about.issued);
            println!("  expires   {}", about.expires);
            println!("  stale     {}", about.stale);
            println!("  compiler  {}", about.compiler);
            println!("  sources   {}", about.source);
            if let Some(entry) = &entry {
                println!("  history   entry {}", entry.number);
            }
            if let Some(submission) = &submission {
                println!("  author    {}, who signed it at {}", submission.author, submission.issued);
                println!("  because   {}", submission.justification);
            }
            println!("  policies  {}", manifest.policies.len());
            for policy in &manifest.components {
                println!("  beside    {} {}, a component", policy.enforcement.as_str(), policy.name);
            }
            println!("  tests     {} passed", manifest.tests.passed);
            for (policy, state) in &manifest.states {
                anstream::println!("  {CARE}held back{PLAIN} {policy} is {state}");
            }
            for proof in manifest.proofs.iter().filter(|proof| proof.kind == ProofKind::Invariant) {
                match proof.status {
                    ProofStatus::Proven => println!("  proven    {}", proof.name),
                    ProofStatus::Assumed => {
                        anstream::println!("  {CARE}assumed{PLAIN}   {}: {}", proof.name, proof.method);
                    }
                    ProofStatus::Suspended => {
                        anstream::println!("  {CARE}suspended{PLAIN} {}: {}", proof.name, proof.method);
                    }
                }
            }
            match set.execution() {
                Execution::Native => println!("  here      runs as machine code"),
                Execution::Interpreted(reason) => println!("  here      is interpreted: {reason}"),
                Execution::Composed => {} // only in components
            }
            for (name, artifact) in release.statement().artifacts() {
                println!("  artifact  {name} {} bytes, {}", artifact.size, artifact.digest);
            }
            if let Some(rebuild) = &rebuild {
                rebuild.print();
            }
        }
    }
    match rebuild {
        Some(rebuild) if !rebuild.is_same() => Ok(Outcome::Bad),
        _ => Ok(Outcome::Good),
    }
}
