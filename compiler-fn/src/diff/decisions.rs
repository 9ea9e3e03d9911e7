//! Requests that one set allows and the other denies.
//!
//! Each policy of the denying set that may deny what its predecessor did not, and each module that may deny by default
//! what was covered, is a reason to look. The solver finds a request for it; if the other set denies that anyway, what it
//! denies it by is ruled out, and the solver is asked again, until both sets differ or no request is left.

use std::collections::BTreeSet;

use aecp_contract::{manifest::Enforcement, verdict::Decision};

use super::{
    Compared, DecisionChange, Decisions, Undecided,
    evidence::{Evidence, Sample, deniers, not_shown},
    meaning::Being,
};
use crate::{
    analyse::{Answer, Blame, Request, Side, Statement},
    compile::CompileError,
    set::PolicySet,
};

/// So often what the other set denies a request by is ruled out, for one reason.
const MAX_ROUNDS: usize = 64;

/// With more than so many conditions to meet, a request that is known to meet most of them is tried first.
const MANY: usize = 64;

/// So many requests are shown; more help nobody.
const MAX_SHOWN: usize = 1_000;

/// What may deny in one set: a policy or a module, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Policy(usize),
    Module(usize),
}

/// Requests that the set on `side` denies and the other one allows.
pub(super) fn newly_denied(
    evidence: &mut Evidence<'_>,
    compared: &[Compared],
    side: Side,
) -> Result<Decisions, CompileError> {
    let (seen, decisions) = (BTreeSet::new(), Decisions::default());
    let mut search = Search { evidence, side, seen, allowed: None, decisions };
    for reason in search.reasons(compared) {
        if let Err(why) = search.look(reason, compared)? {
            let about = search.name(reason);
            search.decisions.not_decided.push(Undecided { about, why: why.to_owned() });
        }
    }
    Ok(search.decisions)
}

struct Search<'e, 'a> {
    evidence: &'e mut Evidence<'a>,
    /// Which set denies.
    side: Side,
    /// What has a part in the decisions found.
    seen: BTreeSet<Reason>,
    /// A request that the other set allows.
    allowed: Option<Request>,
    decisions: Decisions,
}

/// A question asked well, or why it has no answer.
type Asked<T> = Result<Result<T, &'static str>, CompileError>;

