//! `aecp history`: what was accepted for a channel, from whom, when and why.

use aecp_compiler::publish::{Fate, Recorded, Store};
use aecp_contract::legislation::PolicyChange;

use super::{Format, read, release::ChannelArguments};
use crate::{
    Outcome,
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN, count},
};

/// Show the verified history of a channel
///
/// Each set that was accepted is an entry: signed, numbered, naming the one before it by its digest, and named by its
/// release. The chain is checked from the first entry to the one that the newest release names; an entry that was
/// changed, dropped or put in is an error.
///
/// As JSON: one array of {"entry":{…},"digest","fate"}, fate one of replaced, in_force, never_released.
///
/// Example: aecp history --store s3://bucket --channel prod --root keys/root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: ChannelArguments,
    /// Only what changed or moved this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let root = read(&arguments.of.root)?;
    let store = Store::open(&arguments.of.store)?;
    let history = super::block_on(async {
        let roots = store.roots(&root).await?;
        Ok(store.history(&arguments.of.channel, &roots).await?)
    })?;
    let about = |recorded: &&Recorded| match &arguments.policy {
        None => true,
        Some(name) => {
            let entry = &recorded.entry;
            entry.changes.iter().any(|change| change.policy == *name)
                || entry.moves.iter().any(|moved| moved.policy == *name)
        }
    };
    let shown: Vec<&Recorded> = history.iter().filter(about).collect();
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&shown)?),
        Format::Text => {
            for recorded in &shown {
                print(recorded);
            }
            print_end(&history);
        }
    }
    Ok(Outcome::Good)
}

fn print(Recorded { entry, digest, fate }: &Recorded) {
    let (colour, word) = match fate {
        Fate::InForce => (GOOD, "in force"),
        Fate::Replaced => (FAINT, "replaced"),
        Fate::NeverReleased => (BAD, "never released"),
    };
    anstream::println!(
        "{GOOD}{}{PLAIN} {} release {} {colour}{word}{PLAIN}",
        entry.number,
        entry.time,
        entry.serial
    );
    if let Some(author) = &entry.author {
        let signed = match &entry.submission {
            Some(signed) => format!(", who signed it ({})", keys(&signed.keys)),
            None => String::new(),
        };
        println!("  author         {author}{signed}");
    }
    if let Some(justification) = &entry.justification {
        println!("  justification  {justification}");
    }
    anstream::println!("  {FAINT}entry          {digest}{PLAIN}");
    anstream::println!("  {FAINT}sources        {}{PLAIN}", entry.source);
    for PolicyChange { policy, change, version, replaces } in &entry.changes {
        let versions = match (replaces, version) {
            (Some(old), Some(new)) if old != new => format!(", version {old} to {new}"),
            (_, Some(version)) => format!(", version {version}"),
            _ => String::new(),
        };
        println!("  {:<14} {policy}{versions}", change.as_str());
    }
    for moved in &entry.moves {
        anstream::println!("  {CARE}{:<14}{PLAIN} {}, which was {}", moved.to, moved.policy, moved.from);
    }
}

fn keys(keys: &[aecp_contract::digest::Digest]) -> String {
    let short =
        |key: &aecp_contract::digest::Digest| key.to_string().chars().take(12).collect::<String>();
    keys.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// That it was verified, and which policies are held back now.
fn print_end(history: &[Recorded]) {
    anstream::println!(
        "{GOOD}verified{PLAIN} {}",
        count(history.len(), "entry, unbroken", "entries, one unbroken chain")
    );
    let in_force = history.iter().rev().find(|recorded| recorded.fate == Fate::InForce);
    for (policy, state) in in_force.iter().flat_map(|recorded| &recorded.entry.states) {
        anstream::println!("  {CARE}held back{PLAIN} {policy} is {state}");
    }
}
