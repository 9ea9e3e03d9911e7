//! `aecp audit`: what enforcers recorded, and proofs that need no trust in who keeps the records.

mod archive;
mod check;
mod coverage;
mod erase;
mod export;
mod prove;
mod reveal;
mod tail;
mod verify;

use clap::Subcommand;

use crate::Outcome;

/// Read, verify and prove what enforcers decided
///
/// Every enforcer writes one transparency log (C2SP tlog-tiles) below audit/ in a store: its entries, a Merkle tree
/// over them, and a checkpoint signed with the log's own key. Whoever has that public key needs to trust nobody else.
///
/// Example: aecp audit verify --store s3://bucket --key "$(cat enforcer.vkey)" --root root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::Arguments),
    Prove(prove::Arguments),
    Reveal(reveal::Arguments),
    Erase(erase::Arguments),
    Check(check::Arguments),
    Tail(tail::Arguments),
    Export(export::Arguments),
    Coverage(coverage::Arguments),
    Archive(archive::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        Command::Verify(arguments) => verify::run(arguments),
        Command::Reveal(arguments) => reveal::run(arguments),
        Command::Erase(arguments) => erase::run(arguments),
        Command::Prove(arguments) => prove::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Tail(arguments) => tail::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Coverage(arguments) => coverage::run(arguments),
        Command::Archive(arguments) => archive::run(arguments),
    }
}
