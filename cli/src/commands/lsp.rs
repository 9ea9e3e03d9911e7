//! `aecp lsp`: the language server for editors.

use std::io::IsTerminal as _;

use crate::{Outcome, lsp};

/// Serve an editor over standard input and output (Language Server Protocol)
///
/// Editors start it themselves; docs/editors.md says how to set them up.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<Outcome> {
    if std::io::stdin().is_terminal() {
        anstream::eprintln!(
            "this speaks to an editor, not to people; docs/editors.md says how. Ctrl-C stops"
        );
    }
    lsp::run()
}
