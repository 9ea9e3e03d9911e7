//! JSON numbers, exactly: no binary floating point on the way.

use super::json::{Fault, Scanner, fault};
use crate::value::Decimal;

/// A number in JSON text, with as much of its value as 64 bits hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    start: usize,
    /// The position after it.
    pub(super) after: usize,
    negative: bool,
    exponent: bool,
    /// How many digits it has before the exponent.
    digits: usize,
    /// How many of them stand after the point.
    decimals: usize,
    /// All its digits as one number, if they are at most [`SHORT`].
    mantissa: u64,
}

/// As many digits as a `u64` surely holds, and as a [`Decimal`] keeps after the point.
const SHORT: usize = 18;

const DIGIT: &str = "a digit";

const POWERS: [u64; SHORT + 1] = {
    let mut powers = [1; SHORT + 1];
    let mut i = 1;
    while i <= SHORT {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

impl Scanner<'_> {
    /// The number that starts here; what may follow it is the caller's to check.
    #[inline(always)]
    pub(super) fn number(self, start: usize) -> Result<Number, Box<Fault>> {
        let negative = self.byte(start) == b'-';
        let first = start + usize::from(negative);
        // A leading zero stands alone.
        let (mut mantissa, mut after) =
            if self.byte(first) == b'0' { (0, first + 1) } else { self.digits(first, 0) };
        if after == first {
            return fault(after, DIGIT);
        }
        let (mut digits, mut decimals) = (after - first, 0);
        if self.byte(after) == b'.' {
            let point = after;
            (mantissa, after) = self.digits(point + 1, mantissa);
            decimals = after - point - 1;
            digits += decimals;
            if decimals == 0 {
                return fault(after, DIGIT);
            }
        }
        let exponent = matches!(self.byte(after), b'e' | b'E');
        if exponent {
            let sign = usize::from(matches!(self.byte(after + 1), b'+' | b'-'));
            let first = after + 1 + sign;
            (_, after) = self.digits(first, 0);
            if after == first {
                return fault(after, DIGIT);
            }
        }
        Ok(Number { start, after, negative, exponent, digits, decimals, mantissa })
    }

    /// Goes over digits and appends them to a number, which is nonsense once they are too many.
    #[inline(always)]
    fn digits(self, mut at: usize, mut number: u64) -> (u64, usize) {
        while let digit @ b'0'..=b'9' = self.byte(at) {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            at += 1;
        }
        (number, at)
    }
}

impl Number {
    /// The number as INT: written without fraction and exponent, and within 64 bits.
    #[inline(always)]
    pub(super) fn integer(self, text: &str) -> Option<i64> {
        if self.decimals > 0 || self.exponent {
            None
        } else if self.digits <= SHORT {
            let magnitude = self.mantissa as i64;
            Some(if self.negative { -magnitude } else { magnitude })
        } else {
            text[self.start..self.after].parse().ok()
        }
    }

    /// The number as DECIMAL, if it holds it exactly.
    #[inline(always)]
    pub(super) fn decimal(self, text: &str) -> Option<Decimal> {
        if self.exponent || self.digits > SHORT {
            return text[self.start..self.after].parse().ok();
        }
        let scaled = i128::from(self.mantissa) * i128::from(POWERS[SHORT - self.decimals]);
        Some(Decimal::from_scaled(if self.negative { -scaled } else { scaled }))
    }
}
