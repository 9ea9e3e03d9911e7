//! Which requests to make of a policy: each of its atoms through its boundary values while the others are such
//! that the policy's outcome depends on it, and every combination of the scope's and the constraint's truth.
//!
//! The others' values are searched greedily, attribute by attribute; what is not found within a few sweeps is
//! tried as far as it came. Nothing is claimed of an atom but what its requests then showed.

use std::collections::BTreeSet;

use super::{
    MAX_REQUESTS,
    subject::{Choice, MAX_TRIED, Subject},
};
use crate::{
    language::ast::{Condition, ConditionKind},
    reference::Truth,
};

/// How often the operand is changed that is to decide an AND or OR elsewhere.
const ATTEMPTS: usize = 4;

/// How often all attributes are gone over in one attempt.
const SWEEPS: usize = 2;

/// A request that is about one policy, and what the reference evaluator says of it.
#[derive(Debug)]
pub(super) struct Case {
    /// The policy's index in the set.
    pub(super) policy: usize,
    pub(super) choice: Choice,
    /// The truth of the policy's scope.
    pub(super) scope: Truth,
    /// That of `scope AND NOT constraint`.
    pub(super) outcome: Truth,
}

/// The cases of one policy.
#[derive(Debug)]
pub(super) struct Cases {
    pub(super) cases: Vec<Case>,
    /// Atoms that were tried.
    pub(super) atoms: u32,
    /// Those of them that were seen to change the outcome, by being TRUE and FALSE with all else as it was.
    pub(super) decisive: u32,
}

/// An AND or OR of which one operand, the given one, is to be UNKNOWN, and the next one decides nevertheless.
type Mask<'a> = (&'a Condition, usize);

/// What an atom should be.
struct Wish {
    atom: usize,
    truth: Truth,
}

/// Makes the cases of a policy; `thorough` ones also with each attribute missing that the module may index.
pub(super) fn cases(subject: &Subject<'_>, thorough: bool) -> Cases {
    let mut seen = BTreeSet::new();
    let mut found = Cases { cases: Vec::new(), atoms: 0, decisive: 0 };
    let mut add = |choice: Vec<u16>, found: &mut Cases| {
        let (scope, outcome) = subject.outcome(&choice);
        let choice = choice.into_boxed_slice();
        if found.cases.len() < MAX_REQUESTS && seen.insert(choice.clone()) {
            found.cases.push(Case { policy: subject.policy, choice, scope, outcome });
        }
        outcome
    };
    const ALL: [Truth; 3] = [Truth::True, Truth::False, Truth::Unknown];
    for wanted in ALL.into_iter().flat_map(|scope| ALL.map(|constraint| (scope, constraint))) {
        let mut wishes = Wishes::new(0);
        wishes.both(subject, wanted.0, wanted.1);
        add(satisfy(subject, &wishes.list).0, &mut found);
    }
    let mut masks = Vec::new();
    let (scope, constraint) = subject.conditions();
    let mut first = 0;
    for condition in scope.into_iter().chain([constraint]) {
        joined(condition, &mut first, &mut masks);
    }
    for (atom, node, unknown) in masks.into_iter().take(MAX_TRIED) {
        let mut wishes = Wishes::new(0);
        wishes.isolate(subject, atom, Some((node, unknown)));
        add(satisfy(subject, &wishes.list).0, &mut found);
    }
    // Takes an atom through its values; whether it changed the outcome.
    let mut through = |base: &[u16], atom: usize, found: &mut Cases| {
        let mut decisive = false;
        for (attribute, own) in &subject.atoms[atom].looks_at {
            let missing = subject.missing(*attribute);
            // Outcomes with the atom FALSE, UNKNOWN, TRUE.
            let mut outcomes: [BTreeSet<u8>; 3] = Default::default();
            for value in own.iter().copied().chain([missing, missing + 1]) {
                let mut choice = base.to_vec();
                choice[*attribute] = value;
                let truth = subject.truth(atom, &choice);
                outcomes[truth as usize].insert(add(choice, found) as u8);
            }
            let [if_false, _, if_true] = &outcomes;
            decisive |= if_false.iter().any(|one| if_true.iter().any(|other| one != other));
        }
        decisive
    };
    let keys = if thorough { subject.keys() } else { Vec::new() };
    for (atom, known) in subject.atoms.iter().enumerate() {
        if !known.is_tried {
            continue;
        }
        found.atoms += 1;
        let mut base = isolating(subject, atom);
        found.decisive += u32::from(through(&base, atom, &mut found));
        // Where an attribute is missing that says to whom the policy applies, the module takes another way.
        for attribute in keys.iter().filter(|key| known.looks_at.iter().all(|(own, _)| own != *key)) {
            let value = std::mem::replace(&mut base[*attribute], subject.missing(*attribute));
            through(&base, atom, &mut found);
            base[*attribute] = value;
        }
    }
    found
}

/// Values under which the outcome depends on the atom, if the search finds such.
fn isolating(subject: &Subject<'_>, atom: usize) -> Vec<u16> {
    let mut first = None;
    for attempt in 0..ATTEMPTS {
        let mut wishes = Wishes::new(attempt);
        wishes.isolate(subject, atom, None);
        let (choice, satisfied) = satisfy(subject, &wishes.list);
        if satisfied {
            return choice;
        }
        first.get_or_insert(choice);
        if !wishes.alternatives {
            break;
        }
    }
    first.unwrap_or_else(|| vec![0; subject.attributes.len()])
}

