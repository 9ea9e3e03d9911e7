//! Code generation: a checked set becomes one core WebAssembly module, and the same module as a component.
//!
//! The module imports nothing, has a fixed memory, and decides in one call (layout and convention:
//! `aecp_contract::slots` and `verdict`). Conditions are lowered to slots and constants (`lower`) and folded
//! (`fold`, `values`); attributes become small integers (`numbers`, `texts`, `intervals`); dear atoms are worked
//! out once (`shared`); an index chooses the policies to look at (`plan`, `index`); each policy is a function of its own that returns its outcome (`conditions`), which is
//! noted into the verdict in place. Nothing grows with a request. The bytes depend on the set alone: no clock,
//! no hash map, no path.

mod code;
mod component;
mod conditions;
mod cost;
mod fold;
mod helpers;
mod index;
mod intervals;
mod lower;
mod memory;
mod numbers;
mod plan;
mod shared;
#[cfg(test)]
mod tests;
mod texts;
mod values;

use aecp_contract::{
    cost::Cost,
    slots::{ARENA_BASE, DECIDE_EXPORT, PAYLOAD, Tag},
    value::Type,
    verdict::VERDICT_LISTS,
};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

use self::{
    code::{Code, SLOTS},
    conditions::table_size,
    cost::{Body, Counter, Hint, Passes, Size},
    helpers::{ARENA_GLOBAL, Helper, STAMP_GLOBAL, at, slot_offset},
    index::Index,
    lower::{Constant, Expr, Lower},
    memory::Memory,
    numbers::Numbers,
    plan::{Indexed, Node},
    shared::Shared,
};
pub use self::{component::component, cost::Unbounded, memory::TooManyConstants};
use crate::set::PolicySet;

/// A generated core module.
#[derive(Debug, Clone)]
pub struct CoreModule {
    /// The module in binary form.
    pub bytes: Vec<u8>,
    /// What a decision costs at most.
    pub cost: Cost,
}

