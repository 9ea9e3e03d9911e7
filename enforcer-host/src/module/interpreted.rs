//! Core modules by the interpreter wasmi: for machines that the release has no code for, and for code that
//! this host's wasmtime does not take.

use aecp_contract::{
    refusal::Refusal,
    slots::{ARENA_BASE, DECIDE_EXPORT, SlotBuffer},
};
use wasmi::{
    Engine, ExternType, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TrapCode,
    TypedFunc,
};

use super::{
    invalid,
    shape::{MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS, MEMORY_EXPORT, Shape, fill_arena},
};
use crate::policy::DecisionError;

/// Bytes of a page of memory.
const PAGE: u64 = 64 << 10;

/// The most fuel for one decision, whatever its module says that it costs: about 100 ms of running.
const MAX_FUEL: u64 = 50_000_000;

pub(super) fn load(engine: &Engine, core: &[u8]) -> Result<Module, Refusal> {
    Module::new(engine, core).map_err(|error| invalid(format!("the module is not valid: {error}")))
}

pub(super) fn shape(module: &Module) -> Shape {
    let memory = match module.get_export(MEMORY_EXPORT) {
        Some(ExternType::Memory(memory)) => {
            let bytes = memory.minimum().saturating_mul(PAGE);
            Some((bytes, memory.maximum() != Some(memory.minimum())))
        }
        _ => None,
    };
    let types = |types: &[wasmi::ValType]| {
        types.iter().map(|ty| format!("{ty:?}").to_lowercase()).collect::<Vec<_>>()
    };
    let decide = match module.get_export(DECIDE_EXPORT) {
        Some(ExternType::Func(decide)) => Some((types(decide.params()), types(decide.results()))),
        _ => None,
    };
    let import = module.imports().next();
    let import = import.map(|import| (import.module().to_owned(), import.name().to_owned()));
    Shape { import, memory, decide }
}

/// One instance.
pub(crate) struct Instance {
    store: Store<StoreLimits>,
    memory: Memory,
    decide: TypedFunc<(u32, u32), u32>,
}

impl Instance {
    pub(super) fn new(engine: &Engine, module: &Module) -> Result<Self, DecisionError> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MAX_MEMORY_BYTES)
            .memories(1)
            .tables(1)
            .table_elements(MAX_TABLE_ELEMENTS)
            .instances(1)
            .build();
        let mut store = Store::new(engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(MAX_FUEL).map_err(|error| failure(&error))?;
        let instance = Linker::new(engine)
            .instantiate_and_start(&mut store, module)
            .map_err(|error| failure(&error))?;
        let memory = instance
            .get_memory(&store, MEMORY_EXPORT)
            .ok_or_else(|| DecisionError::Trap("no memory".to_owned()))?;
        let decide = instance.get_typed_func(&store, DECIDE_EXPORT).map_err(|error| failure(&error))?;
        Ok(Self { store, memory, decide })
    }

    /// Decides on the first `count` slots, within `limit` instructions; where in its memory the verdict is.
    pub(super) fn decide(
        &mut self,
        slots: &SlotBuffer,
        count: u32,
        limit: u64,
    ) -> Result<u32, DecisionError> {
        fill_arena(self.memory.data_mut(&mut self.store), slots.bytes())?;
        self.store.set_fuel(limit.min(MAX_FUEL)).map_err(|error| failure(&error))?;
        self.decide.call(&mut self.store, (ARENA_BASE, count)).map_err(|error| failure(&error))
    }

    pub(super) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }
}

fn failure(error: &wasmi::Error) -> DecisionError {
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => DecisionError::Timeout,
        _ => DecisionError::Trap(error.to_string()),
    }
}
