//! The plan as code: a function per node that evaluates its policies and goes on to the branches that the
//! request's attributes name.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::manifest::Enforcement;
use wasm_encoder::BlockType;

use super::{
    Functions, TypeIndex,
    code::{Code, SLOTS},
    conditions::{Conditions, weight},
    cost::{Body, Hint},
    helpers::{Helper, at, outcome, push_obligation},
    memory::Memory,
    numbers::Numbers,
    plan::{Indexed, Node, Split},
    shared::Shared,
};
use crate::set::PolicySet;

/// Policies that one function evaluates.
const GROUP: usize = 32;

/// The most atoms of a policy that stands in the node's own function.
const MAX_INLINE: usize = 6;

/// Up to how many branches are told apart by comparing; more go through the table of functions.
const MAX_COMPARED: usize = 4;

/// How many entries the table of functions may have for each run of numbers.
const MAX_SPARSE: usize = 8;

/// The table of functions: what a split's numbers lead to.
pub(super) const TABLE: u32 = 0;

/// Numbers that lead to one function.
struct Run {
    first: u32,
    last: u32,
    function: u32,
}

/// Emits nodes into a module.
pub(super) struct Index<'a> {
    set: &'a PolicySet,
    policies: &'a [Indexed],
    numbers: &'a Numbers,
    shared: &'a Shared,
    memory: &'a mut Memory,
    functions: &'a mut Functions,
    /// Functions by policy and settled slots of its keys.
    outcomes: BTreeMap<(usize, BTreeSet<usize>), u32>,
    /// Nodes that were emitted, since branches of one list are often alike.
    nodes: BTreeMap<Node, u32>,
    table: Vec<u32>,
    /// The number of each policy's first obligation.
    obligations: Vec<u32>,
}

impl<'a> Index<'a> {
    pub(super) fn new(
        set: &'a PolicySet,
        policies: &'a [Indexed],
        numbers: &'a Numbers,
        shared: &'a Shared,
        memory: &'a mut Memory,
        functions: &'a mut Functions,
    ) -> Self {
        let (outcomes, nodes, table) = Default::default();
        let first = set.policies.iter().scan(0, |next, policy| {
            let first = *next;
            *next += policy.actions.len() as u32;
            Some(first)
        });
        let obligations = first.collect();
        Self { set, policies, numbers, shared, memory, functions, outcomes, nodes, table, obligations }
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

    /// Code that finds the number of a split's attribute and goes where it leads.
    fn split(&mut self, split: &Split, settled: &BTreeSet<usize>, code: &mut Code) {
        let Some(numbering) = self.numbers.get(split.slot) else { return };
        let unknown = Node { always: split.all.clone(), splits: Vec::new(), settled: settled.clone() };
        let unknown = self.emit(&unknown);
        let mut runs: Vec<Run> = Vec::new();
        for (number, node) in &split.branches {
            let function = self.emit(node);
            match runs.last_mut() {
                Some(run) if run.function == function && run.last + 1 == *number => run.last = *number,
                _ => runs.push(Run { first: *number, last: *number, function }),
            }
        }
        let number = code.local();
        let function = self.shared.number_function(numbering.index);
        let mut sink = code.sink();
        sink.local_get(SLOTS).call(function).local_tee(number);
        sink.i32_const(0).i32_lt_s().if_(BlockType::Empty);
        sink.local_get(SLOTS).call(unknown).else_();
        self.go(number, &runs, code);
        code.sink().end();
    }

    /// Code that calls the function of the run that holds the number, if one does: by comparing if they are
    /// few, through the table if few numbers lie between them, else by halves.
    fn go(&mut self, number: u32, runs: &[Run], code: &mut Code) {
        let within = |first: u32, last: u32, code: &mut Code| {
            code.sink().local_get(number).i32_const(first as i32).i32_sub();
            code.sink().i32_const((last - first) as i32).i32_le_u().if_(BlockType::Empty);
        };
        let numbers = |runs: &[Run]| Some((runs.first()?.first, runs.last()?.last));
        let Some((first, last)) = numbers(runs).filter(|_| runs.len() > MAX_COMPARED) else {
            // One inside the other's `else`, so that the cost is that of the dearest.
            for run in runs {
                within(run.first, run.last, code);
                code.sink().local_get(SLOTS).call(run.function).else_();
            }
            for _ in runs {
                code.sink().end();
            }
            return;
        };
        if (last - first) as usize >= MAX_SPARSE * runs.len() {
            let (low, high) = runs.split_at(runs.len() / 2);
            code.sink().local_get(number).i32_const(high[0].first as i32).i32_lt_u();
            code.sink().if_(BlockType::Empty);
            self.go(number, low, code);
            code.sink().else_();
            self.go(number, high, code);
            code.sink().end();
            return;
        }
        let nothing = self.functions.nothing();
        let start = self.table.len();
        self.table.resize(start + (last - first) as usize + 1, nothing);
        for run in runs {
            let (from, to) = ((run.first - first) as usize, (run.last - first) as usize);
            self.table[start + from..=start + to].fill(run.function);
        }
        within(first, last, code);
        let mut sink = code.sink();
        sink.local_get(SLOTS).local_get(number).i32_const(start as i32 - first as i32).i32_add();
        sink.call_indirect(TABLE, TypeIndex::Check.index()).end();
        code.hint(Hint::Indirect(runs.iter().map(|run| run.function).chain([nothing]).collect()));
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
            self.open(policy, settled, code);
        }
    }

    /// The same for a policy whose scope is still to be asked.
    fn open(&mut self, policy: usize, settled: &BTreeSet<usize>, code: &mut Code) {
        let indexed = &self.policies[policy];
        let scope = indexed.remaining_scope(settled);
        let atoms = scope.iter().map(|expr| weight(expr)).sum::<usize>() + weight(&indexed.failed);
        let result = code.local();
        if atoms > MAX_INLINE {
            let function = self.outcome(policy, settled);
            code.sink().local_get(SLOTS).call(function).local_tee(result).if_(BlockType::Empty);
            self.note(policy, result, code);
            self.oblige(policy, code);
            if self.covers(policy) {
                let mut sink = code.sink();
                sink.local_get(result).i32_const(outcome::SCOPE_TRUE).i32_and().if_(BlockType::Empty);
                self.cover(policy, code);
                code.sink().end();
            }
            code.sink().end();
            return;
        }
        let truth = code.local();
        let mut none = Vec::new();
        let mut conditions = self.conditions(&mut none);
        conditions.all(&scope, code);
        code.sink().local_tee(truth).if_(BlockType::Empty);
        conditions.all(&[&indexed.failed], code);
        debug_assert!(none.is_empty(), "small conditions are not cut");
        let mut sink = code.sink();
        sink.local_get(truth).i32_and().i32_const(outcome::IN_SCOPE).i32_or().local_set(result);
        self.note(policy, result, code);
        self.oblige(policy, code);
        if self.covers(policy) {
            code.sink().local_get(truth).i32_const(3).i32_eq().if_(BlockType::Empty);
            self.cover(policy, code);
            code.sink().end();
        }
        code.sink().end();
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
            self.oblige(*policy, code);
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

    /// Notes what a policy that applies, or may apply, obliges to.
    fn oblige(&self, policy: usize, code: &mut Code) {
        let count = self.set.policies[policy].actions.len() as u32;
        if count == 0 {
            return;
        }
        let (first, scratch) = (self.obligations[policy], code.local());
        for index in first..first + count {
            push_obligation(&mut code.sink(), self.memory, index, scratch);
        }
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
            numbers: self.numbers,
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
