//! JSON numbers, exactly: no binary floating point on the way.

use super::json::{Fault, Scanner};
use crate::value::Decimal;

/// A number in JSON text, with as much of its value as 64 bits hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    text: &'a str,
    negative: bool,
    /// Has neither fraction nor exponent.
    whole: bool,
    exponent: bool,
    /// Its digits before the exponent, and how many of them stand after the point.
    digits: usize,
    decimals: usize,
    /// All its digits as one number, if they are at most [`SHORT`].
    mantissa: u64,
}

/// As many digits as a `u64` surely holds, and as a [`Decimal`] keeps after the point.
const SHORT: usize = 18;

const POWERS: [u64; SHORT + 1] = {
    let mut powers = [1; SHORT + 1];
    let mut i = 1;
    while i <= SHORT {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

impl<'a> Scanner<'a> {
    /// Goes over the number that starts here; what may follow it is the caller's to check.
    pub(super) fn number(&mut self) -> Result<Number<'a>, Fault> {
        let bytes = self.bytes();
        let start = self.position();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let mut mantissa = 0u64;
        let mut digits = |mut at: usize| {
            while let digit @ b'0'..=b'9' = byte(at) {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
                at += 1;
            }
            at
        };
        let negative = byte(start) == b'-';
        let first = start + usize::from(negative);
        // A leading zero stands alone.
        let mut end = if byte(first) == b'0' { first + 1 } else { digits(first) };
        let mut count = end - first;
        if count == 0 {
            self.go_to(end);
            return Err(self.fault("a digit"));
        }
        let mut decimals = 0;
        if byte(end) == b'.' {
            let point = end;
            end = digits(point + 1);
            decimals = end - point - 1;
            count += decimals;
            if decimals == 0 {
                self.go_to(end);
                return Err(self.fault("a digit"));
            }
        }
        let exponent = matches!(byte(end), b'e' | b'E');
        let whole = decimals == 0 && !exponent;
        if exponent {
            let first = end + 1 + usize::from(matches!(byte(end + 1), b'+' | b'-'));
            end = digits(first); // spoils the mantissa, which nobody asks for then
            if end == first {
                self.go_to(end);
                return Err(self.fault("a digit"));
            }
        }
        self.go_to(end);
        let text = &self.text()[start..end];
        Ok(Number { text, negative, whole, exponent, digits: count, decimals, mantissa })
    }
}

impl Number<'_> {
    /// The number as INT: written without fraction and exponent, and within 64 bits.
    #[inline]
    pub(super) fn integer(self) -> Option<i64> {
        if !self.whole {
            None
        } else if self.digits <= SHORT {
            let magnitude = self.mantissa as i64;
            Some(if self.negative { -magnitude } else { magnitude })
        } else {
            self.text.parse().ok()
        }
    }

    /// The number as DECIMAL, if it holds it exactly.
    #[inline]
    pub(super) fn decimal(self) -> Option<Decimal> {
        if self.exponent || self.digits > SHORT {
            return self.text.parse().ok();
        }
        let scaled = i128::from(self.mantissa) * i128::from(POWERS[SHORT - self.decimals]);
        Some(Decimal::from_scaled(if self.negative { -scaled } else { scaled }))
    }
}
