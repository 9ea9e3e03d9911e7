//! Entries of a log on their way to where they are kept: one JSON object a line, and before an entry what opens its
//! commitments, so that no entry is durable without.

use std::collections::BTreeMap;

use aecp_contract::{
    audit::{self, ClockStep, Event, OpenedValue},
    value::Timestamp,
};

use super::{Entry, attributes::Attributes, openings};
use crate::clock::now;

/// By so many seconds the clock may go back unsaid: decisions are not written in the very order of their times.
const CLOCK_SECONDS: i64 = 1;

/// Lines that are written at once.
pub struct Block {
    lines: Vec<u8>,
    next_seq: u64,
    last_time: Option<Timestamp>,
}

impl Block {
    /// A block whose first entry has this number, after a decision of this time, if that is known.
    #[must_use]
    pub fn new(next_seq: u64, last_time: Option<Timestamp>) -> Self {
        Self { lines: Vec::new(), next_seq, last_time }
    }

    /// Appends a decision; `false` if it is longer than a log's entries can be.
    pub fn decision(&mut self, entry: &Entry, attributes: &mut Attributes) -> bool {
        // The times of decisions are compared with each other: those of other entries are of when they were written.
        if let Some(behind_ms) = self.last_time.and_then(|last| behind(last, entry.time)) {
            self.last_time = None;
            self.note(Event::Clock(ClockStep { behind_ms }));
        }
        let (record, opened) = attributes.record(entry);
        let written = self.push(entry.time, Event::Decision(Box::new(record)), opened);
        if written {
            self.last_time = Some(entry.time);
        }
        written
    }

    /// Appends what tells of no decision.
    pub fn note(&mut self, event: Event) {
        self.push(now(), event, BTreeMap::new());
    }

    fn push(
        &mut self,
        time: Timestamp,
        event: Event,
        mut opened: BTreeMap<String, OpenedValue>,
    ) -> bool {
        let seq = self.next_seq;
        let mut entry = audit::Entry { seq, time, event };
        let Some(json) = entry.fit() else { return false };
        if let Event::Decision(record) = &entry.event {
            opened.retain(|path, _| record.attributes.contains_key(path));
        }
        if !opened.is_empty() {
            openings::push_line(&mut self.lines, seq, opened);
        }
        self.lines.extend(json);
        self.lines.push(b'\n');
        self.next_seq += 1;
        true
    }

    /// The lines, each with its line feed.
    #[must_use]
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// The number of the entry after the last one.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The time of the last decision, if it is known.
    #[must_use]
    pub fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }
}

/// By how many milliseconds `time` is before `last`, where that is to be said.
fn behind(last: Timestamp, time: Timestamp) -> Option<u64> {
    let milliseconds =
        |time: Timestamp| i128::from(time.seconds) * 1000 + i128::from(time.nanoseconds / 1_000_000);
    let behind = milliseconds(last) - milliseconds(time);
    (behind > i128::from(CLOCK_SECONDS) * 1000).then(|| u64::try_from(behind).unwrap_or(u64::MAX))
}
