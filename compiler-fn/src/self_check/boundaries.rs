//! The values at which an atom's answer turns, and some that differ from them as little as a value can.
//!
//! Values that policies have in common come first: the search takes the first that serves, and requests that
//! agree on them are asked together.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::value::{Cidr, Decimal, Duration, Ip, Timestamp, Type, Value};

use super::texts;
use crate::{
    language::ast::{Atom, Condition, ConditionKind, Literal, Operand, Path, Spanned},
    set::{PolicySet, literal_value},
};

/// Entries of a list that are each tried; of a longer list the first, the middle and the last ones.
const MAX_ENTRIES: usize = 16;

/// Bytes of a text beyond which it is not tried: a request has bounded room, and globs take quadratic time.
pub(super) const MAX_TEXT: usize = 1024;

/// The texts that policies of the set compare each attribute with, by slot.
pub(super) type Constants<'a> = BTreeMap<usize, BTreeSet<&'a str>>;

/// Collects the constants of a set.
pub(super) fn constants(set: &PolicySet) -> Constants<'_> {
    let mut constants = Constants::new();
    for policy in &set.policies {
        for condition in policy.scope.iter().chain([&policy.constraint]) {
            each_atom(condition, &mut |atom| {
                let (path, literals) = match atom {
                    Atom::Compare { path, right: Operand::Literal(literal), .. } => {
                        (path, std::slice::from_ref(literal))
                    }
                    Atom::InList { path, list, .. } => (path, list.as_slice()),
                    _ => return,
                };
                let Some((slot, _)) = set.attribute(&path.node) else { return };
                let texts = literals.iter().filter_map(|literal| match &literal.node {
                    Literal::Text(text) if text.len() <= MAX_TEXT => Some(text.as_str()),
                    _ => None,
                });
                constants.entry(slot).or_default().extend(texts);
            });
        }
    }
    constants
}

/// Calls `visit` with every atom of a condition in its order.
pub(super) fn each_atom<'a>(condition: &'a Condition, visit: &mut dyn FnMut(&'a Atom)) {
    match &condition.node {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => {
            operands.iter().for_each(|operand| each_atom(operand, visit));
        }
        ConditionKind::Not(operand) => each_atom(operand, visit),
        ConditionKind::Atom(atom) => visit(atom),
    }
}

/// The attributes that an atom looks at, each once.
pub(super) fn paths(atom: &Atom) -> Vec<&Path> {
    let (path, operands): (&Path, Vec<&Operand>) = match atom {
        Atom::Compare { path, right, .. } => (path, vec![right]),
        Atom::Between { path, low, high } => (path, vec![low, high]),
        Atom::InPath { element, list, .. } => (list, vec![element]),
        Atom::Contains { path, item } => (path, vec![item]),
        Atom::StartsWith { path, text } | Atom::EndsWith { path, text } => (path, vec![text]),
        Atom::InList { path, .. }
        | Atom::Matches { path, .. }
        | Atom::InCidr { path, .. }
        | Atom::Exists(path)
        | Atom::IsMissing(path)
        | Atom::IsTrue(path) => (path, Vec::new()),
    };
    let mut paths = vec![path];
    for operand in operands {
        if let Operand::Path(path) = operand
            && !paths.contains(&path)
        {
            paths.push(path);
        }
    }
    paths
}

/// Boundary values for one of the attributes that `atom` looks at, whose slot and type are given; they may
/// repeat. Leaving the attribute out and giving it wrongly is the caller's to add.
pub(super) fn values(
    set: &PolicySet,
    constants: &Constants<'_>,
    atom: &Atom,
    (slot, ty): (usize, &Type),
) -> Vec<Value> {
    let constants = constants.get(&slot);
    // Attributes that meet in an atom get the same values, so that they can be equal, less and greater.
    let among = paths(atom);
    if among.len() > 1 {
        let types = || among.iter().filter_map(|path| set.attribute(&path.node)).map(|(_, ty)| ty);
        let elements =
            types().map(|ty| if let Type::List(element) = ty { element.as_ref() } else { ty });
        let mut values: Vec<Value> = elements.flat_map(ordered).collect();
        values.extend(around_literals(atom, ty, constants));
        return if let Type::List(element) = ty { lists(&values, &ordered(element)) } else { values };
    }
    match (atom, ty) {
        (Atom::Exists(_) | Atom::IsMissing(_) | Atom::IsTrue(_), _)
        | (Atom::Compare { .. }, Type::List(_)) => usual(ty),
        (Atom::InPath { element: Operand::Literal(item), .. }, Type::List(element))
        | (Atom::Contains { item: Operand::Literal(item), .. }, Type::List(element)) => {
            match literal_value(&item.node, element) {
                Some(item) if short(&item) => {
                    lists(std::slice::from_ref(&item), &around(&item, element))
                }
                _ => usual(ty),
            }
        }
        (Atom::InCidr { cidr, .. }, _) => network(&cidr.node),
        (Atom::Matches { glob, .. }, _) if glob.node.len() <= MAX_TEXT => texts::glob(&glob.node),
        (Atom::StartsWith { text: Operand::Literal(literal), .. }, _)
        | (Atom::EndsWith { text: Operand::Literal(literal), .. }, _)
        | (Atom::Contains { item: Operand::Literal(literal), .. }, _) => match &literal.node {
            Literal::Text(text) if text.len() <= MAX_TEXT => texts::parts(text, ty),
            _ => usual(ty),
        },
        _ => around_literals(atom, ty, constants),
    }
}

