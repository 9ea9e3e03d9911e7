//! Sets of whole numbers as unions of ranges: what an attribute of any ordered type may be, for the analysis of
//! conflicts and for the index of the generated code.

/// A set of numbers: disjoint ranges with both ends included, ascending, with gaps between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(i128, i128)>);

impl Ranges {
    /// `low..=high`; empty if they are the wrong way round.
    pub(crate) fn between(low: i128, high: i128) -> Self {
        Self(if low <= high { vec![(low, high)] } else { Vec::new() })
    }

    pub(crate) fn all() -> Self {
        Self::between(i128::MIN, i128::MAX)
    }

    /// Exactly these numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = i128>) -> Self {
        Self::union(numbers.into_iter().map(|number| (number, number)))
    }

    /// All numbers of these ranges, which may overlap.
    pub(crate) fn union(ranges: impl IntoIterator<Item = (i128, i128)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
        ranges.sort_unstable();
        let mut parts: Vec<(i128, i128)> = Vec::new();
        for (low, high) in ranges {
            match parts.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = (*end).max(high),
                _ => parts.push((low, high)),
            }
        }
        Self(parts)
    }

    /// The disjoint ranges, ascending.
    pub(crate) fn parts(&self) -> &[(i128, i128)] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, number: i128) -> bool {
        let at = self.0.partition_point(|(_, high)| *high < number);
        self.0.get(at).is_some_and(|(low, _)| *low <= number)
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut parts = Vec::new();
        while let (Some(&&(a, b)), Some(&&(c, d))) = (left.peek(), right.peek()) {
            let (low, high) = (a.max(c), b.min(d));
            if low <= high {
                parts.push((low, high));
            }
            if b < d {
                left.next();
            } else {
                right.next();
            }
        }
        Self(parts)
    }

    /// Every number that is not in the set.
    pub(crate) fn not(&self) -> Self {
        let mut parts = Vec::new();
        let mut low = Some(i128::MIN);
        for (first, last) in &self.0 {
            if let Some(low) = low
                && low < *first
            {
                parts.push((low, first - 1));
            }
            low = last.checked_add(1);
        }
        parts.extend(low.map(|low| (low, i128::MAX)));
        Self(parts)
    }

    /// The least member that is at least `bound`.
    pub(crate) fn first_from(&self, bound: i128) -> Option<i128> {
        let at = self.0.partition_point(|(_, high)| *high < bound);
        self.0.get(at).map(|(low, _)| (*low).max(bound))
    }

    /// The greatest member that is at most `bound`.
    pub(crate) fn last_to(&self, bound: i128) -> Option<i128> {
        let at = self.0.partition_point(|(low, _)| *low <= bound);
        self.0[..at].last().map(|(_, high)| (*high).min(bound))
    }

    /// A member that reads well: `usual` itself, or else the one nearest to it on the coarsest of the `grids` (whole
    /// hours rather than milliseconds) that has one in the part nearest to it. The last grid is 1.
    pub(crate) fn pick(&self, usual: i128, grids: &[i128]) -> Option<i128> {
        if self.contains(usual) {
            return Some(usual);
        }
        let above = self.0.iter().find(|(low, _)| *low > usual);
        let below = self.0.iter().rev().find(|(_, high)| *high < usual);
        let (low, high) = *above.or(below)?;
        let on_grid = |grid: &i128| {
            let number = if low > usual {
                let down = low.div_euclid(*grid).checked_mul(*grid)?;
                if down == low { down } else { down.checked_add(*grid)? }
            } else {
                high.div_euclid(*grid).checked_mul(*grid)?
            };
            (low <= number && number <= high).then_some(number)
        };
        grids.iter().find_map(on_grid).or(Some(low))
    }
}

/// 128 bits without a sign, such as an address, as a number in the same order.
pub(crate) const fn unsigned(bits: u128) -> i128 {
    (bits ^ 1 << 127) as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets_up_to_the_ends_of_the_numbers() {
        let odd = Ranges::of([7, 1, 3, 2, i128::MAX, i128::MIN]);
        for number in [i128::MIN, i128::MIN + 1, 0, 1, 2, 3, 4, 6, 7, 8, i128::MAX - 1, i128::MAX] {
            assert_eq!(odd.not().contains(number), !odd.contains(number), "{number}");
            let some = Ranges::between(2, 7);
            let both = odd.contains(number) && some.contains(number);
            assert_eq!(odd.and(&some).contains(number), both, "{number}");
        }
        assert_eq!(odd.not().not(), odd);
        let joined = Ranges::union([(5, 9), (1, 2), (3, 4), (8, 8), (20, 10)]);
        assert_eq!(joined.parts(), [(1, 9)]);
        assert!(odd.and(&odd.not()).is_empty());
        assert!(Ranges::all().not().is_empty());
        assert_eq!((odd.first_from(4), odd.last_to(6)), (Some(7), Some(3)));
        assert_eq!((odd.first_from(8), odd.last_to(0)), (Some(i128::MAX), Some(i128::MIN)));
    }

    #[test]
    fn what_is_picked_is_a_member_and_round() {
        let grids = [100, 10, 1];
        assert_eq!(Ranges::between(-5, 5).pick(0, &grids), Some(0));
        assert_eq!(Ranges::between(11, 5000).pick(0, &grids), Some(100));
        assert_eq!(Ranges::between(11, 35).pick(0, &grids), Some(20));
        assert_eq!(Ranges::between(11, 12).pick(0, &grids), Some(11));
        assert_eq!(Ranges::between(-5000, -11).pick(0, &grids), Some(-100));
        assert_eq!(Ranges::between(5, 4).pick(0, &grids), None);
    }
}
