//! The record of decisions: what a policy wants recorded is in the key-value store before its answer leaves.
//!
//! Each instance of the component writes a log of its own, in blocks: one value of the store holds the entries of one
//! decision, or of all that waited, one JSON object a line, and before an entry what opens its commitments. Nothing of a log
//! is changed, so that others can carry it on when its instance is gone ([`crate::ship`]).

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use aecp_contract::{
    audit::{Before, Event, Gap, GapReason, PointTally, ReleaseRef, Start, Tally},
    layout::Name,
    manifest::AuditLevel,
    tlog::{edge::Edge, merkle::leaf_hash, tile::TILE_WIDTH},
    value::Timestamp,
};
use aecp_enforcer::{
    Decided,
    record::{
        Answer, AttributeRules, Attributes, Block, Entry, RequestContext,
        openings::{self, Numbered},
    },
};

use crate::{
    key_value::{Failed, KeyValue},
    log,
};

/// Optional records that may wait for the next block.
const QUEUE: usize = 1024;

/// The most entries of one log that wait to be carried; beyond it, what must be recorded is denied.
const MAX_WAITING: usize = 4096;

/// What the log itself calls the component.
const ENFORCER: &str = concat!("aecp-spin ", env!("CARGO_PKG_VERSION"));

/// Below which the blocks of logs lie: `aecp-log/<log>/<number of the first entry>`.
pub(crate) const PREFIX: &str = "aecp-log/";

/// Writes decisions down.
pub(crate) struct Recorder {
    state: RefCell<State>,
}

struct State {
    log: Name,
    attributes: Attributes,
    started: bool,
    /// Entries that are in the store and not carried yet, the first one first.
    waiting: Waiting,
    /// The first entries of the blocks that are in the store.
    blocks: Vec<u64>,
    /// How many entries are carried.
    carried: u64,
    /// The store has no room for more.
    full: bool,
    queue: Vec<Arc<Entry>>,
    lost: BTreeMap<GapReason, u64>,
    last_time: Option<Timestamp>,
    seen: u64,
    decided: BTreeMap<(&'static str, Option<ReleaseRef>), (u64, u64)>,
}

/// Entries of one log, in their order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Waiting {
    /// The tree over all entries before the first: whole bundles.
    pub(crate) base: Edge,
    /// The number of the first.
    pub(crate) first: u64,
    pub(crate) entries: Vec<Vec<u8>>,
    /// What opens commitments, by the numbers of entries.
    pub(crate) openings: Numbered,
}

impl Waiting {
    /// Nothing, after these entries.
    pub(crate) fn after(base: Edge) -> Self {
        Self { first: base.size(), base, ..Self::default() }
    }

    /// The number of the next entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Adds the lines of a block.
    pub(crate) fn push_block(&mut self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match openings::of_line(line) {
                Some(opening) => self.openings.push((self.end(), opening.to_vec())),
                None => self.entries.push(line.to_vec()),
            }
        }
    }

    /// Adds those entries of a block that are not here yet.
    pub(crate) fn push_rest(&mut self, block: Self) {
        let (here, first) = (self.end(), block.first);
        let known = usize::try_from(here.saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries.extend(block.entries.into_iter().skip(known));
        self.openings.extend(block.openings.into_iter().filter(|(seq, _)| *seq >= here));
    }

    /// Lets go of the bundles that are whole.
    fn forget_whole(&mut self) {
        let count = self.entries.len() - self.entries.len() % TILE_WIDTH as usize;
        for entry in self.entries.drain(..count) {
            self.base.push(leaf_hash(&entry), &mut |_, _| ());
        }
        self.first += count as u64;
        let first = self.first;
        self.openings.retain(|(seq, _)| *seq >= first);
    }
}

/// The key of the block of a log that begins with this entry.
pub(crate) fn block_key(log: &Name, first: u64) -> String {
    format!("{PREFIX}{log}/{first:010}")
}

/// The key of the tree over those entries of a log whose blocks are gone, since they were carried.
pub(crate) fn edge_key(log: &Name) -> String {
    format!("{PREFIX}{log}/edge")
}

impl Recorder {
    /// A recorder of a new log of this name.
    pub(crate) fn new(log: Name, rules: AttributeRules) -> Self {
        let state = State {
            log,
            attributes: Attributes::new(rules),
            started: false,
            waiting: Waiting::default(),
            blocks: Vec::new(),
            carried: 0,
            full: false,
            queue: Vec::new(),
            lost: BTreeMap::new(),
            last_time: None,
            seen: 0,
            decided: BTreeMap::new(),
        };
        Self { state: RefCell::new(state) }
    }

