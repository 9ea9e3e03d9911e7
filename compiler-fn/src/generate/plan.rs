//! Which policies are looked at for which requests: the index.
//!
//! A policy can only be violated or indeterminate, and can only be in scope, if each conjunct of its scope is
//! TRUE or UNKNOWN. So a conjunct that asks an attribute to be one of some texts is a *key*: for a request in
//! which the attribute is known to be another text, the policy need not be looked at. The plan is a tree:
//!
//! - At a node, the attribute that keys the most policies away splits them. Under each number of the attribute
//!   (`texts.rs`) hang the policies whose key holds it, as a node of their own, with the key struck from their
//!   conditions: it is TRUE there. What the attribute does not key is split by the next one.
//! - Policies without any key are evaluated at every request that reaches their node.
//! - If the attribute is missing or unusable, every policy of the split may become indeterminate: all are
//!   evaluated in full. Kleene's meaning is thus kept exactly.
//!
//! Worked example, a set whose policies have one of these scopes, ten policies for each:
//! ```text
//! a: resource.type == "card"  AND action == "read"
//! b: resource.type == "card"  AND size > 10
//! c: resource.type IN ["card", "log", "file"]
//! d: requests
//! ```
//! `resource.type` meets three texts, so it is looked up and keys thirty policies; `action` meets one, so it is
//! compared where it stands and keys none. Under "card" hang all a, b and c: of a `action == "read"` is left to
//! ask, of b `size > 10`, of c no scope at all. Under "log" and under "file" hang the ten c, as one node. All d
//! stay at the root. A request for a "log" evaluates the constraints of c and d; one for anything else those of d;
//! one without `resource.type` evaluates all forty in full.

use std::collections::{BTreeMap, BTreeSet};

use super::{lower::Expr, texts::Texts};

/// Policies that are not split further.
const LEAF: usize = 3;

/// Attributes on one path of the tree.
const MAX_DEPTH: usize = 3;

/// How often a policy may hang in the tree on average, since a key of many texts hangs it under each.
const MAX_COPIES: usize = 64;

/// A policy as the plan sees it.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    /// What must hold for the policy to apply, all of it.
    pub(super) scope: Vec<Expr>,
    /// What then violates it.
    pub(super) failed: Expr,
    /// For each keying slot the conjunct of `scope` and the numbers that it allows.
    keys: BTreeMap<usize, (usize, BTreeSet<u32>)>,
}

/// Policies to be looked at together, and how they are told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    /// Evaluated whenever the node is reached.
    pub(super) always: Vec<usize>,
    /// Evaluated as the splits say.
    pub(super) splits: Vec<Split>,
    /// The slots whose keys are known to be TRUE here.
    pub(super) settled: BTreeSet<usize>,
}

/// Policies told apart by one attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Split {
    /// The attribute.
    pub(super) slot: usize,
    /// All policies of the split, for requests that leave the attribute out.
    pub(super) all: Vec<usize>,
    /// The node for each number; a number without one needs no policy of the split.
    pub(super) branches: BTreeMap<u32, Node>,
}

impl Indexed {
    pub(super) fn new(scope: Option<Expr>, failed: Expr, texts: &Texts) -> Self {
        let mut conjuncts = Vec::new();
        if let Some(scope) = scope {
            flatten(scope, &mut conjuncts);
        }
        let mut keys = BTreeMap::new();
        for (index, conjunct) in conjuncts.iter().enumerate() {
            if let Some((slot, numbers)) = texts.membership(conjunct) {
                keys.entry(slot).or_insert((index, numbers));
            }
        }
        Self { scope: conjuncts, failed, keys }
    }

    /// What is left of the scope where the keys of `settled` are TRUE.
    pub(super) fn remaining_scope(&self, settled: &BTreeSet<usize>) -> Vec<&Expr> {
        let struck: BTreeSet<usize> = settled
            .iter()
            .filter_map(|slot| self.keys.get(slot))
            .map(|(conjunct, _)| *conjunct)
            .collect();
        let left = self.scope.iter().enumerate().filter(|(index, _)| !struck.contains(index));
        left.map(|(_, conjunct)| conjunct).collect()
    }
}

fn flatten(expr: Expr, conjuncts: &mut Vec<Expr>) {
    match expr {
        Expr::And(operands) => {
            operands.into_iter().for_each(|operand| flatten(operand, conjuncts));
        }
        other => conjuncts.push(other),
    }
}

