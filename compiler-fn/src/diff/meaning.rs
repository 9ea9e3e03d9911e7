//! Whether a policy makes the same of every request.

use super::{
    Shown,
    evidence::{Evidence, Sample, not_shown},
};
use crate::{
    analyse::{Answer, Blame, Goal, Side, Solver, Statement, Want},
    compile::CompileError,
    set::{Policy, PolicySet},
};

/// So many requests show how a policy changed whose attributes cannot be compared.
const MAX_SHOWN: usize = 2;

/// Why there is no request where one was found.
const TOO_LARGE: &str = "the request that would show it is beyond the limits of requests";

/// What two policies of one name are to each other.
pub(super) enum Meaning {
    /// Every request is the same to both.
    Same,
    /// These requests are not.
    Differs(Vec<(Shown, Sample)>),
    NotDecided(String),
}

/// What may be true of a policy and a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Being {
    /// Its scope is TRUE.
    Applies,
    /// Its scope is not TRUE.
    AppliesNot,
    /// Its scope is TRUE or UNKNOWN.
    MayApply,
    /// Its scope is FALSE.
    OutOfScope,
    /// Its scope and its constraint are TRUE.
    Satisfied,
    /// Its scope is TRUE and its constraint UNKNOWN.
    Open,
    Violated,
    NotViolated,
    /// It is violated or indeterminate.
    Raised,
    NotRaised,
}

/// Ways to become stricter, from what is told best to what holds of every other; backwards, ways to become looser.
const STRICTER: [(Being, Being); 6] = [
    (Being::Satisfied, Being::Violated),
    (Being::OutOfScope, Being::Violated),
    (Being::Satisfied, Being::Open),
    (Being::NotRaised, Being::Violated),
    (Being::NotRaised, Being::Raised),
    (Being::NotViolated, Being::Violated),
];

/// Ways to apply to more requests, likewise.
const WIDER: [(Being, Being); 3] = [
    (Being::OutOfScope, Being::Satisfied),
    (Being::AppliesNot, Being::Applies),
    (Being::OutOfScope, Being::MayApply),
];

impl Evidence<'_> {
    /// That a policy of that side is this to a request.
    pub(super) fn being(&self, side: Side, index: usize, being: Being) -> Result<Statement, Blame> {
        let Policy { scope, constraint, .. } = &self.set(side).policies[index];
        let scope = |want| match scope {
            Some(scope) => self.joint.is(side, scope, want),
            None if matches!(want, Want::True | Want::NotFalse) => Ok(Statement::all([])),
            None => Ok(Statement::any([])),
        };
        let constraint = |want| self.joint.is(side, constraint, want);
        Ok(match being {
            Being::Applies => scope(Want::True)?,
            Being::AppliesNot => scope(Want::NotTrue)?,
            Being::MayApply => scope(Want::NotFalse)?,
            Being::OutOfScope => scope(Want::False)?,
            Being::Satisfied => Statement::all([scope(Want::True)?, constraint(Want::True)?]),
            Being::Open => Statement::all([scope(Want::True)?, constraint(Want::Unknown)?]),
            Being::Violated => Statement::all([scope(Want::True)?, constraint(Want::False)?]),
            Being::NotViolated => Statement::any([scope(Want::NotTrue)?, constraint(Want::NotFalse)?]),
            Being::Raised => Statement::all([scope(Want::NotFalse)?, constraint(Want::NotTrue)?]),
            Being::NotRaised => Statement::any([scope(Want::False)?, constraint(Want::True)?]),
        })
    }
}