    /// Records a decision as surely as its policies ask, and gives the answer that may leave.
    pub(crate) fn settle(
        &self,
        decided: Decided,
        context: &RequestContext,
        store: &impl KeyValue,
    ) -> Answer {
        let mut state = self.state.borrow_mut();
        let level = decided.audit();
        let release = decided.release().map(|id| ReleaseRef { serial: id.serial, digest: id.digest });
        state.seen += 1;
        let counted = state.decided.entry((context.point, release)).or_default();
        counted.0 += 1;
        counted.1 += u64::from(level == AuditLevel::None);
        let entry = Arc::new(Entry::new(decided, context));
        let is_recorded = match level {
            AuditLevel::None => true,
            AuditLevel::Optional => {
                if state.queue.len() < QUEUE {
                    state.queue.push(Arc::clone(&entry));
                } else {
                    state.lose(GapReason::Queue, 1);
                }
                true
            }
            AuditLevel::Required => state.write(Some(&entry), store),
        };
        entry.answer(is_recorded)
    }

    /// Whether entries wait to be written, or a gap.
    pub(crate) fn has_entries(&self) -> bool {
        let state = self.state.borrow();
        !state.queue.is_empty() || !state.lost.is_empty()
    }

    /// Writes what waits, and what was counted, if there is anything new to tell.
    pub(crate) fn flush(&self, store: &impl KeyValue) {
        let mut state = self.state.borrow_mut();
        if state.seen > 0 || !state.queue.is_empty() || !state.lost.is_empty() {
            state.write(None, store);
        }
    }

    /// The log's name, a copy of its entries from the last whole bundle on, and how many of all are carried.
    pub(crate) fn waiting(&self) -> (Name, Waiting, u64) {
        let state = self.state.borrow();
        (state.log.clone(), state.waiting.clone(), state.carried)
    }

    /// The log's name.
    pub(crate) fn name(&self) -> Name {
        self.state.borrow().log.clone()
    }

    /// So many entries are carried. Blocks of bundles that are whole go; the tree over them stays.
    pub(crate) fn carried(&self, count: u64, store: &impl KeyValue) {
        let mut state = self.state.borrow_mut();
        state.carried = count;
        let before = state.waiting.first;
        state.waiting.forget_whole();
        let State { log, waiting, blocks, .. } = &mut *state;
        if waiting.first == before {
            return;
        }
        let Ok(edge) = serde_json::to_vec(&waiting.base) else { return };
        if store.set(&edge_key(log), &edge).is_ok() {
            while let [first, next, ..] = blocks[..]
                && next <= waiting.first
            {
                let _ = store.delete(&block_key(log, first));
                blocks.remove(0);
            }
        }
    }

    /// Records were lost that were not this instance's own.
    pub(crate) fn lost(&self, reason: GapReason, count: u64) {
        self.state.borrow_mut().lose(reason, count);
    }

    /// Whether the store has no room for more records: what must be recorded is denied from now on.
    pub(crate) fn set_full(&self, full: bool) {
        self.state.borrow_mut().full = full;
    }
}

impl State {
    fn lose(&mut self, reason: GapReason, count: u64) {
        *self.lost.entry(reason).or_default() += count;
    }

    /// Writes a block: all that waits, and this decision, which must be recorded. Without one, also what was counted.
    /// Whether the decision is in the store.
    fn write(&mut self, required: Option<&Entry>, store: &impl KeyValue) -> bool {
        if self.full || self.waiting.entries.len() >= MAX_WAITING {
            self.lose(GapReason::Spool, u64::from(required.is_some()));
            return false;
        }
        let first = self.waiting.end();
        let mut block = Block::new(first, self.last_time);
        if !self.started {
            let start = Start { enforcer: ENFORCER.to_owned(), after: Before::Nothing };
            block.note(Event::Start(start));
        }
        for (reason, lost) in &self.lost {
            block.note(Event::Gap(Gap { lost: *lost, reason: *reason }));
        }
        let mut too_long = 0;
        for entry in &self.queue {
            too_long += u64::from(!block.decision(entry, &mut self.attributes));
        }
        let is_written = required.is_none_or(|entry| block.decision(entry, &mut self.attributes));
        too_long += u64::from(!is_written);
        if required.is_none() {
            block.note(Event::Counts(self.tally()));
        }
        match store.set(&block_key(&self.log, first), block.lines()) {
            Ok(()) => {
                self.waiting.push_block(block.lines());
                self.blocks.push(first);
                self.started = true;
                self.last_time = block.last_time();
                self.lost.clear();
                self.queue.clear();
                if too_long > 0 {
                    self.lose(GapReason::Size, too_long);
                }
                if required.is_none() {
                    self.seen = 0;
                    self.decided.clear();
                }
                is_written
            }
            Err(Failed(why)) => {
                log::warn("not_recorded", &why);
                // What waits goes on waiting; only who cannot wait is lost.
                if required.is_some() {
                    self.lose(GapReason::Disk, 1);
                }
                false
            }
        }
    }

    fn tally(&self) -> Tally {
        let counted =
            |(&(point, release), &(decided, unrecorded)): (&(&'static str, _), &(u64, u64))| {
                PointTally { point: point.to_owned(), release, decided, unrecorded }
            };
        Tally { seen: self.seen, decided: self.decided.iter().map(counted).collect(), last: false }
    }
}
