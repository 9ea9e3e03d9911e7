//! What is told of an upload, gathered while it is dealt with.

use aecp_contract::{
    legislation::UploadRef,
    report::{Outcome, PhaseTime, Report, Reported, Severity, Since},
    value::Timestamp,
};

use super::Clock;
use crate::{
    accept::{ExamineError, Examined},
    compile::{COMPILER, CompileError, Phase},
    findings::{self, Finding},
    publish::PublishError,
    source::Sources,
    upload::{Key, Refused, Upload},
};

/// The code of a rejection by the channel or its history: a policy that cannot move, a submission that does not fit.
const REFUSED: &str = "refused";

/// A report in the making.
pub(super) struct Told(Report);

impl Told {
    pub(super) fn new(key: &Key, upload: UploadRef, time: Timestamp) -> Self {
        Self(Report {
            set: key.set.clone(),
            upload,
            outcome: Outcome::Rejected,
            channel: None,
            author: None,
            justification: None,
            source: None,
            compiler: COMPILER.to_owned(),
            time,
            findings: Vec::new(),
            since: None,
            tests: None,
            proofs: Vec::new(),
            phases: Vec::new(),
        })
    }

    /// What the upload asks for.
    pub(super) fn asked(&mut self, upload: &Upload) {
        self.0.channel = Some(upload.request.channel.clone());
        self.0.author = Some(upload.request.author.clone());
        self.0.justification = Some(upload.request.justification.clone());
        self.0.source = Some(upload.sources.digest());
    }

    /// Forgets what an earlier attempt found: it was about another release.
    pub(super) fn begin(&mut self) {
        self.0.findings.clear();
        self.0.proofs.clear();
        self.0.phases.clear();
        (self.0.since, self.0.tests) = (None, None);
    }

    pub(super) fn uploaded(&self) -> Timestamp {
        self.0.upload.uploaded
    }

    pub(super) fn reference(&self) -> UploadRef {
        self.0.upload.clone()
    }

    pub(super) fn took(&mut self, times: Timed) {
        self.0.phases = times.done;
    }

    pub(super) fn examined(&mut self, examined: &Examined, sources: &Sources, base: u64) {
        let findings = examined.findings.iter().chain(&examined.versions);
        self.0.findings = findings.map(|finding| reported(finding, sources)).collect();
        let Some(accepted) = &examined.accepted else { return };
        self.0.since = Some(Since {
            serial: base,
            summary: examined.diff.as_ref().map(|diff| diff.summary()),
            changes: accepted.changes.clone(),
            moves: accepted.moves.clone(),
        });
        self.0.tests = Some(accepted.compiled.manifest.tests);
        self.0.proofs = accepted.compiled.manifest.proofs.clone();
    }

    /// The upload itself cannot be read.
    pub(super) fn refused(mut self, refused: &Refused) -> Report {
        self.error(refused.code.as_str(), refused.detail.clone());
        self.ended(Outcome::Rejected)
    }

    /// The set cannot be compiled, and no finding says so.
    pub(super) fn fault(&mut self, error: &ExamineError) -> Outcome {
        let code = match error {
            ExamineError::Move(_) => REFUSED,
            ExamineError::Compile(CompileError::TooManyConstants(_)) => findings::code::LIMIT,
            ExamineError::Compile(_) => findings::code::INTERNAL,
        };
        self.error(code, error.to_string());
        Outcome::Rejected
    }

    /// The set compiles, and may not be published.
    pub(super) fn unpublishable(&mut self, error: &PublishError) -> Outcome {
        self.error(REFUSED, error.to_string());
        Outcome::Rejected
    }

    fn error(&mut self, code: &str, message: String) {
        self.0.findings.push(Reported {
            code: code.to_owned(),
            severity: Severity::Error,
            message,
            policies: Vec::new(),
            file: None,
            line: 0,
            column: 0,
            cause: None,
            suggestion: None,
            witness: None,
        });
    }

    pub(super) fn ended(mut self, outcome: Outcome) -> Report {
        self.0.outcome = outcome;
        self.0
    }
}

fn reported(finding: &Finding, sources: &Sources) -> Reported {
    let span = finding.labels.first().map(|label| label.span);
    let file = span.and_then(|span| sources.files().get(span.file as usize));
    let place = span.filter(|_| file.is_some()).map(|span| sources.position(span.file, span.start));
    Reported {
        code: finding.code.to_owned(),
        severity: match finding.severity {
            findings::Severity::Error => Severity::Error,
            findings::Severity::Warning => Severity::Warning,
        },
        message: finding.message.clone(),
        policies: finding.policies.clone(),
        file: file.map(|file| file.path.clone()),
        line: place.map_or(0, |place| place.line),
        column: place.map_or(0, |place| place.column),
        cause: finding.cause.clone(),
        suggestion: finding.suggestion.clone(),
        witness: finding.witness.clone().and_then(|json| serde_json::from_str(&json).ok()),
    }
}

/// How long the steps of a compilation take.
pub(super) struct Timed {
    clock: Clock,
    running: Option<(Phase, Timestamp)>,
    done: Vec<PhaseTime>,
}

impl Timed {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, running: None, done: Vec::new() }
    }

    pub(super) fn begin(&mut self, phase: Phase) {
        self.end();
        self.running = Some((phase, (self.clock)()));
    }

    pub(super) fn end(&mut self) {
        let Some((phase, from)) = self.running.take() else { return };
        let nanoseconds =
            |at: Timestamp| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanoseconds);
        let took = (nanoseconds((self.clock)()) - nanoseconds(from)) / 1000;
        // A clock that was set back meanwhile tells nothing.
        let microseconds = u64::try_from(took).unwrap_or_default();
        self.done.push(PhaseTime { phase: phase.as_str().to_owned(), microseconds });
    }
}
