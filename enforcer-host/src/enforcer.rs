//! The enforcer: which release serves now, and decisions by it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aecp_contract::{
    layout::Name,
    manifest::Point,
    refusal::Refusal,
    release::Release,
    request::{AttributeTable, AuthZenRequest, RequestError},
    slots::SlotBuffer,
    value::Timestamp,
};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    clock::now,
    decided::{Decided, Reason, ReleaseId},
    metrics::Metrics,
    policy::PolicyPre,
};

/// A verified release, loaded and ready.
#[derive(Debug)]
pub struct Active {
    /// Which one it is.
    pub id: ReleaseId,
    /// When and for whom it is.
    pub release: Release,
    /// Its policies.
    pub set: Arc<PolicyPre>,
}

/// What serves one channel: the last good release, or nothing yet.
#[derive(Debug)]
pub struct Enforcer {
    channel: Name,
    /// The point of enforcement where it stands, if that is known.
    point: Option<Point>,
    active: RwLock<Option<Arc<Active>>>,
    last_refusal: Mutex<Option<LastRefusal>>,
    swaps: watch::Sender<Option<ReleaseId>>,
    metrics: Arc<Metrics>,
    explains: bool,
}

/// The refusal that the last poll ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRefusal {
    /// Its constant code.
    pub code: &'static str,
    /// What was wrong.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// How the enforcer stands, as `/healthz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// `serving`, or why every request is denied: `no_release` or `release_stale`.
    pub status: &'static str,
    /// The channel.
    pub channel: Name,
    /// The release's serial.
    pub serial: Option<u64>,
    /// SHA-256 of its signed envelope.
    pub release: Option<aecp_contract::digest::Digest>,
    /// After this no host takes it up any more.
    pub expires: Option<Timestamp>,
    /// After this every request is denied.
    pub stale: Option<Timestamp>,
    /// How many policies it has.
    pub policies: Option<usize>,
    /// Whether policies of the release ask for a point of enforcement that only requests can say ([`Enforcer::point`]).
    pub lacks_point: bool,
    /// `native`, or `interpreted`: the same decisions, some ten times slower.
    pub execution: Option<&'static str>,
    /// Why the newest release in the store was not taken up; `None` after a good poll. Of several stores, none was good.
    pub last_refusal: Option<LastRefusal>,
}

/// The status of an enforcer that decides.
pub const SERVING: &str = "serving";

impl Enforcer {
    /// An enforcer that has no release yet and denies everything. `point` is where it stands, if that is known.
    #[must_use]
    pub fn new(channel: Name, point: Option<Point>, metrics: Arc<Metrics>) -> Self {
        Self {
            channel,
            point,
            active: RwLock::default(),
            last_refusal: Mutex::default(),
            swaps: watch::Sender::new(None),
            metrics,
            explains: false,
        }
    }

    /// The same, which fetches with each release what explains its decisions, and tells callers who ask.
    #[must_use]
    pub fn explaining(self, explains: bool) -> Self {
        Self { explains, ..self }
    }

    /// Whether it explains its decisions.
    #[must_use]
    pub fn explains(&self) -> bool {
        self.explains
    }

    /// What decides now. Whoever decides several requests that belong together takes one snapshot for all.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let metrics = Arc::clone(&self.metrics);
        let Some(active) = self.active() else {
            return Snapshot { release: None, usable: Err(Reason::NoRelease), metrics };
        };
        let release = Some(active.id);
        if now() > active.release.stale {
            return Snapshot { release, usable: Err(Reason::ReleaseStale), metrics };
        }
        Snapshot { release, usable: Ok(Arc::clone(&active.set)), metrics }
    }

    /// The release that serves, stale or not.
    #[must_use]
    pub fn active(&self) -> Option<Arc<Active>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves this release from now on. Requests in flight are decided by the one that they started with.
    pub fn swap(&self, active: Active) {
        let id = active.id;
        self.metrics.swapped(id.serial, &active.release, active.set.execution());
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(active));
        self.swaps.send_replace(Some(id));
    }

    /// Which release serves, and each change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<ReleaseId>> {
        self.swaps.subscribe()
    }

    /// Remembers how a poll ended.
    pub(crate) fn note_poll(&self, refusal: Option<&Refusal>) {
        let mut last = self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner);
        *last = refusal.map(|refusal| LastRefusal {
            code: refusal.code.as_str(),
            detail: refusal.detail.clone(),
            at: now(),
        });
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let active = self.active();
        let release = active.as_ref().map(|active| &active.release);
        Status {
            status: self.snapshot().usable.map_or_else(Reason::as_str, |_| SERVING),
            channel: self.channel.clone(),
            serial: active.as_ref().map(|active| active.id.serial),
            release: active.as_ref().map(|active| active.id.digest),
            expires: release.map(|release| release.expires),
            stale: release.map(|release| release.stale),
            policies: active.as_ref().map(|active| active.set.manifest().policies.len()),
            lacks_point: active.as_ref().is_some_and(|active| active.set.lacks_point()),
            execution: active.as_ref().map(|active| active.set.execution().as_str()),
            last_refusal: self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// The point of enforcement where it stands, if that is known.
    #[must_use]
    pub fn point(&self) -> Option<Point> {
        self.point
    }

    /// The metrics that it counts in.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}

/// One release, or the reason why there is none to decide with.
#[derive(Debug, Clone)]
pub struct Snapshot {
    release: Option<ReleaseId>,
    usable: Result<Arc<PolicyPre>, Reason>,
    metrics: Arc<Metrics>,
}

impl Snapshot {
    /// Decides on a request in the plain form: one JSON object of attributes.
    #[must_use]
    pub fn decide_json(&self, json: &[u8]) -> Decided {
        self.decide(|set| set.decide_json(json))
    }

    /// Decides on a request of the OpenID AuthZEN Authorization API 1.0.
    #[must_use]
    pub fn decide_authzen(&self, request: &AuthZenRequest<'_>) -> Decided {
        self.decide(|set| set.decide_authzen(request))
    }

    /// Decides on slots that were filled for this very release ([`Self::set`]).
    #[must_use]
    pub fn decide_slots(&self, slots: &SlotBuffer) -> Decided {
        self.decide(|set| set.decide_slots(slots))
    }

    /// Decides on a request that `read` reads into the slots of its attributes, which are empty at first. The time and the
    /// point of enforcement are filled in.
    #[must_use]
    pub fn decide_read(
        &self,
        read: impl FnOnce(&AttributeTable, &mut SlotBuffer) -> Result<(), RequestError>,
    ) -> Decided {
        self.decide(|set| set.decide_read(read))
    }

    /// The policies, if there are any to decide with.
    #[must_use]
    pub fn set(&self) -> Option<&Arc<PolicyPre>> {
        self.usable.as_ref().ok()
    }

    /// A denial of what is not even a request.
    #[must_use]
    pub fn deny(&self, reason: Reason, detail: &str) -> Decided {
        self.metrics.coverage.seen();
        Decided::denied_because(reason, detail).by(self.release)
    }

    fn decide(&self, decide: impl FnOnce(&Arc<PolicyPre>) -> Decided) -> Decided {
        self.metrics.coverage.seen();
        match &self.usable {
            Ok(set) => decide(set),
            Err(reason) => Decided::denied(*reason),
        }
        .by(self.release)
    }
}
