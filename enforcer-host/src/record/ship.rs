//! Carrying the log into a store: entries in bundles, hashes in tiles, and a signed checkpoint over them.
//!
//! Everything but the checkpoint is written once and never changed, so whatever is interrupted is simply done again:
//! the same entries give the same files. A checkpoint is signed only after all that it covers is in the store, and
//! only over entries that are durable on this disk: so it can never be taken back by a crash.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use aecp_contract::{
    layout::{self, Name},
    tlog::{
        TlogError,
        checkpoint::Checkpoint,
        edge::Edge,
        merkle::leaf_hash,
        note,
        policy::LogPolicy,
        tile::{TILE_WIDTH, Tile, push_entry},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

mod openings;

use super::{
    LogIdentity, Recorder,
    cosign::{Tiles, WitnessError, Witnesses},
    spool::{Read, SpoolReader},
};
use crate::{metrics::Metrics, state::write_whole, store::Store};

/// Bundles that are made ready at once.
const BUNDLES: u64 = 16;

/// Files that are on their way at once.
const UPLOADS: usize = 8;

/// Bounds of how often it is looked how much waits on this disk.
const MIN_LOOK: Duration = Duration::from_secs(1);
const MAX_LOOK: Duration = Duration::from_secs(60);

/// The longest pause while the store does not answer.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The most bytes of a checkpoint in a store.
const MAX_NOTE: u64 = note::MAX_NOTE_BYTES as u64;

/// How the log is carried.
#[derive(Debug, Clone, Copy)]
pub struct Shipping {
    /// How often, or as soon as a quarter of `spool_bytes` waits.
    pub every: Duration,
    /// The most bytes of entries that this disk keeps for a store that does not take them. Beyond that, decisions that
    /// must be recorded are denied, and the others are counted in a gap.
    pub spool_bytes: u64,
}

/// Carries one log into one store.
pub struct Shipper {
    identity: LogIdentity,
    recorder: Arc<Recorder>,
    store: Store,
    /// Where what opens the log's commitments goes.
    openings: Store,
    spool: SpoolReader,
    state: PathBuf,
    shipped: Shipped,
    shipping: Shipping,
    /// Whether the store's own checkpoint was compared with what this disk knows.
    compared: bool,
    /// Those who must cosign before a checkpoint is published, if any.
    witnesses: Option<Witnesses>,
    metrics: Arc<Metrics>,
}

/// What the store has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shipped {
    /// The tree over all entries that are in the store.
    edge: Edge,
    /// How many of them its checkpoint covers.
    signed: u64,
}

/// Why the log is not carried.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The store does not answer, or refuses.
    #[error("the store does not take `{key}`: {error}")]
    Store {
        /// The object.
        key: String,
        /// The store's own error.
        error: object_store::Error,
    },
    /// The disk does not give what was written to it.
    #[error("the log on this disk cannot be read: {0}")]
    Disk(#[from] io::Error),
    /// The writer failed.
    #[error("the log cannot be made durable")]
    NotDurable,
    /// Too few witnesses cosigned.
    #[error("the checkpoint waits for its witnesses: {0}")]
    NotWitnessed(TlogError),
    /// What is in the store is not what this enforcer wrote there.
    #[error("{0}; give the enforcer another --instance, or a new state folder")]
    Foreign(String),
}

impl Shipper {
    /// A shipper for the log of `recorder`, whose entries lie in `spool`, with its memory in the file `state`.
    ///
    /// # Errors
    /// What is wrong with the file, in words; it is never replaced.
    pub fn open(
        identity: LogIdentity,
        recorder: Arc<Recorder>,
        store: Store,
        (spool, state): (PathBuf, PathBuf),
        shipping: Shipping,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let shipped = match std::fs::read(&state) {
            Ok(json) => {
                let shipped: Shipped = serde_json::from_slice(&json)?;
                if !shipped.edge.is_sound() {
                    return Err(io::Error::other("it does not hold together"));
                }
                shipped
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Shipped::default(),
            Err(error) => return Err(error),
        };
        let spool = SpoolReader::new(&spool);
        Ok(Self {
            identity,
            recorder,
            openings: store.clone(),
            store,
            spool,
            state,
            shipped,
            shipping,
            compared: false,
            witnesses: None,
            metrics,
        })
    }

    /// Carries what opens the log's commitments into this store.
    #[must_use]
    pub fn opened_in(self, openings: Store) -> Self {
        Self { openings, ..self }
    }

    /// Publishes no checkpoint before the quorum of this policy has cosigned it.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn witnessed(mut self, policy: LogPolicy) -> Result<Self, WitnessError> {
        self.witnesses = Some(Witnesses::new(policy, self.identity.verifier())?);
        Ok(self)
    }

