//! What is found out at most once a decision: the numbers of attributes (`numbers.rs`), and atoms that are
//! dear and that several policies ask for. Each is a function `(slots) -> i32` that keeps its answer in a cell
//! of memory under the decision's stamp. And what stands once for all: conditions that many policies of a set
//! have in common, so that large sets touch less code in a decision.

use std::collections::BTreeMap;

use aecp_contract::slots::PAYLOAD;
use wasm_encoder::{BlockType, ValType};

use super::{
    code::{Code, SLOTS},
    conditions::{Conditions, cost, weight},
    cost::{Body, Hint, Size},
    helpers::{Helper, STAMP_GLOBAL, at, slot_offset},
    lower::{Atom, Expr},
    memory::Memory,
    numbers::{Kind, Numbering, Numbers},
    texts::Lookup,
};

/// From what cost on an atom is worth a cell.
const DEAR: usize = 8;

/// From how many policies on a condition of several atoms has a function of its own.
const MANY: usize = 4;

/// The most atoms of such a condition.
const MAX_COMMON: usize = 12;

/// The shared functions and their indexes in the module: first the numbers, then the atoms, then the conditions.
#[derive(Debug, Default)]
pub(super) struct Shared {
    first_function: u32,
    numbers: u32,
    /// The atoms, never negated, in their order.
    atoms: BTreeMap<Atom, u32>,
    conditions: BTreeMap<Expr, u32>,
}

impl Shared {
    /// Chooses the atoms that at least two of `conditions`, one per policy, ask for.
    pub(super) fn choose<'a>(
        numbers: &Numbers,
        policies: impl Iterator<Item = Vec<&'a Expr>>,
        first_function: u32,
    ) -> Self {
        let mut users: BTreeMap<Atom, usize> = BTreeMap::new();
        let mut common: BTreeMap<&Expr, usize> = BTreeMap::new();
        for policy in policies {
            for expr in policy.iter().filter(|expr| (2..=MAX_COMMON).contains(&weight(expr))) {
                *common.entry(expr).or_default() += 1;
            }
            let mut own = std::collections::BTreeSet::new();
            policy.into_iter().for_each(|expr| collect(expr, &mut own));
            for atom in own {
                *users.entry(atom).or_default() += 1;
            }
        }
        let atoms = users.into_iter().filter(|(_, users)| *users > 1).map(|(atom, _)| atom);
        let conditions = common.into_iter().filter(|(_, users)| *users >= MANY);
        Self {
            first_function,
            numbers: numbers.len() as u32,
            atoms: atoms.zip(0..).collect(),
            conditions: conditions.map(|(expr, _)| expr.clone()).zip(0..).collect(),
        }
    }

    /// How many atoms have a cell.
    pub(super) fn atoms(&self) -> usize {
        self.atoms.len()
    }

    /// The function of a shared atom, which leaves the truth of the atom without its negation.
    pub(super) fn function(&self, atom: &Atom) -> Option<u32> {
        if self.atoms.is_empty() {
            return None;
        }
        let index = self.atoms.get(&Atom { negated: false, ..atom.clone() })?;
        Some(self.first_function + self.numbers + index)
    }

    /// The function of a condition that many policies have, which leaves its truth.
    pub(super) fn condition(&self, expr: &Expr) -> Option<u32> {
        let index = self.conditions.get(expr)?;
        Some(self.first_function + self.numbers + self.atoms.len() as u32 + index)
    }

    /// The function that leaves the number of numbered attribute `index`, −1 if it is not usable.
    pub(super) fn number_function(&self, index: u32) -> u32 {
        self.first_function + index
    }

    /// The bodies of all shared functions in their order.
    pub(super) fn bodies(&self, numbers: &Numbers, memory: &mut Memory) -> Vec<Body> {
        let mut bodies: Vec<_> =
            numbers.slots().map(|(slot, numbering)| number(slot, numbering, memory)).collect();
        for (atom, index) in &self.atoms {
            let cell = memory.atom_cell(*index);
            let mut none = Vec::new();
            let mut conditions =
                Conditions { memory, numbers, shared: self, functions: &mut none, first_function: 0 };
            bodies.push(remembered(atom, cell, &mut conditions));
        }
        for expr in self.conditions.keys() {
            let mut none = Vec::new();
            let mut conditions =
                Conditions { memory, numbers, shared: self, functions: &mut none, first_function: 0 };
            let mut code = Code::new(SLOTS + 1);
            conditions.in_full(expr, &mut code);
            bodies.push(code.function());
            debug_assert!(none.is_empty(), "small conditions are not cut");
        }
        bodies
    }
}

