//! How a log lies in files: its hashes in tiles of 256, its entries in bundles of 256.
//!
//! Source: <https://c2sp.org/tlog-tiles>.

use std::collections::BTreeMap;

use super::{TlogError, edge::subtree_root, merkle::Subtree};
use crate::digest::Digest;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree that a tile spans.
const TILE_HEIGHT: u32 = 8;

/// The most bytes of an entry: bundles give its length in 16 bits.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// A file of a log: a tile of hashes, or a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// The level of its hashes, counted in tiles; `None` for a bundle of entries.
    pub level: Option<u8>,
    /// Its number among those of its level, from 0.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to [`TILE_WIDTH`].
    pub width: u64,
}

impl Tile {
    /// The path below the log's own, such as `tile/0/x001/234.p/5`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = match self.level {
            Some(level) => format!("tile/{level}/"),
            None => "tile/entries/".to_owned(),
        };
        let digits = self.index.to_string();
        let digits = format!("{}{digits}", "0".repeat((3 - digits.len() % 3) % 3));
        for (at, _) in digits.char_indices().step_by(3) {
            let more = if at + 3 < digits.len() { "x" } else { "" };
            path.push_str(more);
            path.push_str(&digits[at..at + 3]);
            if !more.is_empty() {
                path.push('/');
            }
        }
        if self.width < TILE_WIDTH {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }

    /// The tile with the hash or entry `at` of its level, as a log with so many of them has it.
    fn of(level: Option<u8>, at: u64, count: u64) -> Self {
        let index = at / TILE_WIDTH;
        Self { level, index, width: (count - index * TILE_WIDTH).min(TILE_WIDTH) }
    }

    /// The bundle with the entry `index` of a log of `size` entries; `index` is below `size`.
    #[must_use]
    pub fn bundle(index: u64, size: u64) -> Self {
        Self::of(None, index, size)
    }

    /// The files that a log of `size` entries has and the one of its first `old` entries has not: bundles first, then
    /// tiles level by level, so that whoever writes them in this order never has a hash without what is below it.
    pub fn grown(old: u64, size: u64) -> impl Iterator<Item = Self> {
        let levels = (0_u8..8).map(|level| (Some(level), u32::from(level) * TILE_HEIGHT));
        std::iter::once((None, 0)).chain(levels).flat_map(move |(level, shift)| {
            let (old, size) = (old >> shift, size >> shift);
            let tiles = if old < size { old / TILE_WIDTH..size.div_ceil(TILE_WIDTH) } else { 0..0 };
            tiles.map(move |index| Self::of(level, index * TILE_WIDTH, size))
        })
    }
}

/// The hashes that a tile's bytes are.
///
/// # Errors
/// [`TlogError::Malformed`] if they are not `width` of them.
pub fn read_hashes(bytes: &[u8], width: u64) -> Result<Vec<Digest>, TlogError> {
    match bytes.as_chunks::<32>() {
        (hashes, []) if hashes.len() as u64 == width => {
            Ok(hashes.iter().map(|hash| Digest::from(*hash)).collect())
        }
        _ => {
            let why = format!("it has {} bytes where {width} hashes are due", bytes.len());
            Err(TlogError::malformed("a tile", why))
        }
    }
}

/// Appends an entry to a bundle; `None` if it is above [`MAX_ENTRY_BYTES`].
#[must_use]
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    bundle.extend(u16::try_from(entry.len()).ok()?.to_be_bytes());
    bundle.extend(entry);
    Some(())
}

/// The entries that a bundle's bytes are.
///
/// # Errors
/// [`TlogError::Malformed`] if they are not `width` of them.
pub fn read_entries(mut bytes: &[u8], width: u64) -> Result<Vec<&[u8]>, TlogError> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let Some((entry, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        entries.push(entry);
        bytes = rest;
        if entries.len() as u64 > width {
            break;
        }
    }
    if bytes.is_empty() && entries.len() as u64 == width {
        return Ok(entries);
    }
    let why = format!("it holds {} whole entries where {width} are due", entries.len());
    Err(TlogError::malformed("a bundle of entries", why))
}

/// The hashes of a log of a certain size, read from its tiles as they are asked for.
pub struct TiledHashes<F> {
    size: u64,
    fetch: F,
    tiles: BTreeMap<(u8, u64), Vec<Digest>>,
}

