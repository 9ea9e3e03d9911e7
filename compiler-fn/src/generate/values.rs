//! Sets of values: what a condition that looks at one scalar alone, and compares it with constants, allows.
//!
//! All atoms of such a condition are UNKNOWN together, if the attribute is not usable, and so is the condition;
//! else it is TRUE for the values of its set and FALSE for all others. Conditions of one attribute can thus be
//! computed with as sets, and nothing of Kleene's meaning is lost.
//!
//! The values of an ordered type are mapped to whole numbers, their *places*, in the type's order: `a < 5` of an
//! INT and `a <= 4` are the same set, and so is `a < 5` and the half-open interval up to 5 of a DECIMAL, whose
//! least step is 10⁻¹⁸. Networks are ranges of addresses.

use std::collections::BTreeSet;

use aecp_contract::{
    manifest::AttributeDeclaration,
    value::{Ip, Type},
};

use super::lower::{ANY_TEXT, Constant, Expr, Right, Test};
use crate::ranges::{Ranges, unsigned};

/// Values of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Values {
    /// Those with these places.
    Ranges(Ranges),
    /// These texts, or all but these.
    Texts { texts: BTreeSet<Vec<u8>>, inverted: bool },
}

/// All values of a scalar type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Domain<'a> {
    /// Ordered types: the type, its first and its last place.
    Ordered(&'a Type, i128, i128),
    /// STRING.
    Text,
    /// ENUM.
    Members(&'a [String]),
}

impl Values {
    /// The slot that `expr` looks at and the values that make it TRUE, if it looks at one scalar alone.
    pub(super) fn of(expr: &Expr, attributes: &[AttributeDeclaration]) -> Option<(usize, Self)> {
        let domain = |slot: usize| Domain::of(&attributes.get(slot)?.ty);
        match expr {
            Expr::Atom(atom) => {
                let [(slot, _)] = atom.known.as_slice() else { return None };
                let values = domain(*slot)?.allowed(*slot, &atom.test)?;
                Some((*slot, if atom.negated { domain(*slot)?.others(values) } else { values }))
            }
            Expr::And(operands) | Expr::Or(operands) => {
                let mut slots = BTreeSet::new();
                let mut all = Vec::new();
                for operand in operands {
                    let (slot, values) = Self::of(operand, attributes)?;
                    slots.insert(slot);
                    if slots.len() > 1 {
                        return None;
                    }
                    all.push(values);
                }
                let slot = slots.pop_first()?;
                let domain = domain(slot)?;
                let and = matches!(expr, Expr::And(_));
                Some((slot, if and { domain.intersection(all) } else { domain.union(all) }))
            }
        }
    }
}

impl<'a> Domain<'a> {
    /// The domain of a scalar type; `None` for lists and ANY.
    pub(super) fn of(ty: &'a Type) -> Option<Self> {
        Some(match ty {
            Type::String => Self::Text,
            Type::Enum(members) => Self::Members(members),
            Type::Bool => Self::Ordered(ty, 0, 1),
            Type::Int | Type::Duration => Self::Ordered(ty, i64::MIN.into(), i64::MAX.into()),
            Type::Decimal | Type::Timestamp | Type::Ip => Self::Ordered(ty, i128::MIN, i128::MAX),
            Type::List(_) | Type::Any => return None,
        })
    }

    pub(super) fn none(self) -> Values {
        match self {
            Self::Ordered(..) => Values::Ranges(Ranges::of([])),
            Self::Text | Self::Members(_) => Values::Texts { texts: BTreeSet::new(), inverted: false },
        }
    }

    pub(super) fn is_none(self, values: &Values) -> bool {
        match values {
            Values::Ranges(ranges) => ranges.is_empty(),
            Values::Texts { texts, inverted: false } => texts.is_empty(),
            Values::Texts { texts, inverted: true } => match self {
                Self::Members(members) => members.iter().all(|text| texts.contains(text.as_bytes())),
                _ => false,
            },
        }
    }

    pub(super) fn is_all(self, values: &Values) -> bool {
        self.is_none(&self.others(values.clone()))
    }

    /// The values of the domain that are not among `values`.
    pub(super) fn others(self, values: Values) -> Values {
        match (values, self) {
            (Values::Ranges(ranges), Self::Ordered(_, first, last)) => {
                Values::Ranges(ranges.not().and(&Ranges::between(first, last)))
            }
            (Values::Texts { texts, inverted }, _) => Values::Texts { texts, inverted: !inverted },
            // Ranges are of ordered types alone.
            (Values::Ranges(_), _) => self.none(),
        }
    }

    pub(super) fn union(self, all: Vec<Values>) -> Values {
        let (mut ranges, mut texts) = (Vec::new(), BTreeSet::new());
        // What the inverted sets have in common is what their union leaves out.
        let mut left_out: Option<BTreeSet<Vec<u8>>> = None;
        for values in all {
            match values {
                Values::Ranges(more) => ranges.extend_from_slice(more.parts()),
                Values::Texts { texts: more, inverted: false } => texts.extend(more),
                Values::Texts { texts: more, inverted: true } => {
                    left_out = Some(match left_out {
                        Some(common) => common.intersection(&more).cloned().collect(),
                        None => more,
                    });
                }
            }
        }
        match (self, left_out) {
            (Self::Ordered(..), _) => Values::Ranges(Ranges::union(ranges)),
            (_, Some(out)) => {
                Values::Texts { texts: out.difference(&texts).cloned().collect(), inverted: true }
            }
            (_, None) => Values::Texts { texts, inverted: false },
        }
    }

    pub(super) fn intersection(self, all: Vec<Values>) -> Values {
        self.others(self.union(all.into_iter().map(|values| self.others(values)).collect()))
    }

    /// The values of `slot`, which is of this domain, that pass the test; `None` if it looks at more than that.
    fn allowed(self, slot: usize, test: &Test) -> Option<Values> {
        let all = || self.others(self.none());
        Some(match test {
            Test::Never => self.none(),
            Test::Equal { right: Right::Slot(other), .. } if *other == slot => all(),
            Test::Less { right: Right::Slot(other), .. } if *other == slot => self.none(),
            Test::Equal { right: Right::Constant(constant), .. } => self.only(constant)?,
            Test::OneOf { entries, .. } => {
                self.union(entries.iter().map(|entry| self.only(entry)).collect::<Option<_>>()?)
            }
            Test::Less { right: Right::Constant(constant), swapped, .. } => {
                let Self::Ordered(ty, first, last) = self else { return None };
                let place = place(constant, ty)?;
                let range = if *swapped {
                    place.checked_add(1).map(|from| (from, last))
                } else {
                    place.checked_sub(1).map(|to| (first, to))
                };
                Values::Ranges(Ranges::union(range))
            }
            Test::InNetwork { network: Ip(network), mask, .. } => {
                Values::Ranges(Ranges::between(unsigned(*network), unsigned(*network | !*mask)))
            }
            Test::Both(first, second) => {
                let side = |(test, negated): &(Test, bool)| {
                    let values = self.allowed(slot, test)?;
                    Some(if *negated { self.others(values) } else { values })
                };
                self.intersection(vec![side(first)?, side(second)?])
            }
            Test::StartsWith { right, .. }
            | Test::EndsWith { right, .. }
            | Test::HasPart { right, .. } => match right {
                Right::Constant(Constant::Text(part)) if part.is_empty() => all(),
                Right::Slot(other) if *other == slot => all(),
                _ => return None,
            },
            Test::Glob { pattern, .. } if *pattern == [ANY_TEXT] => all(),
            _ => return None,
        })
    }

    fn only(self, constant: &Constant) -> Option<Values> {
        Some(match (self, constant) {
            (Self::Ordered(ty, ..), _) => {
                let place = place(constant, ty)?;
                Values::Ranges(Ranges::of([place]))
            }
            (_, Constant::Text(text)) => {
                Values::Texts { texts: BTreeSet::from([text.clone()]), inverted: false }
            }
            _ => return None,
        })
    }
}

/// The place of a constant in the order of its type.
fn place(constant: &Constant, ty: &Type) -> Option<i128> {
    Some(match constant {
        Constant::Byte(b) => i128::from(*b),
        Constant::Word(n) => i128::from(*n),
        Constant::Wide(high, low) => {
            let bits = i128::from(*high) << 64 | i128::from(*low);
            if *ty == Type::Ip { unsigned(bits as u128) } else { bits }
        }
        Constant::Text(_) => return None,
    })
}
