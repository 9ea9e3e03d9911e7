//! Costs as polynomials in two sizes (`cost.rs`), and what calls and loops make of them.

/// A size in terms of the calling function's: `constant`, plus its *n*, or plus its *p*.
#[derive(Debug, Clone, Copy)]
pub(in crate::generate) struct Size {
    constant: u64,
    n: u64,
    p: u64,
}

impl Size {
    /// The caller's *n*: all that it looks through.
    pub(in crate::generate) const N: Self = Self { constant: 0, n: 1, p: 0 };
    /// The caller's *p*.
    pub(in crate::generate) const P: Self = Self { constant: 0, n: 0, p: 1 };
    /// The most bytes that texts have beyond a multiple of eight.
    pub(in crate::generate) const TAIL: Self = Self::constant(7);
    /// For a helper that does not ask.
    pub(in crate::generate) const NONE: Self = Self::constant(0);

    pub(in crate::generate) const fn constant(constant: u64) -> Self {
        Self { constant, n: 0, p: 0 }
    }

    pub(in crate::generate) const fn and(self, constant: u64) -> Self {
        Self { constant: self.constant + constant, ..self }
    }
}

/// How often a loop's body is entered, the last time to leave included.
#[derive(Debug, Clone, Copy)]
pub(in crate::generate) enum Passes {
    /// At most this often.
    AtMost(u64),
    /// Once for every so many bytes of *n*, and once more. Each pass looks at other bytes, so that whatever grows
    /// with *n* in the body is spent once for all passes together.
    Every(u64),
    /// `p + 1` times, sharing *n* in the same way.
    P,
    /// `p · (n + 1)` times, each of a constant cost.
    NTimesP,
}

/// Instructions: `base + n·n_ + p·p_ + nn·n_² + np·n_·p_` for sizes `n_` and `p_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Steps {
    pub(super) base: u64,
    pub(super) n: u64,
    pub(super) p: u64,
    pub(super) nn: u64,
    pub(super) np: u64,
}

impl Steps {
    pub(super) const fn constant(base: u64) -> Self {
        Self { base, n: 0, p: 0, nn: 0, np: 0 }
    }

    pub(super) fn is_constant(self) -> bool {
        self == Self::constant(self.base)
    }

    /// Coefficient by coefficient.
    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            base: f(self.base, other.base),
            n: f(self.n, other.n),
            p: f(self.p, other.p),
            nn: f(self.nn, other.nn),
            np: f(self.np, other.np),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// No less than either, for all sizes.
    pub(super) fn or(self, other: Self) -> Self {
        self.each(other, u64::max)
    }

    fn times(self, factor: u64) -> Self {
        self.each(Self::default(), |own, _| own.saturating_mul(factor))
    }

    /// The same in the caller's sizes; `None` if it would grow with the square of its *p*.
    pub(super) fn with(self, n: Size, p: Size) -> Option<Self> {
        let mul = u64::saturating_mul;
        // Each power of the callee's sizes as a polynomial in the caller's, times its coefficient.
        let linear = |factor: u64, size: Size| Self {
            base: mul(factor, size.constant),
            n: mul(factor, size.n),
            p: mul(factor, size.p),
            ..Self::default()
        };
        let product = |factor: u64, a: Size, b: Size| {
            let cross = |x: u64, y: u64| mul(factor, x.saturating_add(y));
            let squared = mul(factor, mul(a.p, b.p));
            (squared == 0).then_some(Self {
                base: mul(factor, mul(a.constant, b.constant)),
                n: cross(mul(a.constant, b.n), mul(a.n, b.constant)),
                p: cross(mul(a.constant, b.p), mul(a.p, b.constant)),
                nn: mul(factor, mul(a.n, b.n)),
                np: cross(mul(a.n, b.p), mul(a.p, b.n)),
            })
        };
        let sum = Self::constant(self.base).plus(linear(self.n, n)).plus(linear(self.p, p));
        Some(sum.plus(product(self.nn, n, n)?).plus(product(self.np, n, p)?))
    }

    /// This body, in a loop; `None` if it would grow faster than a polynomial here tells.
    pub(super) fn repeated(self, passes: Passes) -> Option<Self> {
        let Self { base, n, p, nn, np } = self;
        match passes {
            Passes::AtMost(count) => Some(self.times(count)),
            Passes::Every(bytes) => Some(Self {
                n: n.saturating_add(base.div_ceil(bytes)),
                np: np.saturating_add(p.div_ceil(bytes)),
                ..self
            }),
            Passes::P => (p == 0 && np == 0).then_some(Self { base, n, p: base, nn, np: 0 }),
            Passes::NTimesP => {
                self.is_constant().then_some(Self { p: base, np: base, ..Self::default() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_sizes_take_the_place_of_a_helpers() {
        let helper = Steps { base: 1, n: 2, p: 3, nn: 5, np: 7 };
        let constants = helper.with(Size::constant(10), Size::constant(100)).unwrap();
        assert_eq!(constants, Steps::constant(1 + 20 + 300 + 500 + 7000));
        let both = helper.with(Size::N.and(1), Size::N).unwrap();
        assert_eq!(both, Steps { n: 2 + 3 + 10 + 7, nn: 5 + 7, ..Steps::constant(1 + 2 + 5) });
        assert_eq!(helper.with(Size::P, Size::NONE), None, "the square of p");
    }
}
