//! What changes from one set to another: which policies mean something else than they did, and which requests are
//! decided otherwise, each with a request that shows it.
//!
//! A policy's meaning is what it makes of every request (whether its scope is TRUE, FALSE or UNKNOWN, and so
//! `scope AND NOT constraint`), and what follows from that: its ENFORCEMENT, AUDIT, EXCEPTION, AT, EFFECTIVE and
//! obligations, and whether its module denies by DEFAULT. How it is written is not. The solver decides it; requests are
//! shown only after the generated modules of both sets and the reference evaluator have confirmed them, and what is not
//! proven is said to be not decided.

mod decisions;
mod evidence;
mod fields;
mod meaning;
#[cfg(test)]
mod tests;
mod versions;

use aecp_contract::value::Type;
use serde::Serialize;

pub use self::{evidence::Outcome, versions::versions};
use self::{
    evidence::{Evidence, Sample},
    meaning::Meaning,
};
use crate::{
    analyse::{Joint, Side, table, type_differs},
    compile::CompileError,
    set::PolicySet,
};

/// What changes from one set to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Every policy of either set, in byte order of their names.
    pub policies: Vec<PolicyDiff>,
    /// Attributes whose values are of another type than they were.
    pub attributes: Vec<TypeChange>,
    /// Requests that were allowed and are denied.
    pub denied: Decisions,
    /// Requests that were denied and are allowed.
    pub allowed: Decisions,
}

/// What became of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyDiff {
    /// Its name.
    pub policy: String,
    /// What became of it.
    pub change: Change,
    /// Its fields that say something else, whether that changes its meaning or not; none if it was added or removed.
    pub fields: Vec<FieldChange>,
    /// Requests of which it says something else; each shows one way in which it changed.
    pub shown: Vec<Shown>,
    /// Why it is not decided what it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It means something else.
    Changed,
    /// Whether it means the same could not be decided.
    NotDecided,
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// It means the same in other words, or is described otherwise.
    Reworded,
    /// It says the same.
    Same,
}

/// A field that says something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its keyword; `OBLIGATIONS` stands for MASK, REDACT, HASH, FILTER and LIMIT.
    pub field: &'static str,
    /// What it said, as it is written; `None` if it was not there.
    pub before: Option<String>,
    /// What it says; `None` if it is not there.
    pub after: Option<String>,
}

/// A request of which a policy says something else than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The request, a JSON object as `aecp decide` reads it.
    #[serde(serialize_with = "evidence::as_json")]
    pub request: String,
    /// What the policy was to it.
    pub before: Outcome,
    /// What the policy is to it.
    pub after: Outcome,
}

/// An attribute of another type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TypeChange {
    /// The attribute.
    pub path: String,
    /// The type it had.
    #[serde(serialize_with = "evidence::as_text")]
    pub before: Type,
    /// The type it has.
    #[serde(serialize_with = "evidence::as_text")]
    pub after: Type,
}

/// Decisions that change in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Decisions {
    /// Requests that show it: for each policy that has a part in it at least one, but at most 1,000.
    pub shown: Vec<DecisionChange>,
    /// What could not be decided. Where this and `shown` are empty, no request changes its decision in this direction:
    /// that is proven.
    pub not_decided: Vec<Undecided>,
}

/// A request that is decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionChange {
    /// The request, a JSON object as `aecp decide` reads it.
    #[serde(serialize_with = "evidence::as_json")]
    pub request: String,
    /// The policies that deny it where it is denied, in byte order.
    pub by: Vec<String>,
    /// The modules whose `DEFAULT: DENY` denies it there.
    pub by_default_of: Vec<String>,
}

/// A question about decisions that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// The policy or module that may deny.
    pub about: String,
    /// Why it is open.
    pub why: String,
}

impl Diff {
    /// The policies of which this became.
    pub fn policies_that(&self, change: Change) -> impl Iterator<Item = &PolicyDiff> {
        self.policies.iter().filter(move |policy| policy.change == change)
    }

    /// Whether it is proven that every request is decided as before.
    #[must_use]
    pub fn decides_alike(&self) -> bool {
        [&self.denied, &self.allowed].iter().all(|d| d.shown.is_empty() && d.not_decided.is_empty())
    }

