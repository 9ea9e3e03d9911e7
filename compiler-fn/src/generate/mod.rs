//! Code generation: a checked set becomes one core WebAssembly module, and the same module as a component.
//!
//! The module imports nothing, has a fixed memory, and decides in one call (layout and convention:
//! `aecp_contract::slots` and `verdict`). Each policy is a function of its own that returns its outcome; groups
//! of them note outcomes into the verdict; nothing grows with a request. The bytes depend on the set alone: no
//! clock, no hash map, no path.

mod component;
mod conditions;
mod helpers;
mod lower;
mod memory;

use aecp_contract::{
    manifest::Enforcement,
    slots::{ARENA_BASE, DECIDE_EXPORT, PAYLOAD, Tag},
    value::Type,
    verdict::VERDICT_LISTS,
};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, MemorySection, MemoryType, Module, TypeSection,
    ValType,
};

pub use self::{component::component, memory::TooManyConstants};
use self::{
    conditions::{Code, Conditions, SLOTS},
    helpers::{ARENA_GLOBAL, Helper, at, outcome, slot_offset},
    lower::{Constant, Expr, Lower},
    memory::Memory,
};
use crate::set::{Policy, PolicySet};

/// Policies whose outcomes one function notes.
const GROUP: usize = 64;

/// The core module of a set.
///
/// # Errors
/// [`TooManyConstants`] if the literals of the set do not fit a module.
pub fn core_module(set: &PolicySet) -> Result<Vec<u8>, TooManyConstants> {
    let mut memory = Memory::new(set.policies.len(), set.modules.len());
    let mut functions = Functions::new(&memory);
    let lower = Lower { set };
    let mut outcomes = Vec::new();
    for policy in &set.policies {
        outcomes.push(functions.policy(&lower, policy, &mut memory));
    }
    let mut groups = Vec::new();
    for (group, indexes) in (0..).zip(outcomes.chunks(GROUP)) {
        let first = group * GROUP;
        let policies = (first..).zip(&set.policies[first..first + indexes.len()]).zip(indexes);
        groups.push(functions.add(TypeIndex::Check, note_group(set, policies, &memory)));
    }
    let mut admissions = Vec::new();
    for (slot, attribute) in set.attributes.iter().enumerate() {
        if let Some(body) = admit_enum(slot, &attribute.ty, &mut memory) {
            admissions.push(functions.add(TypeIndex::Check, body));
        }
    }
    let decide = decide(set, &admissions, &groups, &memory);
    let decide = functions.add(TypeIndex::Decide, decide);
    assemble(functions, decide, &memory)
}

/// The module's function types: the helpers' own in their order, then these.
#[derive(Debug, Clone, Copy)]
enum TypeIndex {
    /// `(slots) -> i32`
    Truth,
    /// `(slots)`
    Check,
    /// `(slots, count) -> verdict`
    Decide,
}

/// The module's functions: the helpers, then what was added, in order.
struct Functions {
    helpers: Vec<Function>,
    added: Vec<(TypeIndex, Function)>,
}

impl Functions {
    fn new(memory: &Memory) -> Self {
        let helpers = Helper::ALL.iter().map(|helper| helper.body(memory)).collect();
        Self { helpers, added: Vec::new() }
    }

    fn next(&self) -> u32 {
        (self.helpers.len() + self.added.len()) as u32
    }

    fn add(&mut self, ty: TypeIndex, function: Function) -> u32 {
        self.added.push((ty, function));
        self.next() - 1
    }

    /// `(slots) -> outcome` of one policy; returns its index.
    fn policy(&mut self, lower: &Lower<'_>, policy: &Policy, memory: &mut Memory) -> u32 {
        let scope = policy.scope.as_ref().map(|condition| lower.condition(condition, false));
        let failed = lower.condition(&policy.constraint, true);
        let mut parts = Vec::new();
        let mut conditions =
            Conditions { memory, functions: &mut parts, first_function: self.next() };
        let mut code = Code::default();
        let scope_local = SLOTS + 1;
        let mut locals = scope_local + 1;
        match scope {
            Some(scope) => {
                conditions.emit(&part(scope), &mut code, &mut locals);
                code.sink().local_tee(scope_local);
                code.sink().i32_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
            }
            None => {
                code.sink().i32_const(3).local_set(scope_local);
            }
        }
        conditions.emit(&part(failed), &mut code, &mut locals);
        let mut sink = code.sink();
        sink.local_get(scope_local).i32_and();
        sink.i32_const(outcome::IN_SCOPE | outcome::SCOPE_TRUE).i32_const(outcome::IN_SCOPE);
        sink.local_get(scope_local).i32_const(3).i32_eq().select().i32_or();
        let function = code.function(SLOTS + 1, locals);
        for part in parts {
            self.add(TypeIndex::Truth, part);
        }
        self.add(TypeIndex::Truth, function)
    }
}

/// A condition as the operand of a chain, where it is cut if it is large.
fn part(expr: Expr) -> Expr {
    match expr {
        Expr::Atom(_) => expr,
        chain => Expr::And(vec![chain]),
    }
}

/// `(slots)`: calls the policies of one group and notes their outcomes.
fn note_group<'a>(
    set: &PolicySet,
    policies: impl Iterator<Item = ((usize, &'a Policy), &'a u32)>,
    memory: &Memory,
) -> Function {
    let result = SLOTS + 1;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    for ((index, policy), function) in policies {
        let info = &policy.info;
        let blocking = info.enforcement == Enforcement::Blocking;
        code.local_get(SLOTS).call(*function).local_tee(result).if_(BlockType::Empty);
        code.local_get(result).i32_const(index as i32);
        code.i32_const(blocking.into()).i32_const(info.audit as i32).call(Helper::Note as u32);
        let module = info.module as usize;
        if blocking && set.modules.get(module).is_some_and(|module| module.default_deny) {
            code.local_get(result).i32_const(outcome::SCOPE_TRUE).i32_and().if_(BlockType::Empty);
            code.i32_const((memory.covered + info.module) as i32).i32_const(1).i32_store8(at(0)).end();
        }
        code.end();
    }
    code.end();
    function
}

