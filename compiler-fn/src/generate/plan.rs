//! Which policies are looked at for which requests: the index.
//!
//! A policy can only be violated or indeterminate, and can only be in scope, if each conjunct of its scope is
//! TRUE or UNKNOWN. So the conjuncts that look at one scalar alone, and compare it with constants, are a *key*:
//! for a request in which the attribute is known to have another value, the policy need not be looked at. Values
//! are told apart by their numbers (`numbers.rs`), and a key is a set of numbers, whatever the attribute's type:
//!
//! - A STRING that meets three texts or more, and every ENUM, is looked up: `==`, `!=`, `IN` are keys.
//! - INT, DECIMAL, BOOL, TIMESTAMP, DURATION and IP are searched for among the bounds that scopes set: `==`, `!=`,
//!   `IN`, `<`, `BETWEEN` and `IN CIDR` are keys, and two bounds of one attribute are one key.
//! - No key: conditions that compare two attributes, lists, parts of texts, EXISTS, an OR over several attributes;
//!   and those that allow more than three quarters of the numbers, or more than [`MAX_NUMBERS`].
//!
//! The plan is a tree:
//!
//! - At a node, the attribute that keys the most policies away splits them. Under each of its numbers hang the
//!   policies whose key holds it, as a node of their own, with the key struck from their conditions: it is TRUE
//!   there. What the attribute does not key is split by the next one. The keys of the fewest numbers come first;
//!   wide ones that would hang policies too often are left to what follows.
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
//! e: port == 22
//! f: port BETWEEN 1024 AND 49151
//! ```
//! `resource.type` meets three texts, so it is looked up and keys thirty policies; `action` meets one, so it is
//! compared where it stands and keys none. Under "card" hang all a, b and c: of a `action == "read"` is left to
//! ask, of c no scope at all. `size` meets one bound, 11, so its numbers are 0 below and 1 from there on; under
//! "card" it keys b again, which hang under 1 with no scope left. Under "log" and under "file" hang the ten c, as
//! one node. `port` meets the bounds 22, 23, 1024 and 49152, and splits what `resource.type` does not: under
//! number 1, which is 22 alone, hang all e, under number 3 all f. All d stay at the root. A request for a "log" on
//! port 80 evaluates the constraints of c and d; one for anything else those of d; one without `resource.type`
//! evaluates a, b and c in full, and d.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    fold::constant,
    lower::Expr,
    numbers::{Asked, Numbers},
};

/// Policies that are not split further.
const LEAF: usize = 3;

/// Attributes on one path of the tree.
const MAX_DEPTH: usize = 3;

/// How often a policy may hang in the tree on average, since a key of many numbers hangs it under each.
const MAX_COPIES: usize = 64;

/// The most numbers that a key may hold.
const MAX_NUMBERS: usize = 4 * MAX_COPIES;

/// A policy as the plan sees it.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    /// What must hold for the policy to apply, all of it.
    pub(super) scope: Vec<Expr>,
    /// What then violates it.
    pub(super) failed: Expr,
    keys: BTreeMap<usize, Key>,
}

/// What tells a policy from others by one slot.
#[derive(Debug, Clone)]
struct Key {
    /// The conjuncts of the scope that are TRUE for the numbers and FALSE for all others.
    conjuncts: BTreeSet<usize>,
    numbers: BTreeSet<u32>,
    /// How many numbers the attribute may have.
    of: u32,
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
    pub(super) fn new(
        scope: Vec<Expr>,
        failed: Expr,
        asked: BTreeMap<usize, Asked>,
        numbers: &Numbers,
    ) -> Self {
        let key = |(slot, asked): (usize, Asked)| {
            let numbering = numbers.get(slot)?;
            let runs = numbering.numbers(&asked.values)?;
            let count: usize = runs.iter().map(|(low, high)| (high - low) as usize + 1).sum();
            let of = numbering.count();
            if count > MAX_NUMBERS || count * 4 > of as usize * 3 {
                return None;
            }
            let numbers = runs.into_iter().flat_map(|(low, high)| low..=high).collect();
            Some((slot, Key { conjuncts: asked.conjuncts, numbers, of }))
        };
        Self { scope, failed, keys: asked.into_iter().filter_map(key).collect() }
    }

    /// What is left of the scope where the keys of `settled` are TRUE.
    pub(super) fn remaining_scope(&self, settled: &BTreeSet<usize>) -> Vec<&Expr> {
        let struck: BTreeSet<usize> = settled
            .iter()
            .filter_map(|slot| self.keys.get(slot))
            .flat_map(|key| &key.conjuncts)
            .copied()
            .collect();
        let left = self.scope.iter().enumerate().filter(|(index, _)| !struck.contains(index));
        left.map(|(_, conjunct)| conjunct).collect()
    }
}

impl Node {
    /// The slots by which anything is split here or below.
    pub(super) fn slots(&self) -> BTreeSet<usize> {
        let below = self.splits.iter().flat_map(|split| split.branches.values());
        let mut slots: BTreeSet<usize> = below.flat_map(Self::slots).collect();
        slots.extend(self.splits.iter().map(|split| split.slot));
        slots
    }
}

