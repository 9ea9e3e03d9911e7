//! The small changes that mutants are made by.

use aecp_contract::manifest::Enforcement;

use crate::{
    language::{
        ast::{Atom, Comparison, Condition, ConditionKind},
        format,
    },
    set::{Policy, PolicySet},
    source::Span,
};

/// Entries of a list that are each dropped in turn; of a longer list the first, the middle and the last one.
const MAX_ENTRIES: usize = 8;

/// Characters of a clause that a description shows.
const SHOWN: usize = 80;

/// Where a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In this node of the scope, counted in preorder.
    Scope(usize),
    /// In this node of the constraint.
    Constraint(usize),
    /// At ENFORCEMENT.
    Mode,
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    /// The comparison asks for a little else: `==` becomes `!=`, `<` becomes `<=`.
    Operator,
    /// AND becomes OR, or the other way round.
    Connective,
    /// NOT goes.
    DropNot,
    /// An entry of a list goes.
    DropEntry(usize),
    /// An operand of AND or OR goes.
    DropOperand(usize),
    /// BLOCKING becomes ADVISORY, ADVISORY becomes AUDIT_ONLY.
    Weaken,
}

/// One change to one policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    /// The policy's index.
    pub(super) policy: usize,
    pub(super) place: Place,
    pub(super) edit: Edit,
    /// The node that is changed; `None` at ENFORCEMENT.
    node: Option<&'a Condition>,
}

/// A policy after a change.
pub(super) struct Changed {
    pub(super) scope: Option<Condition>,
    pub(super) constraint: Condition,
    pub(super) enforcement: Enforcement,
}

/// All changes to a policy. There are none to an AUDIT_ONLY one: no test can expect anything of it.
pub(super) fn sites(set: &PolicySet, policy: usize) -> Vec<Site<'_>> {
    let it = &set.policies[policy];
    let mut sites = Vec::new();
    if it.info.enforcement == Enforcement::AuditOnly {
        return sites;
    }
    let mut add = |place, node, edit| sites.push(Site { policy, place, edit, node });
    if let Some(scope) = &it.scope {
        edits(scope, &mut 0, &mut |at, node, edit| add(Place::Scope(at), Some(node), edit));
    }
    edits(&it.constraint, &mut 0, &mut |at, node, edit| add(Place::Constraint(at), Some(node), edit));
    add(Place::Mode, None, Edit::Weaken);
    sites
}

fn edits<'a>(
    condition: &'a Condition,
    next: &mut usize,
    add: &mut dyn FnMut(usize, &'a Condition, Edit),
) {
    let at = *next;
    *next += 1;
    match &condition.node {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => {
            add(at, condition, Edit::Connective);
            (0..operands.len()).for_each(|number| add(at, condition, Edit::DropOperand(number)));
            operands.iter().for_each(|operand| edits(operand, next, add));
        }
        ConditionKind::Not(operand) => {
            add(at, condition, Edit::DropNot);
            edits(operand, next, add);
        }
        ConditionKind::Atom(atom) => {
            add(at, condition, Edit::Operator);
            if let Atom::InList { list, .. } = atom
                && list.len() > 1
            {
                let last = list.len() - 1;
                let some = if list.len() <= MAX_ENTRIES {
                    (0..list.len()).collect()
                } else {
                    vec![0, last / 2, last]
                };
                some.into_iter().for_each(|entry| add(at, condition, Edit::DropEntry(entry)));
            }
        }
    }
}

impl Site<'_> {
    /// Where the change is made.
    pub(super) fn span(&self, policy: &Policy) -> Span {
        let Some(node) = self.node else { return policy.enforcement_span };
        match (&node.node, self.edit) {
            (ConditionKind::Atom(Atom::InList { list, .. }), Edit::DropEntry(entry)) => list[entry].span,
            (ConditionKind::And(operands) | ConditionKind::Or(operands), Edit::DropOperand(operand)) => {
                operands[operand].span
            }
            _ => node.span,
        }
    }

    /// What the change is, in one line.
    pub(super) fn describe(&self, policy: &Policy) -> String {
        let Some(node) = self.node else {
            let before = policy.info.enforcement;
            return format!("`{}` became `{}`", before.as_str(), weaker(before).as_str());
        };
        match (&node.node, self.edit) {
            (ConditionKind::Atom(Atom::InList { list, .. }), Edit::DropEntry(entry)) => {
                format!("`{}` is no longer in the list", shown(&format::literal(&list[entry].node)))
            }
            (ConditionKind::Atom(_), _) => {
                let after = apply(node, self.edit);
                format!("`{}` became `{}`", shown(&text(node)), shown(&text(&after)))
            }
            (ConditionKind::And(operands), Edit::DropOperand(operand)) => {
                format!("`AND {}` is gone", shown(&text(&operands[operand])))
            }
            (ConditionKind::Or(operands), Edit::DropOperand(operand)) => {
                format!("`OR {}` is gone", shown(&text(&operands[operand])))
            }
            (ConditionKind::And(_), _) => format!("`AND` became `OR` in `{}`", shown(&text(node))),
            (ConditionKind::Or(_), _) => format!("`OR` became `AND` in `{}`", shown(&text(node))),
            (ConditionKind::Not(_), _) => format!("`NOT` is gone from `{}`", shown(&text(node))),
        }
    }

    /// The policy after the change.
    pub(super) fn changed(&self, policy: &Policy) -> Changed {
        let mut changed = Changed {
            scope: policy.scope.clone(),
            constraint: policy.constraint.clone(),
            enforcement: policy.info.enforcement,
        };
        match self.place {
            Place::Scope(at) => {
                changed.scope = changed.scope.map(|scope| edited(&scope, at, &mut 0, self.edit));
            }
            Place::Constraint(at) => {
                changed.constraint = edited(&changed.constraint, at, &mut 0, self.edit);
            }
            Place::Mode => changed.enforcement = weaker(changed.enforcement),
        }
        changed
    }
}

