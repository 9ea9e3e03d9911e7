//! What is found out at most once a decision: the numbers of looked-up texts (`texts.rs`), and atoms that are
//! dear and that several policies ask for. Each is a function `(slots) -> i32` that keeps its answer in a cell
//! of memory under the decision's stamp.

use std::collections::BTreeMap;

use aecp_contract::slots::{PAYLOAD, Tag};
use wasm_encoder::{BlockType, ValType};

use super::{
    code::{Code, SLOTS},
    conditions::{Conditions, cost},
    cost::{Body, Hint, Size},
    helpers::{Helper, STAMP_GLOBAL, at, slot_offset},
    lower::{Atom, Expr},
    memory::Memory,
    texts::{Lookup, Texts},
};

/// From what cost on an atom is worth a cell.
const DEAR: usize = 8;

/// The shared functions and their indexes in the module: first the lookups, then the atoms.
#[derive(Debug, Default)]
pub(super) struct Shared {
    first_function: u32,
    lookups: u32,
    /// The atoms, never negated, in their order.
    atoms: BTreeMap<Atom, u32>,
}

impl Shared {
    /// Chooses the atoms that at least two of `conditions`, one per policy, ask for.
    pub(super) fn choose<'a>(
        texts: &Texts,
        policies: impl Iterator<Item = Vec<&'a Expr>>,
        first_function: u32,
    ) -> Self {
        let mut users: BTreeMap<Atom, usize> = BTreeMap::new();
        for policy in policies {
            let mut own = std::collections::BTreeSet::new();
            policy.into_iter().for_each(|expr| collect(expr, &mut own));
            for atom in own {
                *users.entry(atom).or_default() += 1;
            }
        }
        let atoms = users.into_iter().filter(|(_, users)| *users > 1).map(|(atom, _)| atom);
        Self { first_function, lookups: texts.len() as u32, atoms: atoms.zip(0..).collect() }
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
        Some(self.first_function + self.lookups + index)
    }

    /// The function that leaves the number of a looked-up attribute, −1 if it is not usable.
    pub(super) fn number_function(&self, lookup: &Lookup) -> u32 {
        self.first_function + lookup.index
    }

    /// The bodies of all shared functions in their order.
    pub(super) fn bodies(&self, texts: &Texts, memory: &mut Memory) -> Vec<Body> {
        let mut bodies: Vec<_> =
            texts.slots().map(|(slot, lookup)| number(slot, lookup, memory)).collect();
        for (atom, index) in &self.atoms {
            let cell = memory.atom_cell(*index);
            let mut none = Vec::new();
            let mut conditions =
                Conditions { memory, texts, shared: self, functions: &mut none, first_function: 0 };
            bodies.push(remembered(atom, cell, &mut conditions));
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

fn number(slot: usize, lookup: &Lookup, memory: &mut Memory) -> Body {
    let table = lookup.table(memory);
    let cell = memory.text_cell(lookup.index) as i32;
    let payload = slot_offset(slot) + PAYLOAD;
    let mut code = Code::new(SLOTS + 1);
    let number = code.local();
    code.hint(Hint::Remembered);
    let mut sink = code.sink();
    sink.i32_const(cell).i32_load(at(0)).global_get(STAMP_GLOBAL).i32_eq();
    sink.if_(BlockType::Result(ValType::I32)).i32_const(cell).i32_load(at(4)).else_();
    sink.i32_const(-1).local_set(number);
    sink.local_get(SLOTS).i32_load8_u(at(slot_offset(slot)));
    sink.i32_const(Tag::Text as i32).i32_eq().if_(BlockType::Empty);
    sink.local_get(SLOTS).i32_load(at(payload)).local_get(SLOTS).i32_load(at(payload + 4));
    sink.i32_const(table.address as i32).i64_const(table.multiplier as i64);
    sink.i64_const(table.shift.into());
    code.call(Helper::Lookup, Size::constant(table.chain.1), Size::constant(table.chain.0));
    let mut sink = code.sink();
    sink.local_set(number);
    if lookup.closed {
        // A text that is none of the ENUM's is not usable.
        sink.local_get(number).i32_eqz().if_(BlockType::Empty).i32_const(-1).local_set(number).end();
    }
    sink.end();
    sink.i32_const(cell).global_get(STAMP_GLOBAL).i32_store(at(0));
    sink.i32_const(cell).local_get(number).i32_store(at(4));
    sink.local_get(number).end();
    code.function()
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
