//! What a client is told that gets no answer of the upstream: problem details (RFC 9457).

use aecp_enforcer::{Decided, Reason, decided::Findings};
use serde::Serialize;

/// An answer in the upstream's place.
#[derive(Serialize)]
pub(crate) struct Problem<'a> {
    title: &'static str,
    pub(crate) status: u16,
    /// Constant, for scripts.
    code: &'static str,
    /// The policies by name, but for those that only watch; nothing of the request.
    #[serde(flatten)]
    findings: Option<Findings<'a>>,
}

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

impl<'a> Problem<'a> {
    /// A denial.
    pub(crate) fn denied(decided: &'a Decided) -> Self {
        let (status, title) = match decided.reason() {
            Some(Reason::InvalidRequest) => (400, "Bad Request"),
            Some(Reason::RequestTooLarge) => (413, "Content Too Large"),
            _ => (403, "Forbidden"),
        };
        let code = decided.reason().map_or("denied", Reason::as_str);
        Self { title, status, code, findings: Some(decided.findings_for_caller()) }
    }

    /// The denial of an answer: whatever is wrong with it, the client is not to blame.
    pub(crate) fn denied_answer(decided: &'a Decided) -> Self {
        match Self::denied(decided) {
            problem @ Self { status: 403, .. } => problem,
            problem => Self { title: "Bad Gateway", status: 502, ..problem },
        }
    }

    /// Something went wrong beside the policies.
    pub(crate) fn new(status: u16, code: &'static str) -> Self {
        let title = match status {
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Error",
        };
        Self { title, status, code, findings: None }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
