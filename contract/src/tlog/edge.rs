//! The right edge of a log's tree: what a writer must keep to go on writing tiles.

use serde::{Deserialize, Serialize};

use super::{
    merkle::{self, Subtree, node_hash},
    tile::{TILE_WIDTH, Tile},
};
use crate::digest::Digest;

/// The unfinished tiles of a log, level by level. With them the next entries' tiles, and the root, can be made without
/// reading anything back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    size: u64,
    /// The hashes of each level's unfinished tile, fewer than [`TILE_WIDTH`].
    levels: Vec<Vec<Digest>>,
}

impl Edge {
    /// The edge of a log of `size` entries with the hashes of each level's unfinished tile, the lowest level first; `None` if
    /// their number does not fit.
    #[must_use]
    pub fn new(size: u64, levels: Vec<Vec<Digest>>) -> Option<Self> {
        let edge = Self { size, levels };
        edge.is_sound().then_some(edge)
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the levels are those of a log of this size; an edge that was read back may be anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let due = |level: usize| {
            let shift = u32::try_from(level).unwrap_or(u32::MAX).saturating_mul(8);
            self.size.checked_shr(shift).unwrap_or(0) % TILE_WIDTH
        };
        (0..self.levels.len().max(8))
            .all(|level| self.levels.get(level).map_or(0, Vec::len) as u64 == due(level))
    }

    /// Appends the hash of an entry. Tiles that this finishes go to `finished`, with their bytes, lowest first.
    pub fn push(&mut self, leaf: Digest, finished: &mut dyn FnMut(Tile, Vec<u8>)) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8..8 {
            let place = usize::from(level);
            if self.levels.len() == place {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[place];
            hashes.push(hash);
            if (hashes.len() as u64) < TILE_WIDTH {
                return;
            }
            let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
            let tile = Tile { level: Some(level), index, width: TILE_WIDTH };
            let full = std::mem::take(hashes);
            finished(tile, bytes(&full));
            hash = subtree_root(full);
        }
    }

    /// The unfinished tiles with their bytes, lowest first: what must be written beside the finished ones before the
    /// root is signed.
    pub fn unfinished(&self) -> impl Iterator<Item = (Tile, Vec<u8>)> {
        (0_u8..).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()).map(|(level, hashes)| {
            let index = (self.size >> (8 * u32::from(level))) / TILE_WIDTH;
            (Tile { level: Some(level), index, width: hashes.len() as u64 }, bytes(hashes))
        })
    }

    /// The root of the tree as it is.
    #[must_use]
    pub fn root(&self) -> Digest {
        // The largest complete subtrees of the whole are exactly what the unfinished tiles hold.
        let mut read = |Subtree { level, index }| -> Result<Digest, std::convert::Infallible> {
            let count = 1_u64 << (level % 8);
            let first = ((index * count) % TILE_WIDTH) as usize;
            Ok(subtree_root(self.levels[(level / 8) as usize][first..first + count as usize].to_vec()))
        };
        let Ok(root) = merkle::root(self.size, &mut read);
        root
    }
}

/// The root over a power of two of hashes.
pub(super) fn subtree_root(mut row: Vec<Digest>) -> Digest {
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row[0]
}

fn bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tlog::{
        TlogError,
        merkle::{Frontier, leaf_hash},
        tile::TiledHashes,
    };

    /// Whatever the steps in which it grows, the files are those that the specification lists, and lead to the root.
    #[test]
    fn tiles_written_step_by_step_hold_the_whole_tree() {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (mut edge, mut frontier) = (Edge::default(), Frontier::default());
        for growth in [0, 1, 3, 251, 1, 1, 600, 66_000, 7] {
            let old = edge.size();
            let mut written = Vec::new();
            for n in old..old + growth {
                let leaf = leaf_hash(&n.to_be_bytes());
                frontier.push(leaf);
                edge.push(leaf, &mut |tile, bytes| written.push((tile, bytes)));
            }
            written.extend(edge.unfinished().filter(|(tile, _)| !files.contains_key(&tile.path())));
            let size = edge.size();
            assert!(edge.is_sound());
            assert_eq!(edge.root(), frontier.root(), "{size}");
            let mut paths: Vec<_> = written.iter().map(|(tile, _)| *tile).collect();
            paths.sort();
            let mut due: Vec<_> = Tile::grown(old, size).filter(|tile| tile.level.is_some()).collect();
            due.sort();
            assert_eq!(paths, due);
            files.extend(written.into_iter().map(|(tile, bytes)| (tile.path(), bytes)));
            let fetch = |tile: &Tile| {
                files
                    .get(&tile.path())
                    .cloned()
                    .ok_or_else(|| TlogError::malformed("a tile", tile.path()))
            };
            let mut hashes = TiledHashes::new(size, fetch);
            assert_eq!(merkle::root(size, &mut |subtree| hashes.hash(subtree)), Ok(frontier.root()));
            let json = serde_json::to_vec(&edge).unwrap();
            edge = serde_json::from_slice(&json).unwrap();
        }
        let mut other = edge.clone();
        other.size += 1;
        assert!(!other.is_sound());
    }
}
