//! Ahead-of-time compilation: a core module becomes machine code for each target that releases carry.
//!
//! Enforcers have no compiler; they map this code (`aecp_enforcer::engine` sets what is set here, and wasmtime
//! refuses code that was made under other settings or by another version of it). A target that is named
//! explicitly gets the oldest processor of its architecture, so the code is the same whatever machine compiles
//! it, and runs on every machine of that architecture.

use std::{collections::BTreeMap, thread};

use aecp_contract::native::{TARGETS, Target};
use wasmtime::{Config, Engine, OptLevel, WasmFeatures};

/// The machine code of a core module by the name of the artifact, all targets at once.
///
/// # Errors
/// What Cranelift says, which is a fault of the generator.
pub fn compile(core: &[u8]) -> Result<BTreeMap<&'static str, Vec<u8>>, String> {
    thread::scope(|scope| {
        let compiling = TARGETS.each_ref().map(|target| scope.spawn(|| compile_for(target, core)));
        let compiled = TARGETS.iter().zip(compiling).map(|(target, thread)| {
            let code = thread.join().unwrap_or_else(|_| Err("the compiler panicked".to_owned()));
            code.map(|code| (target.artifact, code))
                .map_err(|error| format!("{}: {error}", target.triple))
        });
        compiled.collect()
    })
}

/// The machine code of a core module for one target.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(target: &Target, core: &[u8]) -> Result<Vec<u8>, String> {
    let compiled = config(target).and_then(|config| Engine::new(&config)?.precompile_module(core));
    compiled.map_err(|error| format!("{error:#}"))
}

/// What wasmtime has if another crate in the same build asks for it, and then writes into the code: enforcers that were
/// built without it would not run that.
const OPTIONAL: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::THREADS);

fn config(target: &Target) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .target(target.triple)?
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // A trap denies whatever its place, so its place need not be known.
        .generate_address_map(false)
        .native_unwind_info(false)
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_features(OPTIONAL, false);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest core module.
    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn every_target_gets_its_own_code_and_always_the_same() {
        let code = compile(EMPTY).unwrap();
        assert_eq!(code, compile(EMPTY).unwrap());
        // ELF's e_machine.
        let machine = |artifact: &str| u16::from_le_bytes([code[artifact][18], code[artifact][19]]);
        assert_eq!(machine("policy.x86_64-linux.cwasm"), 62);
        assert_eq!(machine("policy.aarch64-linux.cwasm"), 183);
        assert!(compile(b"nonsense").unwrap_err().contains("linux"));
    }
}
