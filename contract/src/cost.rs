//! What a decision costs at most, as the compiler worked it out.

use serde::{Deserialize, Serialize};

/// The most instructions that a decision of a module takes, as a polynomial in the bytes of the request's texts
/// and lists ([`SlotBuffer::content`](crate::slots::SlotBuffer::content): everything that the slots point to).
///
/// One is counted for each WebAssembly instruction except `nop`, `drop`, `block`, `loop`, `else`, `end`, `return`
/// and `unreachable`; one for each function, arm of an `if` and pass of a `loop` entered; and one for each byte
/// that a bulk instruction writes. No engine known to us counts more: wasmtime's fuel (48, default costs) and
/// wasmi's (2, default costs of instructions, translation free) stay at or below.
///
/// It holds for images that a `SlotBuffer` made: texts are UTF-8, and no two slots or elements of lists share
/// bytes. Another component host may pass lists whose elements all point to one text; its limit is its own matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Whatever the request.
    pub base: u64,
    /// For each byte of the texts and lists.
    pub linear: u64,
    /// For each pair of its bytes.
    pub quadratic: u64,
}

impl Cost {
    /// The most instructions for so many bytes of texts and lists; `u64::MAX` where 64 bits hold no more.
    #[must_use]
    pub fn bound(&self, bytes: usize) -> u64 {
        let n = bytes as u64;
        let quadratic = self.quadratic.saturating_mul(n).saturating_mul(n);
        self.base.saturating_add(self.linear.saturating_mul(n)).saturating_add(quadratic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_grows_with_the_request_and_never_wraps() {
        let cost = Cost { base: 7, linear: 5, quadratic: 3 };
        assert_eq!([0, 1, 10].map(|bytes| cost.bound(bytes)), [7, 15, 357]);
        let steep = Cost { base: 1, linear: 0, quadratic: u64::MAX };
        assert_eq!(steep.bound(2), u64::MAX);
    }
}
