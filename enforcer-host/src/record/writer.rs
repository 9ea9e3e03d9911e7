//! The thread that writes for all requests.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aecp_contract::{
    audit::{Before, ClockStep, Event, Gap, GapReason, OpenedValue, Start},
    value::Timestamp,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    attributes::{AttributeRules, Attributes},
    openings,
    recorder::Job,
    spool::{Left, Log},
};
use crate::{clock::now, metrics::Metrics};

/// By so many seconds the clock may go back unsaid: decisions are not written in the very order of their times.
const CLOCK_SECONDS: i64 = 1;

/// Decisions that are written at once, at most.
const BATCH: usize = 1024;

/// The shortest time between two log lines about records that were lost.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

/// How long the log goes on without being told what the enforcer counts, at least.
const COUNT_INTERVAL: Duration = Duration::from_secs(60);

/// What the log itself calls this enforcer.
const ENFORCER: &str = concat!("aecp-enforcer ", env!("CARGO_PKG_VERSION"));

pub(super) struct Writer {
    log: Box<dyn Log>,
    next_seq: u64,
    /// The time of the last decision, if it is known.
    last_time: Option<Timestamp>,
    attributes: Attributes,
    /// How the last writer ended, until that is on record.
    after: Option<Before>,
    shared: Arc<Shared>,
    lost: Lost,
    complained: Option<Instant>,
    /// When the log was last told what the enforcer counts.
    counted: Instant,
    metrics: Arc<Metrics>,
}

/// What the writer shares with those who submit and who ship.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Optional records that found the queue full, since the writer last said so.
    pub(super) dropped: AtomicU64,
    /// Records that never got into the queue though their answers waited for it, likewise.
    pub(super) late: AtomicU64,
    /// What passed undecided, likewise.
    pub(super) undecided: AtomicU64,
    /// Whether the disk holds as many entries as it may that the store has not taken.
    pub(super) full: AtomicBool,
}

/// Records that were not kept, not yet said in the log.
#[derive(Default)]
struct Lost {
    queue: u64,
    disk: u64,
    spool: u64,
    late: u64,
    size: u64,
    /// Not lost, but never made.
    undecided: u64,
}

impl Lost {
    fn total(&self) -> u64 {
        self.queue + self.disk + self.spool + self.late + self.size
    }

    fn gaps(&self) -> impl Iterator<Item = Gap> {
        let reasons = [
            (self.queue, GapReason::Queue),
            (self.disk, GapReason::Disk),
            (self.spool, GapReason::Spool),
            (self.late, GapReason::Late),
            (self.size, GapReason::Size),
            (self.undecided, GapReason::Undecided),
        ];
        reasons.into_iter().filter(|(lost, _)| *lost > 0).map(|(lost, reason)| Gap { lost, reason })
    }
}

/// Entries on their way to the disk.
struct Block {
    lines: Vec<u8>,
    first: u64,
    count: u64,
    last_time: Option<Timestamp>,
}

impl Block {
    /// Appends an entry; `false` if it is longer than a log's entries can be.
    fn push(&mut self, time: Timestamp, event: Event) -> bool {
        self.push_opened(time, event, BTreeMap::new())
    }

    /// The same, with what opens its commitments, which stands before it so that none is durable without.
    fn push_opened(
        &mut self,
        time: Timestamp,
        event: Event,
        mut opened: BTreeMap<String, OpenedValue>,
    ) -> bool {
        // The times of decisions are compared with each other: those of other entries are of when they were written.
        let decision = matches!(event, Event::Decision(_));
        if decision && let Some(behind_ms) = self.last_time.and_then(|last| behind(last, time)) {
            self.last_time = None;
            self.push(time, Event::Clock(ClockStep { behind_ms }));
        }
        let seq = self.first + self.count;
        let mut entry = aecp_contract::audit::Entry { seq, time, event };
        let Some(json) = entry.fit() else { return false };
        if let Event::Decision(record) = &entry.event {
            opened.retain(|path, _| record.attributes.contains_key(path));
        }
        if !opened.is_empty() {
            openings::push_line(&mut self.lines, seq, opened);
        }
        self.lines.extend(json);
        self.lines.push(b'\n');
        self.count += 1;
        if decision {
            self.last_time = Some(time);
        }
        true
    }
}

