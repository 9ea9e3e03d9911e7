//! The plan as code: a function per node that evaluates its policies and goes on to the branches that the
//! request's texts name.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::manifest::Enforcement;
use wasm_encoder::BlockType;

use super::{
    Functions, TypeIndex,
    code::{Code, SLOTS},
    conditions::{Conditions, weight},
    cost::{Body, Hint},
    helpers::{Helper, at, outcome},
    memory::Memory,
    plan::{Indexed, Node, Split},
    shared::Shared,
    texts::Texts,
};
use crate::set::PolicySet;

/// Policies that one function evaluates.
const GROUP: usize = 32;

/// The most atoms of a constraint that stands in the node's own function.
const MAX_INLINE: usize = 6;

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
            // One inside the other's `else`, so that the cost is that of the dearest.
            for (wanted, function) in &branches {
                sink.local_get(number).i32_const(*wanted as i32).i32_eq().if_(BlockType::Empty);
                sink.local_get(SLOTS).call(*function).else_();
            }
            for _ in &branches {
                sink.end();
            }
        } else {
            let nothing = self.functions.nothing();
            let start = self.table.len();
            self.table.resize(start + lookup.count() as usize + 1, nothing);
            for (number, function) in &branches {
                self.table[start + *number as usize] = *function;
            }
            sink.local_get(SLOTS).local_get(number).i32_const(start as i32).i32_add();
            sink.call_indirect(TABLE, TypeIndex::Check.index());
            let called = branches.into_iter().map(|(_, function)| function).chain([nothing]);
            code.hint(Hint::Indirect(called.collect()));
        }
        code.sink().end();
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
        let (in_scope, open): (Vec<_>, Vec<_>) = policies
            .iter()
            .partition(|policy| self.policies[**policy].remaining_scope(settled).is_empty());
        self.in_scope(&in_scope, settled, code);
        for policy in open {
            let function = self.outcome(policy, settled);
            let result = code.local();
            code.sink().local_get(SLOTS).call(function).local_tee(result).if_(BlockType::Empty);
            self.note(policy, result, code);
            if self.covers(policy) {
                let mut sink = code.sink();
                sink.local_get(result).i32_const(outcome::SCOPE_TRUE).i32_and().if_(BlockType::Empty);
                self.cover(policy, code);
                code.sink().end();
            }
            code.sink().end();
        }
    }

    /// The same for policies whose scope is TRUE here: what follows from that is said once for all of them, and
    /// only their constraints are left to ask.
    fn in_scope(&mut self, policies: &[usize], settled: &BTreeSet<usize>, code: &mut Code) {
        let info = |policy: &usize| &self.set.policies[*policy].info;
        if let Some(audit) = policies.iter().map(|policy| info(policy).audit as i32).max() {
            let audit_at = self.memory.verdict as i32;
            let mut sink = code.sink();
            sink.i32_const(audit_at).i32_load8_u(at(1)).i32_const(audit).i32_lt_u();
            sink.if_(BlockType::Empty).i32_const(audit_at).i32_const(audit).i32_store8(at(1)).end();
        }
        let mut covered = BTreeSet::new();
        for policy in policies {
            if self.covers(*policy) && covered.insert(self.set.policies[*policy].info.module) {
                self.cover(*policy, code);
            }
        }
        for policy in policies {
            let failed = &self.policies[*policy].failed;
            let result = code.local();
            if weight(failed) <= MAX_INLINE {
                let mut none = Vec::new();
                let mut conditions = self.conditions(&mut none);
                conditions.all(&[failed], code);
                debug_assert!(none.is_empty(), "small conditions are not cut");
            } else {
                let function = self.outcome(*policy, settled);
                code.sink().local_get(SLOTS).call(function);
                code.sink().i32_const(outcome::VALUE).i32_and();
            }
            code.sink().local_tee(result).if_(BlockType::Empty);
            self.note(*policy, result, code);
            code.sink().end();
        }
    }

    fn note(&self, policy: usize, result: u32, code: &mut Code) {
        let info = &self.set.policies[policy].info;
        let blocking = info.enforcement == Enforcement::Blocking;
        let mut sink = code.sink();
        sink.local_get(result).i32_const(policy as i32);
        sink.i32_const(blocking.into()).i32_const(info.audit as i32).call(Helper::Note as u32);
    }

    /// Whether the policy's module denies by default, unless the policy applies.
    fn covers(&self, policy: usize) -> bool {
        let info = &self.set.policies[policy].info;
        let module = self.set.modules.get(info.module as usize);
        info.enforcement == Enforcement::Blocking && module.is_some_and(|module| module.default_deny)
    }

    fn cover(&self, policy: usize, code: &mut Code) {
        let flag = self.memory.covered + self.set.policies[policy].info.module;
        code.sink().i32_const(flag as i32).i32_const(1).i32_store8(at(0));
    }

    fn conditions<'c>(&'c mut self, parts: &'c mut Vec<Body>) -> Conditions<'c> {
        Conditions {
            memory: self.memory,
            texts: self.texts,
            shared: self.shared,
            functions: parts,
            first_function: self.functions.next(),
        }
    }

    /// The function `(slots) -> outcome` of a policy where the keys of `settled` are TRUE.
    fn outcome(&mut self, policy: usize, settled: &BTreeSet<usize>) -> u32 {
        let key = (policy, settled.clone());
        if let Some(function) = self.outcomes.get(&key) {
            return *function;
        }
        let indexed = &self.policies[policy];
        let mut parts: Vec<Body> = Vec::new();
        let mut conditions = self.conditions(&mut parts);
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
