//! Which clauses of a policy decide a request: those whose truth alone, if it were the contrary, would change what the
//! policy is for the request.

use crate::{
    language::ast::{Condition, ConditionKind},
    reference::{self, Attributes, Truth},
    set::{Policy, PolicySet},
};

const TRUTHS: [Truth; 3] = [Truth::False, Truth::Unknown, Truth::True];

/// A policy's conditions as lists in preorder, made once for many requests.
pub(super) struct Clauses<'a> {
    scope: Vec<Node<'a>>,
    constraint: Vec<Node<'a>>,
    /// Whether it matters that the scope is TRUE, besides the policy's outcome.
    covers: bool,
}

struct Node<'a> {
    condition: &'a Condition,
    /// Where what follows this node and its operands stands.
    end: usize,
    /// The number of the atom, or of the first one below.
    atom: usize,
}

impl<'a> Clauses<'a> {
    pub(super) fn of(set: &PolicySet, policy: &'a Policy) -> Self {
        let mut atoms = 0;
        let mut scope = Vec::new();
        if let Some(condition) = &policy.scope {
            flatten(condition, &mut scope, &mut atoms);
        }
        let mut constraint = Vec::new();
        flatten(&policy.constraint, &mut constraint, &mut atoms);
        Self { scope, constraint, covers: super::given::covers(set, policy) }
    }

    /// The atoms: the scope's, then the constraint's.
    pub(super) fn atoms(&self) -> impl Iterator<Item = &'a Condition> {
        let all = self.scope.iter().chain(&self.constraint).map(|node| node.condition);
        all.filter(|condition| matches!(condition.node, ConditionKind::Atom(_)))
    }

    /// Tells `found` of each atom that decides this request: its number, and whether it is TRUE.
    pub(super) fn decide(
        &self,
        set: &PolicySet,
        request: &impl Attributes,
        found: &mut dyn FnMut(usize, bool),
    ) {
        if self.is_far(set, request) {
            return;
        }
        let scope = truths(set, &self.scope, request);
        let constraint = truths(set, &self.constraint, request);
        let (s, c) = (whole(&scope), whole(&constraint));
        let outcome = |scope: Truth, constraint: Truth| {
            (scope.and(constraint.not()), self.covers && scope == Truth::True)
        };
        let now = outcome(s, c);
        if !self.scope.is_empty() {
            let changes = TRUTHS.map(|truth| outcome(truth, c) != now);
            descend(&self.scope, &scope, 0, changes, found);
        }
        let changes = TRUTHS.map(|truth| outcome(s, truth) != now);
        descend(&self.constraint, &constraint, 0, changes, found);
    }

    /// Whether two of the scope's conjuncts are FALSE, so that no atom alone decides: so it is for most requests.
    fn is_far(&self, set: &PolicySet, request: &impl Attributes) -> bool {
        let Some(ConditionKind::And(operands)) = self.scope.first().map(|node| &node.condition.node)
        else {
            return false;
        };
        let truth = |operand| reference::evaluate(set, operand, request);
        operands.iter().filter(|operand| truth(operand) == Truth::False).nth(1).is_some()
    }
}

fn flatten<'a>(condition: &'a Condition, nodes: &mut Vec<Node<'a>>, atoms: &mut usize) {
    let at = nodes.len();
    nodes.push(Node { condition, end: 0, atom: *atoms });
    match &condition.node {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => {
            operands.iter().for_each(|operand| flatten(operand, nodes, atoms));
        }
        ConditionKind::Not(operand) => flatten(operand, nodes, atoms),
        ConditionKind::Atom(_) => *atoms += 1,
    }
    nodes[at].end = nodes.len();
}

/// The places of a node's operands.
fn operands(nodes: &[Node<'_>], at: usize) -> Vec<usize> {
    let mut places = Vec::new();
    let mut next = at + 1;
    while next < nodes[at].end {
        places.push(next);
        next = nodes[next].end;
    }
    places
}

/// The truth of each node.
fn truths(set: &PolicySet, nodes: &[Node<'_>], request: &impl Attributes) -> Vec<Truth> {
    let mut truths = vec![Truth::True; nodes.len()];
    for (at, node) in nodes.iter().enumerate().rev() {
        truths[at] = match &node.condition.node {
            ConditionKind::Atom(atom) => reference::evaluate_atom(set, atom, request),
            ConditionKind::Not(_) => truths[at + 1].not(),
            ConditionKind::And(_) | ConditionKind::Or(_) => {
                let (join, neutral) = joining(node);
                operands(nodes, at).into_iter().map(|at| truths[at]).fold(neutral, join)
            }
        };
    }
    truths
}

/// How a connective joins truths, and the truth that changes nothing.
fn joining(node: &Node<'_>) -> (fn(Truth, Truth) -> Truth, Truth) {
    match node.condition.node {
        ConditionKind::Or(_) => (Truth::or, Truth::False),
        _ => (Truth::and, Truth::True),
    }
}

/// The truth of a condition; one without nodes is TRUE.
fn whole(truths: &[Truth]) -> Truth {
    truths.first().copied().unwrap_or(Truth::True)
}

/// Goes down to the atoms; `changes` says of the node whether its being FALSE, UNKNOWN or TRUE would change the outcome.
fn descend(
    nodes: &[Node<'_>],
    truths: &[Truth],
    at: usize,
    changes: [bool; 3],
    found: &mut dyn FnMut(usize, bool),
) {
    if changes == [false; 3] {
        return;
    }
    let through = |change: &dyn Fn(Truth) -> Truth| TRUTHS.map(|truth| changes[change(truth) as usize]);
    match &nodes[at].condition.node {
        ConditionKind::Atom(_) => {
            let truth = truths[at];
            if truth != Truth::Unknown && changes[truth.not() as usize] {
                found(nodes[at].atom, truth == Truth::True);
            }
        }
        ConditionKind::Not(_) => descend(nodes, truths, at + 1, through(&Truth::not), found),
        ConditionKind::And(_) | ConditionKind::Or(_) => {
            let (join, neutral) = joining(&nodes[at]);
            let operands = operands(nodes, at);
            let mut behind = vec![neutral];
            for operand in operands.iter().rev() {
                behind.push(join(truths[*operand], whole(&behind[behind.len() - 1..])));
            }
            let mut before = neutral;
            for (operand, behind) in operands.iter().zip(behind.iter().rev().skip(1)) {
                let others = join(before, *behind);
                descend(nodes, truths, *operand, through(&|truth| join(truth, others)), found);
                before = join(before, truths[*operand]);
            }
        }
    }
}
