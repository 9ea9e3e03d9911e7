//! Code for conditions. A truth value is an i32: FALSE 0, UNKNOWN 1, TRUE 3, so that Kleene's AND and OR are
//! the machine's own. Conditions of many atoms are cut into functions of their own, since the time that
//! Cranelift takes grows faster than a function's size.

use aecp_contract::slots::{PAYLOAD, Tag};
use wasm_encoder::{BlockType, ValType};

use super::{
    code::{Code, SLOTS, equal_text, lists_equal, load, load_half},
    cost::{Body, Size},
    helpers::{Helper, at, slot_offset},
    lower::{ANY_TEXT, Atom, Constant, Expr, Right, Shape, Test},
    memory::Memory,
    numbers::Numbers,
    shared::Shared,
    texts::Lookup,
};

/// The most atoms in one function.
const MAX_ATOMS: usize = 24;

/// The most operands of one AND or OR in one function.
const MAX_OPERANDS: usize = 16;

/// The longest constant that is compared in the code itself.
const MAX_INLINE_TEXT: usize = 32;

/// Functions `(slots) -> truth` that conditions were cut into, and the constants that they need.
pub(super) struct Conditions<'a> {
    pub(super) memory: &'a mut Memory,
    pub(super) numbers: &'a Numbers,
    pub(super) shared: &'a Shared,
    pub(super) functions: &'a mut Vec<Body>,
    /// The index of the first of `functions` in the module.
    pub(super) first_function: u32,
}

