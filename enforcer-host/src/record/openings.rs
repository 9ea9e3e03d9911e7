//! What opens the commitments of entries: kept beside the log, never in it, so that it can be erased.
//!
//! Where entries wait to be carried it stands before its entry, on a line of its own. In the store it stands below
//! `openings/`, which is no part of what may be immutable there.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::{
    audit::{OpenedValue, Opening},
    tlog::tile::TILE_WIDTH,
};
use serde::Deserialize;

/// How a line begins that is no entry.
const PREFIX: &[u8] = b"{\"opening\":";

/// The most bytes of such a line: values of 64 KiB, each of them escaped, and as many salts as there can be attributes.
pub(super) const MAX_LINE: usize = 1 << 20;

/// Openings by the numbers of their entries.
pub type Numbered = Vec<(u64, Vec<u8>)>;

/// Appends the line that opens entry `seq`.
pub(super) fn push_line(lines: &mut Vec<u8>, seq: u64, values: BTreeMap<String, OpenedValue>) {
    let start = lines.len();
    lines.extend_from_slice(PREFIX);
    let written = serde_json::to_writer(&mut *lines, &Opening { seq, values });
    lines.extend_from_slice(b"}\n");
    if written.is_err() || lines.len() - start > MAX_LINE {
        lines.truncate(start);
    }
}

/// Whether a line opens an entry.
#[cfg(feature = "host")]
pub(super) fn is_line(line: &[u8]) -> bool {
    line.starts_with(PREFIX)
}

/// The opening in a line without its line feed, if it is one.
#[must_use]
pub fn of_line(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(PREFIX)?.strip_suffix(b"}")
}

/// The same openings, by the bundles of their entries.
#[must_use]
pub fn by_bundle(openings: Numbered) -> BTreeMap<u64, Numbered> {
    let mut bundles: BTreeMap<u64, Numbered> = BTreeMap::new();
    for (seq, opening) in openings {
        bundles.entry(seq / TILE_WIDTH).or_default().push((seq, opening));
    }
    bundles
}

/// The file of a bundle's openings with these added that it has not yet; `None` if it has all of them. What is there stays
/// as it is, erased or not.
#[must_use]
pub fn merged(there: &[u8], openings: &[(u64, Vec<u8>)]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let numbers: BTreeSet<u64> = there
        .split(|byte| *byte == b'\n')
        .filter_map(|line| Some(serde_json::from_slice::<Numbered>(line).ok()?.seq))
        .collect();
    let mut bytes = there.to_vec();
    for (_, opening) in openings.iter().filter(|(seq, _)| !numbers.contains(seq)) {
        bytes.extend_from_slice(opening);
        bytes.push(b'\n');
    }
    (bytes.len() > there.len()).then_some(bytes)
}
