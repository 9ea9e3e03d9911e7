//! `aecp audit check`: a proof file, offline.

use std::path::PathBuf;

use aecp_contract::tlog::proof::EntryProof;
use anyhow::{Context as _, ensure};

use crate::{
    Outcome,
    audit::{MAX_PROOF_BYTES, TrustArguments},
    commands::read,
    terminal::{BAD, GOOD, PLAIN},
};

/// Check a proof file, offline: the entry is in the log, and the log signed it
///
/// Prints the entry. Exit 1 if anything in the file does not hold.
///
/// Example: aecp audit check 73894.tlog-proof --key VKEY
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The proof, as `aecp audit prove` wrote it
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    #[command(flatten)]
    trust: TrustArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = arguments.trust.policy()?;
    let shown = arguments.proof.display();
    let bytes = read(&arguments.proof)?;
    ensure!(bytes.len() <= MAX_PROOF_BYTES, "`{shown}` is too large for a proof");
    let text = String::from_utf8(bytes).with_context(|| format!("`{shown}` is no proof"))?;
    let proven = EntryProof::from_text(&text).and_then(|proof| Ok((proof.verify(&policy)?, proof)));
    match proven {
        Ok((trusted, proof)) => {
            let head = &trusted.checkpoint;
            anstream::println!(
                "{GOOD}proven{PLAIN} entry {} of the {} of {}",
                proof.index,
                head.size,
                head.origin
            );
            println!("{}", String::from_utf8_lossy(&proof.entry));
            Ok(Outcome::Good)
        }
        Err(error) => {
            anstream::println!("{BAD}not proven{PLAIN} {error}");
            Ok(Outcome::Bad)
        }
    }
}