/// Values around the literals that an atom compares with.
fn around_literals(atom: &Atom, ty: &Type, constants: Option<&BTreeSet<&str>>) -> Vec<Value> {
    let literals: Vec<&Spanned<Literal>> = match atom {
        Atom::Compare { right: Operand::Literal(literal), .. } => vec![literal],
        Atom::Between { low, high, .. } => [low, high]
            .into_iter()
            .filter_map(|operand| match operand {
                Operand::Literal(literal) => Some(literal),
                Operand::Path(_) => None,
            })
            .collect(),
        Atom::InList { list, .. } if list.len() > MAX_ENTRIES => {
            let third = MAX_ENTRIES / 3;
            let middle = list.len() / 2;
            let (first, last) = (&list[..third], &list[list.len() - third..]);
            first.iter().chain(&list[middle..middle + third]).chain(last).collect()
        }
        Atom::InList { list, .. } => list.iter().collect(),
        _ => Vec::new(),
    };
    let given: Vec<Value> =
        literals.iter().filter_map(|literal| literal_value(&literal.node, ty)).filter(short).collect();
    let mut values = Vec::new();
    if let (Type::String, Some(constants)) = (ty, constants) {
        // What other policies compare the attribute with: the first constant, and those next in order.
        values.extend(constants.iter().take(1).map(|text| Value::Text((*text).to_owned())));
        for value in given.first().into_iter().chain(given.last()) {
            let Value::Text(text) = value else { continue };
            let next = constants
                .range::<str, _>((std::ops::Bound::Excluded(text.as_str()), std::ops::Bound::Unbounded));
            values.extend(next.take(1).map(|text| Value::Text((*text).to_owned())));
        }
    }
    let ends = given.first().into_iter().chain(given.get(given.len() / 2)).chain(given.last());
    let mut near: Vec<Value> = Vec::new();
    for (index, end) in ends.enumerate() {
        let mut values = around(end, ty);
        // Of later entries of a list one near miss is enough.
        values.truncate(if index == 0 || !ty.is_text() { values.len() } else { 2 });
        near.extend(values);
    }
    // The least and greatest values, which are common, stand before those of this atom alone.
    near.sort_by_key(|value| !is_extreme(value));
    let extremes = near.iter().take_while(|value| is_extreme(value)).count();
    let rest = near.split_off(extremes);
    values.into_iter().chain(near).chain(given).chain(rest).collect()
}

fn short(value: &Value) -> bool {
    !matches!(value, Value::Text(text) if text.len() > MAX_TEXT)
}

const LEAST_INSTANT: Timestamp = Timestamp { seconds: -62_135_596_800, nanoseconds: 0 };
const LAST_INSTANT: Timestamp = Timestamp { seconds: 253_402_300_799, nanoseconds: 999_999_999 };

fn is_extreme(value: &Value) -> bool {
    match value {
        Value::Int(n) | Value::Duration(Duration(n)) => *n == i64::MIN || *n == i64::MAX,
        Value::Decimal(d) => d.scaled().unsigned_abs() == i128::MAX.unsigned_abs(),
        Value::Timestamp(t) => *t == LEAST_INSTANT || *t == LAST_INSTANT,
        _ => false,
    }
}

