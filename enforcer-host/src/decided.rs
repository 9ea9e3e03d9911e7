//! What was decided: a verdict with its names, or a denial with its reason. One type for both, so that errors
//! are answered and recorded like any other denial.

use std::{collections::BTreeMap, sync::Arc};

use aecp_contract::{
    audit::{DecisionRecord, PolicyRef, ReleaseRef},
    digest::Digest,
    explain::Found,
    manifest::{Action, AuditLevel, Enforcement, PolicyInfo},
    request::{AttributeTable, AuthZenRequest, RequestError},
    slots::SlotBuffer,
    value::Attribute,
    verdict::{Decision, Verdict},
};
use serde::{Serialize, Serializer};

mod findings;
mod said;

pub use self::findings::Findings;
pub(crate) use self::findings::Line;
use self::{findings::Audience, said::Said};
use crate::{
    obligations,
    policy::{DecisionError, PolicyInstance, PolicyPre},
    record::Entry,
};

/// Why a request was denied without, or in spite of, a verdict. The codes never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No release was ever verified.
    NoRelease,
    /// The release is past its staleness limit.
    ReleaseStale,
    /// The policy module failed.
    PolicyTrap,
    /// The policy module ran too long.
    PolicyTimeout,
    /// The request cannot be read.
    InvalidRequest,
    /// The request's attributes do not fit.
    RequestTooLarge,
    /// The decision must be recorded and cannot be.
    AuditUnavailable,
    /// It would be allowed only with an obligation carried out that cannot be.
    ObligationUnsupported,
}

impl Reason {
    /// The code as answers, records and metrics show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRelease => "no_release",
            Self::ReleaseStale => "release_stale",
            Self::PolicyTrap => "policy_trap",
            Self::PolicyTimeout => "policy_timeout",
            Self::InvalidRequest => "invalid_request",
            Self::RequestTooLarge => "request_too_large",
            Self::AuditUnavailable => "audit_unavailable",
            Self::ObligationUnsupported => "obligation_unsupported",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Which release decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReleaseId {
    /// Its serial in the channel.
    pub serial: u64,
    /// SHA-256 of its signed envelope.
    pub digest: Digest,
}

impl ReleaseId {
    /// As the log has it.
    pub(crate) fn to_ref(self) -> ReleaseRef {
        ReleaseRef { serial: self.serial, digest: self.digest }
    }
}

/// One decision, with what led to it. As JSON it is the line of `aecp decide`:
/// `{"decision":"DENY","violated":[{"policy":"…","enforcement":"BLOCKING"}],"indeterminate":[…]}`, followed
/// by `"default_deny":["module"]`, `"obligations":[{"policy":"…","action":{…}}]` and `"reason":"code"` where there are any.
#[derive(Debug, Clone)]
pub struct Decided {
    decision: Decision,
    audit: AuditLevel,
    violated: Vec<u32>,
    indeterminate: Vec<u32>,
    uncovered: Vec<u32>,
    obligations: Vec<u32>,
    reason: Option<Reason>,
    detail: Option<String>,
    /// Gives the indexes their names. `None` only where the lists are empty and nothing of the request is kept.
    set: Option<Arc<PolicyPre>>,
    release: Option<ReleaseId>,
    /// What the request had for the set's attributes, where it is to be recorded.
    said: Said,
}

impl Decided {
    /// A denial that no policy spoke. It is recorded before it leaves, unless the request was no request.
    #[must_use]
    pub fn denied(reason: Reason) -> Self {
        let audit = match reason {
            Reason::InvalidRequest | Reason::RequestTooLarge => AuditLevel::Optional,
            _ => AuditLevel::Required,
        };
        Self {
            decision: Decision::Deny,
            audit,
            violated: Vec::new(),
            indeterminate: Vec::new(),
            uncovered: Vec::new(),
            obligations: Vec::new(),
            reason: Some(reason),
            detail: None,
            set: None,
            release: None,
            said: Said::default(),
        }
    }

