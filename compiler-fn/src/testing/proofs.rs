//! What the solver is asked about clauses and mutants: whether any request could tell.

use aecp_contract::manifest::Enforcement;

use super::given::covers;
use crate::{
    analyse::{Answer, Goal, Request, Solver, Want},
    language::ast::{Condition, ConditionKind},
    set::{Policy, PolicySet},
};

/// Whether it is proven that the clause, being TRUE (`holds`) or FALSE, decides no request at all.
pub(super) fn never_decides(
    set: &PolicySet,
    solver: &Solver<'_>,
    policy: &Policy,
    clause: &Condition,
    holds: bool,
) -> bool {
    let with = |holds: bool| {
        let scope = policy.scope.as_ref().map(|scope| replaced(scope, clause, holds));
        let constraint = replaced(&policy.constraint, clause, holds);
        (raised(scope.as_ref(), &constraint), scope.unwrap_or_else(|| constant(true)))
    };
    let ((is, scope), (were, other_scope)) = (with(holds), with(!holds));
    let mut differ: Vec<_> = [Want::True, Want::False, Want::Unknown]
        .into_iter()
        .map(|want| Goal::All(vec![Goal::Is(&is, want), is_not(&were, want)]))
        .collect();
    if covers(set, policy) {
        differ.extend(tell_apart(&scope, &other_scope, Want::True));
    }
    let is_so = Goal::Is(clause, if holds { Want::True } else { Want::False });
    solver.find(&Goal::All(vec![is_so, Goal::Any(differ)])) == Answer::No
}

/// Whether any request tells a policy from a mutant of it.
pub(super) enum Apart {
    /// None does, proven.
    Never,
    /// A test with this request could.
    Here(Request),
    /// Only by advising where the policy does not, proven: no test can expect that.
    Unexpected,
    /// The solver has not decided.
    NotDecided,
}

/// Whether a test could tell a policy from a mutant of it.
pub(super) fn told_apart(
    set: &PolicySet,
    solver: &Solver<'_>,
    policy: &Policy,
    (scope, constraint): (Option<&Condition>, &Condition),
    enforcement: Enforcement,
) -> Apart {
    let before = raised(policy.scope.as_ref(), &policy.constraint);
    let scopes =
        [policy.scope.as_ref(), scope].map(|scope| scope.cloned().unwrap_or_else(|| constant(true)));
    let after = raised(scope, constraint);
    let mode = policy.info.enforcement;
    let mut seen = Vec::new();
    let mut unseen = None;
    if enforcement != mode {
        // With another mode it does something else wherever it is raised or, under `DEFAULT: DENY`, applies.
        seen.push(Goal::Is(&before, shown(mode)));
        seen.extend(covers(set, policy).then(|| Goal::Is(&scopes[0], Want::True)));
    } else {
        let [gone, new] = tell_apart(&before, &after, shown(mode));
        seen.push(gone);
        match mode {
            Enforcement::Blocking => seen.push(new),
            // A test can expect an advice, but not that there is none.
            Enforcement::Advisory | Enforcement::AuditOnly => unseen = Some(new),
        }
        if covers(set, policy) {
            seen.extend(tell_apart(&scopes[0], &scopes[1], Want::True));
        }
    }
    match (solver.find(&Goal::Any(seen)), unseen.map(|goal| solver.find(&goal))) {
        (Answer::Yes(request), _) => Apart::Here(request),
        (Answer::No, None | Some(Answer::No)) => Apart::Never,
        (Answer::No, Some(Answer::Yes(_))) => Apart::Unexpected,
        _ => Apart::NotDecided,
    }
}

/// What a test can expect of a policy: BLOCKING ones deny if they are violated or indeterminate, others are named if
/// they are violated.
fn shown(enforcement: Enforcement) -> Want {
    match enforcement {
        Enforcement::Blocking => Want::NotFalse,
        Enforcement::Advisory | Enforcement::AuditOnly => Want::True,
    }
}

/// One of both conditions is so, and the other is not.
fn tell_apart<'c>(one: &'c Condition, other: &'c Condition, want: Want) -> [Goal<'c>; 2] {
    [(one, other), (other, one)].map(|(is, not)| Goal::All(vec![Goal::Is(is, want), is_not(not, want)]))
}

fn is_not(condition: &Condition, want: Want) -> Goal<'_> {
    let is = |want| Goal::Is(condition, want);
    match want {
        Want::True => is(Want::NotTrue),
        Want::False => is(Want::NotFalse),
        Want::NotTrue => is(Want::True),
        Want::NotFalse => is(Want::False),
        Want::Unknown => Goal::Any(vec![is(Want::True), is(Want::False)]),
    }
}

/// `scope AND NOT constraint`
fn raised(scope: Option<&Condition>, constraint: &Condition) -> Condition {
    let not = Condition::new(ConditionKind::Not(Box::new(constraint.clone())), constraint.span);
    match scope {
        None => not,
        Some(scope) => Condition::new(ConditionKind::And(vec![scope.clone(), not]), constraint.span),
    }
}

/// TRUE or FALSE, as a chain of nothing.
fn constant(holds: bool) -> Condition {
    let kind = if holds { ConditionKind::And } else { ConditionKind::Or };
    Condition::new(kind(Vec::new()), crate::source::Span::default())
}

/// The condition, with one clause (this very one) being TRUE or FALSE for all requests.
fn replaced(condition: &Condition, clause: &Condition, holds: bool) -> Condition {
    if std::ptr::eq(condition, clause) {
        return constant(holds);
    }
    let all = |operands: &[Condition]| {
        operands.iter().map(|operand| replaced(operand, clause, holds)).collect()
    };
    let node = match &condition.node {
        ConditionKind::And(operands) => ConditionKind::And(all(operands)),
        ConditionKind::Or(operands) => ConditionKind::Or(all(operands)),
        ConditionKind::Not(operand) => ConditionKind::Not(Box::new(replaced(operand, clause, holds))),
        ConditionKind::Atom(atom) => ConditionKind::Atom(atom.clone()),
    };
    Condition::new(node, condition.span)
}
