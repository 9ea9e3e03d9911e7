//! INVARIANTs: proven over all requests, or refuted by a request that the generated module allows.
//!
//! The solver is asked for a request that the invariant forbids. The module decides it. If it is allowed, it refutes the
//! invariant. If not, whatever denied it is ruled out ("this policy is satisfied or does not apply", "a policy of this
//! module applies"), and the solver is asked again, until no request is left: then what was ruled out is the reason why
//! the invariant holds. (Counterexample-guided refinement, with the policies of the set as predicates.)

use aecp_contract::{
    manifest::{Enforcement, Proof, ProofKind, ProofStatus},
    verdict::{Decision, Verdict},
};

use super::{
    built_in::decided,
    lower::Lower,
    node::{Node, Want},
    request::Request,
    solve::{Answer, Blame, Solver},
};
use crate::{
    findings::{Finding, Kind, code},
    interpret::Interpreter,
    reference::{Truth, evaluate},
    set::{Invariant, Policy, PolicySet},
};

#[cfg(test)]
mod tests;

/// So often what denies a request is ruled out for one invariant.
const MAX_ROUNDS: usize = 256;

/// So many reasons are tried one by one for whether the proof needs them.
const MAX_TRIED: usize = 64;

/// So many policies that apply to a counterexample and do not deny it are shown.
const MAX_SHOWN: usize = 3;

/// How an invariant is proven.
const METHOD: &str = "decision procedure over all requests, refined by what the module denies";

/// What may deny: a policy or a module, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Policy(usize),
    Module(usize),
}

/// What became of an invariant.
enum Outcome {
    /// No request that it forbids is allowed, for these reasons; none is forbidden at all if it is `empty`.
    Proven { reasons: Vec<Reason>, empty: bool },
    /// This one is.
    Refuted(Request),
    /// It could not be decided.
    NotDecided(Blame),
}

/// What is to be said of one invariant: its proof, unless there is none, and a finding, if there is one.
pub(super) fn prove(
    wide: &PolicySet,
    solver: &Solver<'_>,
    module: &mut Interpreter,
    invariant: &Invariant,
) -> Result<(Option<Proof>, Option<Finding>), String> {
    let name = &invariant.name;
    let (span, condition) = (invariant.span, &invariant.never_allow);
    let warning = |code, message: String| Finding::warning(code, Kind::Invariant, span, message);
    Ok(match decide(wide, solver, module, invariant)? {
        Outcome::Proven { reasons, empty } => {
            let finding = match (empty, invariant.assumed) {
                (true, _) => {
                    let message =
                        format!("invariant `{name}` says nothing: no request is what it forbids");
                    Some(
                        warning(code::EMPTY_INVARIANT, message)
                            .also(condition.span, "this is never true"),
                    )
                }
                (false, true) => {
                    let message = format!("invariant `{name}` is proven, so it need not be ASSUMED");
                    Some(warning(code::NEEDLESSLY_ASSUMED, message).try_instead("remove ASSUMED"))
                }
                (false, false) => None,
            };
            (Some(proof(wide, name, &reasons)), finding)
        }
        Outcome::Refuted(request) => (None, Some(refuted(wide, invariant, &request))),
        Outcome::NotDecided(blame) if invariant.assumed => {
            let message = format!("invariant `{name}` is not proven: its author vouches for it");
            let finding = warning(code::ASSUMED, message).because(blame.why);
            let proof = Proof {
                name: name.clone(),
                kind: ProofKind::Invariant,
                status: ProofStatus::Assumed,
                method: format!("the author's word; not decided: {}", blame.why),
                because_of: Vec::new(),
                unless_excepted: Vec::new(),
                exceptions: Vec::new(),
            };
            (Some(proof), Some(finding))
        }
        Outcome::NotDecided(blame) => {
            let message = format!("it is not decided whether invariant `{name}` holds");
            let place = blame.span.unwrap_or(span);
            let finding = Finding::error(code::INVARIANT_NOT_DECIDED, Kind::Invariant, place, message)
                .because(blame.why)
                .try_instead(format!(
                    "say it in other conditions, or write `INVARIANT {name} ASSUMED` to vouch for it: the release \
                     will show that"
                ));
            (None, Some(finding))
        }
    })
}

