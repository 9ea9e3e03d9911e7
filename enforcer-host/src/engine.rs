//! The engines that run policy modules: wasmtime's runtime for machine code out of signed releases, wasmi for
//! everything else; and the ticker that ends native decisions which run too long.
//!
//! There is no compiler here: what turns WebAssembly into machine code is the Judicial compiler alone.

#[cfg(feature = "host")]
use std::{thread, time::Duration};

/// How often the native engine's epoch grows.
#[cfg(feature = "host")]
const TICK: Duration = Duration::from_millis(10);

/// The most bytes of stack that a decision may use.
#[cfg(feature = "interpreter")]
const MAX_STACK_BYTES: usize = 256 << 10;

/// The most calls within calls in interpreted code.
#[cfg(feature = "interpreter")]
const MAX_RECURSION: usize = 256;

/// Runs policy modules; cheap to clone, one for the whole process.
#[derive(Clone)]
pub struct Engine {
    #[cfg(feature = "host")]
    native: wasmtime::Engine,
    #[cfg(feature = "interpreter")]
    interpreter: wasmi::Engine,
}

/// The engine cannot be built on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot start: {0}")]
pub struct EngineError(String);

impl Engine {
    /// The engines, with the ticker running.
    ///
    /// # Errors
    /// [`EngineError`] on a machine that wasmtime does not know, or when no thread can be started.
    pub fn new() -> Result<Self, EngineError> {
        Ok(Self {
            #[cfg(feature = "host")]
            native: native_engine()?,
            #[cfg(feature = "interpreter")]
            interpreter: wasmi::Engine::new(&interpreter_config()),
        })
    }

    #[cfg(feature = "host")]
    pub(crate) fn native(&self) -> &wasmtime::Engine {
        &self.native
    }

    #[cfg(feature = "interpreter")]
    pub(crate) fn interpreter(&self) -> &wasmi::Engine {
        &self.interpreter
    }
}

/// The native engine, with its ticker.
#[cfg(feature = "host")]
fn native_engine() -> Result<wasmtime::Engine, EngineError> {
    let native =
        wasmtime::Engine::new(&native_config()).map_err(|error| EngineError(format!("{error:#}")))?;
    let weak = native.weak();
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
    Ok(native)
}

/// What the compiler sets too (`aecp_compiler::native`); code that was made under other settings is not loaded.
#[cfg(feature = "host")]
fn native_config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(MAX_STACK_BYTES)
        // Nothing reads backtraces of policies: a trap denies, whatever its place.
        .wasm_backtrace_max_frames(None)
        // What policies and this host do not need, also if another crate's features would bring it.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

/// The same features, as far as wasmi has them; time is limited by fuel.
#[cfg(feature = "interpreter")]
fn interpreter_config() -> wasmi::Config {
    let mut config = wasmi::Config::default();
    config
        .consume_fuel(true)
        // What `aecp_contract::cost` counts: instructions, and bytes of bulk instructions.
        .fuel_cost(wasmi::CustomFuelCosts {
            bytes_copied_per_fuel: 1,
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        })
        .set_max_stack_height(MAX_STACK_BYTES)
        .set_max_recursion_depth(MAX_RECURSION)
        .ignore_custom_sections(true)
        .wasm_custom_page_sizes(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false);
    config
}
