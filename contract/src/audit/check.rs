//! Checks a whole log against its signed checkpoint, and names what was changed.

use std::collections::BTreeSet;

use super::{Entry, Event, ReleaseRef};
use crate::{
    digest::Digest,
    tlog::{
        checkpoint::Checkpoint,
        merkle::{Frontier, leaf_hash},
        tile::{TILE_WIDTH, Tile, read_entries, read_hashes},
    },
};

/// The most faults that are told; a log with more is beyond telling.
pub const MAX_FAULTS: usize = 1_000;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry that it is about, or the first of those.
    pub index: u64,
    /// What kind.
    pub kind: FaultKind,
    /// In words.
    pub detail: String,
}

/// The kinds of faults. Their codes never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The entry is not the one that the log's tree has at this place.
    Changed,
    /// The file with the entry is missing, or ends too early.
    Truncated,
    /// The entry's own number is not its place: entries were dropped, added or put in another order.
    OutOfSequence,
    /// The entry is none.
    Unreadable,
    /// The tile of hashes is not the one that the tree has, although the entries are.
    TileChanged,
    /// The entries do not lead to the root that was signed.
    WrongRoot,
    /// Two checkpoints that the log signed are not of one history.
    Forked,
    /// The release that decided is not known, or not signed.
    UnknownRelease,
}

impl FaultKind {
    /// The code as JSON and scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Truncated => "truncated",
            Self::OutOfSequence => "out_of_sequence",
            Self::Unreadable => "unreadable",
            Self::TileChanged => "tile_changed",
            Self::WrongRoot => "wrong_root",
            Self::Forked => "forked",
            Self::UnknownRelease => "unknown_release",
        }
    }
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Decisions.
    pub decisions: u64,
    /// Of these, denials.
    pub denials: u64,
    /// Gaps.
    pub gaps: u64,
    /// Decisions lost in gaps.
    pub lost: u64,
    /// Times that an enforcer began to write after a crash.
    pub crashes: u64,
    /// The releases that decided.
    pub releases: BTreeSet<ReleaseRef>,
}

/// Reads a log from its first entry to its last, bundle by bundle, against a checkpoint that is trusted.
#[derive(Debug)]
pub struct LogCheck {
    head: Checkpoint,
    /// Other heads that the log signed, by size, the largest first.
    earlier: Vec<Checkpoint>,
    /// Over the entries as they are.
    entries: Frontier,
    /// Over the hashes of the tiles as they are.
    hashes: Frontier,
    /// Entries whose hash is not the tile's.
    differing: Vec<u64>,
    faults: Vec<Fault>,
    counts: Counts,
}

