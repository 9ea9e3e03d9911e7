//! Values for attributes that are compared with each other.
//!
//! Equal attributes become one class, and so do those that an ordering holds between in a circle. Then each kind has its
//! own exact method: ordered values take the place between the greatest of those below and the least that those above
//! allow; values that only have to differ are tried from as many candidates as they have neighbours, and one more; a
//! list holds what it must. What is left is text with a part that is another attribute: its candidates are tried, and if
//! they are not all there are and none fits, the question is not decided.

use std::{cell::Cell, collections::BTreeMap};

use aecp_contract::value::{Type, Value};

use super::{
    domain::Domain,
    glob::Pattern,
    node::Relation,
    solve::{Blame, Solver},
    text::TextSet,
};
use crate::source::Span;

mod lists;
mod order;
mod texts;

/// Splits that one question may take here.
const MAX_STEPS: u32 = 2_000;

/// Why patterns leave a question open.
pub(super) const PATTERNS: &str = "its patterns are too intricate together";

/// Two attributes and how they stand to each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Related {
    pub(super) relation: Relation,
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) atom: Span,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    Values(T),
    None,
    NotDecided(Blame),
}

/// A value for each attribute, within its domain, such that all relations hold.
pub(super) fn assign(
    solver: &Solver<'_>,
    domains: BTreeMap<usize, Domain>,
    related: &[Related],
) -> Outcome<BTreeMap<usize, Value>> {
    if related.is_empty() {
        return Outcome::Values(BTreeMap::new());
    }
    let slots: Vec<usize> = domains.keys().copied().collect();
    let at = |slot| slots.binary_search(&slot).unwrap_or_default();
    let variables = Variables {
        left: &solver.left,
        class: (0..slots.len()).collect(),
        types: slots.iter().map(|slot| solver.ty(*slot).clone()).collect(),
        domains: domains.into_values().collect(),
        related: related
            .iter()
            .map(|related| Related { left: at(related.left), right: at(related.right), ..*related })
            .collect(),
    };
    match variables.solve(&mut { MAX_STEPS }) {
        Outcome::Values(values) => Outcome::Values(slots.into_iter().zip(values).collect()),
        Outcome::None => Outcome::None,
        Outcome::NotDecided(blame) => Outcome::NotDecided(blame),
    }
}

/// Variables with their domains, and the relations between them by index.
#[derive(Debug, Clone)]
struct Variables<'s> {
    /// The work that is left for patterns.
    left: &'s Cell<u64>,
    /// Which variable stands for each, itself unless they must be equal.
    class: Vec<usize>,
    types: Vec<Type>,
    domains: Vec<Domain>,
    related: Vec<Related>,
}

type Solved = Outcome<Vec<Value>>;

impl Variables<'_> {
    fn solve(mut self, steps: &mut u32) -> Solved {
        let Some(left) = steps.checked_sub(1) else {
            let why = "there are too many ways to tell its attributes apart";
            return Outcome::NotDecided(Blame { span: self.related.first().map(|r| r.atom), why });
        };
        *steps = left;
        if !self.merge() || !self.lists() || self.domains.iter().any(Domain::is_empty) {
            return Outcome::None;
        }
        if let Some(pair) = self.empty_pair() {
            return self.fill_one(pair, steps);
        }
        let Some(ranges) = self.ranges() else { return Outcome::None };
        if let Some(at) = self.related.iter().position(|r| is_part(r.relation)) {
            return self.part(at, steps);
        }
        let mut values = self.numbers(&ranges);
        let same = self.related.iter().find(|r| {
            r.relation == Relation::Differ
                && values.contains_key(&r.left)
                && values.get(&r.left) == values.get(&r.right)
        });
        if let Some(Related { left, right, atom, .. }) = same.copied() {
            let ordered = [(left, right), (right, left)].map(|(left, right)| {
                let relation = Related { relation: Relation::Less, left, right, atom };
                move |variables: &mut Self| variables.related.push(relation)
            });
            return self.first_of(ordered, steps, None);
        }
        match self.texts() {
            Outcome::Values(texts) => values.extend(texts),
            Outcome::None => return Outcome::None,
            Outcome::NotDecided(blame) => return Outcome::NotDecided(blame),
        }
        self.fill_lists(&mut values);
        let values = self.class.iter().map(|of| values.get(of).cloned().ok_or(of));
        match values.collect() {
            Ok(values) => Outcome::Values(values),
            Err(of) => Outcome::NotDecided(self.blame(*of)),
        }
    }

    /// The first of some changes with which there is a solution. `or` is to blame if there is none.
    fn first_of<F: FnOnce(&mut Self)>(
        &self,
        changes: impl IntoIterator<Item = F>,
        steps: &mut u32,
        or: Option<Blame>,
    ) -> Solved {
        let mut blame = or;
        for change in changes {
            let mut changed = self.clone();
            change(&mut changed);
            match changed.solve(steps) {
                Outcome::Values(values) => return Outcome::Values(values),
                Outcome::None => {}
                Outcome::NotDecided(why) => {
                    blame.get_or_insert(why);
                }
            }
        }
        blame.map_or(Outcome::None, Outcome::NotDecided)
    }

    /// Makes one of all that must be equal, and lets relations speak of these alone; `false` if they cannot hold.
    fn merge(&mut self) -> bool {
        let count = self.types.len();
        let below = self.reachable();
        let mut class: Vec<usize> = (0..count).collect();
        for one in 0..count {
            for other in 0..one {
                match (below[other][one], below[one][other]) {
                    (Some(false), Some(false)) => {
                        let (from, to) = (class[one], class[other]);
                        class.iter_mut().filter(|of| **of == from).for_each(|of| *of = to);
                    }
                    (Some(_), Some(_)) => return false,
                    _ => {}
                }
            }
        }
        for (variable, of) in class.iter().enumerate().filter(|(variable, of)| variable != *of) {
            self.domains[*of] = self.domains[*of].and(&self.domains[variable]);
            if let (Type::List(a), Type::List(b)) = (&self.types[*of], &self.types[variable])
                && matches!((&**a, &**b), (Type::String, Type::Enum(_)))
            {
                self.types[*of] = self.types[variable].clone();
            }
        }
        let mut related = Vec::new();
        for one in &self.related {
            let one = Related { left: class[one.left], right: class[one.right], ..*one };
            match (one.relation, one.left == one.right) {
                (Relation::Equal, _) | (Relation::LessOrEqual, true) => {}
                (Relation::Starts(yes) | Relation::Ends(yes) | Relation::Has(yes), true) if yes => {}
                (_, true) => return false,
                _ => related.push(one),
            }
        }
        self.related = related;
        // A class has one domain; what it stands for keeps none of its own.
        for (variable, of) in class.iter().enumerate() {
            if variable != *of {
                self.domains[variable] = Domain::None;
            }
        }
        self.class.iter_mut().for_each(|of| *of = class[*of]);
        true
    }
}

const fn is_part(relation: Relation) -> bool {
    matches!(relation, Relation::Starts(_) | Relation::Ends(_) | Relation::Has(_))
}

/// The texts that stand in such a relation to `part`.
fn with_part(relation: Relation, part: &str) -> Domain {
    let (before, after, yes) = match relation {
        Relation::Starts(yes) => (false, true, yes),
        Relation::Ends(yes) => (true, false, yes),
        Relation::Has(yes) => (true, true, yes),
        _ => (true, true, true),
    };
    let set = TextSet::like(Pattern::around(before, part, after));
    Domain::Texts(if yes { set } else { set.not() })
}
