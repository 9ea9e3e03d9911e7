//! What a replay came to.

use std::collections::BTreeMap;

use aecp_contract::verdict::Decision;

/// The sums over some of the decisions.
#[derive(Default)]
pub(super) struct Results {
    /// Recorded decisions.
    pub(super) decisions: u64,
    /// Those that were decided anew.
    pub(super) replayed: u64,
    /// Those of them that were denied and are allowed now, and the reverse.
    pub(super) now_allowed: u64,
    pub(super) now_denied: u64,
    /// By what the candidate decides now, and on account of whom.
    pub(super) by_cause: BTreeMap<(Decided, Cause), Flips>,
    pub(super) not_replayed: BTreeMap<NotReplayed, u64>,
    /// Releases whose attributes are not known, by serial, and why.
    pub(super) refused: BTreeMap<u64, String>,
}

/// The direction of a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decided {
    NowDenied,
    NowAllowed,
}

impl Decided {
    /// What was decided, and what is now.
    pub(super) fn decisions(self) -> (Decision, Decision) {
        match self {
            Self::NowDenied => (Decision::Allow, Decision::Deny),
            Self::NowAllowed => (Decision::Deny, Decision::Allow),
        }
    }
}

/// On account of whom a request is or was denied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// A policy.
    Policy(String),
    /// A module that denies by default.
    DefaultDeny(String),
    /// Policies that the record has no room for.
    Omitted,
}

/// Decisions that change on account of one policy.
pub(super) struct Flips {
    pub(super) count: u64,
    pub(super) example: Example,
}

/// The first of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Example {
    pub(super) log: String,
    pub(super) entry: u64,
    pub(super) request_id: String,
    /// One JSON object: what the candidate looked at.
    pub(super) request: String,
}

/// Why a decision was not replayed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotReplayed {
    /// This attribute is masked.
    Masked(String),
    /// Nothing opens this attribute's commitment any more.
    Erased(String),
    /// What is there to open this attribute's commitment is not what was committed to.
    WrongOpening(String),
    /// This attribute was no value of its type, which is not kept.
    Unusable(String),
    /// It is not known whether the request had this attribute.
    Unknown(String),
    /// It was denied without a verdict, for this reason.
    NoVerdict(String),
    /// A break-glass token lifted its denial.
    Excepted,
    /// The candidate gave no verdict.
    Failed(String),
}

impl NotReplayed {
    /// The code as JSON shows it, and the attribute or reason.
    pub(super) fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Masked(path) => ("masked", Some(path)),
            Self::Erased(path) => ("erased", Some(path)),
            Self::WrongOpening(path) => ("wrong_opening", Some(path)),
            Self::Unusable(path) => ("unusable", Some(path)),
            Self::Unknown(path) => ("unknown", Some(path)),
            Self::NoVerdict(reason) => ("no_verdict", Some(reason)),
            Self::Excepted => ("excepted", None),
            Self::Failed(why) => ("failed", Some(why)),
        }
    }
}

impl Results {
    pub(super) fn flips(&self) -> u64 {
        self.now_allowed + self.now_denied
    }

    /// The part of the replayed decisions that changed.
    pub(super) fn share(&self) -> f64 {
        if self.replayed == 0 { 0.0 } else { self.flips() as f64 / self.replayed as f64 }
    }

    /// Counts a flip. The example is only made where it is an earlier one than is known.
    pub(super) fn flip(
        &mut self,
        now: Decided,
        causes: Vec<Cause>,
        place: (&str, u64),
        example: impl Fn() -> Example,
    ) {
        match now {
            Decided::NowDenied => self.now_denied += 1,
            Decided::NowAllowed => self.now_allowed += 1,
        }
        for cause in causes {
            let flips = self
                .by_cause
                .entry((now, cause))
                .or_insert_with(|| Flips { count: 0, example: example() });
            flips.count += 1;
            if place < (flips.example.log.as_str(), flips.example.entry) {
                flips.example = example();
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.replayed += other.replayed;
        self.now_allowed += other.now_allowed;
        self.now_denied += other.now_denied;
        for (why, count) in other.not_replayed {
            *self.not_replayed.entry(why).or_default() += count;
        }
        self.refused.extend(other.refused);
        for (cause, flips) in other.by_cause {
            match self.by_cause.entry(cause) {
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(flips)),
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.count += flips.count;
                    known.example = known.example.clone().min(flips.example);
                }
            }
        }
    }
}
