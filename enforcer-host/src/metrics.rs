//! What `/metrics` shows, in the names that Prometheus users expect.

use std::{sync::atomic::AtomicU64, time::Duration};

use aecp_contract::{refusal::Code, release::Release, verdict::Decision};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{
    coverage::Coverage,
    decided::{Decided, Reason},
    module::Execution,
};

/// The `reason` label of decisions that the policies made themselves.
const BY_POLICY: &str = "policy";

/// The counters of one enforcer.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    decision_seconds: Histogram,
    answer_seconds: Histogram,
    refusals: Family<CodeLabel, Counter>,
    polls: Family<OutcomeLabel, Counter>,
    store_polls: Family<StoreLabels, Counter>,
    swaps: Counter,
    release_serial: Gauge<u64, AtomicU64>,
    release_expires: Gauge,
    release_native: Gauge<u64, AtomicU64>,
    records: Counter,
    records_dropped: Counter,
    state_write_failures: Counter,
    audit_shipped: Gauge<u64, AtomicU64>,
    audit_ship_failures: Counter,
    audit_witness_failures: Counter,
    requests: Family<RequestLabels, Counter>,
    pub(crate) coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    decision: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    /// Its URL, without credentials.
    store: String,
    /// `unchanged`, `swapped`, or the code of the refusal.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    path: &'static str,
    status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        let decisions = Family::<DecisionLabels, Counter>::default();
        // 1 µs to 33 ms, and 16 µs to 0.5 s.
        let decision_seconds = Histogram::new(exponential_buckets(1e-6, 2.0, 16));
        let answer_seconds = Histogram::new(exponential_buckets(16e-6, 2.0, 16));
        let refusals = Family::<CodeLabel, Counter>::default();
        // A counter that is there at zero can be alerted on.
        for code in Code::ALL {
            drop(refusals.get_or_create(&CodeLabel { code: code.as_str() }));
        }
        let polls = Family::<OutcomeLabel, Counter>::default();
        let store_polls = Family::<StoreLabels, Counter>::default();
        let swaps = Counter::default();
        let release_serial = Gauge::default();
        let release_expires = Gauge::default();
        let release_native = Gauge::default();
        let records = Counter::default();
        let records_dropped = Counter::default();
        let state_write_failures = Counter::default();
        let audit_shipped = Gauge::default();
        let audit_ship_failures = Counter::default();
        let audit_witness_failures = Counter::default();
        let requests = Family::<RequestLabels, Counter>::default();

        let mut registry = Registry::with_prefix("aecp");
        let r = &mut registry;
        r.register("decisions", "Decisions by outcome and reason", decisions.clone());
        r.register_with_unit(
            "decision",
            "Time from a request's body to its decision",
            Unit::Seconds,
            decision_seconds.clone(),
        );
        r.register_with_unit(
            "answer",
            "Time from a request's body to its recorded answer",
            Unit::Seconds,
            answer_seconds.clone(),
        );
        r.register("refusals", "Releases, roots and modules refused, by code", refusals.clone());
        r.register("polls", "Looks for a newer release, by outcome", polls.clone());
        r.register(
            "store_polls",
            "Looks for a newer release, by store and outcome or code of the refusal",
            store_polls.clone(),
        );
        r.register("swaps", "Releases taken up", swaps.clone());
        r.register("release_serial", "The serial of the release that serves", release_serial.clone());
        r.register(
            "release_expires_timestamp_seconds",
            "When the release that serves expires",
            release_expires.clone(),
        );
        r.register(
            "release_native",
            "1 if the release that serves runs as machine code, 0 if it is interpreted",
            release_native.clone(),
        );
        r.register("records", "Decisions recorded", records.clone());
        r.register("records_dropped", "Optional records dropped", records_dropped.clone());
        r.register(
            "state_write_failures",
            "Releases that could not be remembered for the next start",
            state_write_failures.clone(),
        );
        r.register(
            "audit_shipped_entries",
            "Entries of the decision log that the store has under a signed checkpoint",
            audit_shipped.clone(),
        );
        r.register(
            "audit_ship_failures",
            "Times that the decision log could not be carried to the store",
            audit_ship_failures.clone(),
        );
        r.register(
            "audit_witness_failures",
            "Times that a witness did not cosign a checkpoint of the decision log",
            audit_witness_failures.clone(),
        );
        r.register("http_requests", "HTTP requests by path and status", requests.clone());
        Self {
            registry,
            decisions,
            decision_seconds,
            answer_seconds,
            refusals,
            polls,
            store_polls,
            swaps,
            release_serial,
            release_expires,
            release_native,
            records,
            records_dropped,
            state_write_failures,
            audit_shipped,
            audit_ship_failures,
            audit_witness_failures,
            requests,
            coverage: Coverage::default(),
        }
    }
}

impl Metrics {
    /// The text that Prometheus scrapes (OpenMetrics).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        #[expect(clippy::expect_used, reason = "writing to a string cannot fail")]
        text::encode(&mut out, &self.registry).expect("a string takes all text");
        out
    }

    pub(crate) fn answered(&self, decided: &Decided, decision: Duration, answer: Duration) {
        let labels = DecisionLabels {
            decision: match decided.decision() {
                Decision::Allow => "allow",
                Decision::Deny => "deny",
            },
            reason: decided.reason().map_or(BY_POLICY, Reason::as_str),
        };
        self.decisions.get_or_create(&labels).inc();
        self.decision_seconds.observe(decision.as_secs_f64());
        self.answer_seconds.observe(answer.as_secs_f64());
    }

    pub(crate) fn refused(&self, code: Code) {
        self.refusals.get_or_create(&CodeLabel { code: code.as_str() }).inc();
    }

    pub(crate) fn polled(&self, outcome: &'static str) {
        self.polls.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn store_polled(&self, store: &str, outcome: &'static str) {
        let labels = StoreLabels { store: store.to_owned(), outcome };
        self.store_polls.get_or_create(&labels).inc();
    }

    pub(crate) fn swapped(&self, serial: u64, release: &Release, execution: &Execution) {
        self.swaps.inc();
        self.release_serial.set(serial);
        self.release_expires.set(release.expires.seconds);
        self.release_native.set(u64::from(*execution == Execution::Native));
    }

    pub(crate) fn recorded(&self, records: u64) {
        self.records.inc_by(records);
    }

    pub(crate) fn record_dropped(&self) {
        self.records_dropped.inc();
    }

    pub(crate) fn state_write_failed(&self) {
        self.state_write_failures.inc();
    }

    pub(crate) fn shipped(&self, entries: u64) {
        self.audit_shipped.set(entries);
    }

    pub(crate) fn ship_failed(&self) {
        self.audit_ship_failures.inc();
    }

    pub(crate) fn witness_failed(&self) {
        self.audit_witness_failures.inc();
    }

    pub(crate) fn requested(&self, path: &'static str, status: u16) {
        self.requests.get_or_create(&RequestLabels { path, status }).inc();
    }
}
