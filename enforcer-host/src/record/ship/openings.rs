//! Carrying what opens the commitments of entries.

use std::io;

use aecp_contract::{
    layout::{self, Name},
    refusal::Code,
    tlog::tile::TILE_WIDTH,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{ShipError, UPLOADS};
use crate::{
    record::openings::{MAX_LINE, Numbered, by_bundle, merged},
    store::Store,
};

/// The most bytes of a bundle's openings in the store.
const MAX_BUNDLE: u64 = TILE_WIDTH * MAX_LINE as u64;

/// How often a file is read again because somebody erased in it meanwhile.
const ATTEMPTS: usize = 5;

/// Carries openings into the store. What is there already stays as it is, erased or not.
pub(in crate::record) async fn carry(
    store: &Store,
    instance: &Name,
    openings: Numbered,
) -> Result<(), ShipError> {
    stream::iter(by_bundle(openings))
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
    match merged(&there, openings) {
        None => Ok(true),
        Some(bytes) => store.replace(key, bytes.into(), read).await.map_err(failed),
    }
}