    /// All of it in one line, such as `2 policies changed, 1 added; some requests become DENY, none ALLOW`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut counts = Vec::new();
        for (change, word) in [
            (Change::Changed, "changed"),
            (Change::NotDecided, "not decided"),
            (Change::Added, "added"),
            (Change::Removed, "removed"),
            (Change::Reworded, "reworded"),
        ] {
            match (self.policies_that(change).count(), counts.is_empty()) {
                (0, _) => {}
                (1, true) => counts.push(format!("1 policy {word}")),
                (n, true) => counts.push(format!("{n} policies {word}")),
                (n, false) => counts.push(format!("{n} {word}")),
            }
        }
        let policies =
            if counts.is_empty() { "no policy changed".to_owned() } else { counts.join(", ") };
        if self.decides_alike() {
            return format!("{policies}; no request changes its decision");
        }
        let some = |decisions: &Decisions, word: &str| match (
            decisions.shown.is_empty(),
            decisions.not_decided.is_empty(),
        ) {
            (false, _) => format!("some requests become {word}"),
            (true, true) => format!("none becomes {word}"),
            (true, false) => format!("whether any becomes {word} is not decided"),
        };
        format!("{policies}; {}, {}", some(&self.denied, "DENY"), some(&self.allowed, "ALLOW"))
    }
}

/// What became of a policy, and what is known of it beyond what is told.
struct Compared {
    told: PolicyDiff,
    /// Whether it is known to make the same of every request.
    alike: bool,
    /// The requests that it shows.
    samples: Vec<Sample>,
}

/// What changes from `old` to `new`.
///
/// # Errors
/// No module can be generated for one of the sets, or the compiler is at fault.
pub fn compare(old: &PolicySet, new: &PolicySet) -> Result<Diff, CompileError> {
    let table = table(old, new);
    let mut evidence = Evidence::new(Joint::new(old, new, &table), &table)?;
    let mut names: Vec<&str> =
        old.policies.iter().chain(&new.policies).map(|policy| policy.info.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut compared = Vec::with_capacity(names.len());
    for name in names {
        compared.push(compare_policy(&mut evidence, name)?);
    }
    let denied = decisions::newly_denied(&mut evidence, &compared, Side::New)?;
    let allowed = decisions::newly_denied(&mut evidence, &compared, Side::Old)?;
    let differing = old.attributes.iter().filter_map(|before| {
        let (_, after) = new.attribute(&before.path)?;
        type_differs(&before.ty, after).then(|| TypeChange {
            path: before.path.clone(),
            before: before.ty.clone(),
            after: after.clone(),
        })
    });
    let attributes = differing.collect();
    let policies = compared.into_iter().map(|compared| compared.told).collect();
    Ok(Diff { policies, attributes, denied, allowed })
}

fn compare_policy(evidence: &mut Evidence<'_>, name: &str) -> Result<Compared, CompileError> {
    let [old, new] = Side::BOTH.map(|side| evidence.set(side));
    let told = |change, fields, shown, reason| {
        let policy = name.to_owned();
        PolicyDiff { policy, change, fields, shown, reason }
    };
    let none = |change| Compared {
        told: told(change, Vec::new(), Vec::new(), None),
        alike: false,
        samples: Vec::new(),
    };
    let (before, after) = match (old.policy(name), new.policy(name)) {
        (Some(before), Some(after)) => (before, after),
        (None, _) => return Ok(none(Change::Added)),
        (_, None) => return Ok(none(Change::Removed)),
    };
    let meaning = meaning::compare(evidence, before, after)?;
    let (mut shown, mut samples, mut reason) = (Vec::new(), Vec::new(), None);
    let alike = matches!(meaning, Meaning::Same);
    match meaning {
        Meaning::Same => {}
        Meaning::Differs(pairs) => (shown, samples) = pairs.into_iter().unzip(),
        Meaning::NotDecided(why) => reason = Some(why),
    }
    let fields = fields::compare(evidence.modules(), &old.policies[before], &new.policies[after]);
    let change = if !shown.is_empty() || fields.iter().any(fields::has_meaning) {
        Change::Changed
    } else if reason.is_some() {
        Change::NotDecided
    } else if fields.is_empty() {
        Change::Same
    } else {
        Change::Reworded
    };
    Ok(Compared { told: told(change, fields, shown, reason), alike, samples })
}
