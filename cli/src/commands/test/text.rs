//! A run of the tests, for people.

use aecp_compiler::{
    findings::Finding,
    language::format,
    testing::{Clause, Mutation, Seen, Survivor},
};

use super::{Report, Timed};
use crate::{
    commands::explain::painted,
    diagnostics,
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN},
};

/// Clauses, and mutants, that are listed at most; the others are in the JSON.
const MAX_LISTED: usize = 20;

/// Explanations of failures that are printed at most.
const MAX_EXPLAINED: usize = 20;

/// Columns of a clause or a place.
const COLUMN: usize = 60;

pub(super) fn print(report: &Report<'_>, failures: &[Finding]) {
    let mut explained = 0;
    for test in &report.tests {
        let name = &test.result.test.name;
        match &test.result.failure {
            None => anstream::println!("{GOOD}pass{PLAIN}  {name}"),
            Some(failure) => {
                anstream::println!("{BAD}FAIL{PLAIN}  {name}");
                explained += 1;
                failed(test, failure, explained <= MAX_EXPLAINED);
            }
        }
    }
    diagnostics::print(failures, report.sources);
    let summary = report.summary;
    if report.tests.is_empty() {
        anstream::println!("the set has no tests");
    } else {
        anstream::println!("{} passed, {} failed", summary.passed, summary.failed);
    }
    coverage(report);
    if let Some(mutation) = &report.mutation {
        mutants(report, mutation);
    }
}

fn failed(test: &Timed<'_>, failure: &str, explain: bool) {
    anstream::println!("      expected  {}", test.expected());
    anstream::println!("      actual    {}", test.actual().unwrap_or(failure));
    anstream::println!("      {FAINT}given     {}{PLAIN}", test.result.test.request);
    if let (true, Some(why)) = (explain, &test.why) {
        for line in why.text(&painted).lines().skip(1) {
            anstream::println!("{}{line}", if line.is_empty() { "" } else { "      " });
        }
        anstream::println!();
    }
}

fn coverage(report: &Report<'_>) {
    let covered = report.covered;
    let gaps: Vec<_> = report.coverage.clauses.iter().filter(|clause| clause.gaps() > 0).collect();
    for clause in gaps.iter().take(MAX_LISTED) {
        anstream::println!("  {}", gap(report, clause));
    }
    if gaps.len() > MAX_LISTED {
        let more = gaps.len() - MAX_LISTED;
        anstream::println!("  {FAINT}… and {more} more, see --format json{PLAIN}");
    }
    let (colour, word) = match (covered.required, covered.is_enough()) {
        (0, _) => (PLAIN, String::new()),
        (required, true) => (GOOD, format!(", {required} % are asked for")),
        (required, false) => (BAD, format!(", but {required} % are asked for")),
    };
    let impossible = match covered.impossible {
        0 => String::new(),
        count => format!(" ({count} more can decide nothing, proven)"),
    };
    anstream::println!(
        "{colour}clause coverage {} %{PLAIN}: {} of {} ways{impossible}{word}",
        covered.percent(),
        covered.decisive,
        covered.possible(),
    );
}

fn gap(report: &Report<'_>, clause: &Clause<'_>) -> String {
    let never = match (clause.when_true, clause.when_false) {
        (Seen::Never, Seen::Never) => "never decides",
        (Seen::Never, _) => "never decides as TRUE",
        _ => "never decides as FALSE",
    };
    let (file, line) = report.place(clause.condition.span);
    let text = cut(&format::condition(clause.condition));
    let policy = &report.set.policies[clause.policy].info.name;
    format!("{CARE}{never:22}{PLAIN} {text:COLUMN$} {FAINT}{policy}  {file}:{line}{PLAIN}")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(COLUMN) {
        None => text.to_owned(),
        Some(_) => text.chars().take(COLUMN - 1).chain(['…']).collect(),
    }
}

fn mutants(report: &Report<'_>, mutation: &Mutation) {
    for survivor in mutation.survivors.iter().take(MAX_LISTED) {
        survived(report, survivor);
    }
    let survived = mutation.survivors.len();
    if survived > MAX_LISTED {
        let more = survived - MAX_LISTED;
        anstream::println!("  {FAINT}… and {more} more, see --format json{PLAIN}");
    }
    let of = match mutation.all - mutation.tried {
        0 => String::new(),
        left => format!(" ({left} more were not tried)"),
    };
    let unexpected = match mutation.unexpected {
        0 => String::new(),
        some => format!(", {some} that only advise more, which no test can expect"),
    };
    anstream::println!(
        "mutants: killed {} of {}, {survived} survived, {} equivalent{unexpected}{of}",
        mutation.killed,
        mutation.tried,
        mutation.equivalent,
    );
}

fn survived(report: &Report<'_>, survivor: &Survivor) {
    let (file, line) = report.place(survivor.span);
    let policy = &report.set.policies[survivor.policy].info.name;
    anstream::println!(
        "  {CARE}survived{PLAIN}  {policy}: {}  {FAINT}{file}:{line}{PLAIN}",
        survivor.change
    );
    if let Some(request) = &survivor.request {
        anstream::println!(
            "            {FAINT}a test with this request could notice it: {request}{PLAIN}"
        );
    }
}