fn text(condition: &Condition) -> String {
    format::condition(condition)
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn weaker(mode: Enforcement) -> Enforcement {
    match mode {
        Enforcement::Blocking => Enforcement::Advisory,
        Enforcement::Advisory | Enforcement::AuditOnly => Enforcement::AuditOnly,
    }
}

/// The condition with node number `at` changed.
fn edited(condition: &Condition, at: usize, next: &mut usize, edit: Edit) -> Condition {
    let here = *next;
    *next += 1;
    if here == at {
        return apply(condition, edit);
    }
    let node = match &condition.node {
        ConditionKind::And(operands) => {
            ConditionKind::And(operands.iter().map(|it| edited(it, at, next, edit)).collect())
        }
        ConditionKind::Or(operands) => {
            ConditionKind::Or(operands.iter().map(|it| edited(it, at, next, edit)).collect())
        }
        ConditionKind::Not(operand) => ConditionKind::Not(Box::new(edited(operand, at, next, edit))),
        ConditionKind::Atom(atom) => ConditionKind::Atom(atom.clone()),
    };
    Condition::new(node, condition.span)
}

fn apply(condition: &Condition, edit: Edit) -> Condition {
    let without = |operands: &[Condition], gone: usize| {
        let left = operands.iter().enumerate().filter(|(number, _)| *number != gone);
        left.map(|(_, operand)| operand.clone()).collect::<Vec<_>>()
    };
    let node = match (&condition.node, edit) {
        (ConditionKind::And(operands), Edit::Connective) => ConditionKind::Or(operands.clone()),
        (ConditionKind::Or(operands), Edit::Connective) => ConditionKind::And(operands.clone()),
        (ConditionKind::And(operands), Edit::DropOperand(gone)) => {
            ConditionKind::And(without(operands, gone))
        }
        (ConditionKind::Or(operands), Edit::DropOperand(gone)) => {
            ConditionKind::Or(without(operands, gone))
        }
        (ConditionKind::Not(operand), _) => operand.node.clone(),
        (ConditionKind::Atom(atom), Edit::DropEntry(gone)) => {
            let mut atom = atom.clone();
            if let Atom::InList { list, .. } = &mut atom {
                list.remove(gone);
            }
            ConditionKind::Atom(atom)
        }
        (ConditionKind::Atom(atom), _) => return other(atom, condition.span),
        (unchanged, _) => unchanged.clone(),
    };
    // One operand alone needs no connective.
    let node = match node {
        ConditionKind::And(mut operands) | ConditionKind::Or(mut operands) if operands.len() == 1 => {
            operands.remove(0).node
        }
        node => node,
    };
    Condition::new(node, condition.span)
}

/// The comparison with another operator; where there is none, its contrary.
fn other(atom: &Atom, span: Span) -> Condition {
    let mut atom = atom.clone();
    match &mut atom {
        Atom::Compare { operator, .. } => {
            *operator = match operator {
                Comparison::Equal => Comparison::NotEqual,
                Comparison::NotEqual => Comparison::Equal,
                Comparison::Less => Comparison::LessOrEqual,
                Comparison::LessOrEqual => Comparison::Less,
                Comparison::Greater => Comparison::GreaterOrEqual,
                Comparison::GreaterOrEqual => Comparison::Greater,
            }
        }
        Atom::InList { negated, .. } | Atom::InPath { negated, .. } | Atom::InCidr { negated, .. } => {
            *negated = !*negated;
        }
        Atom::Exists(path) => atom = Atom::IsMissing(path.clone()),
        Atom::IsMissing(path) => atom = Atom::Exists(path.clone()),
        Atom::Between { .. }
        | Atom::Contains { .. }
        | Atom::StartsWith { .. }
        | Atom::EndsWith { .. }
        | Atom::Matches { .. }
        | Atom::IsTrue(_) => {
            let contrary = Condition::new(ConditionKind::Atom(atom), span);
            return Condition::new(ConditionKind::Not(Box::new(contrary)), span);
        }
    }
    Condition::new(ConditionKind::Atom(atom), span)
}