/// The conjuncts of a scope; none for one that is always TRUE.
pub(super) fn conjuncts(scope: Option<Expr>) -> Vec<Expr> {
    match scope {
        Some(Expr::And(operands)) => operands,
        Some(scope) if constant(&scope) == Some(true) => Vec::new(),
        scope => scope.into_iter().collect(),
    }
}

/// The plan for these policies, given by their indexes. Those that are in scope of no request have no place.
pub(super) fn plan(policies: &[Indexed]) -> Node {
    let ever = |policy: &usize| policies[*policy].scope.iter().all(|it| constant(it) != Some(false));
    node(policies, (0..policies.len()).filter(ever).collect(), BTreeSet::new(), 1)
}

fn node(policies: &[Indexed], mut left: Vec<usize>, settled: BTreeSet<usize>, copies: usize) -> Node {
    let mut splits = Vec::new();
    while left.len() > LEAF && settled.len() < MAX_DEPTH {
        let Some(best) = best_slot(policies, &left, &settled, MAX_COPIES / copies) else {
            break;
        };
        let key = |policy: usize| policies[policy].keys.get(&best.slot);
        let (keyed, others): (Vec<_>, Vec<_>) = left
            .iter()
            .copied()
            .partition(|policy| key(*policy).is_some_and(|key| key.numbers.len() <= best.widest));
        let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for policy in &keyed {
            for number in key(*policy).into_iter().flat_map(|key| &key.numbers) {
                members.entry(*number).or_default().push(*policy);
            }
        }
        let mut below = settled.clone();
        below.insert(best.slot);
        let branches = members
            .into_iter()
            .map(|(number, members)| {
                (number, node(policies, members, below.clone(), copies * best.factor))
            })
            .collect();
        splits.push(Split { slot: best.slot, all: keyed, branches });
        left = others;
    }
    Node { always: left, splits, settled }
}

/// How policies are best split.
struct Best {
    slot: usize,
    /// Keys of more numbers than this are left out.
    widest: usize,
    /// How often a policy then hangs in the tree, on average.
    factor: usize,
}

/// The attribute that spares the most evaluations on average over its numbers, if one spares any worth having.
fn best_slot(
    policies: &[Indexed],
    left: &[usize],
    settled: &BTreeSet<usize>,
    max_factor: usize,
) -> Option<Best> {
    let mut by_slot: BTreeMap<usize, Vec<&Key>> = BTreeMap::new();
    for policy in left {
        for (slot, key) in policies[*policy].keys.iter().filter(|(slot, _)| !settled.contains(slot)) {
            by_slot.entry(*slot).or_default().push(key);
        }
    }
    let candidate = |(slot, mut keys): (usize, Vec<&Key>)| {
        keys.sort_by_key(|key| key.numbers.len());
        let of = keys.first()?.of as usize;
        let (mut keyed, mut hung, mut widest) = (0, 0, 0);
        let mut all: BTreeSet<u32> = BTreeSet::new();
        for alike in keys.chunk_by(|a, b| a.numbers.len() == b.numbers.len()) {
            let width = alike[0].numbers.len();
            if hung + width * alike.len() > max_factor * (keyed + alike.len()) {
                break;
            }
            (keyed, hung, widest) = (keyed + alike.len(), hung + width * alike.len(), width);
            alike.iter().for_each(|key| all.extend(&key.numbers));
        }
        // Policies in the average branch, where numbers that no key holds count as one; finding the number
        // costs about as much as two policies.
        let branch = hung.div_ceil((all.len() + 1).min(of).max(1));
        let spared = keyed.checked_sub(branch + 2).filter(|spared| *spared > 0)?;
        let factor = hung.div_ceil(keyed).max(1);
        Some((spared, std::cmp::Reverse(slot), Best { slot, widest, factor }))
    };
    let candidates = by_slot.into_iter().filter_map(candidate);
    Some(candidates.max_by_key(|(spared, slot, _)| (*spared, *slot))?.2)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generate::lower::{Atom, Test};

    fn indexed(keys: &[(usize, &[u32])]) -> Indexed {
        let nothing = Atom { known: Vec::new(), test: Test::Present(0), negated: false };
        let keys = keys.iter().enumerate();
        let key = |(conjunct, (slot, numbers)): (usize, &(usize, &[u32]))| {
            let numbers = numbers.iter().copied().collect();
            (*slot, Key { conjuncts: BTreeSet::from([conjunct]), numbers, of: 2000 })
        };
        let keys: BTreeMap<_, _> = keys.map(key).collect();
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

    #[test]
    fn wide_keys_do_not_spoil_the_split_of_narrow_ones() {
        let wide: Vec<u32> = (1..=500).collect();
        let mut policies: Vec<_> = (0..40).map(|n| indexed(&[(3, &[n])])).collect();
        policies.extend(vec![indexed(&[(3, &wide)]); 60]);
        let plan = plan(&policies);
        let [split] = plan.splits.as_slice() else { panic!("{plan:?}") };
        assert_eq!((split.slot, split.all.len(), split.branches.len()), (3, 40, 40));
        assert_eq!(plan.always.len(), 60);
    }
}
