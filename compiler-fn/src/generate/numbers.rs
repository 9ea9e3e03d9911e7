//! The attributes that become small integers, and which of them stand for a set of values.
//!
//! A number is found once per decision, the first time that anything asks (`shared.rs`); it is −1 if the
//! attribute is not usable. There are two kinds, which only the code that finds the number tells apart: texts
//! are looked up (`texts.rs`), values of ordered types are searched for among sorted bounds (`intervals.rs`).

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::slots::Tag;

use super::{
    intervals::Intervals,
    lower::{Constant, Expr, Right, Test},
    texts::Lookup,
    values::{Domain, Values},
};
use crate::set::PolicySet;

/// The numbered attributes, by slot.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    by_slot: BTreeMap<usize, Numbering>,
}

/// How one attribute is numbered.
#[derive(Debug)]
pub(super) struct Numbering {
    pub(super) kind: Kind,
    /// Which of the numbered attributes it is, in order of slots.
    pub(super) index: u32,
}

/// How the number is found.
#[derive(Debug)]
pub(super) enum Kind {
    /// The number of the text that the attribute equals, from 1; 0 for any other.
    Texts(Lookup),
    /// The number of the interval that holds the attribute, from 0.
    Ordered(Intervals),
}

/// What a scope asks of one scalar alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The conjuncts that ask it.
    pub(super) conjuncts: BTreeSet<usize>,
    /// The values that make all of them TRUE.
    pub(super) values: Values,
}

/// What the conjuncts of a scope ask of single scalars, by slot.
pub(super) fn asked(set: &PolicySet, scope: &[Expr]) -> BTreeMap<usize, Asked> {
    let mut by_slot: BTreeMap<usize, (BTreeSet<usize>, Vec<Values>)> = BTreeMap::new();
    for (index, conjunct) in scope.iter().enumerate() {
        if let Some((slot, values)) = Values::of(conjunct, &set.attributes) {
            let (conjuncts, all) = by_slot.entry(slot).or_default();
            conjuncts.insert(index);
            all.push(values);
        }
    }
    let together = |(slot, (conjuncts, all)): (usize, (BTreeSet<usize>, Vec<Values>))| {
        let values = Domain::of(&set.attributes[slot].ty)?.intersection(all);
        Some((slot, Asked { conjuncts, values }))
    };
    by_slot.into_iter().filter_map(together).collect()
}

impl Numbers {
    /// Numbers the texts that `conditions`, all of the set, compare with, and the ordered attributes that scopes
    /// ask for.
    pub(super) fn choose<'a>(
        set: &PolicySet,
        conditions: impl Iterator<Item = &'a Expr>,
        scopes: &[BTreeMap<usize, Asked>],
    ) -> Self {
        let mut texts: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
        conditions.for_each(|condition| collect(condition, &mut texts));
        let mut ranges: BTreeMap<usize, Vec<(i128, i128)>> = BTreeMap::new();
        for (slot, asked) in scopes.iter().flatten() {
            if let Values::Ranges(more) = &asked.values {
                ranges.entry(*slot).or_default().extend_from_slice(more.parts());
            }
        }
        let mut numbers = Self::default();
        for (slot, attribute) in set.attributes.iter().enumerate() {
            let ordered =
                || Some(Kind::Ordered(Intervals::new(&attribute.ty, ranges.get(&slot)?.iter())?));
            let texts = texts.remove(&slot).unwrap_or_default();
            let kind = Lookup::new(&attribute.ty, texts).map(Kind::Texts).or_else(ordered);
            numbers.by_slot.extend(kind.map(|kind| (slot, Numbering { kind, index: 0 })));
        }
        numbers.count();
        numbers
    }

    /// Forgets the ordered attributes but these; conditions compare with their constants themselves.
    pub(super) fn keep_ordered(&mut self, slots: &BTreeSet<usize>) {
        self.by_slot
            .retain(|slot, numbering| matches!(numbering.kind, Kind::Texts(_)) || slots.contains(slot));
        self.count();
    }

    fn count(&mut self) {
        for (index, numbering) in (0..).zip(self.by_slot.values_mut()) {
            numbering.index = index;
        }
    }

    pub(super) fn get(&self, slot: usize) -> Option<&Numbering> {
        self.by_slot.get(&slot)
    }

    /// The index of a looked-up text and its constants.
    pub(super) fn text(&self, slot: usize) -> Option<(u32, &Lookup)> {
        match self.get(slot)? {
            Numbering { kind: Kind::Texts(lookup), index } => Some((*index, lookup)),
            Numbering { kind: Kind::Ordered(_), .. } => None,
        }
    }

    /// The numbered slots in their order.
    pub(super) fn slots(&self) -> impl Iterator<Item = (usize, &Numbering)> {
        self.by_slot.iter().map(|(slot, numbering)| (*slot, numbering))
    }

    pub(super) fn len(&self) -> usize {
        self.by_slot.len()
    }
}

impl Numbering {
    /// The highest number.
    pub(super) fn last(&self) -> u32 {
        match &self.kind {
            Kind::Texts(lookup) => lookup.count(),
            Kind::Ordered(intervals) => intervals.last(),
        }
    }

    /// How many numbers a usable attribute may have.
    pub(super) fn count(&self) -> u32 {
        match &self.kind {
            Kind::Texts(lookup) if lookup.closed => self.last(),
            _ => self.last() + 1,
        }
    }

    /// The numbers of these values, lowest and highest of each run, if numbers tell them apart from all others.
    pub(super) fn numbers(&self, values: &Values) -> Option<Vec<(u32, u32)>> {
        match (&self.kind, values) {
            (Kind::Texts(lookup), Values::Texts { texts, inverted }) => lookup.numbers(texts, *inverted),
            (Kind::Ordered(intervals), Values::Ranges(ranges)) => intervals.numbers(ranges),
            _ => None,
        }
    }

    /// The tag of a usable value.
    pub(super) fn tag(&self) -> Tag {
        match &self.kind {
            Kind::Texts(_) => Tag::Text,
            Kind::Ordered(intervals) => intervals.tag(),
        }
    }
}

/// The texts that `expr` compares attributes with.
fn collect(expr: &Expr, texts: &mut BTreeMap<usize, BTreeSet<Vec<u8>>>) {
    match expr {
        Expr::And(operands) | Expr::Or(operands) => {
            operands.iter().for_each(|operand| collect(operand, texts));
        }
        Expr::Atom(atom) => {
            let (slot, entries) = match &atom.test {
                Test::Equal { slot, right: Right::Constant(constant), .. } => {
                    (slot, std::slice::from_ref(constant))
                }
                Test::OneOf { slot, entries, .. } => (slot, entries.as_slice()),
                _ => return,
            };
            for entry in entries {
                if let Constant::Text(text) = entry {
                    texts.entry(*slot).or_default().insert(text.clone());
                }
            }
        }
    }
}
