//! `aecp audit prove`: one entry's proof as a file.

use std::{fs, path::PathBuf};

use aecp_contract::layout::Name;
use aecp_enforcer::Store;
use anyhow::Context as _;

use crate::{
    Outcome,
    audit::{LogReader, Prover, TrustArguments},
    commands::block_on,
    terminal::{GOOD, PLAIN},
};

/// Write a small file that proves one entry, to be checked offline by anybody (C2SP tlog-proof)
///
/// Example: aecp audit prove --store s3://bucket --log web-1 --entry 73894 --key VKEY --out 73894.tlog-proof
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The store with the log
    #[arg(long, value_name = "URL")]
    store: String,
    /// The log, by its name below audit/
    #[arg(long, value_name = "NAME")]
    log: Name,
    /// The entry's number
    #[arg(long, value_name = "N")]
    entry: u64,
    /// The store that older entries were moved to (`aecp audit archive`)
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    #[command(flatten)]
    trust: TrustArguments,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = arguments.trust.policy()?;
    let log = LogReader::new(Store::open(&arguments.store)?, arguments.log.clone());
    let log = log.archived(arguments.archive.as_deref())?;
    let name = log.name.clone();
    let proof = block_on(async { Prover::new(log, &policy).await?.prove(arguments.entry).await })?;
    let (text, out) = (proof.to_text(), arguments.out.display());
    fs::write(&arguments.out, &text).with_context(|| format!("cannot write `{out}`"))?;
    anstream::println!(
        "{GOOD}proven{PLAIN} entry {} of {}: {out}, {} bytes",
        proof.index,
        name,
        text.len()
    );
    println!("  check it with: aecp audit check {out} --key VKEY");
    Ok(Outcome::Good)
}
