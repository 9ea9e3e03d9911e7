//! Conditions made smaller without a change of meaning, UNKNOWN included.
//!
//! No atom over an attribute is simply TRUE or FALSE: if the attribute is not usable, it is UNKNOWN. So what can
//! only be FALSE of usable attributes becomes [`Test::Never`], which still asks whether they are (`a < a`, a
//! region that is none of its ENUM's, `a < 5 AND a > 9`), and what can only be TRUE its negation. Without any
//! attribute to ask for, as in `a EXISTS AND a IS MISSING`, these are the constants FALSE and TRUE.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::{manifest::AttributeDeclaration, slots::Tag};

use super::{
    conditions::cost,
    lower::{Atom, Expr, Test},
    values::{Domain, Values},
};

/// The same condition, folded.
pub(super) fn fold(expr: Expr, attributes: &[AttributeDeclaration]) -> Expr {
    match expr {
        Expr::Atom(atom) => fold_atom(atom, attributes),
        Expr::And(operands) => fold_all(operands, true, attributes),
        Expr::Or(operands) => fold_all(operands, false, attributes),
    }
}

/// The truth of a condition that is the same for all requests.
pub(super) fn constant(expr: &Expr) -> Option<bool> {
    decided(expr).filter(|(known, _)| known.is_empty()).map(|(_, holds)| holds)
}

/// What a condition always is where these slots are usable; it is UNKNOWN where they are not.
fn decided(expr: &Expr) -> Option<(&[(usize, Tag)], bool)> {
    match expr {
        Expr::Atom(Atom { known, test: Test::Never, negated }) => Some((known, *negated)),
        _ => None,
    }
}

/// The condition that is `holds` where these slots are usable.
fn always(known: Vec<(usize, Tag)>, holds: bool) -> Expr {
    Expr::Atom(Atom { known, test: Test::Never, negated: holds })
}

fn fold_atom(mut atom: Atom, attributes: &[AttributeDeclaration]) -> Expr {
    atom.known.sort_unstable();
    atom.known.dedup();
    if matches!(&atom.test, Test::ListsEqual { slot, other, .. } if slot == other) {
        return always(atom.known, !atom.negated);
    }
    let expr = Expr::Atom(atom);
    match Values::of(&expr, attributes) {
        Some((slot, values)) => decide(slot, &values, attributes).unwrap_or(expr),
        None => expr,
    }
}

/// What a condition that allows all or none of a slot's values always is.
fn decide(slot: usize, values: &Values, attributes: &[AttributeDeclaration]) -> Option<Expr> {
    let ty = &attributes.get(slot)?.ty;
    let domain = Domain::of(ty)?;
    let holds = domain.is_all(values);
    (holds || domain.is_none(values)).then(|| always(vec![(slot, Tag::of(ty))], holds))
}

/// Operands of an AND, or else of an OR. The comments speak of AND; OR is the same with TRUE and FALSE changed.
fn fold_all(operands: Vec<Expr>, and: bool, attributes: &[AttributeDeclaration]) -> Expr {
    let mut seen = BTreeSet::new();
    let mut left = Vec::new();
    for operand in operands {
        let operand = fold(operand, attributes);
        let parts = match operand {
            Expr::And(inner) if and => inner,
            Expr::Or(inner) if !and => inner,
            other => vec![other],
        };
        left.extend(parts.into_iter().filter(|part| seen.insert(part.clone())));
    }
    // `x AND NOT x` is FALSE wherever it is known.
    for operand in &mut left {
        if let Expr::Atom(atom) = operand
            && seen.contains(&Expr::Atom(Atom { negated: !atom.negated, ..atom.clone() }))
        {
            *operand = always(std::mem::take(&mut atom.known), !and);
        }
    }
    let mut left = by_slot(left, and, attributes);
    if left.iter().any(|operand| constant(operand) == Some(!and)) {
        return always(Vec::new(), !and);
    }
    drop_decided(&mut left, and);
    match (left.pop(), left.is_empty()) {
        (None, _) => always(Vec::new(), and),
        (Some(only), true) => only,
        (Some(last), false) => {
            left.push(last);
            if and { Expr::And(left) } else { Expr::Or(left) }
        }
    }
}

/// Operands that look at one scalar alone are one set of values together: nothing, everything, or what one of
/// them already says.
fn by_slot(operands: Vec<Expr>, and: bool, attributes: &[AttributeDeclaration]) -> Vec<Expr> {
    let mut slots: BTreeMap<usize, Vec<(usize, Values)>> = BTreeMap::new();
    for (index, operand) in operands.iter().enumerate() {
        if let Some((slot, values)) = Values::of(operand, attributes) {
            slots.entry(slot).or_default().push((index, values));
        }
    }
    let mut replaced: BTreeMap<usize, Option<Expr>> = BTreeMap::new();
    for (slot, group) in slots.into_iter().filter(|(_, group)| group.len() > 1) {
        let Some(domain) = attributes.get(slot).and_then(|attribute| Domain::of(&attribute.ty)) else {
            continue;
        };
        let all = group.iter().map(|(_, values)| values.clone()).collect();
        let together = if and { domain.intersection(all) } else { domain.union(all) };
        let says_all = group.iter().filter(|(_, values)| *values == together);
        let kept = match decide(slot, &together, attributes) {
            Some(decided) => Some(decided),
            None => {
                says_all.map(|(index, _)| &operands[*index]).min_by_key(|operand| cost(operand)).cloned()
            }
        };
        if let Some(kept) = kept {
            replaced.extend(group.iter().map(|(index, _)| (*index, None)));
            replaced.insert(group[0].0, Some(kept));
        }
    }
    let replace = |(index, operand)| replaced.remove(&index).unwrap_or(Some(operand));
    operands.into_iter().enumerate().filter_map(replace).collect()
}

/// Drops operands that another makes superfluous.
fn drop_decided(operands: &mut Vec<Expr>, and: bool) {
    if operands.iter().all(|operand| decided(operand).is_none()) {
        return;
    }
    let mut index = 0;
    while index < operands.len() {
        let others = || operands.iter().enumerate().filter(|(other, _)| *other != index);
        // TRUE where its slots are known: nothing is lost if the others are not TRUE where they are not.
        let superfluous = matches!(decided(&operands[index]), Some((known, holds)) if holds == and
            && known.iter().all(|(slot, _)| others().any(|(_, other)| never(other, *slot, and))));
        // FALSE where its slots are known: so is the whole, and where they are not, this is UNKNOWN as well.
        let swallowed = || {
            others().any(|(_, other)| {
                matches!(decided(other), Some((known, holds)) if holds != and
                    && known.iter().all(|(slot, _)| never(&operands[index], *slot, !and)))
            })
        };
        if superfluous || swallowed() {
            operands.remove(index);
        } else {
            index += 1;
        }
    }
}

/// Whether `expr` is surely not `truth` where the slot is not usable.
fn never(expr: &Expr, slot: usize, truth: bool) -> bool {
    match expr {
        Expr::Atom(atom) => atom.known.iter().any(|(known, _)| *known == slot),
        Expr::And(operands) if truth => operands.iter().any(|operand| never(operand, slot, truth)),
        Expr::Or(operands) if !truth => operands.iter().any(|operand| never(operand, slot, truth)),
        Expr::And(operands) | Expr::Or(operands) => {
            operands.iter().all(|operand| never(operand, slot, truth))
        }
    }
}
