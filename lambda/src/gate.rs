//! From an event to what becomes of it, and from an answer to what becomes of that: it passes, it passes in part or
//! changed, or it is denied. `aecp-enforcer` decides.

use std::{borrow::Cow, sync::Arc};

use aecp_contract::verdict::Decision;
use aecp_enforcer::{
    Decided, Enforcer, Reason,
    enforcer::Snapshot,
    obligations::Unfulfilled,
    record::{Answer, Recorder, RequestContext},
};
use bytes::Bytes;

use crate::{
    batch,
    config::Fail,
    denial::{Denial, Why},
    event::{Event, Records, Service},
    in_hand::{InHand, Way},
    notice,
    returned::Returned,
    telemetry::Telemetry,
};

/// What decides and what records.
pub(crate) struct Gate {
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) fail: Fail,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// What becomes of an event.
pub(crate) enum Outcome {
    /// The function is given this; its answer is to be looked at if something is in hand.
    Pass(Bytes, Option<InHand>),
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
        let event = Event::of(bytes);
        let wants_body = snapshot.set().is_some_and(|set| set.asks_for("body"));
        let all = 0..event.requests();
        let decided = all.map(|request| {
            snapshot.decide_read(|table, slots| event.read(request, table, slots, function, wants_body))
        });
        let mut ways = Vec::new();
        for way in self.ways(decided.collect(), context).await {
            ways.push(match way {
                Ok(way) if !way.decided().obliges_only_to_bodies() => {
                    Err(self.unfulfilled(&snapshot, &way, context).await)
                }
                way => way,
            });
        }
        let denied = ways.iter().find_map(|way| way.as_ref().err().cloned());
        let (given, failed) = match (&event, &denied) {
            (_, None) => (Some(bytes.clone()), Vec::new()),
            (Event::Records(records), _) if records.service == Service::Sqs => {
                partly(records, bytes, &mut ways)
            }
            _ => (None, Vec::new()),
        };
        let Some(given) = given else {
            let why = denied.unwrap_or_else(|| Why::code("denied"));
            return Outcome::Denied(Denial::of(&event, why));
        };
        let passing: Vec<(usize, Way)> =
            ways.into_iter().enumerate().filter_map(|(n, way)| Some((n, way.ok()?))).collect();
        let given = advised(&event, &given, passing.iter().map(|(_, way)| way));
        let asks = snapshot.set().is_some_and(|set| set.asks_for_answers());
        let requests = passing.iter().map(|(n, _)| *n).collect();
        let due: Vec<Way> = passing.into_iter().map(|(_, way)| way).filter(Way::obliges).collect();
        if !asks && due.is_empty() && failed.is_empty() {
            return Outcome::Pass(given, None);
        }
        let (context, function) = (context.clone(), function.to_owned());
        let event = bytes.clone();
        let in_hand = InHand { context, event, function, snapshot, requests, due, failed };
        Outcome::Pass(given, Some(in_hand))
    }

    /// The denial of an event that could not be read whole.
    pub(crate) async fn unread(&self, context: &RequestContext) -> Denial {
        let detail = "the event is too large, or ended early";
        let decided = self.enforcer.snapshot().deny(Reason::RequestTooLarge, detail);
        let answer = self.recorder.settle(decided, context).await;
        self.telemetry.decided(context, false);
        Denial::error(Why::of(answer.decided()))
    }

    /// Decides on the answer to an invocation, as far as policies look at answers. What is left to be done to its body is
    /// for [`Self::carried_out`].
    ///
    /// # Errors
    /// Why it is denied.
    pub(crate) async fn answer(
        &self,
        in_hand: &InHand,
        returned: &Returned<'_>,
        context: &RequestContext,
    ) -> Result<Vec<Way>, Why> {
        let Some(set) = in_hand.asking() else { return Ok(Vec::new()) };
        let event = Event::of(&in_hand.event);
        let wants_body = set.asks_for("body");
        let decided = in_hand.requests.iter().map(|request| {
            in_hand.snapshot.decide_read(|table, slots| {
                event.read(*request, table, slots, &in_hand.function, wants_body)?;
                returned.read(set, table, slots)?;
                set.set_egress(slots)
            })
        });
        self.ways(decided.collect(), context).await.into_iter().collect()
    }

    /// The body of an answer with all obligations carried out; `None` if it stays as it is.
    ///
    /// # Errors
    /// Why it is denied.
    pub(crate) async fn carried_out(
        &self,
        in_hand: &InHand,
        ways: &[Way],
        returned: &Returned<'_>,
        context: &RequestContext,
    ) -> Result<Option<Vec<u8>>, Why> {
        let Some(body) = returned.body() else { return Ok(None) };
        let mut changed = None;
        for way in in_hand.due.iter().chain(ways).filter(|way| way.obliges()) {
            let carried_out = match changed.as_deref().or(body) {
                Some(body) => way.carry_out(body).map(|body| match body {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(body) => Some(body),
                }),
                None => Err(Unfulfilled::NotJson),
            };
            match carried_out {
                Ok(Some(body)) => changed = Some(body),
                Ok(None) => {}
                Err(_) => return Err(self.unfulfilled(&in_hand.snapshot, way, context).await),
            }
        }
        Ok(changed)
    }

    /// The denial of an answer that was not even read.
    pub(crate) async fn unclear(
        &self,
        in_hand: &InHand,
        reason: Reason,
        context: &RequestContext,
    ) -> Why {
        let decided = in_hand.snapshot.deny(reason, "the function's answer");
        let answer = self.recorder.settle(decided, context).await;
        self.telemetry.decided(context, false);
        Why::of(answer.decided())
    }

    /// Records decisions and waits until they may leave.
    async fn ways(&self, decided: Vec<Decided>, context: &RequestContext) -> Vec<Result<Way, Why>> {
        let mut pending = Vec::with_capacity(decided.len());
        for decided in decided {
            let original = (self.fail == Fail::Open).then(|| decided.clone());
            pending.push((original, self.recorder.submit(decided, context).await));
        }
        let mut ways = Vec::with_capacity(pending.len());
        for (original, pending) in pending {
            let answer = pending.settled().await;
            let way = match (answer.permit().is_ok(), original) {
                (true, _) => Ok(Way::Permitted(answer)),
                (false, Some(original)) if may_open(&original, &answer) => {
                    self.undecided(context, Why::of(answer.decided()).code);
                    Ok(Way::Opened(Box::new(original)))
                }
                (false, _) => Err(Why::of(answer.decided())),
            };
            self.telemetry.decided(context, way.is_ok());
            ways.push(way);
        }
        ways
    }

    /// What was allowed under a condition that cannot be fulfilled is denied, and that is recorded, too.
    async fn unfulfilled(&self, snapshot: &Snapshot, way: &Way, context: &RequestContext) -> Why {
        let decided =
            snapshot.deny(Reason::ObligationUnsupported, "an obligation cannot be carried out");
        self.recorder.settle(decided, context).await;
        self.telemetry.decided(context, false);
        Why::unfulfilled(way.decided())
    }

    /// Counts what passes undecided, in the log of decisions, too.
    pub(crate) fn undecided(&self, context: &RequestContext, code: &'static str) {
        self.telemetry.undecided();
        self.recorder.undecided(context);
        tracing::error!(
            request_id = &*context.request_id,
            trace_id = context.trace_id.as_deref(),
            point = context.point,
            code,
            "passes undecided: AECP_FAIL is open"
        );
    }
}