    /// Carries the log until `stop` is done, and what is left then within `last`.
    pub async fn run(mut self, stop: Arc<Notify>, last: Duration) {
        let mut pause = self.shipping.every;
        loop {
            // Whatever is interrupted here is done again, so a stop need not wait for a slow store.
            let shipped = tokio::select! {
                () = stop.notified() => None,
                shipped = async {
                    self.due(pause).await;
                    self.ship().await
                } => Some(shipped),
            };
            pause = match shipped {
                None => {
                    match tokio::time::timeout(last, self.ship()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "the log's end stays on this disk"),
                        Err(_) => tracing::warn!("the log's end stays on this disk: the store is slow"),
                    }
                    return;
                }
                Some(Ok(())) => self.shipping.every,
                Some(Err(error)) => {
                    self.metrics.ship_failed();
                    tracing::warn!(%error, "the log could not be carried to the store");
                    pause.saturating_mul(2).clamp(Duration::from_secs(1), MAX_BACKOFF)
                }
            };
        }
    }

    /// Waits for this long, or until a quarter of what may wait on this disk does.
    async fn due(&self, pause: Duration) {
        let (began, look) = (Instant::now(), (pause / 60).clamp(pause.min(MIN_LOOK), MAX_LOOK));
        loop {
            let left = pause.saturating_sub(began.elapsed());
            tokio::time::sleep(left.min(look)).await;
            if left <= look || self.spool.bytes().is_ok_and(|it| it >= self.shipping.spool_bytes / 4) {
                return;
            }
        }
    }

    /// Carries all that is recorded by now.
    ///
    /// # Errors
    /// [`ShipError`]; whatever was done already need not be done again.
    pub async fn ship(&mut self) -> Result<(), ShipError> {
        let size = self.recorder.flush().await.ok_or(ShipError::NotDurable)?;
        // Before as well as after: a store that fails, or is not waited for any longer, takes nothing.
        self.watch_spool();
        self.compare(size).await?;
        while self.shipped.edge.size() < size {
            self.entries(size).await?;
        }
        if self.shipped.signed < size {
            self.checkpoint().await?;
        }
        self.metrics.shipped(self.shipped.signed);
        self.spool.remove_before(size - size % TILE_WIDTH)?;
        self.watch_spool();
        Ok(())
    }

    /// How many of so many entries the store has not under a signed checkpoint.
    pub(crate) fn waiting(&self, size: u64) -> u64 {
        size.saturating_sub(self.shipped.signed)
    }

    /// Writes the next entries and the tiles that they finish.
    async fn entries(&mut self, size: u64) -> Result<(), ShipError> {
        let old = self.shipped.edge.size();
        let start = old - old % TILE_WIDTH;
        let end = size.min(start + BUNDLES * TILE_WIDTH);
        let Read { entries, openings } = self.spool.read(start, end)?;
        let new = openings.into_iter().filter(|(seq, _)| *seq >= old).collect();
        openings::carry(&self.openings, &self.identity.instance, new).await?;
        let mut files = Vec::new();
        for (bundle, entries) in (start / TILE_WIDTH..).zip(entries.chunks(TILE_WIDTH as usize)) {
            let mut bytes = Vec::new();
            for entry in entries {
                push_entry(&mut bytes, entry)
                    .ok_or_else(|| io::Error::other("an entry is too large"))?;
            }
            let tile = Tile { level: None, index: bundle, width: entries.len() as u64 };
            files.push((tile, bytes));
        }
        let mut edge = self.shipped.edge.clone();
        for entry in &entries[(old - start) as usize..] {
            edge.push(leaf_hash(entry), &mut |tile, bytes| files.push((tile, bytes)));
        }
        if end == size {
            files.extend(edge.unfinished());
        }
        let this = &*self;
        stream::iter(files)
            .map(|(tile, bytes)| this.create(tile.path(), bytes.into()))
            .buffer_unordered(UPLOADS)
            .try_collect::<()>()
            .await?;
        self.remember(Shipped { edge, signed: self.shipped.signed })
    }

    /// Signs what the store has.
    async fn checkpoint(&mut self) -> Result<(), ShipError> {
        let edge = self.shipped.edge.clone();
        let origin = self.identity.origin.clone();
        let text = Checkpoint { origin, size: edge.size(), root: edge.root() }.to_text();
        let mut note = note::write(&text, &[self.identity.sign(&text)]);
        if let Some(witnesses) = &mut self.witnesses {
            let tiles = LogTiles { store: &self.store, instance: &self.identity.instance };
            let cosigned = witnesses.cosigned(&note, edge.size(), &tiles, &self.metrics).await;
            note = cosigned.map_err(ShipError::NotWitnessed)?;
        }
        let note = Bytes::from(note);
        self.create("vkey".to_owned(), self.identity.verifier().to_string().into()).await?;
        self.put(format!("checkpoints/{:020}", edge.size()), note.clone(), PutMode::Overwrite).await?;
        self.put("checkpoint".to_owned(), note, PutMode::Overwrite).await?;
        self.remember(Shipped { signed: edge.size(), edge })
    }

    /// Once, before anything is written: the store's log of this name must be this very log, and not have more than this
    /// disk, or two histories would be signed.
    async fn compare(&mut self, size: u64) -> Result<(), ShipError> {
        if self.compared {
            return Ok(());
        }
        let key = self.key("checkpoint");
        let there = match self.store.get(&key, MAX_NOTE, None).await {
            Ok(object) => object,
            Err(refusal) if refusal.code == aecp_contract::refusal::Code::NotFound => None,
            Err(refusal) => {
                let error = object_store::Error::Generic { store: "audit", source: refusal.into() };
                return Err(ShipError::Store { key, error });
            }
        };
        if let Some(object) = there {
            let policy = LogPolicy::of_logs(vec![self.identity.verifier()]);
            let foreign = |why: &str| ShipError::Foreign(format!("the log `{key}` {why}"));
            let trusted = policy
                .trusted(&object.bytes)
                .map_err(|_| foreign("in the store was not signed by this enforcer's key"))?;
            let edge = &self.shipped.edge;
            let head = trusted.checkpoint;
            if head.size > size {
                return Err(foreign("has more entries in the store than this disk ever wrote"));
            }
            if head.size == edge.size() && head.root != edge.root() {
                return Err(foreign("in the store is of another history than this disk's"));
            }
        }
        self.compared = true;
        Ok(())
    }

    /// Writes a file that never changes; one that is there must be the same.
    async fn create(&self, path: String, bytes: Bytes) -> Result<(), ShipError> {
        match self.put(path.clone(), bytes.clone(), PutMode::Create).await {
            Err(ShipError::Store { error: object_store::Error::AlreadyExists { .. }, key }) => {
                let there = self.store.get(&key, bytes.len() as u64, None).await;
                if there.is_ok_and(|object| object.is_some_and(|object| object.bytes == bytes)) {
                    return Ok(());
                }
                Err(ShipError::Foreign(format!("the store has another `{key}`")))
            }
            result => result,
        }
    }

    async fn put(&self, path: String, bytes: Bytes, mode: PutMode) -> Result<(), ShipError> {
        let key = self.key(&path);
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.objects().put_opts(&self.store.path(&key), bytes.into(), options).await;
        put.map(|_| ()).map_err(|error| ShipError::Store { key, error })
    }

    fn key(&self, path: &str) -> String {
        layout::audit(&self.identity.instance, path)
    }

    fn remember(&mut self, shipped: Shipped) -> Result<(), ShipError> {
        write_whole(&self.state, &serde_json::to_vec(&shipped).map_err(io::Error::from)?)?;
        self.shipped = shipped;
        Ok(())
    }

    /// Lets the writer know whether this disk still has room for entries that the store has not taken.
    fn watch_spool(&self) {
        match self.spool.bytes() {
            Ok(bytes) => self.recorder.set_full(bytes > self.shipping.spool_bytes),
            Err(error) => tracing::warn!(%error, "the size of the log on this disk is not known"),
        }
    }
}

/// The tiles of a log in its store.
struct LogTiles<'s> {
    store: &'s Store,
    instance: &'s Name,
}

impl Tiles for LogTiles<'_> {
    async fn tile(&self, tile: &Tile) -> Result<Bytes, String> {
        let key = layout::audit(self.instance, &tile.path());
        let object = self.store.get(&key, TILE_WIDTH * 32, None).await;
        let object = object.map_err(|refusal| refusal.to_string())?;
        Ok(object.ok_or("the store gave nothing")?.bytes)
    }
}
