//! A function body in the making, and the pieces of code that read slots.

use aecp_contract::slots::PAYLOAD;
use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use super::{
    cost::{Body, Hint, Size},
    helpers::{Helper, at, slot_offset},
    lower::Shape,
};

/// The slots' address, in every function that looks at them.
pub(super) const SLOTS: u32 = 0;

/// The body of a function whose number of locals is known only at its end.
pub(super) struct Code {
    bytes: Vec<u8>,
    hints: Vec<Hint>,
    parameters: u32,
    locals: u32,
}

impl Code {
    pub(super) fn new(parameters: u32) -> Self {
        Self { bytes: Vec::new(), hints: Vec::new(), parameters, locals: parameters }
    }

    /// A fresh i32 local.
    pub(super) fn local(&mut self) -> u32 {
        self.locals += 1;
        self.locals - 1
    }

    pub(super) fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.bytes)
    }

    /// Says of the next instruction that needs it what the code does not tell.
    pub(super) fn hint(&mut self, hint: Hint) {
        self.hints.push(hint);
    }

    /// Calls a helper whose sizes (`cost.rs`) are at most these.
    pub(super) fn call(&mut self, helper: Helper, n: Size, p: Size) {
        self.hint(Hint::Call(n, p));
        self.sink().call(helper as u32);
    }

    pub(super) fn function(mut self) -> Body {
        self.sink().end();
        let mut function = Function::new([(self.locals - self.parameters, ValType::I32)]);
        function.raw(self.bytes);
        Body::new(function, self.hints)
    }
}

/// Leaves the scalar in `slot` on the stack: one value, or two for text and 128 bits.
pub(super) fn load(slot: usize, shape: Shape, code: &mut Code) {
    let payload = slot_offset(slot) + PAYLOAD;
    let mut sink = code.sink();
    sink.local_get(SLOTS);
    match shape {
        Shape::Byte => sink.i32_load8_u(at(payload)),
        Shape::Word => sink.i64_load(at(payload)),
        Shape::Wide => sink.i64_load(at(payload)).local_get(SLOTS).i64_load(at(payload + 8)),
        Shape::Text => sink.i32_load(at(payload)).local_get(SLOTS).i32_load(at(payload + 4)),
    };
}

pub(super) fn load_half(slot: usize, half: u32, code: &mut Code) {
    let address = slot_offset(slot) + PAYLOAD + 8 * half;
    code.sink().local_get(SLOTS).i64_load(at(address));
}

/// Compares a text with a constant by its length, then word by word with numbers in the code; the last word
/// overlaps the one before it.
pub(super) fn equal_text(slot: usize, text: &[u8], code: &mut Code) {
    let payload = slot_offset(slot) + PAYLOAD;
    let mut sink = code.sink();
    sink.local_get(SLOTS).i32_load(at(payload + 4)).i32_const(text.len() as i32).i32_eq();
    if text.is_empty() {
        return;
    }
    sink.if_(BlockType::Result(ValType::I32));
    let width = [8, 4, 2, 1].into_iter().find(|width| *width <= text.len()).unwrap_or(1);
    let mut starts: Vec<usize> = (0..=text.len() - width).step_by(width).collect();
    if !text.len().is_multiple_of(width) {
        starts.push(text.len() - width);
    }
    for (i, start) in starts.into_iter().enumerate() {
        let mut word = [0; 8];
        word[..width].copy_from_slice(&text[start..start + width]);
        let word = i64::from_le_bytes(word);
        sink.local_get(SLOTS).i32_load(at(payload));
        let place = at(start as u32);
        match width {
            8 => sink.i64_load(place).i64_const(word).i64_eq(),
            4 => sink.i32_load(place).i32_const(word as i32).i32_eq(),
            2 => sink.i32_load16_u(place).i32_const(word as i32).i32_eq(),
            _ => sink.i32_load8_u(place).i32_const(word as i32).i32_eq(),
        };
        if i > 0 {
            sink.i32_and();
        }
    }
    sink.else_().i32_const(0).end();
}

pub(super) fn lists_equal(slot: usize, other: usize, shape: Shape, code: &mut Code) {
    let (a, b) = (slot_offset(slot) + PAYLOAD, slot_offset(other) + PAYLOAD);
    let mut sink = code.sink();
    sink.local_get(SLOTS).i32_load(at(a + 4)).local_get(SLOTS).i32_load(at(b + 4)).i32_eq();
    sink.if_(BlockType::Result(ValType::I32));
    sink.local_get(SLOTS).i32_load(at(a)).local_get(SLOTS).i32_load(at(b));
    sink.local_get(SLOTS).i32_load(at(a + 4));
    if shape == Shape::Text {
        code.call(Helper::TextsEqual, Size::N, Size::TAIL);
    } else {
        code.sink().i32_const(shape.size() as i32).i32_mul();
        code.call(Helper::BytesEqual, Size::N, Size::TAIL);
    }
    code.sink().else_().i32_const(0).end();
}
