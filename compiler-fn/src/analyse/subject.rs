//! One policy as the analysis sees it: its questions made ready, and the answers about it alone.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::manifest::Enforcement;

use super::{
    domain::Domain,
    lower::Lower,
    node::{Node, Want},
    request::Request,
    solve::{Answer, Solver},
};
use crate::{
    language::ast::{Condition, ConditionKind},
    set::{Policy, PolicySet},
};

/// A policy with its questions. It is *violated* where its scope is TRUE and its constraint FALSE, *indeterminate* where
/// `scope AND NOT constraint` is UNKNOWN, and *raised* where it is either.
pub(super) struct Subject<'a> {
    pub(super) index: usize,
    pub(super) policy: &'a Policy,
    /// Its scope is TRUE.
    pub(super) applies: Node,
    /// Its scope is not TRUE.
    pub(super) not_applies: Node,
    /// Its scope is not FALSE.
    pub(super) may_apply: Node,
    /// Its scope is FALSE.
    pub(super) never_applies: Node,
    /// Its constraint is TRUE.
    pub(super) satisfied: Node,
    pub(super) violated: Node,
    pub(super) not_violated: Node,
    pub(super) raised: Node,
    pub(super) not_raised: Node,
    /// The attributes that it looks at.
    pub(super) slots: BTreeSet<usize>,
    /// What its scope leaves of attributes that must be usable for it to apply.
    pub(super) bounds: BTreeMap<usize, Domain>,
    /// A request to which it applies.
    pub(super) met: Answer,
    /// A request that violates it.
    pub(super) broken: Answer,
    /// A request to which it applies and that satisfies it.
    pub(super) kept: Answer,
}

impl<'a> Subject<'a> {
    pub(super) fn new(set: &'a PolicySet, solver: &Solver<'_>, index: usize) -> Self {
        let policy = &set.policies[index];
        let lower = Lower { set };
        let scope = |want| match &policy.scope {
            Some(condition) => lower.condition(condition, want),
            None if matches!(want, Want::True | Want::NotFalse) => Node::All(Vec::new()),
            None => Node::Any(Vec::new()),
        };
        let constraint = |want| lower.condition(&policy.constraint, want);
        let applies = scope(Want::True);
        let satisfied = constraint(Want::True);
        let violated = Node::All(vec![scope(Want::True), constraint(Want::False)]);
        let mut slots = BTreeSet::new();
        violated.attributes(&mut slots);
        Self {
            index,
            policy,
            bounds: solver.bounds(&applies).unwrap_or_default(),
            met: solver.solve(&[&applies]),
            broken: solver.solve(&[&violated]),
            kept: solver.solve(&[&applies, &satisfied]),
            applies,
            not_applies: scope(Want::NotTrue),
            may_apply: scope(Want::NotFalse),
            never_applies: scope(Want::False),
            satisfied,
            violated,
            not_violated: Node::Any(vec![scope(Want::NotTrue), constraint(Want::NotFalse)]),
            raised: Node::All(vec![scope(Want::NotFalse), constraint(Want::NotTrue)]),
            not_raised: Node::Any(vec![scope(Want::False), constraint(Want::True)]),
            slots,
        }
    }

    pub(super) fn name(&self) -> &'a str {
        &self.policy.info.name
    }

    pub(super) fn blocking(&self) -> bool {
        self.policy.info.enforcement == Enforcement::Blocking
    }

    /// Whether no request to which it applies can satisfy it: it forbids, rather than asks for something.
    pub(super) fn forbids(&self) -> bool {
        self.kept == Answer::No
    }

    /// Whether `other` obliges to all that this one obliges to.
    pub(super) fn obliges_no_more_than(&self, other: &Self) -> bool {
        self.policy.actions.iter().all(|action| other.policy.actions.contains(action))
    }

    /// Whether no request can be in both scopes, seen at once.
    pub(super) fn apart_from(&self, other: &Self) -> bool {
        self.bounds.iter().any(|(slot, domain)| {
            other.bounds.get(slot).is_some_and(|other| domain.and(other).is_empty())
        })
    }
}

/// The request of a positive answer.
pub(super) fn request(answer: &Answer) -> Option<&Request> {
    match answer {
        Answer::Yes(request) => Some(request),
        Answer::No | Answer::NotDecided(_) => None,
    }
}

/// The parts that a condition joins by AND.
pub(super) fn conjuncts(condition: &Condition) -> Vec<&Condition> {
    match &condition.node {
        ConditionKind::And(operands) => operands.iter().flat_map(conjuncts).collect(),
        _ => vec![condition],
    }
}

/// Of conditions that cannot all be TRUE, some that still cannot, none of which can be left out.
pub(super) fn core<'c>(
    set: &PolicySet,
    solver: &Solver<'_>,
    conditions: Vec<&'c Condition>,
) -> Vec<&'c Condition> {
    let lower = Lower { set };
    let mut kept: Vec<(&Condition, Node)> =
        conditions.into_iter().map(|part| (part, lower.condition(part, Want::True))).collect();
    for at in (0..kept.len()).rev() {
        let others: Vec<&Node> =
            kept.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, (_, node))| node).collect();
        if solver.solve(&others) == Answer::No {
            kept.remove(at);
        }
    }
    kept.into_iter().map(|(part, _)| part).collect()
}
