//! Proofs that single entries are in a log.

use std::collections::BTreeMap;

use aecp_contract::tlog::{
    merkle::{self, Subtree},
    policy::{LogPolicy, Trusted},
    proof::EntryProof,
    tile::{Tile, Unmade, hashes_at_hand, read_entries},
};
use anyhow::{Context as _, bail};
use bytes::Bytes;

use super::LogReader;

/// The most tiles that are kept for the next proof.
const MAX_TILES: usize = 1024;

/// Proves entries of one log under one checkpoint.
pub(crate) struct Prover<'a> {
    log: LogReader,
    policy: &'a LogPolicy,
    trusted: Trusted,
    /// The checkpoint as the log signed it.
    checkpoint: String,
    tiles: BTreeMap<Tile, Bytes>,
}

impl<'a> Prover<'a> {
    pub(crate) async fn new(log: LogReader, policy: &'a LogPolicy) -> anyhow::Result<Self> {
        let (trusted, note) = log.head(policy).await?;
        let checkpoint = String::from_utf8(note.to_vec()).context("the checkpoint is not UTF-8")?;
        Ok(Self { log, policy, trusted, checkpoint, tiles: BTreeMap::new() })
    }

    /// The checkpoint under which it proves.
    pub(crate) fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The same as the log signed it.
    pub(crate) fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The proof that an entry is in the log.
    pub(crate) async fn prove(&mut self, index: u64) -> anyhow::Result<EntryProof> {
        let (name, size) = (&self.log.name, self.trusted.checkpoint.size);
        if index >= size {
            bail!("log `{name}` has entries 0 to {} under its checkpoint", size.saturating_sub(1));
        }
        if self.tiles.len() > MAX_TILES {
            self.tiles.clear();
        }
        let bundle = Tile::bundle(index, size);
        let bytes = self.tile(bundle).await?;
        let entry = read_entries(&bytes, bundle.width)?[(index % 256) as usize].to_vec();
        let path = loop {
            let path = {
                let mut hashes = hashes_at_hand(size, &self.tiles);
                merkle::inclusion_proof(index, size, &mut |subtree: Subtree| hashes.hash(subtree))
            };
            match path {
                Ok(path) => break path,
                Err(Unmade::Needs(tile)) => drop(self.tile(tile).await?),
                Err(Unmade::Wrong(error)) => return Err(error.into()),
            }
        };
        let proof = EntryProof { entry, index, path, checkpoint: self.checkpoint.clone() };
        proof.verify(self.policy).context("the log's tiles do not prove the entry")?;
        Ok(proof)
    }

    async fn tile(&mut self, tile: Tile) -> anyhow::Result<Bytes> {
        if let Some(bytes) = self.tiles.get(&tile) {
            return Ok(bytes.clone());
        }
        let bytes = self.log.tile(&tile).await?;
        self.tiles.insert(tile, bytes.clone());
        Ok(bytes)
    }
}
