//! The plan as code: a function per node that evaluates its policies and goes on to the branches that the
//! request's texts name.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::manifest::Enforcement;
use wasm_encoder::{BlockType, Function};

use super::{
    Functions, TypeIndex,
    conditions::{Code, Conditions, SLOTS},
    helpers::{Helper, at, outcome},
    memory::Memory,
    plan::{Indexed, Node, Split},
    shared::Shared,
    texts::Texts,
};
use crate::set::PolicySet;

/// Policies that one function evaluates.
const GROUP: usize = 32;

/// Up to how many branches are told apart by comparing; more go through the table of functions.
const MAX_COMPARED: usize = 4;

/// The table of functions: what a split's numbers lead to.
pub(super) const TABLE: u32 = 0;

/// Emits nodes into a module.
pub(super) struct Index<'a> {
    set: &'a PolicySet,
    policies: &'a [Indexed],
    texts: &'a Texts,
    shared: &'a Shared,
    memory: &'a mut Memory,
    functions: &'a mut Functions,
    /// Functions by policy and settled slots of its keys.
    outcomes: BTreeMap<(usize, BTreeSet<usize>), u32>,
    /// Nodes that were emitted, since branches of one list are often alike.
    nodes: BTreeMap<Node, u32>,
    table: Vec<u32>,
}

impl<'a> Index<'a> {
    pub(super) fn new(
        set: &'a PolicySet,
        policies: &'a [Indexed],
        texts: &'a Texts,
        shared: &'a Shared,
        memory: &'a mut Memory,
        functions: &'a mut Functions,
    ) -> Self {
        let (outcomes, nodes, table) = Default::default();
        Self { set, policies, texts, shared, memory, functions, outcomes, nodes, table }
    }

    /// The table of functions, once everything was emitted.
    pub(super) fn table(self) -> Vec<u32> {
        self.table
    }

    /// The function `(slots)` of a node.
    pub(super) fn emit(&mut self, node: &Node) -> u32 {
        if let Some(function) = self.nodes.get(node) {
            return *function;
        }
        let mut code = Code::new(SLOTS + 1);
        self.evaluate(&node.always, &node.settled, &mut code);
        for split in &node.splits {
            self.split(split, &node.settled, &mut code);
        }
        let function = self.functions.add(TypeIndex::Check, code.function());
        self.nodes.insert(node.clone(), function);
        function
    }

    /// Code that looks a split's attribute up and goes where its number leads.
    fn split(&mut self, split: &Split, settled: &BTreeSet<usize>, code: &mut Code) {
        let Some(lookup) = self.texts.get(split.slot) else { return };
        let unknown = Node { always: split.all.clone(), splits: Vec::new(), settled: settled.clone() };
        let unknown = self.emit(&unknown);
        let branches: Vec<_> =
            split.branches.iter().map(|(number, node)| (*number, self.emit(node))).collect();
        let number = code.local();
        let mut sink = code.sink();
        sink.local_get(SLOTS).call(self.shared.number_function(lookup)).local_tee(number);
        sink.i32_const(0).i32_lt_s().if_(BlockType::Empty);
        sink.local_get(SLOTS).call(unknown).else_();
        if branches.len() <= MAX_COMPARED {
            for (wanted, function) in branches {
                sink.local_get(number).i32_const(wanted as i32).i32_eq().if_(BlockType::Empty);
                sink.local_get(SLOTS).call(function).end();
            }
        } else {
            let nothing = self.functions.nothing();
            let start = self.table.len();
            self.table.resize(start + lookup.count() as usize + 1, nothing);
            for (number, function) in branches {
                self.table[start + number as usize] = function;
            }
            sink.local_get(SLOTS).local_get(number).i32_const(start as i32).i32_add();
            sink.call_indirect(TABLE, TypeIndex::Check.index());
        }
        sink.end();
    }

    /// Code that evaluates policies and notes their outcomes; many go into functions of their own.
    fn evaluate(&mut self, policies: &[usize], settled: &BTreeSet<usize>, code: &mut Code) {
        if policies.len() > GROUP {
            for group in policies.chunks(GROUP) {
                let mut body = Code::new(SLOTS + 1);
                self.evaluate(group, settled, &mut body);
                let function = self.functions.add(TypeIndex::Check, body.function());
                code.sink().local_get(SLOTS).call(function);
            }
            return;
        }
        if policies.is_empty() {
            return;
        }
        let result = code.local();
        for index in policies {
            let function = self.outcome(*index, settled);
            let info = &self.set.policies[*index].info;
            let blocking = info.enforcement == Enforcement::Blocking;
            let mut sink = code.sink();
            sink.local_get(SLOTS).call(function).local_tee(result).if_(BlockType::Empty);
            sink.local_get(result).i32_const(*index as i32);
            sink.i32_const(blocking.into()).i32_const(info.audit as i32).call(Helper::Note as u32);
            let module = self.set.modules.get(info.module as usize);
            if blocking && module.is_some_and(|module| module.default_deny) {
                sink.local_get(result).i32_const(outcome::SCOPE_TRUE).i32_and().if_(BlockType::Empty);
                sink.i32_const((self.memory.covered + info.module) as i32).i32_const(1);
                sink.i32_store8(at(0)).end();
            }
            sink.end();
        }
    }

    /// The function `(slots) -> outcome` of a policy where the keys of `settled` are TRUE.
    fn outcome(&mut self, policy: usize, settled: &BTreeSet<usize>) -> u32 {
        let key = (policy, settled.clone());
        if let Some(function) = self.outcomes.get(&key) {
            return *function;
        }
        let indexed = &self.policies[policy];
        let mut parts: Vec<Function> = Vec::new();
        let mut conditions = Conditions {
            memory: self.memory,
            texts: self.texts,
            shared: self.shared,
            functions: &mut parts,
            first_function: self.functions.next(),
        };
        let mut code = Code::new(SLOTS + 1);
        let remaining = indexed.remaining_scope(settled);
        if remaining.is_empty() {
            conditions.all(&[&indexed.failed], &mut code);
            code.sink().i32_const(outcome::IN_SCOPE | outcome::SCOPE_TRUE).i32_or();
        } else {
            let scope = code.local();
            conditions.all(&remaining, &mut code);
            code.sink().local_tee(scope);
            code.sink().i32_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
            conditions.all(&[&indexed.failed], &mut code);
            let mut sink = code.sink();
            sink.local_get(scope).i32_and();
            sink.i32_const(outcome::IN_SCOPE | outcome::SCOPE_TRUE).i32_const(outcome::IN_SCOPE);
            sink.local_get(scope).i32_const(3).i32_eq().select().i32_or();
        }
        for part in parts {
            self.functions.add(TypeIndex::Truth, part);
        }
        let function = self.functions.add(TypeIndex::Truth, code.function());
        self.outcomes.insert(key, function);
        function
    }
}