/// `(slots)`: makes the value of an ENUM attribute unusable if it is none of its members, or of a list if one
/// of its elements is not. `None` for other types.
fn admit_enum(slot: usize, ty: &Type, memory: &mut Memory) -> Option<Function> {
    let (members, is_list) = match ty {
        Type::Enum(members) => (members, false),
        Type::List(element) => match element.as_ref() {
            Type::Enum(members) => (members, true),
            _ => return None,
        },
        _ => return None,
    };
    let entries: Vec<_> =
        members.iter().map(|member| Constant::Text(member.clone().into_bytes())).collect();
    let table = memory.table(&entries) as i32;
    let count = entries.len() as i32;
    let payload = slot_offset(slot) + PAYLOAD;
    let (element, left) = (SLOTS + 1, SLOTS + 2);
    let mut function = Function::new([(2, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(SLOTS).i32_load8_u(at(slot_offset(slot)));
    code.i32_const(Tag::of(ty) as i32).i32_ne().if_(BlockType::Empty).return_().end();
    // A scalar is a list of one: its payload has the form of a list's element.
    if is_list {
        code.local_get(SLOTS).i32_load(at(payload)).local_set(element);
        code.local_get(SLOTS).i32_load(at(payload + 4)).local_set(left);
    } else {
        code.local_get(SLOTS).i32_const(payload as i32).i32_add().local_set(element);
        code.i32_const(1).local_set(left);
    }
    code.loop_(BlockType::Empty).local_get(left).if_(BlockType::Empty);
    code.local_get(element).i32_load(at(0)).local_get(element).i32_load(at(4));
    code.i32_const(table).i32_const(count).call(Helper::TextIn as u32).i32_eqz();
    code.if_(BlockType::Empty);
    code.local_get(SLOTS).i32_const(Tag::Invalid as i32).i32_store8(at(slot_offset(slot)));
    code.return_().end();
    code.local_get(element).i32_const(8).i32_add().local_set(element);
    code.local_get(left).i32_const(1).i32_sub().local_set(left);
    code.br(1).end().end().end();
    Some(function)
}

/// `(slots, count) -> verdict`: the exported decision.
fn decide(set: &PolicySet, admissions: &[u32], groups: &[u32], memory: &Memory) -> Function {
    let (count, scratch) = (SLOTS + 1, SLOTS + 2);
    let verdict = memory.verdict as i32;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    // Another number of attributes belongs to another set: trap, which every host takes for DENY.
    code.local_get(count).i32_const(set.attributes.len() as i32).i32_ne();
    code.if_(BlockType::Empty).unreachable().end();
    code.i32_const(verdict).i32_const(0).i32_store16(at(0));
    for (list, address) in VERDICT_LISTS.iter().zip(memory.lists) {
        code.i32_const(verdict).i32_const(address as i32).i32_store(at(*list));
        code.i32_const(verdict).i32_const(0).i32_store(at(*list + 4));
    }
    let default_deny = || set.modules.iter().enumerate().filter(|(_, module)| module.default_deny);
    for (module, _) in default_deny() {
        code.i32_const((memory.covered + module as u32) as i32).i32_const(0).i32_store8(at(0));
    }
    for function in admissions.iter().chain(groups) {
        code.local_get(SLOTS).call(*function);
    }
    for (module, _) in default_deny() {
        code.i32_const((memory.covered + module as u32) as i32).i32_load8_u(at(0)).i32_eqz();
        code.if_(BlockType::Empty);
        helpers::push_uncovered(&mut code, memory, module as i32, scratch);
        code.end();
    }
    code.i32_const(verdict).end();
    function
}

fn assemble(functions: Functions, decide: u32, memory: &Memory) -> Result<Vec<u8>, TooManyConstants> {
    let (constants_at, constants) = memory.constants()?;
    let mut types = TypeSection::new();
    let mut declared = FunctionSection::new();
    let mut code = CodeSection::new();
    for (index, (helper, body)) in (0..).zip(Helper::ALL.iter().zip(&functions.helpers)) {
        let (parameters, results) = helper.signature();
        types.ty().function(parameters, results);
        declared.function(index);
        code.function(body);
    }
    let first = Helper::ALL.len() as u32;
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    for (ty, body) in &functions.added {
        declared.function(first + *ty as u32);
        code.function(body);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: memory.pages(),
        maximum: Some(memory.pages()),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut globals = GlobalSection::new();
    debug_assert_eq!(ARENA_GLOBAL, globals.len());
    globals.global(
        GlobalType { val_type: ValType::I32, mutable: true, shared: false },
        &ConstExpr::i32_const(ARENA_BASE as i32),
    );
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export(DECIDE_EXPORT, ExportKind::Func, decide);
    exports.export("cabi_realloc", ExportKind::Func, Helper::Realloc as u32);
    let post_return = format!("cabi_post_{DECIDE_EXPORT}");
    exports.export(&post_return, ExportKind::Func, Helper::PostReturn as u32);
    let mut data = DataSection::new();
    if !constants.is_empty() {
        data.active(0, &ConstExpr::i32_const(constants_at as i32), constants.iter().copied());
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&declared)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&code)
        .section(&data);
    Ok(module.finish())
}