/// Dear atoms of a condition, without their negation.
fn collect(expr: &Expr, atoms: &mut std::collections::BTreeSet<Atom>) {
    match expr {
        Expr::And(operands) | Expr::Or(operands) => {
            operands.iter().for_each(|operand| collect(operand, atoms));
        }
        Expr::Atom(atom) => {
            if cost(expr) >= DEAR {
                atoms.insert(Atom { negated: false, ..atom.clone() });
            }
        }
    }
}

fn number(slot: usize, numbering: &Numbering, memory: &mut Memory) -> Body {
    let cell = memory.number_cell(numbering.index) as i32;
    let mut code = Code::new(SLOTS + 1);
    let number = code.local();
    code.hint(Hint::Remembered);
    let mut sink = code.sink();
    sink.i32_const(cell).i32_load(at(0)).global_get(STAMP_GLOBAL).i32_eq();
    sink.if_(BlockType::Result(ValType::I32)).i32_const(cell).i32_load(at(4)).else_();
    sink.i32_const(-1).local_set(number);
    sink.local_get(SLOTS).i32_load8_u(at(slot_offset(slot)));
    sink.i32_const(numbering.tag() as i32).i32_eq().if_(BlockType::Empty);
    match &numbering.kind {
        Kind::Texts(lookup) => number_of_text(slot, lookup, number, memory, &mut code),
        Kind::Ordered(intervals) => intervals.number(slot, memory, &mut code),
    }
    let mut sink = code.sink();
    sink.local_set(number).end();
    sink.i32_const(cell).global_get(STAMP_GLOBAL).i32_store(at(0));
    sink.i32_const(cell).local_get(number).i32_store(at(4));
    sink.local_get(number).end();
    code.function()
}

fn number_of_text(slot: usize, lookup: &Lookup, number: u32, memory: &mut Memory, code: &mut Code) {
    let table = lookup.table(memory);
    let payload = slot_offset(slot) + PAYLOAD;
    let mut sink = code.sink();
    sink.local_get(SLOTS).i32_load(at(payload)).local_get(SLOTS).i32_load(at(payload + 4));
    sink.i32_const(table.address as i32).i64_const(table.multiplier as i64);
    sink.i64_const(table.shift.into());
    code.call(Helper::Lookup, Size::constant(table.chain.1), Size::constant(table.chain.0));
    if lookup.closed {
        // A text that is none of the ENUM's is not usable.
        let mut sink = code.sink();
        sink.local_set(number).i32_const(-1).local_get(number).local_get(number).i32_eqz().select();
    }
}

fn remembered(atom: &Atom, cell: u32, conditions: &mut Conditions<'_>) -> Body {
    let mut code = Code::new(SLOTS + 1);
    let value = code.local();
    code.hint(Hint::Remembered);
    let mut sink = code.sink();
    sink.i32_const(cell as i32).i32_load(at(0)).local_tee(value);
    sink.i32_const(2).i32_shr_u().global_get(STAMP_GLOBAL).i32_eq();
    sink.if_(BlockType::Result(ValType::I32)).local_get(value).i32_const(3).i32_and().else_();
    conditions.computed(atom, &mut code);
    let mut sink = code.sink();
    sink.local_set(value);
    sink.i32_const(cell as i32).global_get(STAMP_GLOBAL).i32_const(2).i32_shl();
    sink.local_get(value).i32_or().i32_store(at(0)).local_get(value).end();
    code.function()
}
