//! How an ordered attribute becomes a small integer: the bounds that scopes set for it, sorted, cut its values
//! into intervals, and its number is that of the interval that holds it.
//!
//! A range is then a set of numbers, as a list of texts is. Bounds are places (`values.rs`), and every bound is
//! the first place of its interval, so open and closed ends, and points between, need no distinction:
//! ```text
//! a < 5    a BETWEEN 5 AND 9    a == 20          bounds 5, 10, 20, 21
//!
//!    …4   5…9   10…19   20   21…
//!    0    1     2       3    4                   a < 5: {0}   BETWEEN: {1}   a == 20: {3}   a >= 10: {2, 3, 4}
//! ```
//! The generated code finds the number by counting the bounds that are not above the value: one after the other
//! if they are few, from a table of all values between the first bound and the last if that is short, else by
//! binary search.

use std::collections::BTreeSet;

use aecp_contract::{
    slots::{PAYLOAD, Tag},
    value::Type,
};
use wasm_encoder::{BlockType, ValType};

use super::{
    code::{Code, SLOTS, load},
    cost::{Hint, Passes},
    helpers::{at, slot_offset},
    lower::Shape,
    memory::Memory,
    values::Domain,
};
use crate::ranges::{Ranges, unsigned};

/// Up to how many bounds are counted one after the other.
const MAX_COUNTED: usize = 6;

/// How many values a table may hold for each bound.
const MAX_SPARSE: usize = 8;

/// The intervals of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intervals {
    ty: Type,
    /// First and last place of the type.
    ends: (i128, i128),
    /// The first place of each interval but the lowest, ascending.
    bounds: Vec<i128>,
}