/// Why no module could be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// The set's literals do not fit a module.
    #[error(transparent)]
    TooManyConstants(#[from] TooManyConstants),
    /// A fault of the generator.
    #[error(transparent)]
    Unbounded(#[from] Unbounded),
}

/// The core module of a set.
///
/// # Errors
/// [`GenerateError`].
pub fn core_module(set: &PolicySet) -> Result<CoreModule, GenerateError> {
    let Planned { numbers, policies, plan } = planned(set);
    let by_policy = policies.iter().map(|policy| policy.scope.iter().chain([&policy.failed]).collect());
    let shared = Shared::choose(&numbers, by_policy, Helper::ALL.len() as u32);
    let mut memory = Memory::new(set.counts(), numbers.len(), shared.atoms());
    let mut functions = Functions::new(&memory);
    for body in shared.bodies(&numbers, &mut memory) {
        functions.add(TypeIndex::Truth, body);
    }
    let mut index = Index::new(set, &policies, &numbers, &shared, &mut memory, &mut functions);
    let root = index.emit(&plan);
    let table = index.table();
    let mut checks = Vec::new();
    for (slot, attribute) in set.attributes.iter().enumerate() {
        if let Some(body) = admit_enum_list(slot, &attribute.ty, &mut memory) {
            checks.push(functions.add(TypeIndex::Check, body));
        }
    }
    checks.push(root);
    let decide = decide(set, &checks, &memory);
    let decide = functions.add(TypeIndex::Decide, decide);
    let cost = functions.cost(decide)?;
    Ok(CoreModule { bytes: assemble(functions, decide, &table, &memory)?, cost })
}

/// What a set's policies were made into before code is generated.
struct Planned {
    numbers: Numbers,
    policies: Vec<Indexed>,
    plan: Node,
}

fn planned(set: &PolicySet) -> Planned {
    let lower = Lower { set };
    let folded = |condition, negated| fold::fold(lower.condition(condition, negated), &set.attributes);
    let rules = set.policies.iter().map(|policy| {
        let scope = policy.scope.as_ref().map(|condition| folded(condition, false));
        (plan::conjuncts(scope), folded(&policy.constraint, true))
    });
    let rules: Vec<(Vec<Expr>, Expr)> = rules.collect();
    let asked: Vec<_> = rules.iter().map(|(scope, _)| numbers::asked(set, scope)).collect();
    let all = rules.iter().flat_map(|(scope, failed)| scope.iter().chain([failed]));
    let mut numbers = Numbers::choose(set, all, &asked);
    let indexed = rules
        .into_iter()
        .zip(asked)
        .map(|((scope, failed), asked)| Indexed::new(scope, failed, asked, &numbers));
    let policies: Vec<_> = indexed.collect();
    let plan = plan::plan(&policies);
    numbers.keep_ordered(&plan.slots());
    Planned { numbers, policies, plan }
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

impl TypeIndex {
    /// The type's number in the module.
    fn index(self) -> u32 {
        Helper::ALL.len() as u32 + self as u32
    }
}

/// The module's functions: the helpers, then what was added, in order.
struct Functions {
    helpers: Vec<Body>,
    added: Vec<(TypeIndex, Body)>,
    nothing: Option<u32>,
}

impl Functions {
    fn new(memory: &Memory) -> Self {
        let helpers = Helper::ALL.iter().map(|helper| helper.body(memory)).collect();
        Self { helpers, added: Vec::new(), nothing: None }
    }

    fn next(&self) -> u32 {
        (self.helpers.len() + self.added.len()) as u32
    }

    /// A function `(slots)` that does nothing.
    fn nothing(&mut self) -> u32 {
        if let Some(function) = self.nothing {
            return function;
        }
        let function = self.add(TypeIndex::Check, Code::new(SLOTS + 1).function());
        self.nothing = Some(function);
        function
    }

    fn add(&mut self, ty: TypeIndex, body: Body) -> u32 {
        self.added.push((ty, body));
        self.next() - 1
    }

    /// What a decision that function `decide` makes costs at most.
    fn cost(&self, decide: u32) -> Result<Cost, Unbounded> {
        let mut counter = Counter::new(self.helpers.len());
        self.helpers.iter().try_for_each(|body| counter.add(body))?;
        self.added.iter().try_for_each(|(_, body)| counter.add(body))?;
        Ok(counter.decision(decide))
    }
}

/// `(slots)`: makes a LIST<ENUM> attribute unusable if one of its elements is none of the ENUM's members.
/// (That of a single ENUM is seen when its text is looked up.) `None` for other types.
fn admit_enum_list(slot: usize, ty: &Type, memory: &mut Memory) -> Option<Body> {
    let Type::List(element) = ty else { return None };
    let Type::Enum(members) = element.as_ref() else { return None };
    let entries: Vec<_> =
        members.iter().map(|member| Constant::Text(member.clone().into_bytes())).collect();
    let table = memory.table(&entries) as i32;
    let count = entries.len() as i32;
    let payload = slot_offset(slot) + PAYLOAD;
    let (element, left) = (SLOTS + 1, SLOTS + 2);
    let (bytes, tail) = table_size(&entries);
    let mut function = Function::new([(2, ValType::I32)]);
    let mut code = function.instructions();
    code.local_get(SLOTS).i32_load8_u(at(slot_offset(slot)));
    code.i32_const(Tag::of(ty) as i32).i32_ne().if_(BlockType::Empty).return_().end();
    code.local_get(SLOTS).i32_load(at(payload)).local_set(element);
    code.local_get(SLOTS).i32_load(at(payload + 4)).local_set(left);
    code.loop_(BlockType::Empty).local_get(left).if_(BlockType::Empty);
    code.local_get(element).i32_load(at(0)).local_get(element).i32_load(at(4));
    code.i32_const(table).i32_const(count).call(Helper::TextIn as u32).i32_eqz();
    code.if_(BlockType::Empty);
    code.local_get(SLOTS).i32_const(Tag::Invalid as i32).i32_store8(at(slot_offset(slot)));
    code.return_().end();
    code.local_get(element).i32_const(8).i32_add().local_set(element);
    code.local_get(left).i32_const(1).i32_sub().local_set(left);
    code.br(1).end().end().end();
    let hints = vec![Hint::Passes(Passes::Every(8)), Hint::Call(bytes, tail)];
    Some(Body::new(function, hints))
}

/// `(slots, count) -> verdict`: the exported decision.
fn decide(set: &PolicySet, checks: &[u32], memory: &Memory) -> Body {
    let (count, scratch) = (SLOTS + 1, SLOTS + 2);
    let verdict = memory.verdict as i32;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    // Another number of attributes belongs to another set: trap, which every host takes for DENY.
    code.local_get(count).i32_const(set.attributes.len() as i32).i32_ne();
    code.if_(BlockType::Empty).unreachable().end();
    // The next stamp. When stamps run out, the cells are wiped and counting starts again at 1; a shared atom's
    // cell has 30 bits for it.
    code.global_get(STAMP_GLOBAL).i32_const(1).i32_add().global_set(STAMP_GLOBAL);
    code.global_get(STAMP_GLOBAL).i32_const(1 << 30).i32_eq().if_(BlockType::Empty);
    let (cells, length) = memory.cells();
    code.i32_const(cells as i32).i32_const(0).i32_const(length as i32).memory_fill(0);
    code.i32_const(1).global_set(STAMP_GLOBAL).end();
    code.i32_const(verdict).i32_const(0).i32_store16(at(0));
    for (list, address) in VERDICT_LISTS.iter().zip(memory.lists) {
        code.i32_const(verdict).i32_const(address as i32).i32_store(at(*list));
        code.i32_const(verdict).i32_const(0).i32_store(at(*list + 4));
    }
    let default_deny = || set.modules.iter().enumerate().filter(|(_, module)| module.default_deny);
    for (module, _) in default_deny() {
        code.i32_const((memory.covered + module as u32) as i32).i32_const(0).i32_store8(at(0));
    }
    for function in checks {
        code.local_get(SLOTS).call(*function);
    }
    for (module, _) in default_deny() {
        code.i32_const((memory.covered + module as u32) as i32).i32_load8_u(at(0)).i32_eqz();
        code.if_(BlockType::Empty);
        helpers::push_uncovered(&mut code, memory, module as i32, scratch);
        code.end();
    }
    code.i32_const(verdict).end();
    Body::new(function, vec![Hint::Bulk(Size::constant(length.into()))])
}

fn assemble(
    functions: Functions,
    decide: u32,
    table: &[u32],
    memory: &Memory,
) -> Result<Vec<u8>, TooManyConstants> {
    let (constants_at, constants) = memory.constants()?;
    let mut types = TypeSection::new();
    let mut declared = FunctionSection::new();
    let mut code = CodeSection::new();
    for (index, (helper, body)) in (0..).zip(Helper::ALL.iter().zip(&functions.helpers)) {
        let (parameters, results) = helper.signature();
        types.ty().function(parameters, results);
        declared.function(index);
        code.raw(&body.code);
    }
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32, ValType::I32], [ValType::I32]);
    for (ty, body) in &functions.added {
        declared.function(ty.index());
        code.raw(&body.code);
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
    debug_assert_eq!(STAMP_GLOBAL, globals.len());
    globals.global(
        GlobalType { val_type: ValType::I32, mutable: true, shared: false },
        &ConstExpr::i32_const(0),
    );
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: table.len() as u64,
        maximum: Some(table.len() as u64),
        shared: false,
    });
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(table.into()));
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
        .section(&tables)
        .section(&memories)
        .section(&globals)
        .section(&exports)
        .section(&elements)
        .section(&code)
        .section(&data);
    Ok(module.finish())
}
