//! `aecp test`: a set's TESTs against its WebAssembly, and how good they are.

mod json;
mod junit;
mod text;

use std::time::{Duration, Instant};

use aecp_compiler::{
    check::check,
    generate,
    interpret::Loaded,
    set::PolicySet,
    source::{Sources, Span},
    testing::{self, Coverage, Failures, Mutation, Runner, TestResult},
};
use aecp_contract::{
    explain::Explanation,
    manifest::{CoverageSummary, TestSummary},
};
use clap::ValueEnum;

use super::SetArgument;
use crate::{Outcome, diagnostics, terminal::progress};

/// Run the tests of a policy set against its compiled WebAssembly
///
/// Also says which comparisons of the policies no test depends on (clause coverage), and with --mutants which small
/// changes to the policies no test would notice. Exit code 1 if a test fails, or if the tests cover less than
/// --min-coverage or the set's own MIN_COVERAGE, whichever is more.
///
/// Example: aecp test policies/hipaa --min-coverage 90 --mutants
///          aecp test policies/hipaa --format junit > report.xml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// For people, for machines, or for CI servers
    #[arg(long, value_enum, default_value = "text")]
    format: TestFormat,
    /// The clauses that the tests must cover, in percent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    min_coverage: Option<u32>,
    /// Also change the policies in many small ways, and list the changes that no test notices
    #[arg(long)]
    mutants: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// People
    Text,
    /// Machines
    Json,
    /// JUnit XML, as CI servers read it
    Junit,
}

/// Everything that a run found out.
struct Report<'a> {
    sources: &'a Sources,
    set: &'a PolicySet,
    tests: Vec<Timed<'a>>,
    summary: TestSummary,
    coverage: Coverage<'a>,
    covered: CoverageSummary,
    /// `None` if they were not asked for, or tests failed.
    mutation: Option<Mutation>,
}

/// A test with the time it took, and why it failed if it did.
struct Timed<'a> {
    result: TestResult<'a>,
    took: Duration,
    why: Option<Explanation>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        !(arguments.mutants && arguments.format == TestFormat::Junit),
        "mutants are no test cases: use --mutants with --format text or json"
    );
    let sources = arguments.set.sources()?;
    let checked = check(&sources);
    let Some(set) = &checked.set else {
        diagnostics::print(&checked.findings, &sources);
        return Ok(Outcome::Bad);
    };
    let core = generate::core_module(set)?;
    let mut runner = Runner::new(set, &Loaded::new(set, &core)?)?;
    let mut results = Vec::with_capacity(set.tests.len());
    let mut times = Vec::with_capacity(set.tests.len());
    for test in &set.tests {
        let start = Instant::now();
        results.push(runner.run(test));
        times.push(start.elapsed());
    }
    let summary = testing::summary(&results);
    let findings = testing::findings(&results);
    let mut failures = Failures::new(set, &sources);
    let mut tests = Vec::with_capacity(set.tests.len());
    for (result, took) in results.into_iter().zip(times) {
        let why = result.failure.as_ref().and_then(|_| failures.explain(&result));
        tests.push(Timed { result, took, why });
    }
    let coverage = testing::coverage(set);
    let own = set.min_coverage.map_or(0, |(percent, _)| percent);
    let covered = coverage.summary(own.max(arguments.min_coverage.unwrap_or(0)));
    let mutation = (arguments.mutants && summary.failed == 0).then(|| {
        progress("trying mutants …");
        testing::mutants(set, &mut |done, all| progress(format_args!("{done} of {all} mutants tried")))
    });
    let report = Report { sources: &sources, set, tests, summary, coverage, covered, mutation };
    match arguments.format {
        TestFormat::Text => text::print(&report, &findings),
        TestFormat::Json => json::print(&report)?,
        TestFormat::Junit => junit::print(&report, &arguments.set.set.display().to_string())?,
    }
    let good = summary.failed == 0 && covered.is_enough();
    Ok(if good { Outcome::Good } else { Outcome::Bad })
}

impl Report<'_> {
    /// The file and line of a place.
    fn place(&self, span: Span) -> (&str, usize) {
        let file = self.sources.files().get(span.file as usize).map_or("", |file| file.path.as_str());
        (file, self.sources.position(span.file, span.start).line)
    }
}

impl Timed<'_> {
    /// What was expected, in the language's words.
    fn expected(&self) -> String {
        aecp_compiler::language::format::outcome(&self.result.test.expect)
    }

    /// The decision that there was instead; `None` if there was none.
    fn actual(&self) -> Option<&'static str> {
        self.result.verdict.as_ref().map(|verdict| verdict.decision.as_str())
    }
}
