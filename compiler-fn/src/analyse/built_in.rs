//! What is to hold of every set, whatever its author asks for.
//!
//! All of it follows from what a decision is. What is checked here is how far that goes for this set: which conditions ask
//! for the presence of attributes, so that leaving these out may open a way, and that the generated module decides
//! requests chosen for the purpose as it must.

use std::collections::BTreeSet;

use aecp_contract::{
    manifest::{Enforcement, PresenceException, Proof, ProofKind, ProofStatus},
    verdict::{Decision, Verdict},
};

use super::{
    lower::Lower,
    node::{Node, Want},
    solve::{Answer, Solver},
};
use crate::{
    interpret::{InterpretError, Interpreter},
    language::ast::{Atom, Condition, ConditionKind},
    set::{Policy, PolicySet},
};

/// So many policies are each tried with a request of their own.
const MAX_TRIED: usize = 1_000;

/// The three proofs, or what of the module contradicts them: a fault of the compiler.
pub(super) fn prove(
    set: &PolicySet,
    solver: &Solver<'_>,
    module: &mut Interpreter,
) -> Result<Vec<Proof>, String> {
    Ok(vec![
        fail_closed(set),
        default_deny(set, solver, module)?,
        only_blocking_denies(set, solver, module)?,
    ])
}

fn proof(name: &str, method: String, exceptions: Vec<PresenceException>) -> Proof {
    Proof {
        name: name.to_owned(),
        kind: ProofKind::BuiltIn,
        status: ProofStatus::Proven,
        method,
        because_of: Vec::new(),
        unless_excepted: Vec::new(),
        exceptions,
    }
}

/// Leaving attributes out of a request that is denied, or making them unusable, never gets it allowed: Kleene's
/// connectives are monotone, so what was TRUE or FALSE becomes UNKNOWN at most, and UNKNOWN denies as well. Only EXISTS and
/// IS MISSING turn with presence itself, and only in one direction do they open a way.
fn fail_closed(set: &PolicySet) -> Proof {
    let mut exceptions = BTreeSet::new();
    for policy in set.policies.iter().filter(|policy| blocks(policy)) {
        let covers =
            set.modules.get(policy.info.module as usize).is_some_and(|module| module.default_deny);
        let mut found = BTreeSet::new();
        if let Some(scope) = &policy.scope {
            // A scope that becomes FALSE spares the request; one that becomes TRUE covers its module.
            opening(scope, Presence::Exists, &mut found);
            if covers {
                opening(scope, Presence::Missing, &mut found);
            }
        }
        opening(&policy.constraint, Presence::Missing, &mut found);
        exceptions.extend(found.into_iter().map(|path| (policy.info.name.clone(), path)));
    }
    let exceptions = exceptions
        .into_iter()
        .map(|(policy, attribute)| PresenceException { policy, attribute })
        .collect();
    let method = "monotony of Kleene's connectives; every condition was searched for EXISTS and IS MISSING that open a way";
    proof("fail_closed", method.to_owned(), exceptions)
}

/// Which of the two atoms of presence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Exists,
    Missing,
}

/// The attributes of which the condition asks that they are there (or missing), or under NOT the opposite.
fn opening(condition: &Condition, asked: Presence, found: &mut BTreeSet<String>) {
    match &condition.node {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => {
            operands.iter().for_each(|operand| opening(operand, asked, found));
        }
        ConditionKind::Not(operand) => {
            let other = if asked == Presence::Exists { Presence::Missing } else { Presence::Exists };
            opening(operand, other, found);
        }
        ConditionKind::Atom(Atom::Exists(path)) if asked == Presence::Exists => {
            found.insert(path.node.clone());
        }
        ConditionKind::Atom(Atom::IsMissing(path)) if asked == Presence::Missing => {
            found.insert(path.node.clone());
        }
        ConditionKind::Atom(_) => {}
    }
}

fn blocks(policy: &Policy) -> bool {
    policy.info.enforcement == Enforcement::Blocking
}

/// What the module says of a request; `None` if that is beyond the limits of requests.
pub(super) fn decided(module: &mut Interpreter, json: &str) -> Result<Option<Verdict>, String> {
    match module.decide(json) {
        Ok(verdict) => Ok(Some(verdict)),
        Err(InterpretError::Request(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// A request to which no BLOCKING policy of a module with DEFAULT: DENY applies is denied.
fn default_deny(
    set: &PolicySet,
    solver: &Solver<'_>,
    module: &mut Interpreter,
) -> Result<Proof, String> {
    let lower = Lower { set };
    let (mut tried, mut modules) = (0, 0);
    for (index, info) in set.modules.iter().enumerate().filter(|(_, info)| info.default_deny) {
        modules += 1;
        let own =
            set.policies.iter().filter(|policy| policy.info.module as usize == index && blocks(policy));
        let apart = own.map(|policy| match &policy.scope {
            Some(scope) => lower.condition(scope, Want::NotTrue),
            None => Node::Any(Vec::new()),
        });
        let Answer::Yes(request) = solver.solve(&[&Node::All(apart.collect())]) else { continue };
        let json = request.to_json(set);
        let Some(verdict) = decided(module, &json)? else { continue };
        if verdict.decision != Decision::Deny || !verdict.uncovered.contains(&(index as u32)) {
            return Err(format!("DEFAULT: DENY of `{}` does not hold of {json}", info.name));
        }
        tried += 1;
    }
    let method = format!(
        "by what a decision is; {tried} of {modules} modules with DEFAULT: DENY tried with a request that none of their \
         policies applies to"
    );
    Ok(proof("default_deny_holds", method, Vec::new()))
}

/// A request that violates policies which are not BLOCKING is decided as if they were not there.
fn only_blocking_denies(
    set: &PolicySet,
    solver: &Solver<'_>,
    module: &mut Interpreter,
) -> Result<Proof, String> {
    let lower = Lower { set };
    let others = set.policies.iter().enumerate().filter(|(_, policy)| !blocks(policy));
    let (mut tried, mut policies) = (0, 0);
    for (index, policy) in others {
        policies += 1;
        if policies > MAX_TRIED {
            continue;
        }
        let scope = policy.scope.as_ref().map(|scope| lower.condition(scope, Want::True));
        let mut nodes: Vec<Node> = scope.into_iter().collect();
        nodes.push(lower.condition(&policy.constraint, Want::False));
        let Answer::Yes(request) = solver.solve(&nodes.iter().collect::<Vec<_>>()) else { continue };
        let json = request.to_json(set);
        let Some(verdict) = decided(module, &json)? else { continue };
        let against = |index: &u32| blocks(&set.policies[*index as usize]);
        let denied = verdict.violated.iter().chain(&verdict.indeterminate).any(against)
            || !verdict.uncovered.is_empty();
        let as_denied = denied == (verdict.decision == Decision::Deny);
        if !verdict.violated.contains(&(index as u32)) || !as_denied {
            return Err(format!("`{}` changes the decision on {json}", policy.info.name));
        }
        tried += 1;
    }
    let method = format!(
        "by what a decision is; {tried} of {policies} policies that are ADVISORY or AUDIT_ONLY tried with a request that \
         violates them"
    );
    Ok(proof("only_blocking_denies", method, Vec::new()))
}