/// Compares the old set's policy `before` with the new one's `after`.
pub(super) fn compare(
    evidence: &mut Evidence<'_>,
    before: usize,
    after: usize,
) -> Result<Meaning, CompileError> {
    let policies = [(Side::Old, before), (Side::New, after)];
    let [old, new] = policies.map(|(side, index)| &evidence.set(side).policies[index]);
    let parts = |policy: &Policy| -> Vec<_> {
        policy.scope.iter().chain([&policy.constraint]).cloned().collect()
    };
    let otherwise = |evidence: &Evidence<'_>| {
        parts(old).iter().any(|part| evidence.joint.sees_otherwise(Side::Old, part))
    };
    if old.scope == new.scope && old.constraint == new.constraint && !otherwise(evidence) {
        return Ok(Meaning::Same);
    }
    let turned = |ways: &[(Being, Being)]| ways.iter().map(|(a, b)| (*b, *a)).collect();
    let ways: [Vec<(Being, Being)>; 4] =
        [STRICTER.to_vec(), turned(&STRICTER), WIDER.to_vec(), turned(&WIDER)];
    let (mut found, mut blame) = (Vec::new(), None);
    for (number, ways) in ways.into_iter().enumerate() {
        // A change of scope alone is told where there is no other.
        if number == 2 && !found.is_empty() {
            break;
        }
        match first(evidence, policies, &ways)? {
            Ok(shown) => found.extend(shown),
            Err(why) => blame = blame.or(Some(why)),
        }
    }
    if found.is_empty() && blame.is_some() {
        found = samples_of_either(evidence, policies)?;
    }
    Ok(match blame {
        _ if !found.is_empty() => Meaning::Differs(found),
        Some(why) => Meaning::NotDecided(why),
        None => Meaning::Same,
    })
}

/// A request that is the first of these to the old policy and the second to the new one, for the first pair that has
/// one; or why that cannot be told.
fn first(
    evidence: &mut Evidence<'_>,
    policies: [(Side, usize); 2],
    ways: &[(Being, Being)],
) -> Result<Result<Option<(Shown, Sample)>, String>, CompileError> {
    let [(_, before), (_, after)] = policies;
    let mut blame = None;
    for (was, is) in ways {
        let statements = evidence
            .being(Side::Old, before, *was)
            .and_then(|was| Ok([was, evidence.being(Side::New, after, *is)?]));
        let answer = match statements {
            Ok(statements) => evidence.joint.find(&statements),
            Err(blame) => Answer::NotDecided(blame),
        };
        match answer {
            Answer::No => {}
            Answer::NotDecided(why) => {
                blame.get_or_insert(why.why.to_owned());
            }
            Answer::Yes(request) => {
                let sample = evidence.sample(&request)?;
                match shown(evidence, policies, &sample)? {
                    None => {
                        blame.get_or_insert(TOO_LARGE.to_owned());
                    }
                    Some(shown) if shown.before == shown.after => {
                        let name = &evidence.set(Side::New).policies[after].info.name;
                        return Err(not_shown(name, &sample));
                    }
                    Some(shown) => return Ok(Ok(Some((shown, sample)))),
                }
            }
        }
    }
    Ok(blame.map_or(Ok(None), Err))
}

/// What the request is to both policies; `None` if it is too large.
fn shown(
    evidence: &mut Evidence<'_>,
    [(_, before), (_, after)]: [(Side, usize); 2],
    sample: &Sample,
) -> Result<Option<Shown>, CompileError> {
    let before = evidence.outcome(Side::Old, before, sample)?;
    let after = evidence.outcome(Side::New, after, sample)?;
    let (Some(before), Some(after)) = (before, after) else { return Ok(None) };
    Ok(Some(Shown { request: sample.json.clone(), before, after }))
}

/// Requests that differ among those that say something of one of the policies alone, with its own types.
fn samples_of_either(
    evidence: &mut Evidence<'_>,
    policies: [(Side, usize); 2],
) -> Result<Vec<(Shown, Sample)>, CompileError> {
    let mut found = Vec::new();
    for (side, index) in policies {
        let set: &PolicySet = evidence.set(side);
        let (solver, policy) = (Solver::new(set), &set.policies[index]);
        for (constraint, scope) in [
            (Want::True, Want::True),
            (Want::False, Want::True),
            (Want::Unknown, Want::True),
            (Want::True, Want::False),
            (Want::False, Want::Unknown),
        ] {
            if policy.scope.is_none() && scope != Want::True {
                continue;
            }
            let mut goals = vec![Goal::Is(&policy.constraint, constraint)];
            goals.extend(policy.scope.as_ref().map(|of| Goal::Is(of, scope)));
            let Answer::Yes(request) = solver.find(&Goal::All(goals)) else { continue };
            let sample = Sample::new(set, &request)?;
            if let Some(shown) = shown(evidence, policies, &sample)?
                && shown.before != shown.after
                && found.len() < MAX_SHOWN
            {
                found.push((shown, sample));
            }
        }
    }
    Ok(found)
}
