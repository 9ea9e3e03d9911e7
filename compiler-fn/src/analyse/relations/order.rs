//! Values that have an order: which must lie below which, and where.

use std::collections::BTreeMap;

use aecp_contract::value::Value;

use super::{Domain, Related, Relation, Variables};
use crate::analyse::domain::{number, value};
use crate::ranges::Ranges;

impl Variables<'_> {
    /// For every two variables, whether the one is at most the other, and then whether it is less. Equality is both ways.
    pub(super) fn reachable(&self) -> Vec<Vec<Option<bool>>> {
        let count = self.types.len();
        let mut below = vec![vec![None; count]; count];
        let mut note = |left: usize, right: usize, less: bool| {
            let known: &mut Option<bool> = &mut below[left][right];
            *known = Some(less || *known == Some(true));
        };
        for Related { relation, left, right, .. } in &self.related {
            match relation {
                Relation::Less => note(*left, *right, true),
                Relation::LessOrEqual => note(*left, *right, false),
                Relation::Equal => {
                    note(*left, *right, false);
                    note(*right, *left, false);
                }
                _ => {}
            }
        }
        for over in 0..count {
            for left in 0..count {
                let Some(first) = below[left][over] else { continue };
                let beyond = below[over].clone();
                for (known, second) in below[left].iter_mut().zip(beyond) {
                    if let Some(second) = second {
                        *known = Some(first || second || *known == Some(true));
                    }
                }
            }
        }
        below
    }

    /// For every ordered variable, the least value that those below it allow and the greatest that those above do.
    pub(super) fn ranges(&self) -> Option<Vec<(i128, i128)>> {
        let mut ranges = Vec::new();
        for domain in &self.domains {
            ranges.push(match domain {
                Domain::Numbers(set) => (set.first_from(i128::MIN)?, set.last_to(i128::MAX)?),
                _ => (0, 0),
            });
        }
        let mut changed = true;
        while changed {
            changed = false;
            for Related { relation, left, right, .. } in &self.related {
                let gap = match relation {
                    Relation::Less => 1,
                    Relation::LessOrEqual => 0,
                    _ => continue,
                };
                let (Domain::Numbers(low), Domain::Numbers(high)) =
                    (&self.domains[*left], &self.domains[*right])
                else {
                    continue;
                };
                let first = high.first_from(ranges[*right].0.max(ranges[*left].0.checked_add(gap)?))?;
                let last = low.last_to(ranges[*left].1.min(ranges[*right].1.checked_sub(gap)?))?;
                changed |= (first, last) != (ranges[*right].0, ranges[*left].1);
                (ranges[*right].0, ranges[*left].1) = (first, last);
                if ranges[*left].0 > last || first > ranges[*right].1 {
                    return None;
                }
            }
        }
        Some(ranges)
    }

    /// A value for every ordered variable, those below before those above.
    pub(super) fn numbers(&self, ranges: &[(i128, i128)]) -> BTreeMap<usize, Value> {
        let below = self.reachable();
        let under = |variable: usize| below.iter().filter(|row| row[variable].is_some()).count();
        let numbers = |variable: &usize| matches!(self.domains[*variable], Domain::Numbers(_));
        let mut order: Vec<usize> = (0..self.types.len()).filter(numbers).collect();
        order.sort_by_key(|variable| under(*variable));
        let mut chosen: BTreeMap<usize, i128> = BTreeMap::new();
        for variable in order {
            let (mut low, high) = ranges[variable];
            for (other, row) in below.iter().enumerate() {
                if let (Some(less), Some(number)) = (row[variable], chosen.get(&other)) {
                    low = low.max(number + i128::from(less));
                }
            }
            let ty = &self.types[variable];
            let within = Domain::Numbers(Ranges::between(low, high));
            let picked = self.domains[variable].and(&within).pick(ty, self.left).ok();
            chosen.extend(picked.and_then(|v| number(&v)).map(|n| (variable, n)));
        }
        chosen.into_iter().map(|(variable, n)| (variable, value(n, &self.types[variable]))).collect()
    }
}