/// The plan for these policies, given by their indexes.
pub(super) fn plan(policies: &[Indexed]) -> Node {
    node(policies, (0..policies.len()).collect(), BTreeSet::new(), 1)
}

fn node(policies: &[Indexed], mut left: Vec<usize>, settled: BTreeSet<usize>, copies: usize) -> Node {
    let mut splits = Vec::new();
    while left.len() > LEAF && settled.len() < MAX_DEPTH {
        let Some((slot, factor)) = best_slot(policies, &left, &settled, MAX_COPIES / copies) else {
            break;
        };
        let (keyed, others): (Vec<_>, Vec<_>) =
            left.iter().copied().partition(|policy| policies[*policy].keys.contains_key(&slot));
        let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for policy in &keyed {
            for number in
                policies[*policy].keys.get(&slot).map(|(_, numbers)| numbers).into_iter().flatten()
            {
                members.entry(*number).or_default().push(*policy);
            }
        }
        let mut below = settled.clone();
        below.insert(slot);
        let branches = members
            .into_iter()
            .map(|(number, members)| (number, node(policies, members, below.clone(), copies * factor)))
            .collect();
        splits.push(Split { slot, all: keyed, branches });
        left = others;
    }
    Node { always: left, splits, settled }
}

/// The attribute that spares the most evaluations on average over its numbers, if one spares any worth having,
/// and how often it hangs a policy on average, which is at most `max_factor`.
fn best_slot(
    policies: &[Indexed],
    left: &[usize],
    settled: &BTreeSet<usize>,
    max_factor: usize,
) -> Option<(usize, usize)> {
    let mut sizes: BTreeMap<usize, (usize, usize, BTreeSet<u32>)> = BTreeMap::new();
    for policy in left {
        for (slot, (_, numbers)) in &policies[*policy].keys {
            if !settled.contains(slot) {
                let (keyed, hung, all) = sizes.entry(*slot).or_default();
                *keyed += 1;
                *hung += numbers.len();
                all.extend(numbers);
            }
        }
    }
    let spared = |(slot, (keyed, hung, all)): (usize, (usize, usize, BTreeSet<u32>))| {
        let factor = hung.div_ceil(keyed).max(1);
        // Policies in the average branch; the lookup itself costs about as much as two of them.
        let branch = hung.div_ceil(all.len().max(1));
        let spared = keyed.checked_sub(branch + 2)?;
        (factor <= max_factor).then_some((spared, std::cmp::Reverse(slot), factor))
    };
    let (_, std::cmp::Reverse(slot), factor) = sizes.into_iter().filter_map(spared).max()?;
    Some((slot, factor))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generate::lower::{Atom, Test};

    fn indexed(keys: &[(usize, &[u32])]) -> Indexed {
        let nothing = Atom { known: Vec::new(), test: Test::Present(0), negated: false };
        let keys = keys.iter().enumerate();
        let keys: BTreeMap<_, _> = keys
            .map(|(conjunct, (slot, numbers))| (*slot, (conjunct, numbers.iter().copied().collect())))
            .collect();
        let scope = vec![Expr::Atom(nothing.clone()); keys.len()];
        Indexed { scope, failed: Expr::Atom(nothing), keys }
    }

    #[test]
    fn policies_hang_under_the_numbers_of_their_keys_and_all_under_unknown() {
        let policies: Vec<_> =
            (0..40).map(|n| indexed(&[(7, &[n % 8 + 1]), (9, &[n % 2 + 1])])).collect();
        let plan = plan(&policies);
        assert!(plan.always.is_empty());
        let [split] = plan.splits.as_slice() else { panic!("{plan:?}") };
        assert_eq!((split.slot, split.all.len(), split.branches.len()), (7, 40, 8));
        assert!(split.branches.values().all(|node| node.settled == BTreeSet::from([7])));
        // Slot 9 tells nothing apart below slot 7: all five there have the same number.
        assert_eq!(split.branches[&1].always, [0, 8, 16, 24, 32]);
    }

    #[test]
    fn policies_without_a_key_are_always_looked_at_and_long_lists_do_not_multiply() {
        let many: Vec<u32> = (1..=1000).collect();
        let mut policies = vec![indexed(&[]); 2];
        policies.extend((0..10).map(|_| indexed(&[(3, &many)])));
        let plan = plan(&policies);
        assert_eq!(plan.always.len(), 12);
    }
}
