//! The thread that writes for all requests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aecp_contract::{
    audit::{Before, Event, Gap, GapReason, Start},
    value::Timestamp,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    attributes::{AttributeRules, Attributes},
    block::Block,
    recorder::Job,
    spool::{Left, Log},
};
use crate::metrics::Metrics;

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
        let mut block = Block::new(self.next_seq, self.last_time);
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        let mut flushed: Vec<oneshot::Sender<u64>> = Vec::new();
        let mut stopping = false;
        if let Some(after) = self.after {
            block.note(Event::Start(Start { enforcer: ENFORCER.to_owned(), after }));
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
                    if block.decision(&entry, &mut self.attributes) {
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
            block.note(Event::Gap(gap));
        }
        let due = stopping || (!flushed.is_empty() && self.counted.elapsed() >= COUNT_INTERVAL);
        let counts = if due { self.metrics.coverage.take(stopping) } else { Vec::new() };
        for tally in &counts {
            block.note(Event::Counts(tally.clone()));
        }
        let durable = !waiting.is_empty() || !flushed.is_empty();
        let written = self.log.append(block.lines(), block.next_seq() - self.next_seq, durable);
        match &written {
            Ok(()) => {
                self.next_seq = block.next_seq();
                self.last_time = block.last_time();
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
