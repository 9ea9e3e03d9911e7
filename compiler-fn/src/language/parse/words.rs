//! The words of the language, for finding where broken text goes on and for suggesting what was meant.

use crate::findings::nearest;

/// Starts of statements.
pub(crate) const STATEMENTS: [&str; 5] = ["SCHEMA", "POLICY", "TEST", "FIXTURE", "INVARIANT"];

/// Starts of a policy's fields.
pub(crate) const FIELDS: [&str; 17] = [
    "DESCRIPTION",
    "VERSION",
    "AUTHOR",
    "JUSTIFICATION",
    "COMPLIANCE",
    "SCOPE",
    "CONSTRAINT",
    "ENFORCEMENT",
    "AUDIT",
    "EXCEPTION",
    "AT",
    "EFFECTIVE",
    "MASK",
    "REDACT",
    "HASH",
    "FILTER",
    "LIMIT",
];

/// Starts of a test's parts.
pub(crate) const TEST_PARTS: [&str; 3] = ["GIVEN", "EXPECT", "TABLE"];

/// What may follow the attribute of a condition.
pub(crate) const OPERATORS: [&str; 11] =
    ["NOT", "IN", "BETWEEN", "CONTAINS", "STARTS", "ENDS", "MATCHES", "EXISTS", "IS", "AND", "OR"];

/// Types of attributes.
pub(crate) const TYPES: [&str; 9] =
    ["STRING", "INT", "DECIMAL", "BOOL", "TIMESTAMP", "DURATION", "IP", "LIST", "ENUM"];

/// Values of ENFORCEMENT.
pub(crate) const ENFORCEMENTS: [&str; 3] = ["BLOCKING", "ADVISORY", "AUDIT_ONLY"];

/// Values of AUDIT.
pub(crate) const AUDITS: [&str; 3] = ["REQUIRED", "OPTIONAL", "NONE"];

/// Values of EXCEPTION.
pub(crate) const EXCEPTIONS: [&str; 1] = ["break_glass_token_required"];

/// Values of AT.
pub(crate) const POINTS: [&str; 4] = ["INGRESS", "MESH", "DATA", "EGRESS"];

/// Ways of masking.
pub(crate) const METHODS: [&str; 3] = ["LAST", "REDACT", "HASH"];

/// Values of EXPECT.
pub(crate) const OUTCOMES: [&str; 2] = ["ALLOW", "DENY"];

/// Words within statements that start nothing.
const INNER: [&str; 16] = [
    "MODULE",
    "DEFAULT",
    "MIN_COVERAGE",
    "STRICT",
    "WHERE",
    "FROM",
    "UNTIL",
    "WITH",
    "PER",
    "BY",
    "CIDR",
    "MISSING",
    "NEVER",
    "ADVISORY",
    "EXTENDS",
    "ASSUMED",
];

/// The keyword that `word` is but for its case.
pub(super) fn keyword_of_other_case(word: &str) -> Option<&'static str> {
    let lists: [&[&'static str]; 8] =
        [&STATEMENTS, &FIELDS, &TEST_PARTS, &OPERATORS, &TYPES, &METHODS, &OUTCOMES, &INNER];
    let mut all = lists.into_iter().flatten().copied();
    all.find(|keyword| keyword.eq_ignore_ascii_case(word) && *keyword != word)
}

/// The one of `words` that `word` was meant to be, whatever its case.
pub(super) fn meant(word: &str, words: &[&'static str]) -> Option<&'static str> {
    let same = words.iter().copied().find(|candidate| candidate.eq_ignore_ascii_case(word));
    same.or_else(|| {
        let near = nearest(&word.to_ascii_uppercase(), words.iter().copied())?;
        words.iter().copied().find(|candidate| *candidate == near)
    })
}

/// What to suggest instead of `word`, which is none of `words`.
pub(super) fn suggestion(word: &str, words: &[&'static str]) -> Option<String> {
    let meant = meant(word, words)?;
    Some(if meant.eq_ignore_ascii_case(word) && meant.bytes().all(|b| !b.is_ascii_lowercase()) {
        format!("keywords are upper case: `{meant}`")
    } else {
        format!("did you mean `{meant}`?")
    })
}

/// `a`, `b` or `c`, each in backticks.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    or(&quoted)
}

/// a, b or c.
pub(super) fn or(phrases: &[String]) -> String {
    match phrases {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
