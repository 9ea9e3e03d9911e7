//! From an event to what becomes of it: it passes, it passes in part, or it is denied. `aecp-enforcer` decides.

use std::sync::Arc;

use aecp_contract::manifest::Enforcement;
use aecp_enforcer::{
    Enforcer, Reason,
    enforcer::Snapshot,
    record::{Answer, Recorder, RequestContext},
};
use bytes::Bytes;

use crate::{
    batch,
    denial::Denial,
    event::{Event, Records, Service},
    notice,
};

/// What decides and what records.
pub(crate) struct Gate {
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) recorder: Arc<Recorder>,
}

/// What becomes of an event.
pub(crate) enum Outcome {
    /// The function is given this.
    Pass(Bytes),
    /// The function is given this, and its answer is to name these messages as failed.
    Partly(Bytes, Vec<String>),
    /// The function is given nothing.
    Denied(Denial),
}

impl Gate {
    /// Decides on an event. All that is in it is decided by one release.
    pub(crate) async fn outcome(
        &self,
        bytes: &Bytes,
        function: &str,
        context: &RequestContext,
    ) -> Outcome {
        let snapshot = self.enforcer.snapshot();
        let wants_body = wants_body(&snapshot);
        let event = Event::of(bytes);
        let mut pending = Vec::with_capacity(event.requests());
        for request in 0..event.requests() {
            let decided = snapshot
                .decide_read(|table, slots| event.read(request, table, slots, function, wants_body));
            pending.push(self.recorder.submit(decided, context).await);
        }
        let mut answers = Vec::with_capacity(pending.len());
        for pending in pending {
            answers.push(pending.settled().await);
        }
        match answers.iter().find(|answer| !may_pass(answer)) {
            None => Outcome::Pass(advised(&event, bytes, &answers)),
            Some(denied) => match &event {
                Event::Records(records) if records.service == Service::Sqs => {
                    partly(&event, records, bytes, &answers)
                }
                _ => Outcome::Denied(Denial::of(&event, denied)),
            },
        }
    }

    /// The denial of an event that could not be read whole.
    pub(crate) async fn unread(&self, context: &RequestContext) -> Denial {
        let detail = "the event is too large, or ended early";
        let decided = self.enforcer.snapshot().deny(Reason::RequestTooLarge, detail);
        Denial::error(&self.recorder.settle(decided, context).await)
    }
}

/// Whether the policies look at bodies.
fn wants_body(snapshot: &Snapshot) -> bool {
    let is_of_body = |path: &str| path == "body" || path.starts_with("body.");
    snapshot.set().is_some_and(|set| set.manifest().attributes.iter().any(|a| is_of_body(&a.path)))
}

/// Allowed, with nothing to do first: the function would be given what is allowed only under a condition that nobody here
/// fulfils.
fn may_pass(answer: &Answer) -> bool {
    answer.permit().is_ok() && answer.decided().obligations().next().is_none()
}

/// A batch without its denied messages. A queue that keeps an order gets back all from the first of them on.
fn partly(event: &Event<'_>, records: &Records<'_>, bytes: &Bytes, answers: &[Answer]) -> Outcome {
    let mut blocked = false;
    let mut failed = Vec::new();
    let mut kept = Vec::new();
    for (record, answer) in records.records.iter().zip(answers) {
        if blocked || !may_pass(answer) {
            blocked = record.is_fifo;
            failed.extend(record.id.clone());
        } else {
            kept.push((record.json, answer.clone()));
        }
    }
    let text = std::str::from_utf8(bytes).ok().filter(|_| !kept.is_empty());
    let rest = text.and_then(|text| batch::with_only(text, records, kept.iter().map(|(json, _)| *json)));
    match rest {
        None => Outcome::Denied(Denial { body: batch::failed(&failed), error_type: None }),
        Some(rest) => {
            let answers: Vec<Answer> = kept.into_iter().map(|(_, answer)| answer).collect();
            Outcome::Partly(advised(event, &rest.into(), &answers), failed)
        }
    }
}

/// The event with the names of the ADVISORY policies that it violates, if any.
fn advised(event: &Event<'_>, bytes: &Bytes, answers: &[Answer]) -> Bytes {
    let violated = answers.iter().flat_map(|answer| answer.decided().violated());
    let advisory = violated.filter(|policy| policy.enforcement == Enforcement::Advisory);
    let mut names: Vec<&str> = advisory.map(|policy| policy.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return bytes.clone();
    }
    notice::added(event, bytes, &names).map_or_else(|| bytes.clone(), Bytes::from)
}