/// Whether it was denied for the enforcer's own failure alone: there never was a release, or a decision that allows it
/// cannot be recorded.
fn may_open(original: &Decided, answer: &Answer) -> bool {
    match answer.decided().reason() {
        Some(Reason::NoRelease) => true,
        Some(Reason::AuditUnavailable) => original.decision() == Decision::Allow,
        _ => false,
    }
}

/// A batch without its denied messages, and their ids. A queue that keeps an order gets back all from the first of them on.
fn partly(
    records: &Records<'_>,
    bytes: &Bytes,
    ways: &mut [Result<Way, Why>],
) -> (Option<Bytes>, Vec<String>) {
    let mut blocked = None;
    let mut failed = Vec::new();
    let mut kept = Vec::new();
    for (record, way) in records.records.iter().zip(ways) {
        if let (Some(why), Ok(_)) = (&blocked, &way) {
            *way = Err(Why::clone(why));
        }
        match way {
            Ok(_) => kept.push(record.json),
            Err(why) => {
                blocked = record.is_fifo.then(|| why.clone());
                failed.extend(record.id.clone());
            }
        }
    }
    let text = std::str::from_utf8(bytes).ok().filter(|_| !kept.is_empty());
    let rest = text.and_then(|text| batch::with_only(text, records, kept.into_iter()));
    (rest.map(Bytes::from), failed)
}

/// The event with the names of the ADVISORY policies that it violates, if any.
fn advised<'w>(event: &Event<'_>, bytes: &Bytes, ways: impl Iterator<Item = &'w Way>) -> Bytes {
    let mut names = Vec::new();
    for way in ways {
        names.extend(way.decided().advisory().map(|policy| policy.name.as_str()));
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return bytes.clone();
    }
    notice::added(event, bytes, &names).map_or_else(|| bytes.clone(), Bytes::from)
}
