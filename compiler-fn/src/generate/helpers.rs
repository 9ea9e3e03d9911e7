//! The functions that every generated module has: comparing, searching, noting outcomes, and the canonical
//! ABI's allocation. They call nothing outside and loop no longer than their input.

use aecp_contract::{
    slots::{ARENA_BASE, ARENA_SIZE, SLOT_SIZE},
    verdict::VERDICT_LISTS,
};
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};

use super::{
    cost::{Body, Hint, Passes, Size},
    lower::{ANY_CHARACTER, ANY_TEXT},
    memory::Memory,
    texts::ENTRY,
};

/// The helpers; the number is the function's index in the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Helper {
    /// `(a, b, length) -> i32`: the bytes are equal.
    BytesEqual,
    /// `(a, a_length, b, b_length) -> i32`
    TextEqual,
    /// `(text, length, table, count) -> i32`: a table of (address, length), which is also a list<string>.
    TextIn,
    /// `(byte: i32, table, count) -> i32`
    ByteIn,
    /// `(word: i64, table, count) -> i32`
    WordIn,
    /// `(high: i64, low: i64, table, count) -> i32`
    WideIn,
    /// `(a, b, count) -> i32`: two lists of text of one length.
    TextsEqual,
    /// `(text, length, part, part_length) -> i32`
    StartsWith,
    /// The same.
    EndsWith,
    /// The same: anywhere.
    HasPart,
    /// `(text, length, pattern, pattern_length) -> i32`
    Glob,
    /// `(a_high: i64, a_low: i64, b_high: i64, b_low: i64) -> i32`: a < b, signed.
    WideLess,
    /// `(text, length, table, multiplier: i64, shift: i64) -> i32`: the number of a text, 0 if it has none.
    Lookup,
    /// `(outcome, policy, blocking, audit)`: writes a policy's outcome into the verdict.
    Note,
    /// `cabi_realloc`
    Realloc,
    /// `cabi_post_…`: gives the arena back.
    PostReturn,
}

impl Helper {
    pub(super) const ALL: [Self; 16] = [
        Self::BytesEqual,
        Self::TextEqual,
        Self::TextIn,
        Self::ByteIn,
        Self::WordIn,
        Self::WideIn,
        Self::TextsEqual,
        Self::StartsWith,
        Self::EndsWith,
        Self::HasPart,
        Self::Glob,
        Self::WideLess,
        Self::Lookup,
        Self::Note,
        Self::Realloc,
        Self::PostReturn,
    ];

    /// Parameters and results.
    pub(super) fn signature(self) -> (Vec<ValType>, Vec<ValType>) {
        const I: ValType = ValType::I32;
        const L: ValType = ValType::I64;
        let parameters = match self {
            Self::BytesEqual | Self::ByteIn | Self::TextsEqual => vec![I, I, I],
            Self::TextEqual
            | Self::TextIn
            | Self::StartsWith
            | Self::EndsWith
            | Self::HasPart
            | Self::Glob
            | Self::Realloc => vec![I, I, I, I],
            Self::WordIn => vec![L, I, I],
            Self::WideIn => vec![L, L, I, I],
            Self::WideLess => vec![L, L, L, L],
            Self::Lookup => vec![I, I, I, L, L],
            Self::Note => return (vec![I, I, I, I], vec![]),
            Self::PostReturn => return (vec![I], vec![]),
        };
        (parameters, vec![I])
    }

    pub(super) fn body(self, memory: &Memory) -> Body {
        match self {
            Self::BytesEqual => bytes_equal(),
            Self::TextEqual => text_equal(),
            Self::TextIn => text_in(),
            Self::ByteIn => scalar_in(1),
            Self::WordIn => scalar_in(8),
            Self::WideIn => wide_in(),
            Self::TextsEqual => texts_equal(),
            Self::StartsWith => starts_or_ends_with(false),
            Self::EndsWith => starts_or_ends_with(true),
            Self::HasPart => has_part(),
            Self::Glob => glob(),
            Self::WideLess => wide_less(),
            Self::Lookup => lookup(),
            Self::Note => note(memory),
            Self::Realloc => realloc(),
            Self::PostReturn => post_return(),
        }
    }
}