/// Values that fulfil as many wishes as a greedy search finds, and whether those are all.
fn satisfy(subject: &Subject<'_>, wishes: &[Wish]) -> (Vec<u16>, bool) {
    let mut choice = vec![0; subject.attributes.len()];
    let unmet = |wish: &&Wish, choice: &[u16]| subject.truth(wish.atom, choice) != wish.truth;
    for _ in 0..SWEEPS {
        for attribute in 0..choice.len() {
            let looks = |wish: &&Wish| {
                subject.atoms[wish.atom].looks_at.iter().any(|(other, _)| *other == attribute)
            };
            let wishes: Vec<&Wish> = wishes.iter().filter(looks).collect();
            let (mut best, mut least) = (choice[attribute], usize::MAX);
            for value in 0..subject.attributes[attribute].values.len() as u16 {
                choice[attribute] = value;
                let count = wishes.iter().filter(|wish| unmet(wish, &choice)).take(least).count();
                if count < least {
                    (best, least) = (value, count);
                }
                if least == 0 {
                    break;
                }
            }
            choice[attribute] = best;
        }
        if !wishes.iter().any(|wish| unmet(&wish, &choice)) {
            return (choice, true);
        }
    }
    (choice, false)
}

/// What is wished of atoms so that conditions become what they should be.
struct Wishes {
    list: Vec<Wish>,
    /// Which operand is to decide where one is enough.
    attempt: usize,
    /// Whether another attempt would wish something else.
    alternatives: bool,
    /// The number of the next atom.
    next: usize,
}

impl Wishes {
    fn new(attempt: usize) -> Self {
        Self { list: Vec::new(), attempt, alternatives: false, next: 0 }
    }

    fn both(&mut self, subject: &Subject<'_>, scope: Truth, constraint: Truth) {
        let conditions = subject.conditions();
        if let Some(condition) = conditions.0 {
            self.wish(condition, Some(scope));
        }
        self.wish(conditions.1, Some(constraint));
    }

    /// Wishes that the policy's outcome depends on one atom, or on the AND or OR that begins with it.
    fn isolate(&mut self, subject: &Subject<'_>, atom: usize, mask: Option<Mask<'_>>) {
        let (scope, constraint) = subject.conditions();
        let in_scope = scope.map_or(0, count);
        if let Some(scope) = scope {
            self.isolate_in(scope, Truth::True, atom, mask);
        }
        // The outcome is `scope AND NOT constraint`.
        let other = if atom < in_scope { Truth::False } else { Truth::True };
        self.isolate_in(constraint, other, atom, mask);
    }

    /// Wishes that the condition depends on the atom if it has it, else that it is `other`.
    fn isolate_in(&mut self, condition: &Condition, other: Truth, atom: usize, mask: Option<Mask<'_>>) {
        if !(self.next..self.next + count(condition)).contains(&atom) {
            return self.wish(condition, Some(other));
        }
        let (operands, neutral) = match &condition.node {
            ConditionKind::And(operands) => (operands, Truth::True),
            ConditionKind::Or(operands) => (operands, Truth::False),
            ConditionKind::Not(operand) => return self.isolate_in(operand, other, atom, mask),
            ConditionKind::Atom(_) => {
                self.next += 1;
                return;
            }
        };
        match mask {
            Some((node, unknown)) if std::ptr::eq(node, condition) => {
                for (number, operand) in operands.iter().enumerate() {
                    let truth = match (number + operands.len() - unknown) % operands.len() {
                        0 => Truth::Unknown,
                        1 => neutral.not(),
                        _ => neutral,
                    };
                    self.wish(operand, Some(truth));
                }
            }
            _ => operands.iter().for_each(|operand| self.isolate_in(operand, neutral, atom, mask)),
        }
    }

    /// Wishes that the condition is so; with `None` its atoms are only passed over.
    fn wish(&mut self, condition: &Condition, truth: Option<Truth>) {
        let (operands, neutral) = match &condition.node {
            ConditionKind::And(operands) => (operands, Truth::True),
            ConditionKind::Or(operands) => (operands, Truth::False),
            ConditionKind::Not(operand) => return self.wish(operand, truth.map(Truth::not)),
            ConditionKind::Atom(_) => {
                self.list.extend(truth.map(|truth| Wish { atom: self.next, truth }));
                self.next += 1;
                return;
            }
        };
        let deciding = self.attempt % operands.len().max(1);
        for (number, operand) in operands.iter().enumerate() {
            let wished = match truth {
                Some(truth) if truth == neutral || number == deciding => Some(truth),
                // One UNKNOWN among neutral operands makes the whole UNKNOWN; one that decides needs no others.
                Some(Truth::Unknown) => Some(neutral),
                _ => None,
            };
            self.wish(operand, wished);
        }
        self.alternatives |= truth.is_some_and(|truth| truth != neutral);
    }
}

/// Every operand of every AND and OR, with the number of the first atom of the whole.
fn joined<'a>(
    condition: &'a Condition,
    next: &mut usize,
    masks: &mut Vec<(usize, &'a Condition, usize)>,
) {
    match &condition.node {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => {
            masks.extend((0..operands.len()).map(|operand| (*next, condition, operand)));
            operands.iter().for_each(|operand| joined(operand, next, masks));
        }
        ConditionKind::Not(operand) => joined(operand, next, masks),
        ConditionKind::Atom(_) => *next += 1,
    }
}

fn count(condition: &Condition) -> usize {
    match &condition.node {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => operands.iter().map(count).sum(),
        ConditionKind::Not(operand) => count(operand),
        ConditionKind::Atom(_) => 1,
    }
}
