//! Clause coverage: whether the tests see every comparison of every policy decide, both as TRUE and as FALSE.
//!
//! A comparison decides a test's request where its truth alone, if it were the contrary, would change what the policy
//! is for the request: violated, indeterminate, or neither; and, under `DEFAULT: DENY`, whether it applies. Such a test
//! is needed to see that the comparison is there and says what it should. Ways that no request at all can decide are
//! left out of the count, but only where the solver has proven it.

use aecp_contract::manifest::CoverageSummary;

use super::{
    decisive::Clauses,
    given::{self, Given},
    proofs,
};
use crate::{
    analyse::Solver,
    findings::{Finding, Kind, code},
    language::ast::Condition,
    parallel::{self, in_parallel},
    set::PolicySet,
};

/// Questions to the solver that are asked at most; ways beyond count as such that a test could cover.
const MAX_QUESTIONS: usize = 20_000;

/// Policies whose questions are asked of one solver.
const POLICIES: usize = 32;

/// Gaps that a finding shows.
const SHOWN: usize = 8;

/// Whether a clause was seen to decide, being TRUE or being FALSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// In some test.
    Decisive,
    /// In no test.
    Never,
    /// In no test, and proven: there is no request in which it could.
    Impossible,
}

/// One comparison of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Clause<'a> {
    /// The policy, by its index in the set.
    pub policy: usize,
    /// The comparison.
    pub condition: &'a Condition,
    /// Being TRUE.
    pub when_true: Seen,
    /// Being FALSE.
    pub when_false: Seen,
}

impl Clause<'_> {
    fn ways(&self) -> [Seen; 2] {
        [self.when_true, self.when_false]
    }

    /// In how many ways no test sees it decide, though one could.
    #[must_use]
    pub fn gaps(&self) -> usize {
        self.ways().into_iter().filter(|seen| *seen == Seen::Never).count()
    }
}

/// What the tests of a set cover.
#[derive(Debug)]
pub struct Coverage<'a> {
    /// Every comparison of every policy, by policy and then in the order of the text, scope first.
    pub clauses: Vec<Clause<'a>>,
}

/// Works out what the tests of a set cover.
#[must_use]
pub fn coverage(set: &PolicySet) -> Coverage<'_> {
    let threads = parallel::threads();
    let requests: Vec<Given<'_>> = given::requests(set).into_iter().flatten().collect();
    let policies: Vec<usize> = (0..set.policies.len()).collect();
    let clauses = in_parallel(&policies, threads, |policy| seen(set, *policy, &requests));
    let mut questions = MAX_QUESTIONS;
    let mut allowed = |clauses: &Vec<Clause<'_>>| {
        let gaps: usize = clauses.iter().map(Clause::gaps).sum();
        let some = gaps.min(questions);
        questions -= some;
        some
    };
    let asked: Vec<(Vec<Clause<'_>>, usize)> = clauses
        .into_iter()
        .map(|clauses| {
            let questions = allowed(&clauses);
            (clauses, questions)
        })
        .collect();
    let chunks: Vec<_> = asked.chunks(POLICIES).collect();
    let proven = in_parallel(&chunks, threads, |chunk| {
        let solver = Solver::new(set);
        let each = chunk.iter().map(|(clauses, questions)| proven(set, &solver, clauses, *questions));
        each.flatten().collect::<Vec<_>>()
    });
    Coverage { clauses: proven.into_iter().flatten().collect() }
}

/// The clauses of one policy, and which of them the requests see decide.
fn seen<'a>(set: &'a PolicySet, policy: usize, requests: &[Given<'_>]) -> Vec<Clause<'a>> {
    let flat = Clauses::of(set, &set.policies[policy]);
    let clause =
        |condition| Clause { policy, condition, when_true: Seen::Never, when_false: Seen::Never };
    let mut clauses: Vec<_> = flat.atoms().map(clause).collect();
    for request in requests {
        flat.decide(set, request, &mut |atom, holds| {
            let clause = &mut clauses[atom];
            *(if holds { &mut clause.when_true } else { &mut clause.when_false }) = Seen::Decisive;
        });
    }
    clauses
}

/// The same clauses, with what is proven of up to so many ways that no test covers.
fn proven<'a>(
    set: &PolicySet,
    solver: &Solver<'_>,
    clauses: &[Clause<'a>],
    mut questions: usize,
) -> Vec<Clause<'a>> {
    let mut ask = |clause: &Clause<'_>, seen: Seen, holds: bool| {
        if seen != Seen::Never || questions == 0 {
            return seen;
        }
        questions -= 1;
        let policy = &set.policies[clause.policy];
        match proofs::never_decides(set, solver, policy, clause.condition, holds) {
            true => Seen::Impossible,
            false => seen,
        }
    };
    let prove = |clause: &Clause<'a>| {
        let when_true = ask(clause, clause.when_true, true);
        Clause { when_true, when_false: ask(clause, clause.when_false, false), ..*clause }
    };
    clauses.iter().map(prove).collect()
}

impl Coverage<'_> {
    /// The counts; `required` is what was asked for, in percent.
    #[must_use]
    pub fn summary(&self, required: u32) -> CoverageSummary {
        let count = |wanted| {
            let ways = self.clauses.iter().flat_map(Clause::ways);
            ways.filter(|seen| *seen == wanted).count() as u32
        };
        let (decisive, impossible) = (count(Seen::Decisive), count(Seen::Impossible));
        CoverageSummary { required, ways: 2 * self.clauses.len() as u32, decisive, impossible }
    }

    /// The finding of a set that asks for more than its tests cover; `None` if they cover it.
    #[must_use]
    pub fn finding(&self, set: &PolicySet) -> Option<Finding> {
        let (required, place) = set.min_coverage?;
        let summary = self.summary(required);
        if summary.is_enough() {
            return None;
        }
        let message = format!(
            "the tests cover {} % of the clauses; the set asks for {required} %",
            summary.percent()
        );
        let mut gaps = vec![(0_usize, 0_usize); set.policies.len()];
        for clause in &self.clauses {
            gaps[clause.policy].0 += clause.gaps();
            gaps[clause.policy].1 += clause.ways().len();
        }
        let mut largest: Vec<_> =
            gaps.into_iter().enumerate().filter(|(_, (gaps, _))| *gaps > 0).collect();
        largest.sort_by_key(|(policy, (gaps, _))| (std::cmp::Reverse(*gaps), *policy));
        let mut finding = Finding::error(code::COVERAGE, Kind::Coverage, place, message)
            .because(
                "a clause is covered where flipping its truth alone would change what its policy is for \
                 a test's request, once while it is TRUE and once while it is FALSE",
            )
            .try_instead("`aecp test` lists every clause that no test covers");
        for (policy, (gaps, ways)) in largest.iter().take(SHOWN) {
            let policy = &set.policies[*policy];
            finding = finding
                .also(policy.span, format!("{gaps} of its {ways} ways are covered by no test"))
                .about(&policy.info.name);
        }
        Some(finding)
    }
}