/// Memory access at `offset`, without a claim of alignment.
pub(super) const fn at(offset: u32) -> MemArg {
    MemArg { offset: offset as u64, align: 0, memory_index: 0 }
}

/// Outcome bits that a policy's function returns.
pub(super) mod outcome {
    /// `scope AND NOT constraint`: 0 FALSE, 1 UNKNOWN, 3 TRUE.
    pub(crate) const VALUE: i32 = 3;
    /// The scope is not FALSE.
    pub(crate) const IN_SCOPE: i32 = 4;
    /// The scope is TRUE.
    pub(crate) const SCOPE_TRUE: i32 = 8;
}

fn add(code: &mut InstructionSink<'_>, local: u32, amount: i32) {
    code.local_get(local).i32_const(amount).i32_add().local_set(local);
}

/// Eight bytes at a time, then the rest, which its cost knows as *p*.
fn bytes_equal() -> Body {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    for size in [8, 1] {
        code.loop_(BlockType::Empty);
        code.local_get(2).i32_const(size).i32_ge_u().if_(BlockType::Empty);
        if size == 8 {
            code.local_get(0).i64_load(at(0)).local_get(1).i64_load(at(0)).i64_ne();
        } else {
            code.local_get(0).i32_load8_u(at(0)).local_get(1).i32_load8_u(at(0)).i32_ne();
        }
        code.if_(BlockType::Empty).i32_const(0).return_().end();
        add(&mut code, 0, size);
        add(&mut code, 1, size);
        add(&mut code, 2, -size);
        code.br(1).end().end();
    }
    code.i32_const(1).end();
    Body::new(function, vec![Hint::Passes(Passes::Every(8)), Hint::Passes(Passes::P)])
}

fn text_equal() -> Body {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(1).local_get(3).i32_ne();
    code.if_(BlockType::Empty).i32_const(0).return_().end();
    code.local_get(0).local_get(2).local_get(1).call(Helper::BytesEqual as u32).end();
    Body::new(function, vec![Hint::Call(Size::N, Size::P)])
}

