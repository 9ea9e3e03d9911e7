//! Statements about requests that are either true or not: what questions are brought down to.

use std::collections::BTreeSet;

use super::domain::Domain;
use crate::source::Span;

/// What a condition shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// TRUE.
    True,
    /// FALSE.
    False,
    /// UNKNOWN.
    Unknown,
    /// TRUE or UNKNOWN.
    NotFalse,
    /// FALSE or UNKNOWN.
    NotTrue,
}

impl Want {
    /// What the operand of NOT shall be.
    pub(super) const fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::NotFalse => Self::NotTrue,
            Self::NotTrue => Self::NotFalse,
        }
    }
}

/// What a request has for an attribute: some of missing, unusable, usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presence(u8);

impl Presence {
    pub(super) const USABLE: Self = Self(1);
    pub(super) const UNUSABLE: Self = Self(2);
    pub(super) const MISSING: Self = Self(4);
    pub(super) const THERE: Self = Self(3);
    pub(super) const UNKNOWN: Self = Self(6);
    pub(super) const ANY: Self = Self(7);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// How two usable attributes stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Differ,
    /// `left < right`
    Less,
    /// `left <= right`
    LessOrEqual,
    /// The list `left` holds `right`, or (`false`) lacks it.
    Holds(bool),
    /// The text `left` starts with `right`, or does not.
    Starts(bool),
    /// The text `left` ends with `right`, or does not.
    Ends(bool),
    /// The text `left` has the part `right`, or has not.
    Has(bool),
}

/// A statement about requests without any UNKNOWN in it.
#[derive(Debug, Clone)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    /// The attribute is one of these.
    Is(usize, Presence),
    /// If the attribute is usable, its value is in the set. The place is the atom's.
    In(usize, Domain, Span),
    /// Two attributes, both said to be usable beside it.
    Related(Relation, usize, usize, Span),
}

impl Node {
    /// The attributes that it speaks of.
    pub(super) fn attributes(&self, into: &mut BTreeSet<usize>) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => {
                nodes.iter().for_each(|node| node.attributes(into));
            }
            Self::Is(slot, _) | Self::In(slot, ..) => {
                into.insert(*slot);
            }
            Self::Related(_, left, right, _) => into.extend([*left, *right]),
        }
    }
}
