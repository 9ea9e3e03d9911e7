//! What a person sees: colour on terminals only, one voice for errors and progress.

use std::fmt::Display;

use anstream::{eprintln, stream::IsTerminal as _};

/// Bold red.
pub(crate) const BAD: &str = "\x1b[1;31m";
/// Bold green.
pub(crate) const GOOD: &str = "\x1b[1;32m";
/// Yellow.
pub(crate) const CARE: &str = "\x1b[33m";
/// Faint.
pub(crate) const FAINT: &str = "\x1b[2m";
/// Back to normal.
pub(crate) const PLAIN: &str = "\x1b[0m";

/// Prints an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("{BAD}error{PLAIN}: {error:#}");
}

/// Says what is going on, to people only: on a terminal, not in a script's log.
pub(crate) fn progress(what: impl Display) {
    if std::io::stderr().is_terminal() {
        eprintln!("{FAINT}{what}{PLAIN}");
    }
}

/// `1 policy`, `2 policies`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