/// Loops over a table of `count` entries of `stride` bytes; `matches` leaves an i32 on the stack.
fn search(
    code: &mut InstructionSink<'_>,
    table: u32,
    count: u32,
    stride: i32,
    matches: impl FnOnce(&mut InstructionSink<'_>),
) {
    code.loop_(BlockType::Empty);
    code.local_get(count).if_(BlockType::Empty);
    matches(code);
    code.if_(BlockType::Empty).i32_const(1).return_().end();
    add(code, table, stride);
    add(code, count, -1);
    code.br(1).end().end();
    code.i32_const(0).end();
}

fn text_in() -> Body {
    let mut function = Function::new([]);
    search(&mut function.instructions(), 2, 3, 8, |code| {
        code.local_get(0).local_get(1);
        code.local_get(2).i32_load(at(0)).local_get(2).i32_load(at(4));
        code.call(Helper::TextEqual as u32);
    });
    Body::new(function, vec![Hint::Passes(Passes::Every(8)), Hint::Call(Size::N, Size::P)])
}

fn scalar_in(size: i32) -> Body {
    let mut function = Function::new([]);
    search(&mut function.instructions(), 1, 2, size, |code| {
        code.local_get(0).local_get(1);
        if size == 1 {
            code.i32_load8_u(at(0)).i32_eq();
        } else {
            code.i64_load(at(0)).i64_eq();
        }
    });
    Body::new(function, vec![Hint::Passes(Passes::Every(size as u64))])
}

fn wide_in() -> Body {
    let mut function = Function::new([]);
    search(&mut function.instructions(), 2, 3, 16, |code| {
        code.local_get(0).local_get(2).i64_load(at(0)).i64_eq();
        code.local_get(1).local_get(2).i64_load(at(8)).i64_eq();
        code.i32_and();
    });
    Body::new(function, vec![Hint::Passes(Passes::Every(16))])
}

fn texts_equal() -> Body {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.loop_(BlockType::Empty);
    code.local_get(2).if_(BlockType::Empty);
    for list in [0, 1] {
        code.local_get(list).i32_load(at(0)).local_get(list).i32_load(at(4));
    }
    code.call(Helper::TextEqual as u32).i32_eqz();
    code.if_(BlockType::Empty).i32_const(0).return_().end();
    add(&mut code, 0, 8);
    add(&mut code, 1, 8);
    add(&mut code, 2, -1);
    code.br(1).end().end();
    code.i32_const(1).end();
    Body::new(function, vec![Hint::Passes(Passes::Every(8)), Hint::Call(Size::N, Size::P)])
}

fn starts_or_ends_with(ends: bool) -> Body {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(1).local_get(3).i32_lt_u();
    code.if_(BlockType::Empty).i32_const(0).return_().end();
    code.local_get(0);
    if ends {
        code.local_get(1).i32_add().local_get(3).i32_sub();
    }
    code.local_get(2).local_get(3).call(Helper::BytesEqual as u32).end();
    Body::new(function, vec![Hint::Call(Size::N, Size::P)])
}

fn has_part() -> Body {
    let (text, length, part, part_length) = (0, 1, 2, 3);
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.loop_(BlockType::Empty);
    code.local_get(length).local_get(part_length).i32_ge_u().if_(BlockType::Empty);
    code.local_get(text).local_get(part).local_get(part_length).call(Helper::BytesEqual as u32);
    code.if_(BlockType::Empty).i32_const(1).return_().end();
    add(&mut code, text, 1);
    add(&mut code, length, -1);
    // Below zero is a large unsigned number, so the end of the text is asked for first.
    code.local_get(length).i32_const(-1).i32_ne().br_if(1).end().end();
    code.i32_const(0).end();
    Body::new(function, vec![Hint::Passes(Passes::Every(1)), Hint::Call(Size::P, Size::TAIL)])
}

/// Whether the byte at `local` continues a UTF-8 character.
fn is_continuation(code: &mut InstructionSink<'_>, local: u32) {
    code.local_get(local).i32_load8_u(at(0)).i32_const(0xc0).i32_and().i32_const(0x80).i32_eq();
}

/// The usual backtracking to the last `*` only, which is enough for globs: from each place in the text, and once for
/// each `*`, it goes at most from one `*` of the pattern to the next. A character has at most four bytes.
fn glob() -> Body {
    let (text, text_end, pattern, pattern_end) = (0, 1, 2, 3);
    let (star_pattern, star_text) = (4, 5); // the last `*` met: what follows it, and where it was tried
    let mut function = Function::new([(2, ValType::I32)]);
    let mut code = function.instructions();
    for (start, end) in [(text, text_end), (pattern, pattern_end)] {
        code.local_get(start).local_get(end).i32_add().local_set(end);
    }
    code.loop_(BlockType::Empty); // next
    code.local_get(text).local_get(text_end).i32_lt_u().if_(BlockType::Empty);
    code.block(BlockType::Empty); // mismatch
    code.local_get(pattern).local_get(pattern_end).i32_ge_u().br_if(0);
    code.local_get(pattern).i32_load8_u(at(0)).i32_const(ANY_TEXT.into()).i32_eq();
    code.if_(BlockType::Empty);
    add(&mut code, pattern, 1);
    code.local_get(pattern).local_set(star_pattern).local_get(text).local_set(star_text);
    code.br(3).end();
    code.local_get(pattern).i32_load8_u(at(0)).i32_const(ANY_CHARACTER.into()).i32_eq();
    code.if_(BlockType::Empty);
    is_continuation(&mut code, text);
    code.br_if(1); // inside a character, where only `*` may go on
    code.loop_(BlockType::Empty);
    add(&mut code, text, 1);
    code.local_get(text).local_get(text_end).i32_lt_u().if_(BlockType::Empty);
    is_continuation(&mut code, text);
    code.br_if(1).end().end();
    add(&mut code, pattern, 1);
    code.br(3).end();
    code.local_get(pattern).i32_load8_u(at(0)).local_get(text).i32_load8_u(at(0)).i32_ne().br_if(0);
    add(&mut code, text, 1);
    add(&mut code, pattern, 1);
    code.br(2).end(); // mismatch ends
    code.local_get(star_pattern).i32_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
    add(&mut code, star_text, 1);
    code.local_get(star_text).local_set(text).local_get(star_pattern).local_set(pattern);
    code.br(1).end();
    // The text has ended: only `*` may be left of the pattern.
    code.local_get(pattern).local_get(pattern_end).i32_lt_u().if_(BlockType::Empty);
    code.local_get(pattern).i32_load8_u(at(0)).i32_const(ANY_TEXT.into()).i32_ne();
    code.if_(BlockType::Empty).i32_const(0).return_().end();
    add(&mut code, pattern, 1);
    code.br(1).end().end();
    code.i32_const(1).end();
    Body::new(function, vec![Hint::Passes(Passes::NTimesP), Hint::Passes(Passes::AtMost(4))])
}

fn wide_less() -> Body {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(1).local_get(3).i64_lt_u(); // when the high halves are equal
    code.local_get(0).local_get(2).i64_lt_s(); // when they are not
    code.local_get(0).local_get(2).i64_eq().select().end();
    Body::new(function, Vec::new())
}

/// Open addressing over the table of `texts.rs`.
fn lookup() -> Body {
    let (text, length, entry, multiplier, shift) = (0, 1, 2, 3, 4);
    let (first, last) = (5, 6);
    let mut function = Function::new([(2, ValType::I64)]);
    let mut code = function.instructions();
    // Eight bytes from the text's start may run past its end, never past the memory's; they are masked away.
    code.local_get(text).i64_load(at(0)).local_set(first);
    code.local_get(length).i32_const(8).i32_lt_u().if_(BlockType::Empty);
    code.local_get(first).i64_const(1);
    code.local_get(length).i32_const(3).i32_shl().i64_extend_i32_u().i64_shl();
    code.i64_const(1).i64_sub().i64_and().local_set(first);
    code.else_();
    code.local_get(text).local_get(length).i32_add().i32_const(8).i32_sub().i64_load(at(0));
    code.local_set(last).end();
    code.local_get(first).local_get(last).i64_const(23).i64_rotl().i64_xor();
    code.local_get(length).i64_extend_i32_u().i64_xor();
    code.local_get(multiplier).i64_mul().local_get(shift).i64_shr_u().i32_wrap_i64();
    code.i32_const(ENTRY.trailing_zeros() as i32).i32_shl().local_get(entry).i32_add().local_set(entry);
    code.loop_(BlockType::Empty);
    code.local_get(entry).i32_load(at(8)).i32_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
    code.local_get(text).local_get(length).local_get(entry).i32_load(at(0));
    code.local_get(entry).i32_load(at(4)).call(Helper::TextEqual as u32);
    code.if_(BlockType::Empty).local_get(entry).i32_load(at(8)).return_().end();
    add(&mut code, entry, ENTRY as i32);
    code.br(0).end().unreachable().end();
    Body::new(function, vec![Hint::Passes(Passes::P), Hint::Call(Size::N, Size::TAIL)])
}

fn note(memory: &Memory) -> Body {
    let (outcome, policy, blocking, audit) = (0, 1, 2, 3);
    let verdict = memory.verdict as i32;
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(outcome).i32_const(outcome::IN_SCOPE).i32_and().if_(BlockType::Empty);
    code.i32_const(verdict).i32_load8_u(at(1)).local_get(audit).i32_lt_u().if_(BlockType::Empty);
    code.i32_const(verdict).local_get(audit).i32_store8(at(1)).end().end();
    code.local_get(outcome).i32_const(outcome::VALUE).i32_and().local_tee(outcome);
    code.i32_eqz().if_(BlockType::Empty).return_().end();
    code.local_get(blocking).if_(BlockType::Empty);
    code.i32_const(verdict).i32_const(1).i32_store8(at(0)).end();
    code.local_get(outcome).i32_const(3).i32_eq().if_(BlockType::Empty);
    push(&mut code, memory, 0, policy);
    code.else_();
    push(&mut code, memory, 1, policy);
    code.end().end();
    Body::new(function, Vec::new())
}

/// Appends the index in `local` to list `which` of the verdict.
fn push(code: &mut InstructionSink<'_>, memory: &Memory, which: usize, local: u32) {
    let length = VERDICT_LISTS[which] + 4;
    let verdict = memory.verdict as i32;
    code.i32_const(verdict).i32_load(at(length)).i32_const(2).i32_shl();
    code.local_get(local).i32_store(at(memory.lists[which]));
    code.i32_const(verdict).i32_const(verdict).i32_load(at(length));
    code.i32_const(1).i32_add().i32_store(at(length));
}

/// The global that says where the arena's free part starts, for `cabi_realloc`.
pub(super) const ARENA_GLOBAL: u32 = 0;

/// The global that counts decisions: the stamp of cells that are true of this one.
pub(super) const STAMP_GLOBAL: u32 = 1;

fn realloc() -> Body {
    let (old, old_size, align, new_size, address) = (0, 1, 2, 3, 4);
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    // address = (free + align - 1) & -align; neither sum can wrap, the arena lies low.
    code.global_get(ARENA_GLOBAL).local_get(align).i32_add().i32_const(1).i32_sub();
    code.i32_const(0).local_get(align).i32_sub().i32_and().local_tee(address);
    code.i64_extend_i32_u().local_get(new_size).i64_extend_i32_u().i64_add();
    code.i64_const(i64::from(ARENA_BASE + ARENA_SIZE)).i64_gt_u();
    code.if_(BlockType::Empty).unreachable().end();
    code.local_get(address).local_get(new_size).i32_add().global_set(ARENA_GLOBAL);
    code.local_get(address).local_get(old);
    code.local_get(old_size).local_get(new_size).local_get(old_size).local_get(new_size);
    code.i32_lt_u().select().memory_copy(0, 0);
    code.local_get(address).end();
    Body::new(function, vec![Hint::Bulk(Size::N)])
}

fn post_return() -> Body {
    let mut function = Function::new([]);
    function.instructions().i32_const(ARENA_BASE as i32).global_set(ARENA_GLOBAL).end();
    Body::new(function, Vec::new())
}

/// The offset of a slot from the slots' address.
pub(super) const fn slot_offset(slot: usize) -> u32 {
    slot as u32 * SLOT_SIZE
}

/// Appends obligation `index` to the verdict.
pub(super) fn push_obligation(
    code: &mut InstructionSink<'_>,
    memory: &Memory,
    index: u32,
    scratch: u32,
) {
    code.i32_const(index as i32).local_set(scratch);
    push(code, memory, 3, scratch);
}

/// Appends uncovered module `index` to the verdict, which then denies and must be recorded.
pub(super) fn push_uncovered(code: &mut InstructionSink<'_>, memory: &Memory, index: i32, scratch: u32) {
    let verdict = memory.verdict as i32;
    code.i32_const(index).local_set(scratch);
    push(code, memory, 2, scratch);
    code.i32_const(verdict).i32_const(1).i32_store8(at(0));
    code.i32_const(verdict).i32_const(2).i32_store8(at(1));
}