/// The values next to `value`, and those at the ends of its type; never `value` itself.
fn around(value: &Value, ty: &Type) -> Vec<Value> {
    let words = |n: i64| [i64::MIN, i64::MAX, n.wrapping_sub(1), n.wrapping_add(1)];
    let mut values: Vec<Value> = match value {
        Value::Bool(b) => vec![Value::Bool(!b)],
        Value::Int(n) => words(*n).map(Value::Int).to_vec(),
        Value::Duration(Duration(n)) => words(*n).map(|n| Value::Duration(Duration(n))).to_vec(),
        Value::Decimal(d) => {
            let n = d.scaled();
            let high = 1i128 << 64;
            // The smallest step, and one in the upper half of the 128 bits.
            [
                i128::MAX,
                -i128::MAX,
                n.saturating_sub(1),
                n.saturating_add(1),
                n.saturating_sub(high),
                n.saturating_add(high),
            ]
            .map(|n| Value::Decimal(Decimal::from_scaled(n.clamp(-i128::MAX, i128::MAX))))
            .to_vec()
        }
        Value::Timestamp(t) => {
            let before = match t.nanoseconds {
                0 => Timestamp { seconds: t.seconds - 1, nanoseconds: 999_999_999 },
                n => Timestamp { nanoseconds: n - 1, ..*t },
            };
            let after = match t.nanoseconds {
                999_999_999 => Timestamp { seconds: t.seconds + 1, nanoseconds: 0 },
                n => Timestamp { nanoseconds: n + 1, ..*t },
            };
            let (earlier, later) = (t.seconds - 1, t.seconds + 1);
            let other = |seconds| Timestamp { seconds, ..*t };
            [LEAST_INSTANT, LAST_INSTANT, before, after, other(earlier), other(later)]
                .into_iter()
                .filter(|t| (LEAST_INSTANT..=LAST_INSTANT).contains(t))
                .map(Value::Timestamp)
                .collect()
        }
        Value::Ip(Ip(bits)) => [bits ^ 1, bits ^ 1 << 63, bits ^ 1 << 64, bits ^ 1 << 127]
            .map(|bits| Value::Ip(Ip(bits)))
            .to_vec(),
        Value::Text(text) => {
            let mut values: Vec<Value> = Vec::new();
            if let Type::Enum(members) = ty {
                let others = members.iter().filter(|member| *member != text);
                values.extend(others.take(2).map(|member| Value::Text(member.clone())));
            }
            values.extend(texts::near(text).into_iter().map(Value::Text));
            values
        }
        Value::List(_) => Vec::new(),
    };
    values.retain(|near| near != value);
    values
}

/// Lists with and without each of `wanted`, among others that are nearly it.
fn lists(wanted: &[Value], near: &[Value]) -> Vec<Value> {
    let others: Vec<Value> = near.iter().filter(|value| !wanted.contains(value)).cloned().collect();
    let mut lists = vec![Vec::new()];
    lists.extend(wanted.iter().take(8).map(|value| vec![value.clone()]));
    if let [first, .., last] = wanted {
        lists.extend([vec![first.clone(), last.clone()], vec![last.clone(), first.clone()]]);
    }
    if let (Some(wanted), Some(other)) = (wanted.first(), others.first()) {
        lists.extend([vec![other.clone()], vec![wanted.clone(), other.clone()], others.clone()]);
        lists.push(others.into_iter().chain([wanted.clone()]).collect());
    }
    lists.into_iter().map(Value::List).collect()
}

/// Addresses at both edges of a network and just outside them.
fn network(cidr: &str) -> Vec<Value> {
    let Ok((cidr, _)) = Cidr::parse_lenient(cidr) else { return Vec::new() };
    let first = cidr.network.0;
    let last = first | !cidr.mask();
    let outside = [first.checked_sub(1), last.checked_add(1), Some(first ^ 1 << 127)];
    // An IPv6 address that ends like the network's first, which must not be taken for it.
    let alike = first & u128::from(u32::MAX);
    let bits = [Some(first), Some(last)].into_iter().chain(outside).chain([Some(alike)]).flatten();
    bits.map(|bits| Value::Ip(Ip(bits))).collect()
}

/// Some values of a type, least first where it has an order.
fn ordered(ty: &Type) -> Vec<Value> {
    let texts = |texts: [&str; 4]| texts.map(|text| Value::Text(text.to_owned())).to_vec();
    match ty {
        Type::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Type::Int => [0, 1, i64::MIN, i64::MAX].map(Value::Int).to_vec(),
        Type::Duration => [0, 1, i64::MIN, i64::MAX].map(|n| Value::Duration(Duration(n))).to_vec(),
        Type::Decimal => {
            [0, 1, -1 << 64, i128::MAX].map(|n| Value::Decimal(Decimal::from_scaled(n))).to_vec()
        }
        Type::Timestamp => {
            let next = Timestamp { seconds: 0, nanoseconds: 1 };
            let epoch = Timestamp { nanoseconds: 0, ..next };
            [epoch, next, LEAST_INSTANT, LAST_INSTANT].map(Value::Timestamp).to_vec()
        }
        Type::Ip => [0, 1, 1 << 64, u128::MAX].map(|bits| Value::Ip(Ip(bits))).to_vec(),
        Type::Enum(members) => {
            let members = members.iter().take(4).cloned().map(Value::Text);
            members.chain([Value::Text("no such member".to_owned())]).collect()
        }
        Type::String => texts(["a", "ab", "", "b"]),
        Type::List(_) | Type::Any => Vec::new(),
    }
}

/// Some values of a type, lists too.
fn usual(ty: &Type) -> Vec<Value> {
    match ty {
        Type::List(element) => lists(&ordered(element), &[]),
        ty => ordered(ty),
    }
}
