//! A run of the tests, for machines.

use std::io::Write as _;

use aecp_compiler::{
    language::format,
    testing::{Clause, Mutation, Seen},
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{Report, Timed};

#[derive(Serialize)]
struct Whole<'a> {
    passed: u32,
    failed: u32,
    tests: Vec<Value>,
    coverage: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutants: Option<Mutants<'a>>,
}

#[derive(Serialize)]
struct Mutants<'a> {
    all: usize,
    tried: usize,
    killed: usize,
    equivalent: usize,
    unexpected: usize,
    survived: usize,
    survivors: Vec<Mutant<'a>>,
}

#[derive(Serialize)]
struct Mutant<'a> {
    policy: &'a str,
    change: &'a str,
    file: &'a str,
    line: usize,
    /// A request on which mutant and policy differ, digit by digit as the solver wrote it.
    request: Option<&'a RawValue>,
}

pub(super) fn print(report: &Report<'_>) -> anyhow::Result<()> {
    let whole = Whole {
        passed: report.summary.passed,
        failed: report.summary.failed,
        tests: report.tests.iter().map(|test| one(report, test)).collect(),
        coverage: coverage(report),
        mutants: report.mutation.as_ref().map(|mutation| mutants(report, mutation)),
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &whole)?;
    writeln!(out)?;
    Ok(())
}

fn one(report: &Report<'_>, test: &Timed<'_>) -> Value {
    let (file, line) = report.place(test.result.test.span);
    let mut one = json!({
        "name": test.result.test.name,
        "file": file,
        "line": line,
        "passed": test.result.failure.is_none(),
        "failure": test.result.failure,
        "duration_us": test.took.as_micros() as u64,
    });
    if test.result.failure.is_some() {
        one["expected"] = json!(test.expected());
        one["actual"] = json!(test.actual());
        one["explanation"] = json!(test.why);
    }
    one
}

fn coverage(report: &Report<'_>) -> Value {
    let covered = report.covered;
    let clauses: Vec<_> = report.coverage.clauses.iter().map(|it| clause(report, it)).collect();
    json!({
        "percent": covered.percent(),
        "required": covered.required,
        "enough": covered.is_enough(),
        "ways": covered.ways,
        "decisive": covered.decisive,
        "impossible": covered.impossible,
        "clauses": clauses,
    })
}

fn clause(report: &Report<'_>, clause: &Clause<'_>) -> Value {
    let (file, line) = report.place(clause.condition.span);
    json!({
        "policy": report.set.policies[clause.policy].info.name,
        "clause": format::condition(clause.condition),
        "file": file,
        "line": line,
        "true": word(clause.when_true),
        "false": word(clause.when_false),
    })
}

fn word(seen: Seen) -> &'static str {
    match seen {
        Seen::Decisive => "decisive",
        Seen::Never => "never",
        Seen::Impossible => "impossible",
    }
}

fn mutants<'a>(report: &'a Report<'_>, mutation: &'a Mutation) -> Mutants<'a> {
    let survivors = mutation.survivors.iter().map(|survivor| {
        let (file, line) = report.place(survivor.span);
        Mutant {
            policy: &report.set.policies[survivor.policy].info.name,
            change: &survivor.change,
            file,
            line,
            request: survivor.request.as_deref().and_then(|json| serde_json::from_str(json).ok()),
        }
    });
    Mutants {
        all: mutation.all,
        tried: mutation.tried,
        killed: mutation.killed,
        equivalent: mutation.equivalent,
        unexpected: mutation.unexpected,
        survived: mutation.survivors.len(),
        survivors: survivors.collect(),
    }
}