    /// The same, saying in words what was wrong. The caller is shown it; records and logs are not, since it may
    /// quote the request.
    #[must_use]
    pub fn denied_because(reason: Reason, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::denied(reason) }
    }

    fn new(set: &Arc<PolicyPre>, result: Result<Verdict, DecisionError>, said: Said) -> Self {
        match result {
            Ok(verdict) => Self {
                decision: verdict.decision,
                audit: verdict.audit,
                violated: verdict.violated,
                indeterminate: verdict.indeterminate,
                uncovered: verdict.uncovered,
                obligations: verdict.obligations,
                reason: None,
                detail: None,
                set: Some(Arc::clone(set)),
                release: None,
                said,
            },
            Err(error) => {
                let reason = match &error {
                    DecisionError::Request(RequestError::Malformed(_)) => Reason::InvalidRequest,
                    DecisionError::Request(RequestError::TooLarge(_)) => Reason::RequestTooLarge,
                    DecisionError::Timeout => Reason::PolicyTimeout,
                    DecisionError::Trap(_) => Reason::PolicyTrap,
                };
                let set = Some(Arc::clone(set));
                Self { set, said, ..Self::denied_because(reason, error.to_string()) }
            }
        }
    }

    /// The same decision as made by this release.
    #[must_use]
    pub fn by(mut self, release: Option<ReleaseId>) -> Self {
        self.release = release;
        self
    }

    /// ALLOW or DENY.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// How surely it must be recorded.
    #[must_use]
    pub fn audit(&self) -> AuditLevel {
        self.audit
    }

    /// Why it was denied, unless policies did.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// What was wrong, in words.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The release that decided; `None` without one.
    #[must_use]
    pub fn release(&self) -> Option<ReleaseId> {
        self.release
    }

    /// The violated policies, in byte order of their names.
    pub fn violated(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.named(&self.violated)
    }

    /// The violated policies that a caller is only to be told of.
    pub fn advisory(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.violated().filter(|policy| policy.enforcement == Enforcement::Advisory)
    }

    /// The policies that a missing or unusable attribute leaves undecided, in byte order of their names.
    pub fn indeterminate(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.named(&self.indeterminate)
    }

    /// The modules that deny by default and that nothing covered.
    pub fn default_deny(&self) -> impl Iterator<Item = &str> {
        let modules = self.set.as_deref().map_or(&[][..], |set| &set.manifest().modules);
        self.uncovered.iter().filter_map(|i| modules.get(*i as usize)).map(|module| module.name.as_str())
    }

    /// What the point of enforcement must do with the request or its answer, each with the policy that asks for it.
    pub fn obligations(&self) -> impl Iterator<Item = (&PolicyInfo, &Action)> {
        let manifest = self.set.as_deref().map(PolicyPre::manifest);
        self.obligations.iter().filter_map(move |index| {
            let obligation = manifest?.obligations.get(*index as usize)?;
            Some((manifest?.policies.get(obligation.policy as usize)?, &obligation.action))
        })
    }

    /// Whether all that it obliges to can be done to a body ([`obligations::carry_out`]), if to anything.
    #[must_use]
    pub fn obliges_only_to_bodies(&self) -> bool {
        self.obligations().all(|(_, action)| obligations::is_of_bodies(action))
    }

    fn named(&self, indexes: &[u32]) -> impl Iterator<Item = &PolicyInfo> {
        let policies = self.set.as_deref().map_or(&[][..], |set| &set.manifest().policies);
        indexes.iter().filter_map(|index| policies.get(*index as usize))
    }

