//! A decision as callers and auditors read it.

use aecp_contract::{
    manifest::{Action, Enforcement, PolicyInfo},
    verdict::Decision,
};
use serde::{Serialize, Serializer};

use super::Decided;

/// A decision and what led to it, as one JSON object.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) decision: Decision,
    #[serde(flatten)]
    pub(crate) findings: Findings<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Caller,
    Auditor,
}

/// What led to a decision, as members of a JSON object.
#[derive(Clone, Copy)]
pub struct Findings<'a> {
    pub(super) decided: &'a Decided,
    pub(super) audience: Audience,
    pub(super) release: Option<u64>,
}

impl Serialize for Findings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut members = serializer.serialize_map(None)?;
        let decided = self.decided;
        members.serialize_entry("violated", &Policies(self, &decided.violated))?;
        members.serialize_entry("indeterminate", &Policies(self, &decided.indeterminate))?;
        if !decided.uncovered.is_empty() {
            members.serialize_entry("default_deny", &Names(decided))?;
        }
        if !decided.obligations.is_empty() {
            members.serialize_entry("obligations", &Obligations(decided))?;
        }
        if let Some(reason) = decided.reason {
            members.serialize_entry("reason", &reason)?;
        }
        if let Some(serial) = self.release {
            members.serialize_entry("release", &serial)?;
        }
        members.end()
    }
}

struct Policies<'a>(&'a Findings<'a>, &'a [u32]);

impl Serialize for Policies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            policy: &'a str,
            enforcement: Enforcement,
        }
        let Self(findings, indexes) = self;
        let visible = |policy: &&PolicyInfo| {
            findings.audience == Audience::Auditor || policy.enforcement != Enforcement::AuditOnly
        };
        serializer.collect_seq(
            findings
                .decided
                .named(indexes)
                .filter(visible)
                .map(|policy| Entry { policy: &policy.name, enforcement: policy.enforcement }),
        )
    }
}

struct Obligations<'a>(&'a Decided);

impl<'a> Serialize for Obligations<'a> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            policy: &'a str,
            action: &'a Action,
        }
        let entry =
            |(policy, action): (&'a PolicyInfo, &'a Action)| Entry { policy: &policy.name, action };
        serializer.collect_seq(self.0.obligations().map(entry))
    }
}

struct Names<'a>(&'a Decided);

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.default_deny())
    }
}
