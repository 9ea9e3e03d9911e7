//! The thread that writes for all requests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aecp_contract::value::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{Entry, Job, log::Log};
use crate::{
    clock::now,
    decided::{Line, ReleaseId},
    metrics::Metrics,
};

/// Decisions that are written at once, at most.
const BATCH: usize = 1024;

/// The shortest time between two log lines about records that were lost.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    log: Box<dyn Log>,
    next_seq: u64,
    dropped: Arc<AtomicU64>,
    /// Records that were not kept, not yet said in the log.
    lost: u64,
    complained: Option<Instant>,
    metrics: Arc<Metrics>,
}

/// A decision's line.
#[derive(Serialize)]
struct Record<'a> {
    seq: u64,
    time: Timestamp,
    request_id: &'a str,
    point: &'a str,
    release: Option<ReleaseId>,
    #[serde(flatten)]
    line: Line<'a>,
    latency_us: u64,
}

/// The line that stands for records that could not be kept.
#[derive(Serialize)]
struct Gap {
    seq: u64,
    time: Timestamp,
    lost: u64,
}

impl Writer {
    pub(super) fn new(
        log: Box<dyn Log>,
        next_seq: u64,
        dropped: Arc<AtomicU64>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { log, next_seq, dropped, lost: 0, complained: None, metrics }
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
        let mut lines = Vec::new();
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        let mut seq = self.next_seq;
        let mut records = 0;
        self.lost += self.dropped.swap(0, Ordering::Relaxed);
        if self.lost > 0 {
            push(&mut lines, &Gap { seq, time: now(), lost: self.lost });
            seq += 1;
        }
        for job in batch.drain(..) {
            match job {
                Job::Flush(done) => waiting.push(done),
                Job::Write(entry, done) => {
                    // Whoever stopped waiting has answered with a denial, which the record must not contradict.
                    if done.as_ref().is_some_and(oneshot::Sender::is_closed) {
                        self.lost += 1;
                        continue;
                    }
                    push(&mut lines, &record(seq, &entry));
                    seq += 1;
                    records += 1;
                    waiting.extend(done);
                }
            }
        }
        match self.log.append(&lines, !waiting.is_empty()) {
            Ok(()) => {
                self.next_seq = seq;
                self.metrics.recorded(records);
                self.complain(None);
                self.lost = 0;
                for done in waiting {
                    let _ = done.send(());
                }
            }
            Err(error) => {
                // Dropping `waiting` tells each waiter that its record failed.
                self.lost += records;
                self.complain(Some(&error));
            }
        }
    }

    fn complain(&mut self, error: Option<&std::io::Error>) {
        let due = self.complained.is_none_or(|at| at.elapsed() > COMPLAINT_INTERVAL);
        if self.lost > 0 && due {
            self.complained = Some(Instant::now());
            let error = error.map_or_else(|| "the queue was full".to_owned(), ToString::to_string);
            tracing::error!(lost = self.lost, error, "decisions could not be recorded");
        }
    }
}

fn record(seq: u64, entry: &Entry) -> Record<'_> {
    Record {
        seq,
        time: entry.time,
        request_id: &entry.request_id,
        point: entry.point,
        release: entry.decided.release(),
        line: Line { decision: entry.decided.decision(), findings: entry.decided.findings() },
        latency_us: u64::try_from(entry.latency.as_micros()).unwrap_or(u64::MAX),
    }
}

fn push(lines: &mut Vec<u8>, record: &impl Serialize) {
    #[expect(clippy::expect_used, reason = "records are plain data with text keys")]
    serde_json::to_writer(&mut *lines, record).expect("a record is plain data");
    lines.push(b'\n');
}
