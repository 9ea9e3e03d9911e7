//! What values an attribute may still have.

use std::{cell::Cell, collections::BTreeSet};

use aecp_contract::value::{Decimal, Duration, Ip, Timestamp, Type, Value};

use super::{glob::Found, text::TextSet};
use crate::ranges::{Ranges, unsigned};

/// A set of values of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Domain {
    /// Of an ordered type, IP or BOOL, by their [`number`]s.
    Numbers(Ranges),
    /// Of STRING or ENUM.
    Texts(TextSet),
    /// Lists that hold and lack these elements.
    Lists { has: BTreeSet<Value>, lacks: BTreeSet<Value> },
    /// Of a type whose values nobody looks at.
    None,
}

/// IPv4 addresses within the 128 bits of [`Ip`].
const V4: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);

/// Nanoseconds of the first and last instants that RFC 3339 can write, offsets included.
const INSTANTS: (i128, i128) = (
    (-62_167_219_200 - FAR as i128) * 1_000_000_000,
    (253_402_300_799 + FAR as i128) * 1_000_000_000 + 999_999_999,
);

/// Seconds of the greatest offset that RFC 3339 can write, 23:59.
const FAR: i64 = 86_340;

impl Domain {
    /// Every value of a type.
    pub(super) fn of(ty: &Type) -> Self {
        let numbers = |low, high| Self::Numbers(Ranges::between(low, high));
        match ty {
            Type::String => Self::Texts(TextSet::all()),
            Type::Enum(members) => Self::Texts(TextSet::of(members.iter().map(String::as_str))),
            Type::Int | Type::Duration => numbers(i64::MIN.into(), i64::MAX.into()),
            Type::Decimal => numbers(-i128::MAX, i128::MAX),
            Type::Bool => numbers(0, 1),
            Type::Timestamp => numbers(INSTANTS.0, INSTANTS.1),
            Type::Ip => Self::Numbers(Ranges::all()),
            Type::List(_) => Self::Lists { has: BTreeSet::new(), lacks: BTreeSet::new() },
            Type::Any => Self::None,
        }
    }

    /// These scalars.
    pub(super) fn values(values: &[Value]) -> Self {
        let texts = values.iter().filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        });
        match values.first() {
            Some(Value::Text(_)) => Self::Texts(TextSet::of(texts)),
            _ => Self::Numbers(Ranges::of(values.iter().filter_map(number))),
        }
    }

    /// Lists that hold this element.
    pub(super) fn holding(element: Value) -> Self {
        Self::Lists { has: BTreeSet::from([element]), lacks: BTreeSet::new() }
    }

    /// The complement of what one atom allows.
    pub(super) fn not(&self) -> Self {
        match self {
            Self::Numbers(set) => Self::Numbers(set.not()),
            Self::Texts(set) => Self::Texts(set.not()),
            // An atom speaks of one element alone.
            Self::Lists { has, lacks } => Self::Lists { has: lacks.clone(), lacks: has.clone() },
            Self::None => Self::None,
        }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => Self::Numbers(a.and(b)),
            (Self::Texts(a), Self::Texts(b)) => Self::Texts(a.and(b)),
            (Self::Lists { has, lacks }, Self::Lists { has: more, lacks: fewer }) => {
                Self::Lists { has: has | more, lacks: lacks | fewer }
            }
            // Types agree; were one unknown, the other says more.
            (Self::None, set) | (set, _) => set.clone(),
        }
    }

    /// Whether it is empty as far as that is seen at once; only sets of texts may be empty otherwise.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Numbers(set) => set.is_empty(),
            Self::Texts(set) => set.is_empty(),
            Self::Lists { has, lacks } => !has.is_disjoint(lacks),
            Self::None => false,
        }
    }

    pub(super) fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Numbers(set), value) => number(value).is_some_and(|number| set.contains(number)),
            (Self::Texts(set), Value::Text(text)) => set.contains(text),
            (Self::Lists { has, lacks }, Value::List(elements)) => {
                has.iter().all(|element| elements.contains(element))
                    && !lacks.iter().any(|element| elements.contains(element))
            }
            _ => false,
        }
    }

    /// The domain without one scalar.
    pub(super) fn without(&self, value: &Value) -> Self {
        self.and(&Self::values(std::slice::from_ref(value)).not())
    }

    /// A member that reads well. What it takes to find one is taken off the work that is `left`.
    ///
    /// # Errors
    /// Whether it is certain that there is none.
    pub(super) fn pick(&self, ty: &Type, left: &Cell<u64>) -> Result<Value, Empty> {
        match self {
            Self::Numbers(set) => {
                let (usual, grids) = usual(ty);
                let tame = match ty {
                    // An IPv4 address reads better than most others.
                    Type::Ip => set.and(&Ranges::between(unsigned(V4.0), unsigned(V4.1))),
                    _ => set.clone(),
                };
                let number = tame.pick(usual, grids).or_else(|| set.pick(usual, grids));
                number.map(|number| value(number, ty)).ok_or(Empty::Certainly)
            }
            Self::Texts(set) => match set.pick(left) {
                Found::Text(text) => Ok(Value::Text(text)),
                Found::None => Err(Empty::Certainly),
                Found::TooHard => Err(Empty::Perhaps),
            },
            Self::Lists { .. } if self.is_empty() => Err(Empty::Certainly),
            Self::Lists { has, .. } => Ok(Value::List(has.iter().cloned().collect())),
            Self::None => Err(Empty::Certainly),
        }
    }
}

