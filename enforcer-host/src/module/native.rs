//! Machine code that the compiler made with wasmtime's Cranelift, mapped by wasmtime's runtime.

use aecp_contract::slots::{ARENA_BASE, DECIDE_EXPORT, SlotBuffer};
use wasmtime::{
    Engine, ExternType, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, Trap, TypedFunc,
};

use super::shape::{MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS, MEMORY_EXPORT, Shape, fill_arena};
use crate::{policy::DecisionError, source::SignedCode};

/// A call that was seen running at this many ticks of the engine is ended whatever its limit: after about 100 ms.
const MAX_TICKS: u32 = 10;

/// Ticks that every call has. Decisions take microseconds; the first one of a large set on a busy machine, with
/// all of its code still to be mapped, takes some of these.
const MIN_TICKS: u32 = 4;

/// Instructions that take less than a tick of 10 ms on any machine: 50 million a second. Counting them as they
/// run would cost every decision; a limit that is this coarse costs none.
const PER_TICK: u64 = 500_000;

/// Maps the code; the reason if it was made by another wasmtime, for another processor or other settings.
pub(super) fn load(engine: &Engine, code: &SignedCode<'_>) -> Result<Module, String> {
    // SAFETY: `deserialize` asks for bytes that wasmtime itself made. `SignedCode` exists only for bytes that
    // lie in this process' own memory and whose digest stands in a release that the trust root's judicial keys
    // signed, so they are what our compiler's wasmtime made, unless its key was stolen (SECURITY.md). Code of
    // another version, processor or configuration is told by wasmtime and is an error here.
    #[allow(unsafe_code, reason = "the one place where machine code is loaded (ARCHITECTURE.md)")]
    let module = unsafe { Module::deserialize(engine, code.bytes()) };
    module.map_err(|error| format!("{error:#}"))
}

pub(super) fn shape(module: &Module) -> Shape {
    let memory = match module.get_export(MEMORY_EXPORT) {
        Some(ExternType::Memory(memory)) => {
            let bytes = memory.minimum().saturating_mul(memory.page_size());
            Some((bytes, memory.maximum() != Some(memory.minimum())))
        }
        _ => None,
    };
    let decide = match module.get_export(DECIDE_EXPORT) {
        Some(ExternType::Func(decide)) => Some((
            decide.params().map(|ty| ty.to_string()).collect(),
            decide.results().map(|ty| ty.to_string()).collect(),
        )),
        _ => None,
    };
    let import = module.imports().next();
    let import = import.map(|import| (import.module().to_owned(), import.name().to_owned()));
    Shape { import, memory, decide }
}

/// One instance.
pub(crate) struct Instance {
    store: Store<HostState>,
    memory: Memory,
    decide: TypedFunc<(u32, u32), u32>,
}

/// What the host keeps for one instance.
struct HostState {
    limits: StoreLimits,
    /// Ticks that are left to the call.
    ticks: u32,
}

impl Instance {
    pub(super) fn new(engine: &Engine, module: &Module) -> Result<Self, DecisionError> {
        let mut store = limited_store(engine);
        restart_clock(&mut store, MAX_TICKS);
        let instance = wasmtime::Instance::new(&mut store, module, &[]).map_err(failure)?;
        let memory = instance
            .get_memory(&mut store, MEMORY_EXPORT)
            .ok_or_else(|| DecisionError::Trap("no memory".to_owned()))?;
        let decide = instance.get_typed_func(&mut store, DECIDE_EXPORT).map_err(failure)?;
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
        restart_clock(&mut self.store, ticks(limit));
        self.decide.call(&mut self.store, (ARENA_BASE, count)).map_err(failure)
    }

    pub(super) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }
}

/// A store for one instance, with limits on memory and time.
fn limited_store(engine: &Engine) -> Store<HostState> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(MAX_MEMORY_BYTES)
        .memories(1)
        .tables(1)
        .table_elements(MAX_TABLE_ELEMENTS)
        .instances(1)
        .build();
    let mut store = Store::new(engine, HostState { limits, ticks: 0 });
    store.limiter(|state| &mut state.limits);
    // Counting the ticks at which the call was seen running, instead of one deadline on the wall clock, keeps
    // a thread that the kernel put aside for a while from being taken for one that loops.
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        state.ticks = state.ticks.saturating_sub(1);
        Ok(if state.ticks == 0 {
            wasmtime::UpdateDeadline::Interrupt
        } else {
            wasmtime::UpdateDeadline::Continue(1)
        })
    });
    store
}

/// How many ticks a call of at most so many instructions has.
fn ticks(limit: u64) -> u32 {
    let ticks = u32::try_from(limit / PER_TICK).unwrap_or(MAX_TICKS);
    ticks.saturating_add(MIN_TICKS).min(MAX_TICKS)
}

/// Gives the next call this much time.
fn restart_clock(store: &mut Store<HostState>, ticks: u32) {
    store.data_mut().ticks = ticks;
    store.set_epoch_deadline(1);
}

fn failure(error: wasmtime::Error) -> DecisionError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => DecisionError::Timeout,
        Some(trap) => DecisionError::Trap(trap.to_string()),
        None => DecisionError::Trap(format!("{error:#}")),
    }
}