impl Conditions<'_> {
    /// Code that leaves the truth of all of `operands`.
    pub(super) fn all(&mut self, operands: &[&Expr], code: &mut Code) {
        match operands {
            [] => {
                code.sink().i32_const(3);
            }
            [only] if weight(only) <= MAX_ATOMS => self.emit(only, code),
            operands => {
                let operands: Vec<_> = operands.iter().map(|operand| (*operand).clone()).collect();
                self.chain(&operands, true, code);
            }
        }
    }

    /// Code that leaves the truth of `expr`.
    fn emit(&mut self, expr: &Expr, code: &mut Code) {
        match self.shared.condition(expr) {
            Some(function) => {
                code.sink().local_get(SLOTS).call(function);
            }
            None => self.in_full(expr, code),
        }
    }

    /// The same, worked out on the spot.
    pub(super) fn in_full(&mut self, expr: &Expr, code: &mut Code) {
        match expr {
            Expr::Atom(atom) => self.atom(atom, code),
            Expr::And(operands) => self.chain(operands, true, code),
            Expr::Or(operands) => self.chain(operands, false, code),
        }
    }

    /// Operands one after the other, until one decides.
    fn chain(&mut self, operands: &[Expr], and: bool, code: &mut Code) {
        if operands.len() > MAX_OPERANDS {
            let rebuild = |part: &[Expr]| {
                let part = part.to_vec();
                if and { Expr::And(part) } else { Expr::Or(part) }
            };
            let size = operands.len().div_ceil(MAX_OPERANDS).max(MAX_OPERANDS);
            let parts: Vec<_> = operands.chunks(size).map(rebuild).collect();
            return self.chain(&parts, and, code);
        }
        let mut cheapest_first: Vec<&Expr> = operands.iter().collect();
        cheapest_first.sort_by_key(|operand| cost(operand));
        let (deciding, last) = (if and { 0 } else { 3 }, operands.len() - 1);
        let result = code.local();
        code.sink().block(BlockType::Empty);
        for (i, operand) in cheapest_first.into_iter().enumerate() {
            if weight(operand) > MAX_ATOMS {
                let function = self.function(operand);
                code.sink().local_get(SLOTS).call(function);
            } else {
                self.emit(operand, code);
            }
            let mut sink = code.sink();
            if i > 0 {
                sink.local_get(result);
                if and {
                    sink.i32_and();
                } else {
                    sink.i32_or();
                }
            }
            sink.local_set(result);
            if i < last {
                sink.local_get(result).i32_const(deciding).i32_eq().br_if(0);
            }
        }
        code.sink().end().local_get(result);
    }

    /// Puts `expr` into a function of its own and returns its index.
    fn function(&mut self, expr: &Expr) -> u32 {
        let mut code = Code::new(SLOTS + 1);
        self.emit(expr, &mut code);
        self.functions.push(code.function());
        self.first_function + self.functions.len() as u32 - 1
    }

    fn atom(&mut self, atom: &Atom, code: &mut Code) {
        if let Some(function) = self.shared.function(atom) {
            code.sink().local_get(SLOTS).call(function);
            if atom.negated {
                // 0, 1, 3 become 3, 1, 0: bits of the table 0b00_00_01_11, two for each.
                let value = code.local();
                let mut sink = code.sink();
                sink.local_set(value).i32_const(0b0111).local_get(value).i32_const(1).i32_shl();
                sink.i32_shr_u().i32_const(3).i32_and();
            }
            return;
        }
        self.computed(atom, code);
    }

    /// Code that leaves the truth of an atom, worked out on the spot.
    pub(super) fn computed(&mut self, atom: &Atom, code: &mut Code) {
        if self.looked_up(atom, code) {
            return;
        }
        for (i, (slot, tag)) in atom.known.iter().enumerate() {
            self.known(*slot, *tag, code);
            if i > 0 {
                code.sink().i32_and();
            }
        }
        if atom.known.is_empty() {
            self.test(&atom.test, code);
            return truth(atom.negated, code);
        }
        code.sink().if_(BlockType::Result(ValType::I32));
        self.test(&atom.test, code);
        truth(atom.negated, code);
        code.sink().else_().i32_const(1).end();
    }

    /// Leaves 1 if the slot holds a usable value.
    fn known(&self, slot: usize, tag: Tag, code: &mut Code) {
        match self.numbers.text(slot) {
            Some((index, lookup)) if lookup.closed => {
                let number = self.shared.number_function(index);
                code.sink().local_get(SLOTS).call(number).i32_const(0).i32_gt_s();
            }
            _ => {
                let mut sink = code.sink();
                sink.local_get(SLOTS).i32_load8_u(at(slot_offset(slot)));
                sink.i32_const(tag as i32).i32_eq();
            }
        }
    }

    /// Comparisons with constants of a looked-up attribute are comparisons of its number.
    fn looked_up(&mut self, atom: &Atom, code: &mut Code) -> bool {
        let (slot, constants) = match &atom.test {
            Test::Equal { slot, right: Right::Constant(constant), .. } => {
                (*slot, std::slice::from_ref(constant))
            }
            Test::OneOf { slot, entries, .. } => (*slot, entries.as_slice()),
            _ => return false,
        };
        let Some((index, lookup)) = self.numbers.text(slot) else { return false };
        let numbers: Vec<u32> =
            constants.iter().filter_map(|constant| lookup.number(constant)).collect();
        let number = code.local();
        let function = self.shared.number_function(index);
        code.sink().local_get(SLOTS).call(function).local_set(number);
        self.one_of_numbers(lookup, &numbers, number, code);
        truth(atom.negated, code);
        code.sink().i32_const(1).local_get(number).i32_const(0).i32_ge_s().select();
        true
    }

    /// Leaves 1 if the local is one of `numbers`; anything where it is −1.
    fn one_of_numbers(&mut self, lookup: &Lookup, numbers: &[u32], local: u32, code: &mut Code) {
        if let [only] = numbers {
            code.sink().local_get(local).i32_const(*only as i32).i32_eq();
        } else if lookup.count() < 64 {
            let mask = numbers.iter().fold(0u64, |mask, number| mask | 1 << number);
            let mut sink = code.sink();
            sink.i64_const(mask as i64).local_get(local).i64_extend_i32_u().i64_shr_u();
            sink.i32_wrap_i64().i32_const(1).i32_and();
        } else {
            let mut bits = vec![0u8; lookup.count() as usize / 8 + 1];
            numbers.iter().for_each(|number| bits[*number as usize / 8] |= 1 << (number % 8));
            let bits = self.memory.bytes(&bits);
            let mut sink = code.sink();
            sink.local_get(local).i32_const(0).i32_ge_s().if_(BlockType::Result(ValType::I32));
            sink.local_get(local).i32_const(3).i32_shr_u().i32_load8_u(at(bits));
            sink.local_get(local).i32_const(7).i32_and().i32_shr_u().i32_const(1).i32_and();
            sink.else_().i32_const(0).end();
        }
    }

    /// Leaves 1 or 0. Every slot that the test looks at is known to hold its type.
    fn test(&mut self, test: &Test, code: &mut Code) {
        match test {
            Test::Never => {
                code.sink().i32_const(0);
            }
            Test::Present(slot) => {
                let mut sink = code.sink();
                sink.local_get(SLOTS).i32_load8_u(at(slot_offset(*slot)));
                sink.i32_const(0).i32_ne();
            }
            Test::Equal { slot, shape, right } => {
                self.equal(*slot, *shape, right, code);
            }
            Test::Less { slot, shape, right, swapped } => {
                if *swapped {
                    self.right(right, *shape, code);
                    load(*slot, *shape, code);
                } else {
                    load(*slot, *shape, code);
                    self.right(right, *shape, code);
                }
                match shape {
                    Shape::Wide => code.sink().call(Helper::WideLess as u32),
                    _ => code.sink().i64_lt_s(),
                };
            }
            Test::OneOf { slot, shape, entries } => {
                if let [only] = entries.as_slice() {
                    return self.equal(*slot, *shape, &Right::Constant(only.clone()), code);
                }
                load(*slot, *shape, code);
                let table = self.memory.table(entries);
                code.sink().i32_const(table as i32).i32_const(entries.len() as i32);
                let (bytes, tail) = table_size(entries);
                code.call(search(*shape), bytes, tail);
            }
            Test::Holds { list, shape, element } => {
                self.right(element, *shape, code);
                load(*list, Shape::Text, code); // a list is an address and a count, as text is
                code.call(search(*shape), Size::N, tail(element));
            }
            Test::ListsEqual { slot, other, shape } => lists_equal(*slot, *other, *shape, code),
            Test::StartsWith { slot, right } => {
                self.text_test(*slot, right, Helper::StartsWith, code);
            }
            Test::EndsWith { slot, right } => self.text_test(*slot, right, Helper::EndsWith, code),
            Test::HasPart { slot, right } => self.text_test(*slot, right, Helper::HasPart, code),
            Test::Glob { slot, pattern } => {
                load(*slot, Shape::Text, code);
                self.right(&Right::Constant(Constant::Text(pattern.clone())), Shape::Text, code);
                // From each place in the text, and once for each `*`, it goes at most from one `*` to the next.
                let parts = pattern.split(|byte| *byte == ANY_TEXT);
                let longest = parts.clone().map(|part| part.len() as u64 + 1).max().unwrap_or(1);
                let stars = parts.count() as u64 - 1;
                code.call(Helper::Glob, Size::N.and(stars), Size::constant(longest));
            }
            Test::InNetwork { slot, network, mask } => {
                for (offset, shift) in [(0, 64), (8, 0)] {
                    let half = |bits: u128| (bits >> shift) as u64 as i64;
                    let mut sink = code.sink();
                    sink.local_get(SLOTS).i64_load(at(slot_offset(*slot) + PAYLOAD + offset));
                    sink.i64_const(half(*mask)).i64_and().i64_const(half(network.0)).i64_eq();
                    if offset == 8 {
                        sink.i32_and();
                    }
                }
            }
            Test::Both(first, second) => {
                for side in [first, second] {
                    self.test(&side.0, code);
                    if side.1 {
                        code.sink().i32_eqz();
                    }
                }
                code.sink().i32_and();
            }
        }
    }

    fn equal(&mut self, slot: usize, shape: Shape, right: &Right, code: &mut Code) {
        match (shape, right) {
            (Shape::Wide, _) => return self.equal_wide(slot, right, code),
            (Shape::Text, Right::Constant(Constant::Text(text))) if text.len() <= MAX_INLINE_TEXT => {
                return equal_text(slot, text, code);
            }
            _ => {}
        }
        load(slot, shape, code);
        self.right(right, shape, code);
        match shape {
            Shape::Byte => _ = code.sink().i32_eq(),
            Shape::Text => code.call(Helper::TextEqual, shorter(right), tail(right)),
            Shape::Word | Shape::Wide => _ = code.sink().i64_eq(),
        }
    }

    /// Half by half, since an operator takes two words, not four.
    fn equal_wide(&mut self, slot: usize, right: &Right, code: &mut Code) {
        for half in [0, 1] {
            load_half(slot, half, code);
            match right {
                Right::Slot(other) => load_half(*other, half, code),
                Right::Constant(Constant::Wide(high, low)) => {
                    let word = if half == 0 { *high } else { *low as i64 };
                    code.sink().i64_const(word);
                }
                Right::Constant(_) => self.right(right, Shape::Wide, code),
            }
            code.sink().i64_eq();
        }
        code.sink().i32_and();
    }

    fn text_test(&mut self, slot: usize, right: &Right, helper: Helper, code: &mut Code) {
        load(slot, Shape::Text, code);
        self.right(right, Shape::Text, code);
        match helper {
            Helper::HasPart => code.call(helper, Size::N, shorter(right)),
            _ => code.call(helper, shorter(right), tail(right)),
        }
    }

    fn right(&mut self, right: &Right, shape: Shape, code: &mut Code) {
        match right {
            Right::Slot(slot) => load(*slot, shape, code),
            Right::Constant(Constant::Byte(b)) => {
                code.sink().i32_const((*b).into());
            }
            Right::Constant(Constant::Word(n)) => {
                code.sink().i64_const(*n);
            }
            Right::Constant(Constant::Wide(high, low)) => {
                code.sink().i64_const(*high).i64_const(*low as i64);
            }
            Right::Constant(Constant::Text(text)) => {
                let address = self.memory.bytes(text);
                code.sink().i32_const(address as i32).i32_const(text.len() as i32);
            }
        }
    }
}

