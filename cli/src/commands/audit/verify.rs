//! `aecp audit verify`: whether logs are whole, in order, signed, and by known releases.

use std::path::PathBuf;

use aecp_contract::{audit::check::MAX_FAULTS, layout::Name};
use aecp_enforcer::Store;
use serde_json::json;

use crate::{
    Outcome,
    audit::{LogReader, Releases, TrustArguments, Verified},
    commands::{Format, block_on, release::pinned_root},
    terminal::{BAD, GOOD, PLAIN, count},
};

/// Verify whole logs of decisions, in a store or a copied folder, with public keys alone
///
/// Checks the signature of the newest checkpoint (and the witnesses that a log policy asks for), that every earlier
/// checkpoint is of the same history, that every entry is the one that was signed, in its place and without holes, and
/// with --root that each release that decided is in the store and signed. What is wrong is named by entry and kind:
/// changed, truncated, out_of_sequence, unreadable, tile_changed, wrong_root, forked, unknown_release.
///
/// Example: aecp audit verify --store file:///copy/of/bucket --log-policy logs.txt --root root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The store with the logs
    #[arg(long, value_name = "URL")]
    store: String,
    /// One log alone, by its name below audit/
    #[arg(long, value_name = "NAME")]
    log: Option<Name>,
    /// The store that older entries were moved to (`aecp audit archive`)
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    #[command(flatten)]
    trust: TrustArguments,
    /// The trust root that signed releases must descend from; without it releases are not checked
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The store with the releases, if it is another
    #[arg(long, value_name = "URL", requires = "root")]
    releases: Option<String>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = arguments.trust.policy()?;
    let root = arguments.root.as_deref().map(pinned_root).transpose()?;
    let mut good = true;
    let mut reports = Vec::new();
    block_on(async {
        let mut releases = match root {
            None => None,
            Some(root) => {
                let url = arguments.releases.as_ref().unwrap_or(&arguments.store);
                Some(Releases::new(Store::open(url)?, root))
            }
        };
        for log in LogReader::all(&arguments.store, arguments.log.as_ref()).await? {
            let log = log.archived(arguments.archive.as_deref())?;
            let verified = log.verify(&policy, releases.as_mut(), &mut |_, _| {}).await;
            good &= verified.as_ref().is_ok_and(|verified| verified.faults.is_empty());
            match arguments.format {
                Format::Text => print(&log, &verified, releases.is_some()),
                Format::Json => reports.push(report(&log, &verified)),
            }
        }
        Ok(())
    })?;
    if arguments.format == Format::Json {
        println!("{}", json!({ "verified": good, "logs": reports }));
    }
    Ok(if good { Outcome::Good } else { Outcome::Bad })
}

fn print(log: &LogReader, verified: &anyhow::Result<Verified>, releases: bool) {
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => {
            anstream::println!("{BAD}not verified{PLAIN} {}: {error:#}", log.name);
            return;
        }
    };
    let Verified { trusted, checkpoints, counts, faults } = verified;
    let head = &trusted.checkpoint;
    if faults.is_empty() {
        anstream::println!("{GOOD}verified{PLAIN} {} ({})", log.name, head.origin);
    } else {
        let faults = count(faults.len(), "fault", "faults");
        anstream::println!("{BAD}{faults}{PLAIN} in {} ({})", log.name, head.origin);
    }
    println!("  entries      {} under {}", head.size, count(*checkpoints, "checkpoint", "checkpoints"));
    println!("  decisions    {}, {} of them denials", counts.decisions, counts.denials);
    if counts.gaps > 0 {
        let gaps = count(counts.gaps as usize, "gap", "gaps");
        println!("  not recorded {} decisions, in {gaps} that the log tells", counts.lost);
    }
    if counts.crashes > 0 {
        println!("  crashes      {}", counts.crashes);
    }
    let signed = if releases { "all of them checked" } else { "not checked: give --root" };
    println!("  releases     {} decided ({signed})", counts.releases.len());
    for (name, time) in &trusted.witnesses {
        println!("  witnessed by {name} at {time} s since 1970");
    }
    for fault in faults {
        anstream::println!(
            "  {BAD}{}{PLAIN} entry {}: {}",
            fault.kind.as_str(),
            fault.index,
            fault.detail
        );
    }
    if faults.len() >= MAX_FAULTS {
        println!("  … and perhaps more");
    }
}

fn report(log: &LogReader, verified: &anyhow::Result<Verified>) -> serde_json::Value {
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => {
            return json!({ "log": log.name, "verified": false, "error": format!("{error:#}") });
        }
    };
    let Verified { trusted, checkpoints, counts, faults } = verified;
    let faults: Vec<_> = faults
        .iter()
        .map(
            |fault| json!({ "entry": fault.index, "kind": fault.kind.as_str(), "detail": fault.detail }),
        )
        .collect();
    json!({
        "log": log.name,
        "origin": trusted.checkpoint.origin,
        "verified": faults.is_empty(),
        "entries": trusted.checkpoint.size,
        "checkpoints": checkpoints,
        "decisions": counts.decisions,
        "denials": counts.denials,
        "gaps": counts.gaps,
        "lost": counts.lost,
        "crashes": counts.crashes,
        "releases": counts.releases,
        "witnesses": trusted.witnesses.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "faults": faults,
    })
}