    /// What the log keeps of it.
    #[must_use]
    pub(crate) fn record(&self, entry: &Entry) -> DecisionRecord {
        let named = |indexes: &[u32]| -> Vec<PolicyRef> {
            let policy = |policy: &PolicyInfo| PolicyRef {
                policy: policy.name.clone(),
                enforcement: policy.enforcement,
            };
            self.named(indexes).map(policy).collect()
        };
        DecisionRecord {
            request_id: entry.request_id.to_string(),
            trace_id: entry.trace_id.as_deref().map(str::to_owned),
            point: entry.point.to_owned(),
            release: self.release.map(ReleaseId::to_ref),
            decision: self.decision,
            violated: named(&self.violated),
            indeterminate: named(&self.indeterminate),
            omitted: 0,
            excepted: Vec::new(),
            default_deny: self.default_deny().map(str::to_owned).collect(),
            reason: self.reason.map(|reason| reason.as_str().to_owned()),
            latency_us: u64::try_from(entry.latency.as_micros()).unwrap_or(u64::MAX),
            attributes: BTreeMap::new(),
            omitted_attributes: 0,
        }
    }

    /// Forgets what the request said if it takes more than so many bytes; how many attributes it had stays known.
    #[cfg(feature = "host")]
    pub(crate) fn forget_above(&mut self, bytes: usize) {
        self.said.forget_above(bytes);
    }

    /// What the request had for each attribute of the set, by path, and how many attributes are not known any more.
    pub(crate) fn said(&self) -> (impl Iterator<Item = (&str, Attribute)>, u64) {
        let attributes = self.set.as_deref().map_or(&[][..], |set| &set.manifest().attributes);
        (self.said.attributes(attributes), self.said.unknown())
    }

    /// All that was found, for auditors.
    #[must_use]
    pub fn findings(&self) -> Findings<'_> {
        Findings { decided: self, audience: Audience::Auditor, release: None }
    }

    /// What a caller may know: not the AUDIT_ONLY policies; and the release's serial.
    #[must_use]
    pub fn findings_for_caller(&self) -> Findings<'_> {
        let release = self.release.map(|release| release.serial);
        Findings { decided: self, audience: Audience::Caller, release }
    }
}

impl Decided {
    /// What there is to explain, and the policies that decided; `None` if none did.
    pub(crate) fn found(&self) -> Option<(&PolicyPre, Found<'_>)> {
        let found = Found {
            decision: self.decision,
            violated: &self.violated,
            indeterminate: &self.indeterminate,
            uncovered: &self.uncovered,
        };
        Some((self.set.as_deref().filter(|_| self.reason.is_none())?, found))
    }
}

impl Serialize for Decided {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line { decision: self.decision, findings: self.findings() }.serialize(serializer)
    }
}

impl PolicyPre {
    /// Decides on a request in the plain form: one JSON object of attributes.
    #[must_use]
    pub fn decide_json(self: &Arc<Self>, json: &[u8]) -> Decided {
        self.decided(|instance| instance.decide_json(json))
    }

    /// Decides on a request of the OpenID AuthZEN Authorization API 1.0.
    #[must_use]
    pub fn decide_authzen(self: &Arc<Self>, request: &AuthZenRequest<'_>) -> Decided {
        self.decided(|instance| instance.decide_authzen(request))
    }

    /// Decides on a request that `read` reads into the slots, which are empty at first.
    #[must_use]
    pub fn decide_read(
        self: &Arc<Self>,
        read: impl FnOnce(&AttributeTable, &mut SlotBuffer) -> Result<(), RequestError>,
    ) -> Decided {
        self.decided(|instance| instance.decide_read(read))
    }

    /// Decides on filled slots, as many as the set has attributes.
    #[must_use]
    pub fn decide_slots(self: &Arc<Self>, slots: &SlotBuffer) -> Decided {
        let mut said = Said::Nothing;
        let result = self.with_instance(|instance| {
            let result = instance.decide(slots);
            said = Said::of(&result, slots);
            result
        });
        Decided::new(self, result, said)
    }

    fn decided(
        self: &Arc<Self>,
        decide: impl FnOnce(&mut PolicyInstance) -> Result<Verdict, DecisionError>,
    ) -> Decided {
        let mut said = Said::Nothing;
        let result = self.with_instance(|instance| {
            let result = decide(instance);
            said = Said::of(&result, instance.slots());
            result
        });
        Decided::new(self, result, said)
    }
}
