//! What the hosted compiler said of an upload: accepted or rejected, with everything that there is to say of it.
//!
//! ```json
//! {"set":"hipaa","upload":{"key":"inbox/hipaa/march.zip","digest":"…","uploaded":"2026-03-01T09:29:58Z"},
//!  "outcome":{"result":"accepted","serial":5,"release":"…"},"channel":"prod","author":"Jane Doe",
//!  "justification":"CR-1234","source":"…","compiler":"aecp 0.1.0","time":"2026-03-01T09:30:00Z",
//!  "findings":[{"code":"E030","severity":"error","message":"…","file":"a.aecp","line":7,"column":1,"witness":{…}}],
//!  "since":{"serial":4,"summary":"…","changes":[…],"moves":[…]},"tests":{"passed":12,"failed":0},"proofs":[…],
//!  "phases":[{"phase":"parse","microseconds":812}]}
//! ```
//!
//! Reports lie in DSSE envelopes that the judicial keys signed, at [`crate::layout::report`]; the pages beside them are made
//! of them and say nothing else.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    digest::Digest,
    dsse::{Envelope, parse_json},
    layout::Name,
    legislation::{Move, PolicyChange, UploadRef},
    manifest::{Proof, TestSummary},
    refusal::Refusal,
    trust::{Role, TrustRoot},
    value::Timestamp,
};

/// The payload type of reports.
pub const REPORT_PAYLOAD_TYPE: &str = "application/vnd.aecp.report+json";

/// The most bytes that a report's envelope may have.
pub const MAX_REPORT_BYTES: usize = 32 << 20;

/// The payload type of notices.
pub const NOTICE_PAYLOAD_TYPE: &str = "application/vnd.aecp.notice+json";

/// The most bytes that a notice's envelope may have.
pub const MAX_NOTICE_BYTES: usize = 16 << 10;

/// What was said of one upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The set whose inbox it came to.
    pub set: Name,
    /// The upload.
    pub upload: UploadRef,
    /// What became of it.
    pub outcome: Outcome,
    /// The channel that it is for; `None` if nothing readable said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// Who submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The digest of the sources; `None` if they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Digest>,
    /// The compiler's name and version.
    pub compiler: String,
    /// When the report was made.
    pub time: Timestamp,
    /// Everything that there is to say, in the order of the sources.
    pub findings: Vec<Reported>,
    /// What changes against the channel's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// The set's own tests; `None` if it did not come to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
    /// What is proven of the set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
    /// How long the steps of the compilation took, in order; a step may stand twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseTime>,
}

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It became a release.
    Accepted {
        /// Its serial.
        serial: u64,
        /// The digest of its envelope.
        release: Digest,
    },
    /// The channel's release is of the same sources and states already.
    Unchanged {
        /// Its serial.
        serial: u64,
    },
    /// What was uploaded later, or published otherwise, is in force already; nothing changed.
    Superseded {
        /// The serial of what is in force.
        serial: u64,
    },
    /// It was refused; nothing changed.
    Rejected,
}

/// A finding, with its place if it has one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// Its constant code.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The policies concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// The file, its path below the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1; 0 without a file.
    #[serde(default)]
    pub line: usize,
    /// The column in characters, from 1; 0 without a file.
    #[serde(default)]
    pub column: usize,
    /// Why it is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What to write instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// A request that shows it, digit by digit as the compiler wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Box<RawValue>>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It keeps the upload from being released.
    Error,
    /// Its author should look.
    Warning,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// The serial of the release that it was compared with; 0 for none.
    pub serial: u64,
    /// In one line; `None` if there was nothing to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The policies that say something else.
    pub changes: Vec<PolicyChange>,
    /// The policies whose state changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
}

/// How long one step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseTime {
    /// Which.
    pub phase: String,
    /// How long.
    pub microseconds: u64,
}

impl Report {
    /// Signs the report with judicial keys.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Envelope {
        #[expect(clippy::expect_used, reason = "text, numbers and lists always serialise")]
        let payload = serde_json::to_vec(self).expect("a report is plain data");
        Envelope::sign(REPORT_PAYLOAD_TYPE, &payload, keys)
    }

    /// Reads a report that the judicial keys of `root` signed.
    ///
    /// # Errors
    /// [`TrustRoot::verify`]'s and [`crate::refusal::Code::Malformed`].
    pub fn verify(json: &[u8], root: &TrustRoot) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json_within(json, MAX_REPORT_BYTES)?;
        let payload = root.verify(Role::Judicial, REPORT_PAYLOAD_TYPE, &envelope)?;
        parse_json(&payload, MAX_REPORT_BYTES, "the report")
    }
}

/// Word of a report to whoever is to be notified of it: what became of which upload, and nothing of what is in it.
///
/// ```json
/// {"set":"hipaa","channel":"prod","upload":{"key":"inbox/hipaa/march.zip","digest":"…","uploaded":"…"},
///  "outcome":{"result":"accepted","serial":5,"release":"…"},"report":"reports/hipaa/march.zip.1a2b….json"}
/// ```
///
/// The notice of one report may come again; `report` tells that it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The set whose inbox it came to.
    pub set: Name,
    /// The channel that it is for; `None` if nothing readable said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// The upload.
    pub upload: UploadRef,
    /// What became of it.
    pub outcome: Outcome,
    /// The report's key in the store.
    pub report: String,
}

impl Notice {
    /// Of a report that lies at `key`.
    #[must_use]
    pub fn of(report: &Report, key: String) -> Self {
        let (set, channel) = (report.set.clone(), report.channel.clone());
        Self { set, channel, upload: report.upload.clone(), outcome: report.outcome, report: key }
    }

    /// Signs the notice with judicial keys.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Envelope {
        #[expect(clippy::expect_used, reason = "text and numbers always serialise")]
        let payload = serde_json::to_vec(self).expect("a notice is plain data");
        Envelope::sign(NOTICE_PAYLOAD_TYPE, &payload, keys)
    }

    /// Reads a notice that the judicial keys of `root` signed.
    ///
    /// # Errors
    /// [`TrustRoot::verify`]'s and [`crate::refusal::Code::Malformed`].
    pub fn verify(json: &[u8], root: &TrustRoot) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json_within(json, MAX_NOTICE_BYTES)?;
        let payload = root.verify(Role::Judicial, NOTICE_PAYLOAD_TYPE, &envelope)?;
        parse_json(&payload, MAX_NOTICE_BYTES, "the notice")
    }
}
