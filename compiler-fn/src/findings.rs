//! What the compiler has to say about a set: each finding with its code, places, cause and suggestion.
//!
//! Voice: lower case, no full stop, the user's own text in backticks, the language's words for types.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::source::{Sources, Span};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The set cannot be compiled.
    Error,
    /// It can, but its author should look.
    Warning,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The text is not of the grammar.
    Syntax,
    /// A size or depth is beyond its limit.
    Limit,
    /// A required field is not there.
    Missing,
    /// A field, policy, attribute or control that does not exist or was never declared.
    Unknown,
    /// A name or field that stands twice.
    Duplicate,
    /// A value or attribute has not the type that its use asks for.
    Type,
    /// A field that can do nothing where it stands.
    Misplaced,
    /// A TEST that failed.
    Test,
    /// Tests and fixtures that extend each other in a circle.
    Cycle,
    /// A TABLE whose rows do not fit its columns.
    Table,
    /// The set's TESTs cover less than its MIN_COVERAGE.
    Coverage,
    /// Two BLOCKING policies that no request to which both apply can satisfy.
    Contradiction,
    /// A policy that applies to no request.
    Dead,
    /// A policy that no request can violate.
    Vacuous,
    /// A policy that says nothing that another does not say.
    Shadowed,
    /// Two policies that ask for the same, with two ENFORCEMENTs.
    ModeClash,
    /// Two policies that apply to one request, of which one has an EXCEPTION.
    ExceptionClash,
    /// A question about the policies that could not be decided.
    NotDecided,
    /// A VERSION that does not follow on the one before.
    Version,
    /// An INVARIANT that does not hold, is not decided, or need not be as it is.
    Invariant,
    /// A fault of the compiler.
    Internal,
}

/// The constant codes of findings; `docs/language.md` explains each.
pub mod code {
    /// The text is not of the grammar.
    pub const SYNTAX: &str = "E001";
    /// A size or depth is beyond its limit.
    pub const LIMIT: &str = "E002";
    /// A required field is not there.
    pub const MISSING_FIELD: &str = "E010";
    /// A field stands twice.
    pub const DUPLICATE_FIELD: &str = "E011";
    /// Two policies, tests or invariants have one name.
    pub const DUPLICATE_NAME: &str = "E012";
    /// A policy is named that the set does not have, or that cannot do what is expected of it.
    pub const UNKNOWN_POLICY: &str = "E013";
    /// An attribute that no STRICT schema declares.
    pub const UNKNOWN_ATTRIBUTE: &str = "E014";
    /// A field or word that the language does not have.
    pub const UNKNOWN_FIELD: &str = "E015";
    /// The uses of one attribute, or its use and its declaration, disagree on its type.
    pub const TYPE_MISMATCH: &str = "E020";
    /// A literal that is no value of the type its place asks for.
    pub const BAD_LITERAL: &str = "E021";
    /// A TEST failed.
    pub const TEST_FAILED: &str = "E030";
    /// EXTENDS names no test or fixture of the set.
    pub const UNKNOWN_FIXTURE: &str = "E031";
    /// Tests and fixtures extend each other in a circle.
    pub const EXTENDS_CYCLE: &str = "E032";
    /// The TESTs cover less than the set's MIN_COVERAGE.
    pub const COVERAGE: &str = "E033";
    /// A TABLE without rows, or a row with too few or too many values.
    pub const TABLE: &str = "E034";
    /// Two BLOCKING policies that no request to which both apply can satisfy.
    pub const CONTRADICTION: &str = "E040";
    /// An obligation at points of enforcement where it cannot be done.
    pub const MISPLACED: &str = "E050";
    /// An INVARIANT that a request refutes.
    pub const INVARIANT_FAILED: &str = "E060";
    /// An INVARIANT that could not be decided.
    pub const INVARIANT_NOT_DECIDED: &str = "E061";
    /// A policy means something else under the VERSION that it had.
    pub const SAME_VERSION: &str = "E070";
    /// A VERSION shrank, or is not there any more.
    pub const VERSION_LOST: &str = "E071";
    /// The compiler contradicts itself: please report it.
    pub const INTERNAL: &str = "E099";
    /// An attribute that no SCHEMA declares.
    pub const UNDECLARED: &str = "W001";
    /// The uses of an attribute leave its type open.
    pub const OPEN_TYPE: &str = "W002";
    /// A TEST gives an attribute that nothing looks at, or a value of another type.
    pub const GIVEN: &str = "W003";
    /// A FIXTURE that no test extends.
    pub const UNUSED_FIXTURE: &str = "W031";
    /// A policy that applies to no request.
    pub const DEAD: &str = "W020";
    /// A policy that no request can violate.
    pub const VACUOUS: &str = "W021";
    /// A policy that says nothing that another does not say.
    pub const SHADOWED: &str = "W022";
    /// Two policies that ask for the same, with two ENFORCEMENTs.
    pub const MODE_CLASH: &str = "W023";
    /// Two policies that apply to one request, of which one has an EXCEPTION.
    pub const EXCEPTION_CLASH: &str = "W024";
    /// A question about the policies that could not be decided.
    pub const NOT_DECIDED: &str = "W025";
    /// A field that has no effect on its policy.
    pub const NO_EFFECT: &str = "W050";
    /// An INVARIANT that is not proven, and that its author vouches for.
    pub const ASSUMED: &str = "W060";
    /// An INVARIANT that is proven, though its author vouches for it.
    pub const NEEDLESSLY_ASSUMED: &str = "W061";
    /// An INVARIANT that forbids no request at all.
    pub const EMPTY_INVARIANT: &str = "W062";
    /// A COMPLIANCE reference to a known framework that names none of its controls.
    pub const UNKNOWN_CONTROL: &str = "W080";
}

