//! The WebAssembly engine, its limits, and the ticker that ends decisions which run too long.

use std::{thread, time::Duration};

use wasmtime::{Config, OptLevel, StoreLimits, StoreLimitsBuilder};

/// How often the engine's epoch grows.
const TICK: Duration = Duration::from_millis(10);

/// A call that was seen running at this many ticks is ended: after about 100 ms of running. Decisions take
/// microseconds; the first one of a large set on a busy machine, with all of its code still to be mapped, takes
/// some of these.
const MAX_TICKS: u32 = 10;

/// The most bytes that a policy module's memory may have.
pub const MAX_MEMORY_BYTES: usize = 64 << 20;

/// The most bytes of stack that a decision may use.
const MAX_STACK_BYTES: usize = 256 << 10;

/// The most entries that a policy module's table may have.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Compiles and runs policy modules; cheap to clone, one for the whole process.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
}

/// The engine cannot be built on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot start: {0}")]
pub struct EngineError(String);

impl Engine {
    /// An engine for this machine's CPU, with its ticker running.
    ///
    /// # Errors
    /// [`EngineError`] on a CPU that Cranelift does not know, or when no thread can be started.
    pub fn new() -> Result<Self, EngineError> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .max_wasm_stack(MAX_STACK_BYTES)
            // Nothing reads backtraces of policies: a trap denies, whatever its place.
            .wasm_backtrace_max_frames(None)
            .generate_address_map(false)
            // What policies and this host do not need, also if another crate's features would bring it.
            .concurrency_support(false)
            .wasm_memory64(false)
            .wasm_multi_memory(false)
            .wasm_relaxed_simd(false)
            .wasm_tail_call(false);
        let inner = wasmtime::Engine::new(&config).map_err(|error| EngineError(format!("{error:#}")))?;
        let weak = inner.weak();
        thread::Builder::new()
            .name("aecp-epoch".to_owned())
            .spawn(move || {
                // Modules and instances hold the engine too; the ticker ends with the last of them.
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    thread::sleep(TICK);
                }
            })
            .map_err(|error| EngineError(error.to_string()))?;
        Ok(Self { inner })
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }
}

/// What the host keeps for one instance.
pub(crate) struct HostState {
    limits: StoreLimits,
    ticks: u32,
}

/// A store for one instance, with limits on memory and time.
pub(crate) fn limited_store(engine: &Engine) -> wasmtime::Store<HostState> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(MAX_MEMORY_BYTES)
        .memories(1)
        .tables(1)
        .table_elements(MAX_TABLE_ELEMENTS)
        .instances(1)
        .build();
    let mut store = wasmtime::Store::new(&engine.inner, HostState { limits, ticks: 0 });
    store.limiter(|state| &mut state.limits);
    // Counting the ticks at which the call was seen running, instead of one deadline on the wall clock, keeps
    // a thread that the kernel put aside for a while from being taken for one that loops.
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        state.ticks += 1;
        Ok(if state.ticks >= MAX_TICKS {
            wasmtime::UpdateDeadline::Interrupt
        } else {
            wasmtime::UpdateDeadline::Continue(1)
        })
    });
    store
}

/// Gives the next call its full time.
pub(crate) fn restart_clock(store: &mut wasmtime::Store<HostState>) {
    store.data_mut().ticks = 0;
    store.set_epoch_deadline(1);
}