/// Turns 1 or 0 into TRUE or FALSE, or the other way round.
fn truth(negated: bool, code: &mut Code) {
    let mut sink = code.sink();
    if negated {
        sink.i32_eqz();
    }
    sink.i32_const(3).i32_mul();
}

fn search(shape: Shape) -> Helper {
    match shape {
        Shape::Byte => Helper::ByteIn,
        Shape::Word => Helper::WordIn,
        Shape::Wide => Helper::WideIn,
        Shape::Text => Helper::TextIn,
    }
}

/// The most bytes that a comparison with it looks at.
fn shorter(right: &Right) -> Size {
    match right {
        Right::Constant(Constant::Text(text)) => Size::constant(text.len() as u64),
        _ => Size::N,
    }
}

/// What a text that equals it has beyond a multiple of eight bytes, at most.
fn tail(right: &Right) -> Size {
    match right {
        Right::Constant(Constant::Text(text)) => Size::constant(text.len() as u64 % 8),
        _ => Size::TAIL,
    }
}

/// The bytes of a table with its texts, and the most that a text has beyond a multiple of eight.
pub(super) fn table_size(entries: &[Constant]) -> (Size, Size) {
    let (mut bytes, mut tail) = (0, 0);
    for entry in entries {
        let (own, text) = match entry {
            Constant::Byte(_) => (1, 0),
            Constant::Word(_) => (8, 0),
            Constant::Wide(..) => (16, 0),
            Constant::Text(text) => (8, text.len() as u64),
        };
        bytes += own + text;
        tail = tail.max(text % 8);
    }
    (Size::constant(bytes), Size::constant(tail))
}

/// The atoms of a condition.
pub(super) fn weight(expr: &Expr) -> usize {
    match expr {
        Expr::Atom(_) => 1,
        Expr::And(operands) | Expr::Or(operands) => operands.iter().map(weight).sum(),
    }
}

/// What a condition costs, roughly, in steps; cheap operands are asked first.
pub(super) fn cost(expr: &Expr) -> usize {
    match expr {
        Expr::And(operands) | Expr::Or(operands) => operands.iter().map(cost).sum(),
        Expr::Atom(atom) => match &atom.test {
            Test::Never | Test::Present(_) => 1,
            Test::Equal { shape: Shape::Text, .. } => 4,
            Test::Equal { .. } | Test::Less { .. } | Test::InNetwork { .. } => 2,
            Test::Both(..) => 4,
            Test::OneOf { shape: Shape::Text, .. } => 5,
            Test::OneOf { entries, .. } => 4 + entries.len(),
            Test::StartsWith { .. } | Test::EndsWith { .. } => 8,
            Test::Holds { .. } | Test::ListsEqual { .. } => 20,
            Test::HasPart { .. } | Test::Glob { .. } => 50,
        },
    }
}
