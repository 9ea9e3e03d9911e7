//! Runs a set's TESTs, always against the generated WebAssembly; and says how good they are: which clauses they cover
//! ([`mod@coverage`]), and which mutants of the policies they notice ([`mod@mutants`]).

mod coverage;
mod decisive;
mod edits;
mod failure;
mod given;
mod mutants;
mod proofs;
#[cfg(test)]
mod tests;

use aecp_contract::{
    manifest::{Enforcement, TestSummary},
    verdict::{Decision, Verdict},
};

pub use self::{
    coverage::{Clause, Coverage, Seen, coverage},
    failure::Failures,
    mutants::{MAX_MUTANTS, Mutation, Survivor, mutants},
};
use crate::{
    findings::{Finding, Kind, code},
    interpret::{InterpretError, Interpreter, Loaded},
    language::ast::{Expect, Name},
    set::{PolicySet, Test},
};

/// What became of one test.
#[derive(Debug)]
pub struct TestResult<'a> {
    /// The test.
    pub test: &'a Test,
    /// What the module said, if it said anything.
    pub verdict: Option<Verdict>,
    /// `None` if it passed, else what was there instead of what was expected.
    pub failure: Option<String>,
}

/// Runs the tests of a set one by one.
pub struct Runner<'a> {
    set: &'a PolicySet,
    interpreter: Interpreter,
}

impl<'a> Runner<'a> {
    /// A runner against the set's module.
    ///
    /// # Errors
    /// [`InterpretError::Module`] if the module cannot be instantiated.
    pub fn new(set: &'a PolicySet, module: &Loaded) -> Result<Self, InterpretError> {
        Ok(Self { set, interpreter: module.interpreter(set)? })
    }

    /// Runs one test.
    pub fn run(&mut self, test: &'a Test) -> TestResult<'a> {
        match self.interpreter.decide(&test.request) {
            Ok(verdict) => {
                let failure = judge(self.set, &test.expect, &verdict).err();
                TestResult { test, verdict: Some(verdict), failure }
            }
            Err(error) => TestResult { test, verdict: None, failure: Some(error.to_string()) },
        }
    }
}

/// Runs every test of `set` against its module, in the order of the sources.
///
/// # Errors
/// [`InterpretError::Module`] if the module cannot be instantiated.
pub fn run<'a>(set: &'a PolicySet, module: &Loaded) -> Result<Vec<TestResult<'a>>, InterpretError> {
    let mut runner = Runner::new(set, module)?;
    Ok(set.tests.iter().map(|test| runner.run(test)).collect())
}

/// Passed and failed tests, counted.
#[must_use]
pub fn summary(results: &[TestResult<'_>]) -> TestSummary {
    let failed = results.iter().filter(|result| result.failure.is_some()).count() as u32;
    TestSummary { passed: results.len() as u32 - failed, failed, coverage: None }
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
pub(crate) fn describe(set: &PolicySet, verdict: &Verdict) -> String {
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
