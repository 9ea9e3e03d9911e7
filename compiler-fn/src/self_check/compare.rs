//! The module's verdicts against what the reference evaluator says.

use aecp_contract::{
    manifest::Enforcement,
    verdict::{Decision, Verdict},
};

use super::{
    packing::{Batch, Request, pack},
    search::Case,
    subject::Subject,
    witness::{Difference, json},
};
use crate::{
    interpret::{InterpretError, Interpreter, Loaded},
    reference::{self, Truth},
    set::PolicySet,
    testing::describe,
};

/// All that comparing needs.
pub(super) struct Checker<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) module: &'a Loaded,
    pub(super) subjects: &'a [Subject<'a>],
}

/// What was expected, and what was found instead.
type Unequal = (String, String);

impl Checker<'_> {
    /// Checks a batch on an instance of its own; the first `whole` verdicts are compared wholly. Returns how many
    /// requests were made, and the first policy's difference.
    ///
    /// # Errors
    /// [`InterpretError::Module`] if the module cannot be instantiated.
    pub(super) fn check(
        &self,
        batch: &Batch<'_>,
        mut whole: usize,
    ) -> Result<(u32, Option<Difference>), InterpretError> {
        let mut interpreter = self.module.interpreter(self.set)?;
        let mut requests = 0;
        let mut first: Option<Difference> = None;
        for request in batch.iter().flat_map(|group| pack(self.subjects, group)) {
            let verdict = match interpreter.decide_attributes(request.slots()) {
                Err(InterpretError::Request(_)) => continue, // too large for the module's arena
                verdict => verdict,
            };
            requests += 1;
            let mut found = self.compare(&request, &verdict, &mut interpreter);
            if let (None, Ok(verdict), true) = (&found, &verdict, whole > 0) {
                whole -= 1;
                let expected = reference::decide_on(self.set, &request);
                found = self.compare_whole(&expected, verdict, || json(&request));
            }
            if let Some(found) = found
                && first.as_ref().is_none_or(|first| found.place() < first.place())
            {
                first = Some(found);
            }
        }
        Ok((requests, first))
    }

    /// Compares the whole verdicts on the requests of the set's TESTs.
    ///
    /// # Errors
    /// [`InterpretError::Module`] if the module cannot be instantiated.
    pub(super) fn check_tests(&self) -> Result<Option<Difference>, InterpretError> {
        let mut interpreter = self.module.interpreter(self.set)?;
        for test in &self.set.tests {
            let Ok(request) = serde_json::from_str::<serde_json::Value>(&test.request) else { continue };
            let verdict = match interpreter.decide(&test.request) {
                Ok(verdict) => verdict,
                Err(InterpretError::Request(_)) => continue,
                Err(error) => return Err(error),
            };
            let expected = reference::decide(self.set, &request);
            let difference = self.compare_whole(&expected, &verdict, || test.request.clone());
            if difference.is_some() {
                return Ok(difference);
            }
        }
        Ok(None)
    }

    /// Compares what the verdict says of the policies that the request is about.
    fn compare(
        &self,
        request: &Request<'_>,
        verdict: &Result<Verdict, InterpretError>,
        interpreter: &mut Interpreter,
    ) -> Option<Difference> {
        let differing = |case: &&Case| self.differs(case, verdict);
        let first = request.cases.iter().copied().filter(|case| differing(case).is_some());
        let Some(case) = first.min_by_key(|case| case.policy) else {
            let (expected, found) = verdict.as_ref().ok().and_then(|verdict| self.decision(verdict))?;
            return Some(Difference { policy: None, request: json(request), expected, found });
        };
        // The policy's own attributes are enough to show it, unless others play a part.
        let own = Request::of(&self.subjects[case.policy], case);
        let alone = interpreter.decide_attributes(own.slots());
        let (unequal, request) = match self.differs(case, &alone) {
            Some(unequal) => (Some(unequal), json(&own)),
            None => (self.differs(case, verdict), json(request)),
        };
        let (expected, found) = unequal?;
        Some(Difference { policy: Some(self.place(case.policy)), request, expected, found })
    }

    fn place(&self, policy: usize) -> (usize, String) {
        (policy, self.set.policies[policy].info.name.clone())
    }

    fn differs(&self, case: &Case, verdict: &Result<Verdict, InterpretError>) -> Option<Unequal> {
        let expected = (case.outcome == Truth::True, case.outcome == Truth::Unknown);
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => return Some((outcome(expected).to_owned(), error.to_string())),
        };
        let index = case.policy as u32;
        let has = |list: &[u32]| list.binary_search(&index).is_ok();
        let found = (has(&verdict.violated), has(&verdict.indeterminate));
        if found != expected {
            return Some((outcome(expected).to_owned(), outcome(found).to_owned()));
        }
        let info = &self.set.policies[case.policy].info;
        if case.scope != Truth::False && verdict.audit < info.audit {
            let audit = |level: &str| format!("AUDIT: {level}");
            return Some((audit(info.audit.as_str()), audit(verdict.audit.as_str())));
        }
        if case.scope != Truth::False
            && let Some(missed) = self.obliged(case.policy, verdict)
        {
            return Some((format!("obligation {missed}"), "no such obligation".to_owned()));
        }
        let covers = case.scope == Truth::True && info.enforcement == Enforcement::Blocking;
        if covers && verdict.uncovered.contains(&info.module) {
            let module = &self.set.modules[info.module as usize].name;
            return Some((format!("module `{module}` covered"), "not covered".to_owned()));
        }
        None
    }

    /// An obligation of the policy that the verdict does not list.
    fn obliged(&self, policy: usize, verdict: &Verdict) -> Option<u32> {
        let before: usize = self.set.policies[..policy].iter().map(|one| one.actions.len()).sum();
        let own = before..before + self.set.policies[policy].actions.len();
        own.map(|index| index as u32).find(|index| verdict.obligations.binary_search(index).is_err())
    }

    /// Whether the decision follows from what the verdict lists.
    fn decision(&self, verdict: &Verdict) -> Option<Unequal> {
        let blocks =
            |index: &u32| self.set.policies[*index as usize].info.enforcement == Enforcement::Blocking;
        let denied = verdict.violated.iter().chain(&verdict.indeterminate).any(blocks)
            || !verdict.uncovered.is_empty();
        let expected = if denied { Decision::Deny } else { Decision::Allow };
        (verdict.decision != expected)
            .then(|| (expected.as_str().to_owned(), describe(self.set, verdict)))
    }

    fn compare_whole(
        &self,
        expected: &Verdict,
        found: &Verdict,
        request: impl Fn() -> String,
    ) -> Option<Difference> {
        if expected == found {
            return None;
        }
        let said = |verdict: &Verdict, index: usize| {
            let has = |list: &[u32]| list.binary_search(&(index as u32)).is_ok();
            (has(&verdict.violated), has(&verdict.indeterminate))
        };
        let all = 0..self.set.policies.len();
        let policy = all.into_iter().find(|index| said(expected, *index) != said(found, *index));
        let (expected, found) = match policy {
            Some(index) => {
                (outcome(said(expected, index)).to_owned(), outcome(said(found, index)).to_owned())
            }
            None => {
                let whole = |verdict: &Verdict| {
                    format!("{}, AUDIT: {}", describe(self.set, verdict), verdict.audit.as_str())
                };
                (whole(expected), whole(found))
            }
        };
        let policy = policy.map(|index| self.place(index));
        Some(Difference { policy, request: request(), expected, found })
    }
}

/// Violated, indeterminate: in words.
fn outcome(listed: (bool, bool)) -> &'static str {
    match listed {
        (true, true) => "violated and indeterminate",
        (true, false) => "violated",
        (false, true) => "indeterminate",
        (false, false) => "neither violated nor indeterminate",
    }
}
