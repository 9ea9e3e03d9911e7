//! Reading a log from its first entry to its last in little memory: a bundle of entries is proven by the signed root
//! before anything of it is used.

use aecp_contract::{
    digest::Digest,
    tlog::{
        checkpoint::Checkpoint,
        edge::Edge,
        merkle::{Frontier, leaf_hash},
        policy::LogPolicy,
        tile::{TILE_WIDTH, Tile, read_entries, read_hashes},
    },
};
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, LocalBoxStream},
};

use super::LogReader;

/// Bundles that are on their way from the store at once.
const AHEAD: usize = 8;

/// Levels of tiles that a log can have.
const LEVELS: u8 = 8;

/// Entries as the log signed them.
pub(crate) struct Bundle {
    /// The number of the first of them.
    pub(crate) first: u64,
    /// Their bytes, in the form of a bundle that holds `width` entries.
    bytes: Bytes,
    width: u64,
    /// How many at its beginning were read before.
    skip: usize,
}

impl Bundle {
    /// The entries with their numbers.
    pub(crate) fn entries(&self) -> anyhow::Result<Vec<(u64, &[u8])>> {
        let entries = read_entries(&self.bytes, self.width)?.into_iter().skip(self.skip);
        Ok((self.first..).zip(entries).collect())
    }
}

/// One log, read as far as its newest checkpoint that is believed.
pub(crate) struct LogStream {
    pub(crate) log: LogReader,
    tree: ProvenTree,
    /// What was read until now: the next checkpoint must continue it.
    read: Frontier,
    bundles: LocalBoxStream<'static, (Tile, anyhow::Result<Bytes>)>,
}

impl LogStream {
    pub(crate) async fn open(log: LogReader, policy: &LogPolicy) -> anyhow::Result<Self> {
        let (trusted, _) = log.head(policy).await?;
        let tree = ProvenTree::new(&log, trusted.checkpoint).await?;
        let bundles = bundles(&log, 0, tree.head.size);
        Ok(Self { log, tree, read: Frontier::default(), bundles })
    }

    /// What the log's checkpoints call it.
    pub(crate) fn origin(&self) -> &str {
        &self.tree.head.origin
    }

    /// How many entries the newest checkpoint covers.
    pub(crate) fn size(&self) -> u64 {
        self.tree.head.size
    }

    /// Looks for a newer checkpoint, and goes on from what was read.
    pub(crate) async fn refresh(&mut self, policy: &LogPolicy) -> anyhow::Result<()> {
        let (trusted, _) = self.log.head(policy).await?;
        let (head, read) = (trusted.checkpoint, self.read.size());
        ensure!(
            head.size >= read,
            "log `{}` has become shorter: it had {read} entries and has {}",
            self.log.name,
            head.size
        );
        self.tree = ProvenTree::new(&self.log, head).await?;
        self.bundles = bundles(&self.log, read, self.tree.head.size);
        Ok(())
    }

    /// The next entries; `None` after the last that are signed.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Bundle>> {
        let Some((tile, bytes)) = self.bundles.next().await else {
            if self.read.size() == self.size() && self.read.root() != self.tree.head.root {
                bail!("log `{}` is another history than the one read before", self.log.name);
            }
            return Ok(None);
        };
        let first = tile.index * TILE_WIDTH;
        let what = || format!("log `{}`, entries from {first}", self.log.name);
        let bytes = bytes.with_context(what)?;
        let leaves: Vec<Digest> =
            read_entries(&bytes, tile.width).with_context(what)?.into_iter().map(leaf_hash).collect();
        let proven = self.tree.proves(&self.log, &tile, &leaves).await.with_context(what)?;
        ensure!(proven, "{}: they are not what was signed; see `aecp audit verify`", what());
        let skip = self.read.size().saturating_sub(first) as usize;
        leaves.into_iter().skip(skip).for_each(|leaf| self.read.push(leaf));
        Ok(Some(Bundle { first: first + skip as u64, bytes, width: tile.width, skip }))
    }
}