fn decide(
    wide: &PolicySet,
    solver: &Solver<'_>,
    module: &mut Interpreter,
    invariant: &Invariant,
) -> Result<Outcome, String> {
    let forbidden = Lower { set: wide }.condition(&invariant.never_allow, Want::True);
    let mut excluded: Vec<(Reason, Node)> = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let nodes: Vec<&Node> =
            std::iter::once(&forbidden).chain(excluded.iter().map(|(_, node)| node)).collect();
        let request = match solver.solve(&nodes) {
            Answer::Yes(request) => request,
            Answer::NotDecided(blame) => return Ok(Outcome::NotDecided(blame)),
            Answer::No => {
                let empty = excluded.is_empty();
                return Ok(Outcome::Proven { reasons: needed(solver, &forbidden, excluded), empty });
            }
        };
        let Some(verdict) = decided(module, &request.to_json(wide))? else {
            let why = "the request that would show it is beyond the limits of requests";
            return Ok(Outcome::NotDecided(Blame { span: None, why }));
        };
        if verdict.decision == Decision::Allow {
            return Ok(Outcome::Refuted(request));
        }
        let before = excluded.len();
        for reason in deniers(wide, &verdict) {
            if !excluded.iter().any(|(known, _)| *known == reason) {
                excluded.push((reason, ruled_out(wide, reason)));
            }
        }
        if excluded.len() == before {
            let json = request.to_json(wide);
            return Err(format!("of {json} the module and the solver disagree"));
        }
    }
    let why = "too many policies deny what it forbids, each something else";
    Ok(Outcome::NotDecided(Blame { span: None, why }))
}

/// The reasons without which the proof would not hold, as far as they can be tried.
fn needed(solver: &Solver<'_>, forbidden: &Node, mut excluded: Vec<(Reason, Node)>) -> Vec<Reason> {
    if excluded.len() <= MAX_TRIED {
        for at in (0..excluded.len()).rev() {
            let others = excluded.iter().enumerate().filter(|(index, _)| *index != at);
            let nodes: Vec<&Node> =
                std::iter::once(forbidden).chain(others.map(|(_, (_, node))| node)).collect();
            if solver.solve(&nodes) == Answer::No {
                excluded.remove(at);
            }
        }
    }
    let mut reasons: Vec<Reason> = excluded.into_iter().map(|(reason, _)| reason).collect();
    reasons.sort_unstable();
    reasons
}

/// What denied a request.
fn deniers(set: &PolicySet, verdict: &Verdict) -> Vec<Reason> {
    let raised = verdict.violated.iter().chain(&verdict.indeterminate).map(|index| *index as usize);
    let blocking = raised.filter(|index| blocks(&set.policies[*index]));
    let modules = verdict.uncovered.iter().map(|index| Reason::Module(*index as usize));
    blocking.map(Reason::Policy).chain(modules).collect()
}

fn blocks(policy: &Policy) -> bool {
    policy.info.enforcement == Enforcement::Blocking
}

/// That this is no reason to deny a request.
fn ruled_out(set: &PolicySet, reason: Reason) -> Node {
    let lower = Lower { set };
    let scope = |policy: &Policy, want| match &policy.scope {
        Some(condition) => lower.condition(condition, want),
        None if want == Want::True => Node::All(Vec::new()),
        None => Node::Any(Vec::new()),
    };
    match reason {
        Reason::Policy(index) => {
            let policy = &set.policies[index];
            Node::Any(vec![scope(policy, Want::False), lower.condition(&policy.constraint, Want::True)])
        }
        Reason::Module(index) => {
            let covering = set
                .policies
                .iter()
                .filter(|policy| policy.info.module as usize == index && blocks(policy));
            Node::Any(covering.map(|policy| scope(policy, Want::True)).collect())
        }
    }
}

fn proof(set: &PolicySet, name: &str, reasons: &[Reason]) -> Proof {
    let because_of = reasons.iter().map(|reason| match reason {
        Reason::Policy(index) => set.policies[*index].info.name.clone(),
        Reason::Module(index) => format!("DEFAULT: DENY of {}", set.modules[*index].name),
    });
    let excepted = reasons.iter().filter_map(|reason| match reason {
        Reason::Policy(index) => Some(&set.policies[*index].info).filter(|info| info.break_glass),
        Reason::Module(_) => None,
    });
    Proof {
        name: name.to_owned(),
        kind: ProofKind::Invariant,
        status: ProofStatus::Proven,
        method: METHOD.to_owned(),
        because_of: because_of.collect(),
        unless_excepted: excepted.map(|info| info.name.clone()).collect(),
        exceptions: Vec::new(),
    }
}

fn refuted(set: &PolicySet, invariant: &Invariant, request: &Request) -> Finding {
    let json = request.to_json(set);
    let message =
        format!("invariant `{}` does not hold: a request that it forbids is allowed", invariant.name);
    let mut finding =
        Finding::error(code::INVARIANT_FAILED, Kind::Invariant, invariant.never_allow.span, message)
            .here("the request below is this");
    let tree: Option<serde_json::Value> = serde_json::from_str(&json).ok();
    let applies = |policy: &&Policy| {
        let scope = policy.scope.as_ref();
        let truth =
            tree.as_ref().map(|tree| scope.map_or(Truth::True, |scope| evaluate(set, scope, tree)));
        blocks(policy) && truth == Some(Truth::True)
    };
    let satisfied: Vec<&Policy> = set.policies.iter().filter(applies).take(MAX_SHOWN).collect();
    for policy in &satisfied {
        let label = format!("`{}` applies to it, and this is satisfied", policy.info.name);
        finding = finding.also(policy.constraint.span, label).about(&policy.info.name);
    }
    if satisfied.is_empty() {
        finding = finding.because("no BLOCKING policy applies to it");
    }
    finding.shown_by(json)
}
