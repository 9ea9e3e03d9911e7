//! The recorder of a process: one thread writes for all requests.
//!
//! It takes what is queued, writes it as one block, has it made durable once if any of it must be, and then lets the
//! answers go.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use aecp_contract::{manifest::AuditLevel, verdict::Decision};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    answer::{Answer, Entry, RequestContext},
    attributes::AttributeRules,
    spool::{self, LogError, Spool},
    writer,
};
use crate::{
    decided::{Decided, Reason, ReleaseId},
    metrics::Metrics,
};

/// Decisions that may wait to be written.
const QUEUE: usize = 16_384;

/// So many of them may wait with all that their requests said; beyond it only with as much as this, so that a slow disk
/// does not fill the memory.
const CROWD: usize = 1024;
const CROWDED_BYTES: usize = 4 << 10;

/// Decisions that a subscriber may lag behind before it misses some.
const SUBSCRIPTION: usize = 1024;

/// How long an answer waits for its record.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);

/// What is recorded, and what if it cannot be.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// How much of what requests said.
    pub attributes: AttributeRules,
    /// Whether decisions that may go unrecorded (`AUDIT: OPTIONAL`) wait for their record all the same, and are denied
    /// without it.
    pub deny_unrecorded: bool,
}

/// Writes decisions down.
pub struct Recorder {
    queue: mpsc::Sender<Job>,
    events: broadcast::Sender<Arc<Entry>>,
    metrics: Arc<Metrics>,
    shared: Arc<writer::Shared>,
    deny_unrecorded: bool,
}

/// What the writer is asked for.
pub(super) enum Job {
    /// Write it; where somebody waits, say when it is durable.
    Write(Arc<Entry>, Option<oneshot::Sender<()>>),
    /// Make everything before this durable, and say how many entries that are.
    Flush(oneshot::Sender<u64>),
    /// The same; nothing comes after it.
    Stop(oneshot::Sender<u64>),
}

/// A record that waits for the queue. If it does not get there, or its caller goes away meanwhile, it is counted as lost.
struct Unqueued<'a>(Option<&'a writer::Shared>);

impl Drop for Unqueued<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.late.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A decision on its way into the record.
pub struct Pending {
    entry: Arc<Entry>,
    /// Where the answer must wait: told when its record is durable.
    durable: Option<oneshot::Receiver<()>>,
    events: broadcast::Sender<Arc<Entry>>,
    metrics: Arc<Metrics>,
    started: Instant,
}

impl Recorder {
    /// A recorder that appends to the log in `folder`, with its thread running until the last handle to it is gone.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn start(folder: &Path, recording: Recording, metrics: Arc<Metrics>) -> Result<Self, LogError> {
        let (spool, before) = Spool::open(folder)?;
        Self::start_with(Box::new(spool), before, recording, metrics)
    }

    fn start_with(
        log: Box<dyn spool::Log>,
        before: spool::Left,
        recording: Recording,
        metrics: Arc<Metrics>,
    ) -> Result<Self, LogError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let shared = Arc::new(writer::Shared::default());
        let Recording { attributes, deny_unrecorded } = recording;
        let writer =
            writer::Writer::new(log, before, attributes, Arc::clone(&shared), Arc::clone(&metrics));
        thread::Builder::new()
            .name("aecp-record".to_owned())
            .spawn(move || writer.run(jobs))
            .map_err(LogError::Thread)?;
        let events = broadcast::Sender::new(SUBSCRIPTION);
        Ok(Self { queue, events, metrics, shared, deny_unrecorded })
    }

    /// Each decision as it is answered, for whoever looks on; a slow reader misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.events.subscribe()
    }

    /// Records a decision and waits until it may leave.
    pub async fn settle(&self, decided: Decided, context: &RequestContext) -> Answer {
        self.submit(decided, context).await.settled().await
    }

    /// Queues a decision for the record. Several of one batch are queued first and waited for together.
    pub async fn submit(&self, mut decided: Decided, context: &RequestContext) -> Pending {
        let latency = context.started.elapsed();
        let level = decided.audit();
        let audit = match level {
            AuditLevel::Optional if self.deny_unrecorded => AuditLevel::Required,
            level => level,
        };
        if self.queue.capacity() < QUEUE - CROWD {
            decided.forget_above(CROWDED_BYTES);
        }
        let release = decided.release().map(ReleaseId::to_ref);
        self.metrics.coverage.decided(context.point, release, level);
        let entry = Arc::new(Entry { latency, ..Entry::new(decided, context) });
        let durable = match audit {
            AuditLevel::None => None,
            AuditLevel::Optional => {
                if self.queue.try_send(Job::Write(Arc::clone(&entry), None)).is_err() {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    self.metrics.record_dropped();
                }
                None
            }
            AuditLevel::Required => {
                let (done, durable) = oneshot::channel();
                let job = Job::Write(Arc::clone(&entry), Some(done));
                let mut unqueued = Unqueued(Some(&self.shared));
                // If the queue is full or closed, `done` is dropped and `durable` reads as a failure.
                if self.queue.send_timeout(job, DURABLE_WITHIN).await.is_ok() {
                    unqueued.0 = None;
                }
                Some(durable)
            }
        };
        Pending {
            entry,
            durable,
            events: self.events.clone(),
            metrics: Arc::clone(&self.metrics),
            started: context.started,
        }
    }

    /// Counts a request that its point of enforcement let pass undecided, as it was configured to. The log says so in a gap.
    pub fn undecided(&self, context: &RequestContext) {
        self.metrics.coverage.seen();
        self.metrics.coverage.decided(context.point, None, AuditLevel::Optional);
        self.shared.undecided.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the disk has no room for more entries: what must be recorded is denied from now on.
    pub(crate) fn set_full(&self, full: bool) {
        self.shared.full.store(full, Ordering::Relaxed);
    }

    /// Waits until everything recorded so far is durable, and says how many entries the log has; `None` if the writer
    /// failed.
    pub async fn flush(&self) -> Option<u64> {
        self.ask(Job::Flush).await
    }

    /// The same, and notes in the log that it stopped in order. Nothing is to be recorded after it.
    pub async fn stop(&self) -> Option<u64> {
        self.ask(Job::Stop).await
    }

    async fn ask(&self, job: impl FnOnce(oneshot::Sender<u64>) -> Job) -> Option<u64> {
        let (done, flushed) = oneshot::channel();
        self.queue.send_timeout(job(done), DURABLE_WITHIN).await.ok()?;
        tokio::time::timeout(DURABLE_WITHIN, flushed).await.ok()?.ok()
    }
}

impl Pending {
    /// The decision, which must not leave yet.
    pub(crate) fn decision(&self) -> Decision {
        self.entry.decided.decision()
    }

    /// Waits until the decision may leave. If its record cannot be made durable in time, that is a denial.
    pub async fn settled(self) -> Answer {
        let recorded = match self.durable {
            None => true,
            Some(durable) => {
                matches!(tokio::time::timeout(DURABLE_WITHIN, durable).await, Ok(Ok(())))
            }
        };
        let answer = self.entry.answer(recorded);
        let entry = answer.entry();
        self.metrics.answered(&entry.decided, entry.latency, self.started.elapsed());
        tracing::debug!(
            request_id = &*entry.request_id,
            point = entry.point,
            decision = entry.decided.decision().as_str(),
            reason = entry.decided.reason().map(Reason::as_str),
            "decided"
        );
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(Arc::clone(entry));
        }
        answer
    }
}

#[cfg(test)]
mod tests;
