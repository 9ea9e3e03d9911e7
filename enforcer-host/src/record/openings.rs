//! What opens the commitments of entries: kept beside the log, never in it, so that it can be erased.
//!
//! On this disk it stands in the spool, before its entry. In the store it stands below `openings/`, which is no part of
//! what may be immutable there.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use aecp_contract::{
    audit::{OpenedValue, Opening},
    layout::{self, Name},
    refusal::Code,
    tlog::tile::TILE_WIDTH,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;

use super::{ShipError, ship::UPLOADS};
use crate::store::Store;

/// How a line of the spool begins that is no entry.
const PREFIX: &[u8] = b"{\"opening\":";

/// The most bytes of such a line: values of 64 KiB, each of them escaped, and as many salts as there can be attributes.
pub(super) const MAX_LINE: usize = 1 << 20;

/// The most bytes of a bundle's openings in the store.
const MAX_BUNDLE: u64 = TILE_WIDTH * MAX_LINE as u64;

/// How often a file is read again because somebody erased in it meanwhile.
const ATTEMPTS: usize = 5;

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

/// Whether a line of the spool opens an entry.
pub(super) fn is_line(line: &[u8]) -> bool {
    line.starts_with(PREFIX)
}

/// The opening in a line of the spool, if it is one.
pub(super) fn of_line(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(PREFIX)?.strip_suffix(b"}")
}

/// Carries openings into the store. What is there already stays as it is, erased or not.
pub(super) async fn carry(
    store: &Store,
    instance: &Name,
    openings: Vec<(u64, Vec<u8>)>,
) -> Result<(), ShipError> {
    let mut bundles: BTreeMap<u64, Vec<(u64, Vec<u8>)>> = BTreeMap::new();
    for (seq, opening) in openings {
        bundles.entry(seq / TILE_WIDTH).or_default().push((seq, opening));
    }
    stream::iter(bundles)
        .map(async |(bundle, openings)| {
            let key = layout::openings(instance, bundle);
            for _ in 0..ATTEMPTS {
                if add(store, &key, &openings).await? {
                    return Ok(());
                }
            }
            let error = io::Error::other(format!("`{key}` is being changed all the time"));
            Err(ShipError::Disk(error))
        })
        .buffer_unordered(UPLOADS)
        .try_collect()
        .await
}

/// Adds the openings that a file has not yet; `false` if it was changed meanwhile.
async fn add(store: &Store, key: &str, openings: &[(u64, Vec<u8>)]) -> Result<bool, ShipError> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let failed = |error| ShipError::Store { key: key.to_owned(), error };
    let (there, read) = match store.get(key, MAX_BUNDLE, None).await {
        Ok(Some(object)) => (object.bytes.clone(), Some(object.read())),
        Ok(None) => (Bytes::new(), None),
        Err(refusal) if refusal.code == Code::NotFound => (Bytes::new(), None),
        Err(refusal) => {
            let source = refusal.into();
            return Err(failed(object_store::Error::Generic { store: "audit", source }));
        }
    };
    let numbers: BTreeSet<u64> = there
        .split(|byte| *byte == b'\n')
        .filter_map(|line| Some(serde_json::from_slice::<Numbered>(line).ok()?.seq))
        .collect();
    let mut bytes = there.to_vec();
    for (_, opening) in openings.iter().filter(|(seq, _)| !numbers.contains(seq)) {
        bytes.extend_from_slice(opening);
        bytes.push(b'\n');
    }
    if bytes.len() == there.len() {
        return Ok(true);
    }
    store.replace(key, bytes.into(), read).await.map_err(failed)
}