/// A place that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of [`code`].
    pub code: &'static str,
    /// What it is about.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// The policies concerned; the first is the one that the finding is about.
    pub policies: Vec<String>,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; the first is the place to look at.
    pub labels: Vec<Label>,
    /// Why it is wrong, where the message does not say it.
    pub cause: Option<String>,
    /// What to write instead, where there is a likely answer.
    pub suggestion: Option<String>,
    /// A request that shows it, in JSON as `aecp decide` reads it.
    pub witness: Option<String>,
}

impl Finding {
    /// An error at a place.
    pub fn error(code: &'static str, kind: Kind, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            kind,
            severity: Severity::Error,
            policies: Vec::new(),
            message: message.into(),
            labels: vec![Label { span, text: String::new() }],
            cause: None,
            suggestion: None,
            witness: None,
        }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, kind: Kind, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, kind, span, message) }
    }

    /// Says at the first place what is there.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds a suggestion.
    #[must_use]
    pub fn try_instead(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Adds a request that shows it.
    #[must_use]
    pub fn shown_by(mut self, request: impl Into<String>) -> Self {
        self.witness = Some(request.into());
        self
    }

    /// Names a policy that it is about.
    #[must_use]
    pub fn about(mut self, policy: impl Into<String>) -> Self {
        self.policies.push(policy.into());
        self
    }
}

/// Whether any of the findings keeps the set from being compiled.
#[must_use]
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// The most findings of one set; who has that many reads them from the top.
const MAX_FINDINGS: usize = 1000;

/// Cuts what is beyond [`MAX_FINDINGS`] and says so: warnings first, then errors, both from the end.
pub fn limit(findings: &mut Vec<Finding>) {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let (mut errors, mut warnings) = (MAX_FINDINGS, MAX_FINDINGS.saturating_sub(errors));
    let mut dropped: Option<Finding> = None;
    let mut more = 0;
    findings.retain(|finding| {
        let room = match finding.severity {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
        };
        let keep = *room > 0;
        *room = room.saturating_sub(1);
        if !keep {
            more += 1;
            // Errors may be dropped only after enough others were kept, so the set has errors as before.
            dropped.get_or_insert_with(|| finding.clone());
        }
        keep
    });
    if let Some(first) = dropped {
        let place = first.labels.first().map_or_else(Span::default, |label| label.span);
        let message = format!("too many findings: {more} more from here on");
        findings.push(Finding {
            severity: first.severity,
            ..Finding::error(code::LIMIT, Kind::Limit, place, message)
        });
    }
}

/// Puts findings into the order of their places, and cuts exact repetitions.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by_key(|finding| {
        (finding.labels.first().map(|label| label.span), finding.code, finding.message.clone())
    });
    findings.dedup();
}

