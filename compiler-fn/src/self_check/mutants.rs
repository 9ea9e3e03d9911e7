//! Faults put into generated modules: one instruction, constant or table entry is another.

use wasmparser::{ElementItems, FunctionBody, Operator, Parser, Payload};

/// One instruction of a module.
pub(super) struct Instruction<'a> {
    /// Where its opcode stands.
    pub(super) at: usize,
    pub(super) operator: Operator<'a>,
}

/// The instructions of the functions that depend on the set: all but the helpers. Each helper has a type of its
/// own; three types come after theirs.
pub(super) fn functions(core: &[u8]) -> Vec<Vec<Instruction<'_>>> {
    let mut types: Vec<u32> = Vec::new();
    let mut bodies: Vec<FunctionBody<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        match payload.unwrap() {
            Payload::FunctionSection(section) => {
                types = section.into_iter().map(Result::unwrap).collect();
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    let helpers = types.into_iter().max().unwrap() as usize - 2;
    let own = bodies.into_iter().skip(helpers);
    let instructions = own.map(|body| {
        let mut reader = body.get_operators_reader().unwrap();
        let mut instructions = Vec::new();
        while !reader.eof() {
            let at = reader.original_position();
            instructions.push(Instruction { at, operator: reader.read().unwrap() });
        }
        instructions
    });
    instructions.collect()
}

/// The function that does nothing, where the table leads for numbers without policies.
pub(super) fn nothing(core: &[u8]) -> u32 {
    let own = functions(core);
    let all = Parser::new(0).parse_all(core).filter_map(|payload| match payload.unwrap() {
        Payload::CodeSectionStart { count, .. } => Some(count),
        _ => None,
    });
    let helpers = all.sum::<u32>() - own.len() as u32;
    let only_an_end = |function: &Vec<_>| function.len() == 1;
    helpers + own.iter().position(only_an_end).unwrap() as u32
}

/// Where the entries of the table of functions stand, and what they are.
pub(super) fn table(core: &[u8]) -> Vec<(usize, u32)> {
    let mut entries = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        let Payload::ElementSection(section) = payload.unwrap() else { continue };
        for element in section {
            let ElementItems::Functions(functions) = element.unwrap().items else { continue };
            entries.extend(functions.into_iter_with_offsets().map(Result::unwrap));
        }
    }
    entries
}

/// The module with one byte replaced.
pub(super) fn patched(core: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut mutant = core.to_vec();
    mutant[at] = byte;
    mutant
}

/// The module with the number after an opcode changed by one.
pub(super) fn off_by_one(core: &[u8], opcode_at: usize) -> Vec<u8> {
    patched(core, opcode_at + 1, core[opcode_at + 1] ^ 1)
}

/// Every mutant of one instruction: comparisons with another bound or turned about, AND for OR, numbers off by one.
pub(super) fn mutants(core: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut mutants = Vec::new();
    let functions = functions(core);
    let all: Vec<_> = functions.iter().flatten().collect();
    for (number, instruction) in all.iter().enumerate() {
        let at = instruction.at;
        let after: Vec<_> = all[number..].iter().take(4).map(|it| &it.operator).collect();
        let name = format!("{at:#x} of {after:?}");
        let opcode = core[at];
        let others: &[u8] = match opcode {
            0x46 => &[0x47],       // i32.eq → ne
            0x47 => &[0x46],       // i32.ne → eq
            0x48 => &[0x4c, 0x4e], // i32.lt_s → le_s, ge_s
            0x49 => &[0x4d],       // i32.lt_u → le_u
            0x4e => &[0x4a],       // i32.ge_s → gt_s
            0x51 => &[0x52],       // i64.eq → ne
            0x53 => &[0x57, 0x59], // i64.lt_s → le_s, ge_s
            0x71 => &[0x72],       // i32.and → or
            0x72 => &[0x71],       // i32.or → and
            _ => &[],
        };
        mutants.extend(
            others.iter().map(|other| (format!("{name} → {other:#x}"), patched(core, at, *other))),
        );
        if matches!(instruction.operator, Operator::I32Const { .. } | Operator::I64Const { .. }) {
            mutants.push((format!("{name} off by one"), off_by_one(core, at)));
        }
    }
    mutants
}