impl LogCheck {
    /// A check against the newest head, and against earlier ones that the log signed too.
    #[must_use]
    pub fn new(head: Checkpoint, mut earlier: Vec<Checkpoint>) -> Self {
        earlier.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size));
        let mut check = Self {
            head,
            earlier,
            entries: Frontier::default(),
            hashes: Frontier::default(),
            differing: Vec::new(),
            faults: Vec::new(),
            counts: Counts::default(),
        };
        check.compare_earlier();
        check
    }

    /// The bundle to read next, which is also the number of the tile of its hashes; `None` when all was read.
    #[must_use]
    pub fn next(&self) -> Option<Tile> {
        let size = self.entries.size();
        (size < self.head.size).then(|| Tile::bundle(size, self.head.size))
    }

    /// Takes the next bundle's bytes and those of the tile with its hashes; `None` for what is not there. Each entry
    /// that can be read goes to `seen`.
    pub fn take(
        &mut self,
        bundle: Option<&[u8]>,
        tile: Option<&[u8]>,
        seen: &mut dyn FnMut(&Entry, &[u8]),
    ) {
        let Some(due) = self.next() else { return };
        let first = due.index * TILE_WIDTH;
        let hashes = tile.and_then(|bytes| read_hashes(bytes, due.width).ok());
        if hashes.is_none() {
            self.fault(first, FaultKind::TileChanged, "its tile of hashes is missing or cannot be read");
        }
        let entries = match bundle.map(|bytes| read_entries(bytes, due.width)) {
            Some(Ok(entries)) => entries,
            Some(Err(error)) => {
                self.fault(first, FaultKind::Truncated, error.to_string());
                Vec::new()
            }
            None => {
                self.fault(first, FaultKind::Truncated, "its bundle of entries is missing");
                Vec::new()
            }
        };
        for at in 0..due.width {
            let (index, place) = (first + at, at as usize);
            let entry = entries.get(place).copied();
            let leaf = entry.map(leaf_hash);
            let hash = hashes.as_ref().map(|hashes| hashes[place]);
            if let Some(entry) = entry {
                self.read(index, entry, seen);
            }
            if leaf != hash && leaf.is_some() && hash.is_some() {
                self.differing.push(index);
            }
            // What is not there is taken from the other, so that the rest can still be judged.
            let fallback = leaf.or(hash).unwrap_or_else(|| leaf_hash(b""));
            self.entries.push(leaf.unwrap_or(fallback));
            self.hashes.push(hash.unwrap_or(fallback));
            self.compare_earlier();
        }
    }

    fn read(&mut self, index: u64, bytes: &[u8], seen: &mut dyn FnMut(&Entry, &[u8])) {
        let entry = match Entry::from_json(bytes) {
            Ok(entry) => entry,
            Err(why) => return self.fault(index, FaultKind::Unreadable, why),
        };
        if entry.seq != index {
            let detail = format!("it says that it is entry {}", entry.seq);
            self.fault(index, FaultKind::OutOfSequence, detail);
        }
        match &entry.event {
            Event::Start(start) => self.counts.crashes += u64::from(start.after == super::Before::Crash),
            Event::Gap(gap) => {
                self.counts.gaps += 1;
                self.counts.lost = self.counts.lost.saturating_add(gap.lost);
            }
            Event::Counts(_) | Event::Clock(_) => {}
            Event::Decision(decision) => {
                self.counts.decisions += 1;
                self.counts.denials += u64::from(decision.decision == crate::verdict::Decision::Deny);
                self.counts.releases.extend(decision.release);
            }
        }
        seen(&entry, bytes);
    }

    /// Compares the earlier heads of the size that is reached.
    fn compare_earlier(&mut self) {
        let size = self.entries.size();
        while let Some(earlier) = self.earlier.pop_if(|earlier| earlier.size <= size) {
            let root = earlier.root;
            if earlier.origin != self.head.origin
                || (root != self.entries.root() && root != self.hashes.root())
            {
                let detail = format!("the checkpoint of size {} is of another history", earlier.size);
                self.fault(earlier.size, FaultKind::Forked, detail);
            }
        }
    }

    fn fault(&mut self, index: u64, kind: FaultKind, detail: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { index, kind, detail: detail.into() });
        }
    }

    /// What the log holds, and all that does not hold, in the order of the entries. Entries that were not read by now
    /// are truncated.
    #[must_use]
    pub fn finish(mut self) -> (Counts, Vec<Fault>) {
        if self.entries.size() < self.head.size {
            let at = self.entries.size();
            self.fault(at, FaultKind::Truncated, "the log was not read to its end");
        }
        let root: &Digest = &self.head.root;
        let (by_entries, by_hashes) = (self.entries.root() == *root, self.hashes.root() == *root);
        let differing = std::mem::take(&mut self.differing);
        match (by_entries, by_hashes) {
            // The tree is whole, so what differs from it was changed.
            (_, true) => {
                for index in differing {
                    self.fault(index, FaultKind::Changed, "it is not the entry that was signed");
                }
            }
            (true, false) => {
                for index in differing {
                    let detail = "its hash in the tile is not the one that was signed";
                    self.fault(index, FaultKind::TileChanged, detail);
                }
            }
            (false, false) => {
                let told = differing.first().copied();
                for index in differing {
                    self.fault(
                        index,
                        FaultKind::Changed,
                        "entry and tile differ, and neither was signed",
                    );
                }
                let detail = "neither the entries nor the tiles lead to the root that was signed";
                self.fault(told.unwrap_or(0), FaultKind::WrongRoot, detail);
            }
        }
        for earlier in std::mem::take(&mut self.earlier) {
            let detail = format!("a checkpoint of size {} was signed, above the newest", earlier.size);
            self.fault(earlier.size, FaultKind::Forked, detail);
        }
        self.faults.sort_by_key(|fault| (fault.index, fault.kind));
        (self.counts, self.faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Before, Gap, GapReason, Start},
        tlog::tile::push_entry,
        value::Timestamp,
    };

    const SIZE: u64 = 600;

    fn entry(seq: u64) -> Vec<u8> {
        let event = if seq == 0 {
            Event::Start(Start { enforcer: "e".into(), after: Before::Nothing })
        } else {
            Event::Gap(Gap { lost: seq, reason: GapReason::Queue })
        };
        let time: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        Entry { seq, time, event }.to_json().unwrap()
    }

    fn log() -> Vec<Vec<u8>> {
        (0..SIZE).map(entry).collect()
    }

    fn head(entries: &[Vec<u8>]) -> Checkpoint {
        let mut tree = Frontier::default();
        entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
        Checkpoint { origin: "log".into(), size: entries.len() as u64, root: tree.root() }
    }

    /// Checks `entries` with tiles over `tiled` against the heads of the true log.
    fn faults(
        entries: &[Vec<u8>],
        tiled: &[Vec<u8>],
        earlier: Vec<Checkpoint>,
    ) -> Vec<(u64, FaultKind)> {
        let mut check = LogCheck::new(head(&log()), earlier);
        while let Some(due) = check.next() {
            let start = (due.index * TILE_WIDTH) as usize;
            let end = start + due.width as usize;
            let mut bundle = Vec::new();
            for entry in entries.get(start..end.min(entries.len())).unwrap_or_default() {
                push_entry(&mut bundle, entry).unwrap();
            }
            let tile: Vec<u8> =
                tiled[start..end].iter().flat_map(|entry| *leaf_hash(entry).as_bytes()).collect();
            check.take(Some(&bundle), Some(&tile), &mut |_, _| {});
        }
        check.finish().1.into_iter().map(|fault| (fault.index, fault.kind)).collect()
    }

    #[test]
    fn a_whole_log_has_no_fault_and_is_counted() {
        assert_eq!(faults(&log(), &log(), vec![head(&log()[..1]), head(&log()[..300])]), []);
    }

    #[test]
    fn what_was_done_to_a_log_is_named_with_its_place() {
        use FaultKind::{Changed, Forked, OutOfSequence, TileChanged, Truncated, Unreadable, WrongRoot};
        let good = log();
        let with = |at: usize, bytes: Vec<u8>| {
            let mut entries = log();
            entries[at] = bytes;
            entries
        };
        let flipped = with(400, String::from_utf8(entry(400)).unwrap().replace("400", "401").into());
        assert_eq!(faults(&flipped, &good, vec![]), [(400, Changed), (400, OutOfSequence)]);
        let other = with(400, String::from_utf8(entry(400)).unwrap().replace("queue", "disk").into());
        assert_eq!(faults(&other, &good, vec![]), [(400, Changed)]);
        assert_eq!(faults(&good, &other, vec![]), [(400, TileChanged)]);
        assert_eq!(faults(&other, &other, vec![]), [(0, WrongRoot)]);
        // Earlier checkpoints narrow down where it was changed.
        let earlier = vec![head(&good[..300]), head(&good[..450])];
        assert_eq!(faults(&other, &other, earlier), [(0, WrongRoot), (450, Forked)]);
        assert_eq!(faults(&with(9, b"{".to_vec()), &good, vec![]), [(9, Changed), (9, Unreadable)]);
        let mut swapped = log();
        swapped.swap(20, 21);
        let expected = [(20, Changed), (20, OutOfSequence), (21, Changed), (21, OutOfSequence)];
        assert_eq!(faults(&swapped, &good, vec![]), expected);
        assert_eq!(faults(&good[..599], &good, vec![]), [(512, Truncated)]);
        let mut dropped = log();
        dropped.remove(512);
        assert_eq!(faults(&dropped, &good, vec![])[0], (512, Truncated));
        let fork = Checkpoint { root: leaf_hash(b"fork"), ..head(&good[..300]) };
        assert_eq!(faults(&good, &good, vec![fork]), [(300, Forked)]);
        let later = Checkpoint { size: SIZE + 1, ..head(&good) };
        assert_eq!(faults(&good, &good, vec![later]), [(SIZE + 1, Forked)]);
    }

    #[test]
    fn missing_files_are_named_and_the_rest_is_still_checked() {
        let mut check = LogCheck::new(head(&log()), vec![]);
        let mut seen = 0;
        while let Some(due) = check.next() {
            let entries = &log()[(due.index * 256) as usize..][..due.width as usize];
            let mut bundle = Vec::new();
            entries.iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
            let tile: Vec<u8> = entries.iter().flat_map(|entry| *leaf_hash(entry).as_bytes()).collect();
            let bundle = (due.index != 1).then_some(bundle.as_slice());
            let tile = (due.index != 2).then_some(tile.as_slice());
            check.take(bundle, tile, &mut |_, _| seen += 1);
        }
        let (counts, faults) = check.finish();
        assert_eq!(seen, 600 - 256);
        assert_eq!(counts.gaps, 600 - 256 - 1);
        let kinds: Vec<_> = faults.iter().map(|fault| (fault.index, fault.kind)).collect();
        assert_eq!(kinds, [(256, FaultKind::Truncated), (512, FaultKind::TileChanged)]);
    }
}
