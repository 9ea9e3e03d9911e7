//! Why a request was decided as it was: explained by the release that decided, on request alone.
//!
//! A release's clauses are verified with the rest of it and kept as bytes; the first explanation reads them. A
//! decision that nobody asks about costs nothing.

use std::sync::OnceLock;

use aecp_contract::{
    explain::{Clauses, ExplainError, Explanation, Select, explain},
    refusal::Refusal,
    release::CLAUSES,
    request::{AttributeTable, AuthZenRequest, RequestError},
    slots::SlotBuffer,
};
use bytes::Bytes;

use crate::{decided::Decided, policy::PolicyPre, source::VerifiedRelease};

/// Why a decision is not explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotExplained {
    /// No policy decided; the decision's own reason says what did.
    #[error("no policies decided")]
    NoPolicies,
    /// The release has no clauses, or they were not fetched.
    #[error("the release came without `{CLAUSES}`; publish it again with a compiler that writes it")]
    NoClauses,
    /// Policies beside the compiled ones took part, which have no clauses.
    #[error("the release has policies that are components, which have no clauses")]
    Components,
    /// They cannot be used.
    #[error(transparent)]
    Clauses(Refusal),
    /// The request is not the one that was decided.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Too large a request, or a fault of the compiler.
    #[error(transparent)]
    Explain(#[from] ExplainError),
}

/// The clauses of a loaded release.
pub(crate) struct KeptClauses {
    /// As they were fetched, if they were.
    json: Option<Bytes>,
    /// Whether the release has some.
    #[cfg(feature = "host")]
    named: bool,
    read: OnceLock<Result<Clauses, Refusal>>,
}

impl KeptClauses {
    pub(crate) fn of(release: &VerifiedRelease) -> Self {
        Self {
            json: release.artifact(CLAUSES).ok().cloned(),
            #[cfg(feature = "host")]
            named: release.statement().artifact(CLAUSES).is_ok(),
            read: OnceLock::new(),
        }
    }

    /// Whether the release has clauses that were not fetched.
    #[cfg(feature = "host")]
    pub(crate) fn were_left_behind(&self) -> bool {
        self.named && self.json.is_none()
    }
}

impl PolicyPre {
    /// Whether decisions of this release can be explained.
    #[must_use]
    pub fn explains(&self) -> bool {
        self.clauses().json.is_some() && self.manifest().components.is_empty()
    }

    fn read_clauses(&self) -> Result<&Clauses, NotExplained> {
        if !self.manifest().components.is_empty() {
            return Err(NotExplained::Components);
        }
        let kept = self.clauses();
        let json = kept.json.as_ref().ok_or(NotExplained::NoClauses)?;
        let read = kept.read.get_or_init(|| Clauses::from_json(json, self.manifest()));
        read.as_ref().map_err(|refusal| NotExplained::Clauses(refusal.clone()))
    }
}

impl Decided {
    /// Explains this decision on a request in the plain form, which must be the one that was decided.
    ///
    /// This can take tens of milliseconds for the largest requests; call it off the threads that serve others.
    ///
    /// # Errors
    /// [`NotExplained`].
    pub fn explain_json(&self, json: &[u8], select: Select) -> Result<Explanation, NotExplained> {
        self.explain(select, |table, slots| table.read_json(json, slots))
    }

    /// The same for a request of the OpenID AuthZEN Authorization API 1.0.
    ///
    /// # Errors
    /// [`NotExplained`].
    pub fn explain_authzen(
        &self,
        request: &AuthZenRequest<'_>,
        select: Select,
    ) -> Result<Explanation, NotExplained> {
        self.explain(select, |table, slots| table.read_authzen(request, slots))
    }

    fn explain(
        &self,
        select: Select,
        read: impl FnOnce(&AttributeTable, &mut SlotBuffer) -> Result<(), RequestError>,
    ) -> Result<Explanation, NotExplained> {
        let (set, found) = self.found().ok_or(NotExplained::NoPolicies)?;
        let clauses = set.read_clauses()?;
        let mut slots = SlotBuffer::new(set.attributes().len());
        read(set.attributes(), &mut slots)?;
        set.fill_in(&mut slots)?;
        Ok(explain(set.manifest(), clauses, &slots, found, select)?)
    }
}
