//! Runs a set's TESTs, always against the generated WebAssembly.

use aecp_contract::{
    manifest::{Enforcement, TestSummary},
    verdict::{Decision, Verdict},
};

use crate::{
    findings::{Finding, Kind, code},
    generate::CoreModule,
    interpret::{InterpretError, Interpreter},
    language::ast::{Expect, Name},
    set::{PolicySet, Test},
};

/// What became of one test.
#[derive(Debug)]
pub struct TestResult<'a> {
    /// The test.
    pub test: &'a Test,
    /// `None` if it passed, else what was there instead of what was expected.
    pub failure: Option<String>,
}

/// Runs every test of `set` against `core`, in the order of the sources.
///
/// # Errors
/// [`InterpretError::Module`] if the module cannot be loaded.
pub fn run<'a>(set: &'a PolicySet, core: &CoreModule) -> Result<Vec<TestResult<'a>>, InterpretError> {
    let mut interpreter = Interpreter::new(set, core)?;
    let run_one = |test: &'a Test| {
        let failure = match interpreter.decide(&test.request) {
            Ok(verdict) => judge(set, &test.expect, &verdict).err(),
            Err(error) => Some(error.to_string()),
        };
        TestResult { test, failure }
    };
    Ok(set.tests.iter().map(run_one).collect())
}

/// Passed and failed tests, counted.
#[must_use]
pub fn summary(results: &[TestResult<'_>]) -> TestSummary {
    let failed = results.iter().filter(|result| result.failure.is_some()).count() as u32;
    TestSummary { passed: results.len() as u32 - failed, failed }
}

/// The failures as findings.
#[must_use]
pub fn findings(results: &[TestResult<'_>]) -> Vec<Finding> {
    let failures = results.iter().filter_map(|result| Some((result.test, result.failure.as_ref()?)));
    let finding = |(test, failure): (&Test, &String)| {
        let message = format!("test `{}` failed", test.name);
        let mut finding = Finding::error(code::TEST_FAILED, Kind::Test, test.expect_span, message)
            .here(failure.clone());
        if let Expect::Deny(names) | Expect::AllowWithAdvisory(names) = &test.expect {
            finding.policies = names.iter().map(|name| name.node.clone()).collect();
        }
        finding
    };
    failures.map(finding).collect()
}

fn judge(set: &PolicySet, expect: &Expect, verdict: &Verdict) -> Result<(), String> {
    let (decision, names, among): (_, &[Name], Vec<u32>) = match expect {
        Expect::Allow => (Decision::Allow, &[], Vec::new()),
        Expect::AllowWithAdvisory(names) => (Decision::Allow, names, verdict.violated.clone()),
        Expect::Deny(names) => {
            (Decision::Deny, names, [&verdict.violated[..], &verdict.indeterminate].concat())
        }
    };
    if verdict.decision != decision {
        return Err(describe(set, verdict));
    }
    for name in names {
        let found = set.policy(&name.node).is_some_and(|index| among.contains(&(index as u32)));
        if !found {
            return Err(format!("`{}` has no part in it: {}", name.node, describe(set, verdict)));
        }
    }
    Ok(())
}

/// A verdict in one line: `the decision is DENY: a (violated), b (undecided: …)`.
fn describe(set: &PolicySet, verdict: &Verdict) -> String {
    let policy = |index: &u32| &set.policies[*index as usize].info;
    let mut reasons = Vec::new();
    for (indexes, how) in [(&verdict.violated, "violated"), (&verdict.indeterminate, "indeterminate")] {
        for info in indexes.iter().map(policy) {
            let mode = match info.enforcement {
                Enforcement::Blocking => String::new(),
                other => format!(", {}", other.as_str()),
            };
            reasons.push(format!("`{}` is {how}{mode}", info.name));
        }
    }
    for index in &verdict.uncovered {
        reasons.push(format!(
            "no BLOCKING policy of module `{}` applies, which says DEFAULT: DENY",
            set.modules[*index as usize].name
        ));
    }
    let decision = format!("the decision is {}", verdict.decision.as_str());
    if reasons.is_empty() { decision } else { format!("{decision}: {}", reasons.join(", ")) }
}
