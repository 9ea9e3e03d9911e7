//! The types that an attribute may still have, and how comparing two attributes narrows both.

use aecp_contract::value::Type;

use crate::language::ast::Literal;

/// A set of types that an attribute may still have: bit *n* for scalar *n* of [`SCALARS`], bit *n* + 8 for
/// the list of it. ENUM counts as STRING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidates(u16);

const SCALARS: [Type; 7] =
    [Type::String, Type::Int, Type::Decimal, Type::Bool, Type::Timestamp, Type::Duration, Type::Ip];

impl Candidates {
    pub(super) const STRING: Self = Self(1);
    pub(super) const INT: Self = Self(1 << 1);
    pub(super) const DECIMAL: Self = Self(1 << 2);
    pub(super) const BOOL: Self = Self(1 << 3);
    pub(super) const TIMESTAMP: Self = Self(1 << 4);
    pub(super) const DURATION: Self = Self(1 << 5);
    pub(super) const IP: Self = Self(1 << 6);
    pub(super) const ALL: Self = Self(0x7f7f);

    pub(super) fn of(ty: &Type) -> Self {
        match ty {
            Type::Enum(_) => Self::STRING,
            Type::List(element) => Self::of(element).as_lists(),
            Type::Any => Self::ALL,
            scalar => {
                Self(SCALARS.iter().position(|candidate| candidate == scalar).map_or(0, |bit| 1 << bit))
            }
        }
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lists of these scalars.
    pub(super) const fn as_lists(self) -> Self {
        Self((self.0 & 0x7f) << 8)
    }

    /// The elements of these lists.
    pub(super) const fn elements(self) -> Self {
        Self(self.0 >> 8)
    }

    /// The first in order of preference.
    pub(super) fn first(self) -> Option<Type> {
        let bit = self.0.trailing_zeros() as usize;
        if bit < 8 {
            SCALARS.get(bit).cloned()
        } else {
            SCALARS.get(bit - 8).map(|element| Type::List(Box::new(element.clone())))
        }
    }

    /// Whether nothing but preference decides: text may be STRING, TIMESTAMP or IP and a whole number INT or
    /// DECIMAL without anybody wondering; anything wider is worth a word.
    pub(super) fn is_open(self) -> bool {
        let text = Self::STRING.or(Self::TIMESTAMP).or(Self::IP);
        let number = Self::INT.or(Self::DECIMAL);
        let within = |set: Self| self.and(set) == self;
        let one = self.0.count_ones() == 1;
        !(one || within(text) || within(number) || within(text.as_lists()) || within(number.as_lists()))
    }

    pub(super) fn describe(self) -> String {
        let text = Self::STRING.or(Self::TIMESTAMP).or(Self::IP);
        if self == text {
            return "STRING".to_owned();
        }
        if self == text.as_lists() {
            return "LIST<STRING>".to_owned();
        }
        let mut rest = self;
        let mut names = Vec::new();
        while let Some(ty) = rest.first() {
            names.push(ty.to_string());
            rest.0 &= rest.0 - 1;
        }
        names.join(" or ")
    }

    /// What an attribute may be that is compared with this literal.
    pub(super) fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Text(_) => Self::STRING.or(Self::TIMESTAMP).or(Self::IP),
            Literal::Int(_) => Self::INT.or(Self::DECIMAL),
            Literal::Decimal { .. } => Self::DECIMAL,
            Literal::Bool(_) => Self::BOOL,
            Literal::Duration { .. } => Self::DURATION,
            Literal::List(elements) => elements
                .iter()
                .fold(Self(0x7f), |set, element| set.and(Self::of_literal(&element.node)))
                .as_lists(),
        }
    }
}

/// How two attributes bind each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// One type.
    Same,
    /// The second is a LIST of the first.
    Element,
    /// The second is a STRING as the first, or a LIST of the first.
    Part,
}

impl Link {
    /// What the first may be, given the second.
    pub(super) const fn first(self, second: Candidates) -> Candidates {
        match self {
            Self::Same => second,
            Self::Element => second.elements(),
            Self::Part => second.elements().or(second.and(Candidates::STRING)),
        }
    }

    /// What the second may be, given the first.
    pub(super) const fn second(self, first: Candidates) -> Candidates {
        match self {
            Self::Same => first,
            Self::Element => first.as_lists(),
            Self::Part => first.as_lists().or(first.and(Candidates::STRING)),
        }
    }
}
