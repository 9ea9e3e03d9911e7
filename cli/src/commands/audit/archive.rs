//! `aecp audit archive`: old entries move to a cheaper place.

use aecp_contract::{
    layout::Name,
    value::{Duration, Timestamp},
};
use aecp_enforcer::Store;
use anyhow::Context as _;

use crate::{
    Outcome,
    audit::{LogReader, TrustArguments},
    commands::{block_on, now},
    terminal::{GOOD, PLAIN, count},
};

/// Move old entries of logs to a cheaper place, never changing them
///
/// A file of 256 entries moves when the newest of them is older than the limit: it is copied, the copy is checked
/// against the log's tree, and then the original is removed. Checkpoints, hashes, and the last entries stay. To read
/// the log as before, give --archive to verify, prove and tail.
///
/// Example: aecp audit archive --store s3://audit --key VKEY --older-than 90d --to s3://cold/audit
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The store with the logs
    #[arg(long, value_name = "URL")]
    store: String,
    /// One log alone, by its name below audit/
    #[arg(long, value_name = "NAME")]
    log: Option<Name>,
    #[command(flatten)]
    trust: TrustArguments,
    /// How old entries must be, such as 90d
    #[arg(long, value_name = "DURATION", value_parser = age)]
    older_than: Duration,
    /// Where they go: another store, or another folder of the same one
    #[arg(long, value_name = "URL")]
    to: String,
}

fn age(text: &str) -> Result<Duration, String> {
    let age = text.parse().ok().filter(|age: &Duration| age.0 > 0);
    age.ok_or_else(|| "expected a time, such as 12h or 90d".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = arguments.trust.policy()?;
    let limit = before(now()?, arguments.older_than).context("--older-than is too long")?;
    block_on(async {
        let archive = Store::open(&arguments.to)?;
        for log in LogReader::all(&arguments.store, arguments.log.as_ref()).await? {
            let moved = log.move_entries(&policy, &archive, limit).await;
            let moved = moved.with_context(|| format!("log `{}`", log.name))?;
            let files = count(usize::try_from(moved)?, "file", "files");
            anstream::println!("{GOOD}moved{PLAIN} {files} of {} entries of {}", 256, log.name);
        }
        Ok(Outcome::Good)
    })
}

/// The time so long before `now`.
fn before(now: Timestamp, Duration(milliseconds): Duration) -> Option<Timestamp> {
    let at = i128::from(now.seconds) * 1_000 + i128::from(now.nanoseconds / 1_000_000);
    let at = at - i128::from(milliseconds);
    let nanoseconds = u32::try_from(at.rem_euclid(1_000)).ok()? * 1_000_000;
    Some(Timestamp { seconds: i64::try_from(at.div_euclid(1_000)).ok()?, nanoseconds })
}