/// The [`nearest`] of `candidates`, unless there are so many `findings` already that looking for it is for nothing.
#[must_use]
pub fn suggested<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    findings: &[Finding],
) -> Option<&'a str> {
    if findings.len() < MAX_FINDINGS { nearest(word, candidates) } else { None }
}

/// The words of `candidates` nearest to `word`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((edit_distance(word, candidate, limit)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The Damerau–Levenshtein distance with adjacent transpositions (optimal string alignment), up to `limit`.
fn edit_distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let a: Vec<char> = a.chars().take(256).collect();
    let b: Vec<char> = b.chars().take(256).collect();
    if a.len().abs_diff(b.len()) > limit.min(8) {
        return None;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substitution = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substitution.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
        // Whatever comes is built on the last two rows, and costs no less.
        if rows[i - 1..].iter().flatten().all(|cost| *cost > limit) {
            return None;
        }
    }
    Some(rows[a.len()][b.len()]).filter(|distance| *distance <= limit)
}

/// A finding as `aecp check --format json` prints it.
#[derive(Debug, Serialize)]
pub struct FindingJson<'a> {
    code: &'a str,
    kind: Kind,
    severity: Severity,
    policies: &'a [String],
    /// A request that shows the finding, digit by digit as the compiler wrote it.
    witness: Option<&'a RawValue>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<&'a str>,
    spans: Vec<SpanJson<'a>>,
}

#[derive(Debug, Serialize)]
struct SpanJson<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    label: &'a str,
}

impl Finding {
    /// The finding in its JSON form: lines and columns from 1, the end exclusive.
    #[must_use]
    pub fn to_json<'a>(&'a self, sources: &'a Sources) -> FindingJson<'a> {
        let spans = self.labels.iter().map(|label| {
            let start = sources.position(label.span.file, label.span.start);
            let end = sources.position(label.span.file, label.span.end);
            SpanJson {
                file: sources.files().get(label.span.file as usize).map_or("", |f| f.path.as_str()),
                line: start.line,
                column: start.column,
                end_line: end.line,
                end_column: end.column,
                label: &label.text,
            }
        });
        FindingJson {
            code: self.code,
            kind: self.kind,
            severity: self.severity,
            policies: &self.policies,
            witness: self.witness.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            message: &self.message,
            cause: self.cause.as_deref(),
            suggestion: self.suggestion.as_deref(),
            spans: spans.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let names = ["customer.region", "storage.location"];
        assert_eq!(nearest("customer.regoin", names), Some("customer.region"));
        assert_eq!(nearest("payload.size", names), None);
        // Exactly at its limit of a third of the word, and one beyond.
        assert_eq!(nearest("abcdef", ["abxdey"]), Some("abxdey"));
        assert_eq!(nearest("abcdef", ["axxdey"]), None);
        assert_eq!(nearest("abcdef", ["abcdefgh", "badcef"]), Some("abcdefgh"));
    }

    #[test]
    fn of_too_many_findings_the_first_are_kept_and_errors_before_warnings() {
        let at = |start| Span { file: 0, start, end: start };
        let error = |start| Finding::error(code::SYNTAX, Kind::Syntax, at(start), "wrong");
        let warning = |start| Finding::warning(code::GIVEN, Kind::Type, at(start), "odd");
        let numbers = || 0..MAX_FINDINGS as u32;
        let mut few: Vec<_> = numbers().map(error).collect();
        limit(&mut few);
        assert_eq!(few.len(), MAX_FINDINGS);
        let mut many: Vec<_> = numbers().flat_map(|n| [warning(2 * n), error(2 * n + 1)]).collect();
        many.push(error(9999));
        limit(&mut many);
        assert_eq!(many.len(), MAX_FINDINGS + 1);
        assert!(has_errors(&many[..1]) && many[..MAX_FINDINGS].iter().all(|one| one.message == "wrong"));
        assert_eq!(many[MAX_FINDINGS].message, "too many findings: 1001 more from here on");
        let mut warnings: Vec<_> = numbers().map(warning).collect();
        warnings.extend([warning(5000), warning(5001)]);
        limit(&mut warnings);
        assert!(!has_errors(&warnings), "what was cut was a warning, too");
        assert_eq!(warnings[MAX_FINDINGS].labels[0].span, at(5000));
    }
}