fn bundles(
    log: &LogReader,
    from: u64,
    size: u64,
) -> LocalBoxStream<'static, (Tile, anyhow::Result<Bytes>)> {
    let log = log.clone();
    let due = (from / TILE_WIDTH..size.div_ceil(TILE_WIDTH)).filter(move |_| from < size);
    let fetch = move |index: u64| {
        let (log, tile) = (log.clone(), Tile::bundle(index * TILE_WIDTH, size));
        async move {
            let bytes = log.tile(&tile).await;
            (tile, bytes)
        }
    };
    stream::iter(due).map(fetch).buffered(AHEAD).boxed_local()
}

/// The tiles of a log on the way from its signed root to its entries: each one is proven by the one above it.
struct ProvenTree {
    head: Checkpoint,
    /// The unfinished tile of each level. Together they are the root.
    edge: Vec<Vec<Digest>>,
    /// Of each level the finished tile that was used last, with its number.
    full: Vec<Option<(u64, Vec<Digest>)>>,
}

impl ProvenTree {
    async fn new(log: &LogReader, head: Checkpoint) -> anyhow::Result<Self> {
        let mut edge = Vec::new();
        for level in 0..LEVELS {
            let count = head.size >> (8 * level);
            let (index, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
            edge.push(match width {
                0 => Vec::new(),
                _ => fetch(log, &Tile { level: Some(level), index, width }).await?,
            });
        }
        let root = Edge::new(head.size, edge.clone()).map(|edge| edge.root());
        ensure!(
            root == Some(head.root),
            "the tiles of log `{}` do not lead to the root that was signed; see `aecp audit verify`",
            log.name
        );
        Ok(Self { head, edge, full: vec![None; LEVELS.into()] })
    }

    /// Whether these are the hashes of the entries of a bundle.
    async fn proves(
        &mut self,
        log: &LogReader,
        bundle: &Tile,
        leaves: &[Digest],
    ) -> anyhow::Result<bool> {
        if bundle.width < TILE_WIDTH {
            return Ok(leaves == self.edge[0]);
        }
        Ok(root_of(leaves) == self.hash(log, 1, bundle.index).await?)
    }

    /// The hash `at` of a level.
    async fn hash(&mut self, log: &LogReader, level: u8, at: u64) -> anyhow::Result<Digest> {
        let place = |up: u8| at >> (8 * (up - level));
        // Up to a tile that is proven, and down again.
        let mut up = level;
        let mut hash = loop {
            match self.proven(up, place(up)) {
                Some(hash) => break hash,
                None if up + 1 < LEVELS => up += 1,
                None => bail!("the log is too small for this hash"),
            }
        };
        while up > level {
            up -= 1;
            let index = place(up) / TILE_WIDTH;
            let tile = Tile { level: Some(up), index, width: TILE_WIDTH };
            let hashes = fetch(log, &tile).await?;
            ensure!(root_of(&hashes) == hash, "`{}` is not what was signed", tile.path());
            hash = hashes[(place(up) % TILE_WIDTH) as usize];
            self.full[usize::from(up)] = Some((index, hashes));
        }
        Ok(hash)
    }

    fn proven(&self, level: u8, at: u64) -> Option<Digest> {
        let (index, level) = (at / TILE_WIDTH, usize::from(level));
        let tile = match &self.full[level] {
            Some((full, hashes)) if *full == index => hashes,
            _ if index == (self.head.size >> (8 * level)) / TILE_WIDTH => &self.edge[level],
            _ => return None,
        };
        tile.get((at % TILE_WIDTH) as usize).copied()
    }
}

async fn fetch(log: &LogReader, tile: &Tile) -> anyhow::Result<Vec<Digest>> {
    Ok(read_hashes(&log.tile(tile).await?, tile.width)?)
}

/// The root over the hashes of a full tile.
fn root_of(hashes: &[Digest]) -> Digest {
    let mut tree = Frontier::default();
    hashes.iter().for_each(|hash| tree.push(*hash));
    tree.root()
}
