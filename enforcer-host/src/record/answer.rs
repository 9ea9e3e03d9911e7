//! A decision on its way to whoever asked: recorded as surely as its policies want, it permits or denies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aecp_contract::{value::Timestamp, verdict::Decision};

use crate::{
    clock::now,
    decided::{Decided, Reason},
};

/// Whose decision it is.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The caller's id for the request, or one that was made for it.
    pub request_id: Arc<str>,
    /// The trace that the request is part of: the trace id of a W3C `traceparent`.
    pub trace_id: Option<Arc<str>>,
    /// The point of enforcement, such as `access/v1/evaluation`.
    pub point: &'static str,
    /// When the request was there to be decided.
    pub started: Instant,
}

/// A decision as it is recorded and as subscribers see it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was decided.
    pub time: Timestamp,
    /// The request's id.
    pub request_id: Arc<str>,
    /// The trace that the request is part of.
    pub trace_id: Option<Arc<str>>,
    /// The point of enforcement.
    pub point: &'static str,
    /// How long it took to decide.
    pub latency: Duration,
    /// The decision.
    pub decided: Decided,
}

impl Entry {
    /// The entry of a decision that was made just now.
    #[must_use]
    pub fn new(decided: Decided, context: &RequestContext) -> Self {
        Self {
            time: now(),
            request_id: Arc::clone(&context.request_id),
            trace_id: context.trace_id.clone(),
            point: context.point,
            latency: context.started.elapsed(),
            decided,
        }
    }

    /// The answer: this decision if its record is as sure as [`Decided::audit`] asks, else a denial.
    #[must_use]
    pub fn answer(self: Arc<Self>, is_recorded: bool) -> Answer {
        if is_recorded {
            return Answer { entry: self };
        }
        let decided = Decided::denied(Reason::AuditUnavailable).by(self.decided.release());
        Answer { entry: Arc::new(Self { decided, ..(*self).clone() }) }
    }
}

/// A decision whose record is as sure as its policies ask. Only this may leave.
#[derive(Debug, Clone)]
pub struct Answer {
    entry: Arc<Entry>,
}

/// The proof that a request may go on. Nothing but an [`Answer`] gives one.
#[derive(Debug, Clone, Copy)]
pub struct Permit<'a> {
    decided: &'a Decided,
}

/// The reverse: the request may not go on.
#[derive(Debug, Clone, Copy)]
pub struct Denial<'a> {
    decided: &'a Decided,
}

impl Permit<'_> {
    /// The decision that permits, for records and obligations.
    #[must_use]
    pub fn decided(&self) -> &Decided {
        self.decided
    }
}

impl Denial<'_> {
    /// The decision that denies.
    #[must_use]
    pub fn decided(&self) -> &Decided {
        self.decided
    }
}

impl Answer {
    /// The permit, or the denial.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn permit(&self) -> Result<Permit<'_>, Denial<'_>> {
        let decided = &self.entry.decided;
        match decided.decision() {
            Decision::Allow => Ok(Permit { decided }),
            Decision::Deny => Err(Denial { decided }),
        }
    }

    /// The decision.
    #[must_use]
    pub fn decided(&self) -> &Decided {
        &self.entry.decided
    }

    #[cfg(feature = "host")]
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}
