//! Moving old entries of a log to a cheaper place: copied, checked there, and only then removed. Nothing is rewritten, so
//! the log verifies as before; whatever is interrupted is done again.

use aecp_contract::{
    audit::Entry,
    layout,
    refusal::Code,
    tlog::{
        merkle::leaf_hash,
        policy::LogPolicy,
        tile::{TILE_WIDTH, Tile, read_entries, read_hashes},
    },
    value::Timestamp,
};
use aecp_enforcer::Store;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use object_store::{ObjectStoreExt as _, PutMode, PutOptions};

use crate::{
    audit::{LogReader, MAX_FILE},
    terminal::progress,
};

/// A file of the archive alone, so that a store is never taken for the archive of itself.
const MARK: &str = "archive";

impl LogReader {
    /// Moves the full bundles whose newest entry is older than `limit`, oldest first. How many were moved.
    ///
    /// # Errors
    /// A bundle that is not what the log's tiles say is left where it is, and ends the move.
    pub(crate) async fn move_entries(
        &self,
        policy: &LogPolicy,
        archive: &Store,
        limit: Timestamp,
    ) -> anyhow::Result<u64> {
        let (trusted, _) = self.head(policy).await?;
        self.mark(archive).await?;
        let mut moved = 0;
        for index in 0..trusted.checkpoint.size / TILE_WIDTH {
            let bundle = Tile { level: None, index, width: TILE_WIDTH };
            let key = layout::audit(&self.name, &bundle.path());
            let bytes = match self.store.get(&key, MAX_FILE, None).await {
                Ok(object) => object.context("the store gave nothing")?.bytes,
                // It was moved before.
                Err(refusal) if refusal.code == Code::NotFound => continue,
                Err(refusal) => return Err(refusal.into()),
            };
            if newest(&bytes).with_context(|| format!("`{key}` is left where it is"))? >= limit {
                break;
            }
            progress(format_args!("{}: moving the entries from {} …", self.name, index * TILE_WIDTH));
            self.check(&bundle, &bytes).await?;
            copy(archive, &key, &bytes).await?;
            // Read back, since nothing but what the archive really gives may replace the original.
            let there = archive.get(&key, MAX_FILE, None).await?.context("the archive gave nothing")?;
            self.check(&bundle, &there.bytes).await.context("the copy in the archive is bad")?;
            let deleted = self.store.objects().delete(&self.store.path(&key)).await;
            deleted.with_context(|| format!("`{key}` is in the archive, but cannot be removed"))?;
            moved += 1;
        }
        Ok(moved)
    }

    /// Marks the archive, and makes sure that the mark is not seen in the store itself.
    async fn mark(&self, archive: &Store) -> anyhow::Result<()> {
        let key = layout::audit(&self.name, MARK);
        copy(archive, &key, &Bytes::from_static(b"entries that were moved here\n")).await?;
        match self.store.get(&key, MAX_FILE, None).await {
            Err(refusal) if refusal.code == Code::NotFound => Ok(()),
            Err(refusal) => Err(refusal.into()),
            Ok(_) => {
                bail!("the store is the archive itself: it has `{key}`; give another --to, or remove it")
            }
        }
    }

    /// Whether a bundle's entries are those of the log's tile.
    async fn check(&self, bundle: &Tile, bytes: &[u8]) -> anyhow::Result<()> {
        let tile = Tile { level: Some(0), ..*bundle };
        let hashes = read_hashes(&self.file(&tile.path()).await?, TILE_WIDTH)?;
        let entries = read_entries(bytes, TILE_WIDTH)?;
        match entries.iter().zip(&hashes).position(|(entry, hash)| leaf_hash(entry) != *hash) {
            None => Ok(()),
            Some(at) => bail!(
                "entry {} of log `{}` is not the one that the log's tile has; see `aecp audit verify`",
                bundle.index * TILE_WIDTH + at as u64,
                self.name
            ),
        }
    }
}

/// The time of the newest entry of a full bundle.
fn newest(bytes: &[u8]) -> anyhow::Result<Timestamp> {
    let mut newest = None;
    for bytes in read_entries(bytes, TILE_WIDTH)? {
        newest = newest.max(Some(Entry::from_json(bytes).map_err(anyhow::Error::msg)?.time));
    }
    newest.context("it has no entries")
}

/// Writes an object that never changes; one that is there must be the same.
async fn copy(archive: &Store, key: &str, bytes: &Bytes) -> anyhow::Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match archive.objects().put_opts(&archive.path(key), bytes.clone().into(), options).await {
        Ok(_) => Ok(()),
        Err(object_store::Error::AlreadyExists { .. }) => {
            let there = archive.get(key, MAX_FILE, None).await?.context("the archive gave nothing")?;
            if there.bytes != *bytes {
                bail!("the archive has another `{key}`; nothing there is ever overwritten");
            }
            Ok(())
        }
        Err(error) => Err(error).with_context(|| format!("the archive does not take `{key}`")),
    }
}
