//! `aecp audit coverage`: whether all that was seen was decided, and is on record.

use aecp_contract::{
    audit::{Entry, ReleaseRef},
    layout::Name,
};
use anyhow::anyhow;
use serde_json::json;

use crate::{
    Outcome,
    audit::{Coverage, LogStream, Sources},
    commands::{Format, block_on},
    terminal::{BAD, CARE, GOOD, PLAIN},
};

/// Count what enforcers saw, decided and recorded, by log, point and release, and what is
/// unaccounted for
///
/// Enforcers count requests where they come in, and sign the counts into their logs once a minute
/// and when they stop. Of each run, what was seen must be on record, in a gap, or under AUDIT:
/// NONE; whatever is not is unaccounted for. A run that goes on may have requests in flight.
///
/// Exit codes: 0 all is accounted for; 1 something is not; 2 a log could not be read or is not what
/// was signed.
///
/// Example: aecp audit coverage --store s3://eu --store gs://us --log-policy logs.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut whole = true;
    let mut reports = Vec::new();
    block_on(async {
        let (logs, policy) = arguments.sources.logs().await?;
        for log in logs {
            let name = log.name.clone();
            let coverage = count(LogStream::open(log, &policy).await?).await?;
            whole &= coverage.is_whole();
            match arguments.format {
                Format::Text => print(&name, &coverage),
                Format::Json => reports.push(report(&name, &coverage)),
            }
        }
        Ok(())
    })?;
    if arguments.format == Format::Json {
        println!("{}", json!({ "covered": whole, "logs": reports }));
    }
    Ok(if whole { Outcome::Good } else { Outcome::Bad })
}

async fn count(mut log: LogStream) -> anyhow::Result<Coverage> {
    let mut coverage = Coverage::default();
    while let Some(bundle) = log.next().await? {
        for (index, bytes) in bundle.entries()? {
            let entry = Entry::from_json(bytes)
                .map_err(|why| anyhow!("log `{}`, entry {index} cannot be read: {why}", log.log.name))?;
            coverage.take(&entry);
        }
    }
    coverage.finish();
    Ok(coverage)
}

/// Sums over all points and releases: decided, recorded, unrecorded.
fn sums(coverage: &Coverage) -> (u64, u64, u64) {
    coverage.places.values().fold((0, 0, 0), |sums, place| {
        (sums.0 + place.decided, sums.1 + place.recorded, sums.2 + place.unrecorded)
    })
}

fn print(log: &Name, coverage: &Coverage) {
    let (decided, recorded, unrecorded) = sums(coverage);
    match (coverage.is_whole(), coverage.share()) {
        (false, _) => anstream::println!("{BAD}not covered{PLAIN} {log}"),
        (true, Some(_)) => anstream::println!("{GOOD}covered{PLAIN} {log}"),
        (true, None) => anstream::println!("{CARE}not counted yet{PLAIN} {log}"),
    }
    if let Some(share) = coverage.share() {
        println!("  coverage     {:.2} %", 100.0 * share);
    }
    println!("  seen         {} requests, {decided} of them decided", coverage.seen);
    println!("  recorded     {recorded}");
    println!("  AUDIT: NONE  {unrecorded}");
    for (reason, lost) in &coverage.lost {
        println!("  lost         {lost} ({reason})");
    }
    if coverage.in_flight > 0 {
        println!("  in flight    {}, when the enforcer last counted", coverage.in_flight);
    }
    if coverage.since > 0 {
        println!("  since then   {} recorded or lost, and not counted yet", coverage.since);
    }
    if coverage.crashes > 0 {
        let crashes = coverage.crashes;
        anstream::println!(
            "  {CARE}crashes{PLAIN}      {crashes}; what was seen after the last count is not known"
        );
    }
    if coverage.unaccounted > 0 {
        let unaccounted = coverage.unaccounted;
        anstream::println!("  {BAD}unaccounted{PLAIN}  {unaccounted} seen, and nowhere on record");
    }
    if coverage.uncounted > 0 {
        anstream::println!(
            "  {BAD}uncounted{PLAIN}    {} on record, and never seen",
            coverage.uncounted
        );
    }
    println!(
        "  {:<24} {:>8} {:>12} {:>12} {:>12}",
        "point", "release", "decided", "recorded", "AUDIT: NONE"
    );
    for ((point, release), place) in &coverage.places {
        println!(
            "  {point:<24} {:>8} {:>12} {:>12} {:>12}",
            release.map_or("none".to_owned(), |ReleaseRef { serial, .. }| serial.to_string()),
            place.decided,
            place.recorded,
            place.unrecorded
        );
    }
}

fn report(log: &Name, coverage: &Coverage) -> serde_json::Value {
    let (decided, recorded, unrecorded) = sums(coverage);
    let point = |((point, release), place): (&(String, Option<ReleaseRef>), &crate::audit::Place)| {
        json!({
            "point": point,
            "release": release,
            "decided": place.decided,
            "recorded": place.recorded,
            "unrecorded": place.unrecorded,
        })
    };
    json!({
        "log": log,
        "covered": coverage.is_whole(),
        "coverage": coverage.share(),
        "seen": coverage.seen,
        "decided": decided,
        "recorded": recorded,
        "unrecorded": unrecorded,
        "lost": coverage.lost,
        "in_flight": coverage.in_flight,
        "since_last_count": coverage.since,
        "crashes": coverage.crashes,
        "unaccounted": coverage.unaccounted,
        "uncounted": coverage.uncounted,
        "points": coverage.places.iter().map(point).collect::<Vec<_>>(),
    })
}