/// Why there is no value to pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// There is none.
    Certainly,
    /// It is too hard to tell.
    Perhaps,
}

/// A scalar as a number of the same order; `None` for texts and lists.
pub(super) fn number(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Bool(b) => i128::from(*b),
        Value::Int(n) => i128::from(*n),
        Value::Decimal(decimal) => decimal.scaled(),
        Value::Timestamp(t) => i128::from(t.seconds) * 1_000_000_000 + i128::from(t.nanoseconds),
        Value::Duration(duration) => i128::from(duration.0),
        Value::Ip(ip) => unsigned(ip.0),
        Value::Text(_) | Value::List(_) => return None,
    })
}

/// The value of a type whose [`number`] this is.
pub(super) fn value(number: i128, ty: &Type) -> Value {
    match ty {
        Type::Bool => Value::Bool(number != 0),
        Type::Decimal => Value::Decimal(Decimal::from_scaled(number)),
        Type::Timestamp => Value::Timestamp(Timestamp {
            seconds: number.div_euclid(1_000_000_000) as i64,
            nanoseconds: number.rem_euclid(1_000_000_000) as u32,
        }),
        Type::Duration => Value::Duration(Duration(number as i64)),
        Type::Ip => Value::Ip(Ip(number as u128 ^ 1 << 127)),
        _ => Value::Int(number as i64),
    }
}

/// All addresses from one to another.
pub(super) fn addresses(first: u128, last: u128) -> Domain {
    Domain::Numbers(Ranges::between(unsigned(first), unsigned(last)))
}

/// The value that an example would have, and the steps in which others read well, coarsest first.
fn usual(ty: &Type) -> (i128, &'static [i128]) {
    const SECOND: i128 = 1_000_000_000;
    match ty {
        Type::Timestamp => {
            let new_year_2026 = 1_767_225_600 * SECOND;
            (new_year_2026, &[86_400 * SECOND, 3_600 * SECOND, 60 * SECOND, SECOND, SECOND / 1_000, 1])
        }
        Type::Duration => (3_600_000, &[3_600_000, 60_000, 1_000, 1]),
        Type::Decimal => {
            const ONE: i128 = 10i128.pow(18);
            (0, &[ONE, ONE / 10, ONE / 100, ONE / 1_000, ONE / 1_000_000, ONE / 1_000_000_000, 1])
        }
        Type::Ip => (unsigned(0xffff_c000_0201), &[1]),
        _ => (0, &[1]),
    }
}

/// A value as requests have it: JSON.
pub(super) fn json(value: &Value) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Text(string) => text(string),
        Value::Timestamp(instant) => text(&rfc_3339(*instant)),
        Value::Duration(duration) => text(&duration.to_string()),
        Value::Ip(ip) => text(&ip.to_string()),
        Value::List(elements) => {
            let elements: Vec<_> = elements.iter().map(json).collect();
            format!("[{}]", elements.join(", "))
        }
    }
}

/// An instant in UTC, or with an offset where its year in UTC has not four digits.
fn rfc_3339(instant: Timestamp) -> String {
    let (shift, offset) = match instant.seconds {
        ..-62_167_219_200 => (FAR, "+23:59"),
        253_402_300_800.. => (-FAR, "-23:59"),
        _ => return instant.to_string(),
    };
    let local = Timestamp { seconds: instant.seconds + shift, ..instant }.to_string();
    format!("{}{offset}", local.trim_end_matches('Z'))
}

/// A value that is none of the type's, as JSON.
pub(super) fn unusable_json(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "\"unusable\"",
        _ => "false",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_as_numbers_and_as_json() {
        for (ty, text) in [
            (Type::Int, "-9223372036854775808"),
            (Type::Bool, "true"),
            (Type::Decimal, "-1.25"),
            (Type::Timestamp, "\"1969-12-31T23:59:59.500Z\""),
            (Type::Timestamp, "\"9999-12-31T23:59:59-23:59\""),
            (Type::Timestamp, "\"0000-01-01T00:00:00+23:59\""),
            (Type::Duration, "\"90m\""),
            (Type::Ip, "\"10.1.2.3\""),
            (Type::Ip, "\"2001:db8::1\""),
        ] {
            let read = match ty {
                Type::Int => Value::Int(text.parse().unwrap()),
                Type::Bool => Value::Bool(text.parse().unwrap()),
                Type::Decimal => Value::Decimal(text.parse().unwrap()),
                Type::Timestamp => Value::Timestamp(text.trim_matches('"').parse().unwrap()),
                Type::Duration => Value::Duration(text.trim_matches('"').parse().unwrap()),
                _ => Value::Ip(text.trim_matches('"').parse().unwrap()),
            };
            let back = value(number(&read).unwrap(), &ty);
            assert_eq!(back, read, "{text}");
            assert_eq!(json(&back), text);
            assert!(Domain::of(&ty).contains(&read), "{text}");
        }
    }

    #[test]
    fn addresses_keep_their_order() {
        let ten = addresses(0xffff_0a00_0000, 0xffff_0aff_ffff);
        let inside = |text: &str| ten.contains(&Value::Ip(text.parse().unwrap()));
        assert!(inside("10.0.0.0") && inside("10.255.255.255"));
        assert!(!inside("9.255.255.255") && !inside("11.0.0.0") && !inside("::1") && !inside("fe80::1"));
        assert_eq!(json(&ten.not().pick(&Type::Ip, &Cell::new(0)).unwrap()), "\"192.0.2.1\"");
    }
}
