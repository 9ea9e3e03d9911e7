//! Conflicts within a set: what `docs/language.md` lists, each with a request that shows it.

use std::collections::BTreeMap;

use super::{
    index::Index,
    pair::Pair,
    report,
    solve::{Answer, Blame, Solver},
    subject::{Subject, request},
    witness::{Candidate, confirm},
};
use crate::{findings::Finding, set::PolicySet};

/// So many conflicts of one severity are told; more help nobody.
const MAX_CONFLICTS: usize = 1_000;

/// So many pairs are looked at: all of any 6,000 policies.
const MAX_PAIRS: u32 = 18_000_000;

/// So many policies that shadow one are told.
const MAX_SHADOWS: usize = 16;

/// Every conflict within the set, in no particular order.
#[must_use]
pub fn conflicts(set: &PolicySet) -> Vec<Finding> {
    let solver = Solver::new(set);
    let subjects = (0..set.policies.len()).map(|index| Subject::new(set, &solver, index));
    let mut analysis =
        Analysis { set, solver: &solver, subjects: subjects.collect(), told: Told::default() };
    analysis.each();
    analysis.pairs();
    let Analysis { subjects, told, .. } = analysis;
    let shadowed = told.shadows.iter().filter_map(|(shadowed, by)| {
        let by: Vec<_> = by.iter().map(|index| &subjects[*index]).collect();
        report::shadowed(&subjects[*shadowed], &by)
    });
    let shadowed: Vec<Candidate> = shadowed.take(MAX_CONFLICTS).collect();
    let candidates = told.contradictions.into_iter().chain(told.warnings).chain(shadowed);
    let mut findings = confirm(set, candidates.collect());
    findings.extend(told.undecided);
    findings
}

struct Analysis<'a> {
    set: &'a PolicySet,
    solver: &'a Solver<'a>,
    subjects: Vec<Subject<'a>>,
    told: Told,
}

/// What is found.
#[derive(Default)]
struct Told {
    contradictions: Vec<Candidate>,
    /// Dead and vacuous policies, mode clashes and exception clashes.
    warnings: Vec<Candidate>,
    /// Which policies another one makes superfluous, and which those are.
    shadows: BTreeMap<usize, Vec<usize>>,
    undecided: Vec<Finding>,
}

impl Told {
    fn warn(&mut self, warning: Option<Candidate>) {
        if self.warnings.len() < MAX_CONFLICTS {
            self.warnings.extend(warning);
        }
    }

    fn not_decided(&mut self, subjects: &[&Subject<'_>], blame: &Blame) {
        if self.undecided.len() < MAX_CONFLICTS {
            self.undecided.push(report::not_decided(subjects, blame));
        }
    }
}

impl Analysis<'_> {
    /// What is to be said of each policy alone.
    fn each(&mut self) {
        for subject in &self.subjects {
            let alone = match (&subject.met, &subject.broken) {
                (Answer::No, _) => report::dead(self.set, self.solver, subject).map(Some),
                (Answer::Yes(met), Answer::No) => {
                    let met = request(&subject.kept).unwrap_or(met);
                    Ok(Some(report::vacuous(self.solver, subject, met)))
                }
                (Answer::NotDecided(blame), _) | (_, Answer::NotDecided(blame)) => Err(blame.clone()),
                (Answer::Yes(_), Answer::Yes(_)) => Ok(None),
            };
            match alone {
                Ok(warning) => self.told.warn(warning),
                Err(blame) => self.told.not_decided(&[subject], &blame),
            }
        }
    }

    /// What is to be said of the pairs of policies whose scopes may meet. Only contradictions end it early: the set is
    /// refused whatever else there is.
    fn pairs(&mut self) {
        let live: Vec<_> = self.subjects.iter().filter(|one| one.met != Answer::No).collect();
        let mut index = Index::new(&live);
        let mut left = MAX_PAIRS;
        for second in &live {
            for first in index.add(second) {
                let first = &self.subjects[first];
                if left == 0 || self.told.contradictions.len() >= MAX_CONFLICTS {
                    self.told.undecided.push(report::ended_early([first, second]));
                    return;
                }
                left -= 1;
                let pair = Pair { solver: self.solver, a: first, b: second };
                if !pair.may_meet() {
                    continue;
                }
                if let Err(blame) = compare(self.set, &mut self.told, &pair) {
                    self.told.not_decided(&[first, second], &blame);
                }
            }
        }
    }
}

/// What is to be said of two policies that may both apply to a request.
fn compare(set: &PolicySet, told: &mut Told, pair: &Pair<'_, '_>) -> Result<(), Blame> {
    let contradiction = pair.contradiction(set)?;
    let contradicts = contradiction.is_some();
    told.contradictions.extend(contradiction);
    if told.warnings.len() < MAX_CONFLICTS {
        told.warn(pair.exception_clash()?);
    }
    let shadows = |of: &Subject<'_>| told.shadows.get(&of.index).map_or(0, Vec::len);
    // Where one forbids all that the other applies to, it shadows it too; that goes without saying.
    if contradicts || shadows(pair.a).max(shadows(pair.b)) >= MAX_SHADOWS {
        return Ok(());
    }
    if let Some(implied) = pair.implied()? {
        if implied.same_scope_other_mode {
            told.warn(report::mode_clash(implied.weak, implied.strong));
        } else {
            told.shadows.entry(implied.weak.index).or_default().push(implied.strong.index);
        }
    }
    Ok(())
}