impl<'a> Search<'_, 'a> {
    fn denying(&self) -> &'a PolicySet {
        self.evidence.set(self.side)
    }

    fn allowing(&self) -> &'a PolicySet {
        self.evidence.set(self.side.other())
    }

    fn name(&self, reason: Reason) -> String {
        match reason {
            Reason::Policy(index) => self.denying().policies[index].info.name.clone(),
            Reason::Module(index) => {
                format!("DEFAULT: DENY of module {}", self.denying().modules[index].name)
            }
        }
    }

    /// All that may deny what the other set allows.
    fn reasons(&self, compared: &[Compared]) -> Vec<Reason> {
        let (denying, allowing) = (self.denying(), self.allowing());
        let alike: BTreeSet<&str> = compared
            .iter()
            .filter(|compared| compared.alike)
            .map(|compared| compared.told.policy.as_str())
            .collect();
        // A policy that is to every request what its predecessor was, and BLOCKING on both sides.
        let as_before = |index: usize| {
            let name = denying.policies[index].info.name.as_str();
            let before = allowing.policy(name)?;
            (alike.contains(name) && blocks(allowing, before) && blocks(denying, index))
                .then_some(before)
        };
        let policies = (0..denying.policies.len())
            .filter(|index| blocks(denying, *index) && as_before(*index).is_none())
            .map(Reason::Policy);
        // A module that covers all that one of the other set's covers denies nothing that this did not.
        let covered = covering(denying)
            .into_iter()
            .map(|covering| covering.into_iter().filter_map(as_before).collect::<BTreeSet<_>>());
        let theirs = covering(allowing);
        let modules = covered.enumerate().filter(|(module, covered)| {
            let within = |(index, covering): (usize, &Vec<usize>)| {
                allowing.modules[index].default_deny
                    && covering.iter().all(|policy| covered.contains(policy))
            };
            denying.modules[*module].default_deny && !theirs.iter().enumerate().any(within)
        });
        policies.chain(modules.map(|(module, _)| Reason::Module(module))).collect()
    }

    /// Looks for a request that is denied for this reason, unless one is there already.
    fn look(&mut self, reason: Reason, compared: &[Compared]) -> Asked<()> {
        if self.seen.contains(&reason) {
            return Ok(Ok(()));
        }
        if self.decisions.shown.len() >= MAX_SHOWN {
            return Ok(Err("enough requests are shown already"));
        }
        // What shows how the policy changed often shows a decision, too.
        if let Reason::Policy(index) = reason {
            let name = &self.denying().policies[index].info.name;
            let at = compared.binary_search_by(|one| one.told.policy.cmp(name));
            let samples = at.map_or(&[][..], |at| &compared[at].samples);
            for sample in samples {
                if self.differs(sample)? && self.seen.contains(&reason) {
                    return Ok(Ok(()));
                }
            }
        }
        let goals: Vec<Result<Statement, Blame>> = match reason {
            Reason::Policy(index) => [Being::Violated, Being::Raised]
                .map(|being| self.evidence.being(self.side, index, being))
                .into(),
            Reason::Module(index) => vec![self.uncovered(index)],
        };
        let mut excluded = Vec::new();
        if let Reason::Policy(index) = reason
            && let Some(before) = self.allowing().policy(&self.denying().policies[index].info.name)
            && blocks(self.allowing(), before)
            && let Ok(not) = self.evidence.being(self.side.other(), before, Being::NotRaised)
        {
            excluded.push((Reason::Policy(before), not));
        }
        let mut open = None;
        for goal in goals {
            match goal {
                Err(blame) => open = Some(blame.why),
                Ok(goal) => match self.refine(goal, reason, &mut excluded)? {
                    Ok(true) => return Ok(Ok(())),
                    Ok(false) => open = None,
                    Err(why) => open = Some(why),
                },
            }
        }
        Ok(open.map_or(Ok(()), Err))
    }

    /// Asks for a request that meets the goal and that the other set allows; `false` if there is none. `excluded` is what
    /// is known to keep the other set from allowing.
    fn refine(
        &mut self,
        goal: Statement,
        reason: Reason,
        excluded: &mut Vec<(Reason, Statement)>,
    ) -> Asked<bool> {
        for _ in 0..MAX_ROUNDS {
            let statements: Vec<Statement> =
                [&goal].into_iter().chain(excluded.iter().map(|(_, not)| not)).cloned().collect();
            let request = match self.evidence.joint.find(&statements) {
                Answer::Yes(request) => request,
                Answer::No => return Ok(Ok(false)),
                Answer::NotDecided(blame) => return Ok(Err(blame.why)),
            };
            let sample = self.evidence.sample(&request)?;
            let other = self.side.other();
            let Some(verdict) = self.evidence.verdict(other, &sample)? else {
                return Ok(Err("the request that would show it is beyond the limits of requests"));
            };
            if verdict.decision == Decision::Allow {
                self.allowed = Some(request);
                if self.differs(&sample)? && self.seen.contains(&reason) {
                    return Ok(Ok(true));
                }
                return Err(not_shown(&self.name(reason), &sample));
            }
            let (policies, modules) = deniers(self.allowing(), &verdict);
            let reasons = policies.into_iter().map(Reason::Policy);
            let reasons = reasons.chain(modules.into_iter().map(Reason::Module));
            let before = excluded.len();
            for denier in reasons {
                if excluded.iter().any(|(known, _)| *known == denier) {
                    continue;
                }
                let not = match denier {
                    Reason::Policy(index) => self.evidence.being(other, index, Being::NotRaised),
                    Reason::Module(index) => self.covered(index),
                };
                match not {
                    Ok(not) => excluded.push((denier, not)),
                    Err(blame) => return Ok(Err(blame.why)),
                }
            }
            if excluded.len() == before {
                return Err(not_shown(&self.name(reason), &sample));
            }
            let many = excluded.len() > MANY;
            if let Some(allowed) = self.allowed.as_ref().filter(|_| many)
                && let Some(joined) = self.evidence.joint.joined(&request, allowed)
                && let joined = self.evidence.sample(&joined)?
                && self.differs(&joined)?
                && self.seen.contains(&reason)
            {
                return Ok(Ok(true));
            }
        }
        Ok(Err("too many other policies decide the same requests"))
    }

    /// Notes the request if it is denied here and allowed there.
    fn differs(&mut self, sample: &Sample) -> Result<bool, CompileError> {
        let denied = self.evidence.verdict(self.side, sample)?;
        let allowed = self.evidence.verdict(self.side.other(), sample)?;
        let (Some(denied), Some(allowed)) = (denied, allowed) else { return Ok(false) };
        if (denied.decision, allowed.decision) != (Decision::Deny, Decision::Allow) {
            return Ok(false);
        }
        self.evidence.confirm(self.side, sample, &denied)?;
        self.evidence.confirm(self.side.other(), sample, &allowed)?;
        let set = self.denying();
        let (policies, modules) = deniers(set, &denied);
        let by = policies.iter().map(|index| set.policies[*index].info.name.clone()).collect();
        let by_default_of = modules.iter().map(|index| set.modules[*index].name.clone()).collect();
        self.seen.extend(policies.into_iter().map(Reason::Policy));
        self.seen.extend(modules.into_iter().map(Reason::Module));
        let request = sample.json.clone();
        if self.decisions.shown.iter().any(|shown| shown.request == request) {
            return Ok(true);
        }
        self.decisions.shown.push(DecisionChange { request, by, by_default_of });
        Ok(true)
    }

    /// That no BLOCKING policy of the denying set's module applies.
    fn uncovered(&self, module: usize) -> Result<Statement, Blame> {
        let covering = covering(self.denying()).swap_remove(module);
        let not = |index| self.evidence.being(self.side, index, Being::AppliesNot);
        Ok(Statement::all(covering.into_iter().map(not).collect::<Result<Vec<_>, _>>()?))
    }

    /// That some BLOCKING policy of the allowing set's module applies.
    fn covered(&self, module: usize) -> Result<Statement, Blame> {
        let covering = covering(self.allowing()).swap_remove(module);
        let applies = |index| self.evidence.being(self.side.other(), index, Being::Applies);
        Ok(Statement::any(covering.into_iter().map(applies).collect::<Result<Vec<_>, _>>()?))
    }
}

fn blocks(set: &PolicySet, policy: usize) -> bool {
    set.policies[policy].info.enforcement == Enforcement::Blocking
}

/// For each module of a set its BLOCKING policies.
fn covering(set: &PolicySet) -> Vec<Vec<usize>> {
    let mut covering = vec![Vec::new(); set.modules.len()];
    for (index, policy) in set.policies.iter().enumerate() {
        if blocks(set, index)
            && let Some(module) = covering.get_mut(policy.info.module as usize)
        {
            module.push(index);
        }
    }
    covering
}