impl Writer {
    pub(super) fn new(
        log: Box<dyn Log>,
        Left { next_seq, last_time, stopped }: Left,
        attributes: AttributeRules,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let after = match (next_seq, stopped) {
            (0, _) => Before::Nothing,
            (_, true) => Before::Stop,
            (_, false) => Before::Crash,
        };
        let lost = Lost::default();
        let counted = Instant::now();
        let attributes = Attributes::new(attributes);
        let after = Some(after);
        let complained = None;
        Self { log, next_seq, last_time, attributes, after, shared, lost, complained, counted, metrics }
    }

    /// Writes until every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = jobs.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            self.write(&mut batch);
        }
    }

    fn write(&mut self, batch: &mut Vec<Job>) {
        let (first, last_time) = (self.next_seq, self.last_time);
        let mut block = Block { lines: Vec::new(), first, count: 0, last_time };
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        let mut flushed: Vec<oneshot::Sender<u64>> = Vec::new();
        let mut stopping = false;
        if let Some(after) = self.after {
            block.push(now(), Event::Start(Start { enforcer: ENFORCER.to_owned(), after }));
        }
        self.lost.queue += self.shared.dropped.swap(0, Ordering::Relaxed);
        self.lost.late += self.shared.late.swap(0, Ordering::Relaxed);
        self.lost.undecided += self.shared.undecided.swap(0, Ordering::Relaxed);
        let full = self.shared.full.load(Ordering::Relaxed);
        let mut records = 0;
        for job in batch.drain(..) {
            match job {
                Job::Flush(done) => flushed.push(done),
                Job::Stop(done) => {
                    flushed.push(done);
                    stopping = true;
                }
                // Whoever stopped waiting has answered with a denial, which the record must not contradict.
                Job::Write(_, Some(done)) if done.is_closed() => self.lost.late += 1,
                // Dropping `done` tells the waiter that there is no record.
                Job::Write(..) if full => self.lost.spool += 1,
                Job::Write(entry, done) => {
                    let (record, opened) = self.attributes.record(&entry);
                    let event = Event::Decision(Box::new(record));
                    if block.push_opened(entry.time, event, opened) {
                        records += 1;
                        waiting.extend(done);
                    } else {
                        self.lost.size += 1;
                    }
                }
            }
        }
        // A full disk is not filled further by saying so all the time, but whoever carries the log must be told.
        let told = !full || !flushed.is_empty();
        for gap in self.lost.gaps().filter(|_| told) {
            block.push(now(), Event::Gap(gap));
        }
        let due = stopping || (!flushed.is_empty() && self.counted.elapsed() >= COUNT_INTERVAL);
        let counts = if due { self.metrics.coverage.take(stopping) } else { Vec::new() };
        for tally in &counts {
            block.push(now(), Event::Counts(tally.clone()));
        }
        let durable = !waiting.is_empty() || !flushed.is_empty();
        let written = self.log.append(&block.lines, block.count, durable);
        match &written {
            Ok(()) => {
                self.next_seq += block.count;
                self.last_time = block.last_time;
                self.after = None;
                self.metrics.recorded(records);
                self.complain(None);
                if told {
                    self.lost = Lost::default();
                }
                if due {
                    self.counted = Instant::now();
                }
                for done in waiting {
                    let _ = done.send(());
                }
            }
            Err(error) => {
                // Dropping `waiting` tells each waiter that its record failed.
                self.lost.disk += records;
                self.metrics.coverage.give_back(counts);
                self.complain(Some(error));
            }
        }
        if stopping && let Err(error) = self.log.stopped() {
            tracing::warn!(%error, "the decision log's orderly end cannot be noted");
        }
        if written.is_ok() {
            for done in flushed {
                let _ = done.send(self.next_seq);
            }
        }
    }

    fn complain(&mut self, error: Option<&std::io::Error>) {
        let due = self.complained.is_none_or(|at| at.elapsed() > COMPLAINT_INTERVAL);
        let lost = self.lost.total();
        if lost > 0 && due {
            self.complained = Some(Instant::now());
            let Lost { queue, disk, spool, late, size, .. } = self.lost;
            let error = error.map(ToString::to_string);
            tracing::error!(queue, disk, spool, late, size, error, "decisions could not be recorded");
        }
    }
}

/// By how many milliseconds `time` is before `last`, where that is to be said.
fn behind(last: Timestamp, time: Timestamp) -> Option<u64> {
    let milliseconds =
        |time: Timestamp| i128::from(time.seconds) * 1000 + i128::from(time.nanoseconds / 1_000_000);
    let behind = milliseconds(last) - milliseconds(time);
    (behind > i128::from(CLOCK_SECONDS) * 1000).then(|| u64::try_from(behind).unwrap_or(u64::MAX))
}