impl Intervals {
    /// The intervals that the ranges of an attribute cut it into; `None` if its type has no order.
    pub(super) fn new<'a>(ty: &Type, ranges: impl Iterator<Item = &'a (i128, i128)>) -> Option<Self> {
        let Some(Domain::Ordered(_, first, last)) = Domain::of(ty) else { return None };
        let mut bounds = BTreeSet::new();
        for (from, to) in ranges {
            bounds.extend((*from > first).then_some(*from));
            bounds.extend((*to < last).then(|| to + 1));
        }
        Some(Self { ty: ty.clone(), ends: (first, last), bounds: bounds.into_iter().collect() })
    }

    /// The highest number; the lowest is 0.
    pub(super) fn last(&self) -> u32 {
        self.bounds.len() as u32
    }

    /// The numbers of a set of ranges, lowest and highest of each; `None` if an interval is only partly in it.
    pub(super) fn numbers(&self, ranges: &Ranges) -> Option<Vec<(u32, u32)>> {
        let bound = |place: i128| self.bounds.binary_search(&place).ok().map(|index| index as u32);
        let numbers = |(from, to): &(i128, i128)| {
            let lowest = if *from == self.ends.0 { 0 } else { bound(*from)? + 1 };
            let highest = if *to == self.ends.1 { self.last() } else { bound(to + 1)? };
            Some((lowest, highest))
        };
        ranges.parts().iter().map(numbers).collect()
    }

    /// The tag of a usable value.
    pub(super) fn tag(&self) -> Tag {
        Tag::of(&self.ty)
    }

    /// Code that leaves the number of the value in `slot`, which is usable.
    pub(super) fn number(&self, slot: usize, memory: &mut Memory, code: &mut Code) {
        let words: Option<Vec<i64>> = match Shape::of(&self.ty) {
            Shape::Wide | Shape::Text => None,
            Shape::Byte | Shape::Word => {
                self.bounds.iter().map(|bound| (*bound).try_into().ok()).collect()
            }
        };
        if let Some((words, values)) = words.as_ref().and_then(|words| Some((words, dense(words)?))) {
            return self.look_up(slot, words, values, memory, code);
        }
        if self.bounds.len() <= MAX_COUNTED {
            code.sink().i32_const(0);
            for bound in &self.bounds {
                self.reaches(slot, code, &|code, half| {
                    code.sink().i64_const(self.word(*bound, half));
                });
                code.sink().i32_add();
            }
            return;
        }
        self.binary_search(slot, memory, code);
    }

    /// The number from a table of all values from the first bound to the last.
    fn look_up(&self, slot: usize, words: &[i64], values: u32, memory: &mut Memory, code: &mut Code) {
        let (first, last) = (words[0], self.last());
        let mut numbers = Vec::new();
        for distance in 0..i64::from(values) {
            let number = words.partition_point(|bound| *bound <= first + distance) as u32;
            numbers.extend(number.to_le_bytes());
        }
        let table = memory.aligned(numbers);
        let distance = |code: &mut Code| {
            self.load(slot, 0, code);
            code.sink().i64_const(first).i64_sub();
        };
        distance(code);
        code.sink().i64_const(values.into()).i64_lt_u().if_(BlockType::Result(ValType::I32));
        distance(code);
        code.sink().i32_wrap_i64().i32_const(2).i32_shl().i32_load(at(table)).else_();
        code.sink().i32_const(last as i32).i32_const(0);
        self.load(slot, 0, code);
        code.sink().i64_const(first).i64_ge_s().select().end();
    }

    fn binary_search(&self, slot: usize, memory: &mut Memory, code: &mut Code) {
        let halves = if Shape::of(&self.ty) == Shape::Wide { 2 } else { 1 };
        let mut entries = Vec::new();
        for bound in &self.bounds {
            (0..halves).for_each(|half| entries.extend(self.word(*bound, half).to_le_bytes()));
        }
        let table = memory.aligned(entries);
        let (low, left, half, middle, reached) =
            (code.local(), code.local(), code.local(), code.local(), code.local());
        // `low` bounds are reached, the next `left` may be. Each pass leaves at most half of them.
        code.hint(Hint::Passes(Passes::AtMost(u64::from(u32::BITS - self.last().leading_zeros()) + 1)));
        let mut sink = code.sink();
        sink.i32_const(0).local_set(low).i32_const(self.last() as i32).local_set(left);
        sink.loop_(BlockType::Empty).local_get(left).if_(BlockType::Empty);
        sink.local_get(left).i32_const(1).i32_shr_u().local_tee(half);
        sink.local_get(low).i32_add().local_set(middle);
        self.reaches(slot, code, &|code, word| {
            let mut sink = code.sink();
            sink.local_get(middle).i32_const(8 * halves as i32).i32_mul().i64_load(at(table + 8 * word));
        });
        let mut sink = code.sink();
        sink.local_set(reached);
        sink.local_get(middle).i32_const(1).i32_add().local_get(low).local_get(reached).select();
        sink.local_set(low);
        sink.local_get(left).local_get(half).i32_sub().i32_const(1).i32_sub();
        sink.local_get(half).local_get(reached).select().local_set(left);
        sink.br(1).end().end().local_get(low);
    }

    /// Leaves 1 if the value is not below the bound whose halves `bound` leaves.
    fn reaches(&self, slot: usize, code: &mut Code, bound: &dyn Fn(&mut Code, u32)) {
        self.load(slot, 0, code);
        bound(code, 0);
        if Shape::of(&self.ty) != Shape::Wide {
            code.sink().i64_ge_s();
            return;
        }
        let mut sink = code.sink();
        if self.ty == Type::Ip {
            sink.i64_gt_u()
        } else {
            sink.i64_gt_s()
        };
        self.load(slot, 0, code);
        bound(code, 0);
        code.sink().i64_eq();
        self.load(slot, 1, code);
        bound(code, 1);
        code.sink().i64_ge_u().i32_and().i32_or();
    }

    /// One half of a bound as it is laid out in a slot, the high one first; the whole of one word.
    fn word(&self, bound: i128, half: u32) -> i64 {
        match (Shape::of(&self.ty), half) {
            (Shape::Wide, 0) if self.ty == Type::Ip => (unsigned(bound as u128) >> 64) as i64,
            (Shape::Wide, 0) => (bound >> 64) as i64,
            _ => bound as i64,
        }
    }

    /// Leaves one half of the value as 64 bits, the high one first; the whole of one word.
    fn load(&self, slot: usize, half: u32, code: &mut Code) {
        match Shape::of(&self.ty) {
            Shape::Byte => {
                load(slot, Shape::Byte, code);
                code.sink().i64_extend_i32_u();
            }
            _ => {
                code.sink().local_get(SLOTS).i64_load(at(slot_offset(slot) + PAYLOAD + 8 * half));
            }
        }
    }
}

/// How many values there are from the first bound to the last, if a table of them is worth having.
fn dense(words: &[i64]) -> Option<u32> {
    let (first, last) = (words.first()?, words.last()?);
    let values = last.abs_diff(*first).checked_add(1)?;
    let few = words.len() > MAX_COUNTED && values <= (words.len() * MAX_SPARSE) as u64;
    few.then_some(values as u32)
}
