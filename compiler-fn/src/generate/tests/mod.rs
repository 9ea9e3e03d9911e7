//! The index and the folding against the reference evaluator, at the boundaries.

mod folding;
mod keys;

use super::*;
use crate::{
    check::check,
    source::{Source, Sources},
};

/// The set of this text, which has no errors.
fn set(text: String) -> PolicySet {
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text }]);
    let checked = check(&sources);
    checked.set.unwrap_or_else(|| panic!("{:#?}", checked.findings))
}