impl<F, E> TiledHashes<F>
where
    F: FnMut(&Tile) -> Result<Vec<u8>, E>,
    E: From<TlogError>,
{
    /// Over the tiles of a log of `size` entries; `fetch` gives a tile's bytes.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, tiles: BTreeMap::new() }
    }

    /// The hash of a complete subtree within the size.
    ///
    /// # Errors
    /// Those of `fetch`; [`TlogError::Malformed`] for a tile that has not the size that is due.
    pub fn hash(&mut self, subtree: Subtree) -> Result<Digest, E> {
        let level = subtree.level / TILE_HEIGHT;
        let count = 1_u64 << (subtree.level % TILE_HEIGHT);
        let outside = || TlogError::malformed("a tile", "the log is too small for this hash");
        let first = subtree.index.checked_mul(count).ok_or_else(outside)?;
        let there = self.size.checked_shr(level * TILE_HEIGHT).unwrap_or(0);
        if first.checked_add(count).is_none_or(|end| end > there) {
            return Err(outside().into());
        }
        let level = u8::try_from(level).map_err(|_| outside())?;
        let tile = Tile::of(Some(level), first, there);
        let hashes = match self.tiles.entry((level, tile.index)) {
            std::collections::btree_map::Entry::Occupied(tile) => tile.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let bytes = (self.fetch)(&tile)?;
                place.insert(read_hashes(&bytes, tile.width)?)
            }
        };
        let start = (first % TILE_WIDTH) as usize;
        Ok(subtree_root(hashes[start..start + count as usize].to_vec()))
    }
}

/// Why a proof cannot be made from the tiles that are at hand.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// It needs this one: fetch it, and make the proof anew. Making proofs is not asynchronous, fetching may be.
    #[error("the tile `{}` is needed", .0.path())]
    Needs(Tile),
    /// A tile is not what it must be.
    #[error(transparent)]
    Wrong(#[from] TlogError),
}

/// The hashes of a log of `size` entries, out of the tiles that are at hand.
pub fn hashes_at_hand<B: AsRef<[u8]>>(
    size: u64,
    tiles: &BTreeMap<Tile, B>,
) -> TiledHashes<impl FnMut(&Tile) -> Result<Vec<u8>, Unmade>> {
    TiledHashes::new(size, |tile: &Tile| {
        tiles.get(tile).map(|bytes| bytes.as_ref().to_vec()).ok_or(Unmade::Needs(*tile))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(level: impl Into<Option<u8>>, index: u64, width: u64) -> Tile {
        Tile { level: level.into(), index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(tile(3, 0, 256).path(), "tile/3/000");
        assert_eq!(tile(1, 999, 17).path(), "tile/1/999.p/17");
        assert_eq!(tile(None, 1000, 1).path(), "tile/entries/x001/000.p/1");
    }

    /// The two examples of the specification.
    #[test]
    fn a_tree_of_70_000_entries_has_the_tiles_that_the_specification_counts() {
        let tiles: Vec<_> = Tile::grown(0, 70_000).filter(|tile| tile.level.is_some()).collect();
        let of = |level| tiles.iter().filter(move |tile| tile.level == Some(level));
        assert_eq!(of(0).filter(|tile| tile.width == 256).count(), 273);
        assert_eq!(of(0).next_back(), Some(&tile(0, 273, 112)));
        assert_eq!(of(1).collect::<Vec<_>>(), [&tile(1, 0, 256), &tile(1, 1, 17)]);
        assert_eq!(of(2).collect::<Vec<_>>(), [&tile(2, 0, 1)]);
        let small: Vec<_> = Tile::grown(0, 256).collect();
        assert_eq!(small, [tile(None, 0, 256), tile(0, 0, 256), tile(1, 0, 1)]);
    }

    #[test]
    fn bundles_read_back_and_bad_ones_are_refused() {
        let mut bundle = Vec::new();
        push_entry(&mut bundle, b"one").unwrap();
        push_entry(&mut bundle, b"").unwrap();
        assert_eq!(bundle, b"\0\x03one\0\0");
        assert_eq!(read_entries(&bundle, 2).unwrap(), [b"one".as_slice(), b""]);
        assert!(read_entries(&bundle, 1).is_err() && read_entries(&bundle, 3).is_err());
        assert!(read_entries(&bundle[..6], 2).is_err(), "half a length");
        assert!(read_entries(&bundle[..4], 1).is_err(), "half an entry");
        assert_eq!(push_entry(&mut bundle, &vec![0; 65_536]), None);
    }
}
