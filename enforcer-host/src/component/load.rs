//! From a component's file to what instances are made of.

use std::{fs, path::Path, sync::Arc, thread, time::Duration};

use wasmtime::{
    Engine,
    component::{Component, Linker},
};
use wasmtime_wasi_http::handler::ProxyPre;

use super::{instances::Guest, interfaces};

/// The most bytes of a component.
const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// How often a component is made to let go of the processor.
const TICK: Duration = Duration::from_millis(5);

/// Why a component cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its file.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Its size.
    #[error("has more than {MAX_COMPONENT_BYTES} bytes")]
    TooLarge,
    /// What it is, or what it imports.
    #[error("is no component that handles HTTP here: {0:#}")]
    Unsuitable(wasmtime::Error),
}

impl From<wasmtime::Error> for LoadError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Unsuitable(error)
    }
}

/// Translates the component and finds all that it imports.
pub(super) fn load(path: &Path) -> Result<(Engine, Arc<ProxyPre<Guest>>), LoadError> {
    if fs::metadata(path)?.len() > MAX_COMPONENT_BYTES {
        return Err(LoadError::TooLarge);
    }
    let engine = engine()?;
    let component = Component::new(&engine, fs::read(path)?)?;
    let mut linker = Linker::<Guest>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::cli::add_to_linker(&mut linker)?;
    wasmtime_wasi::p3::clocks::add_to_linker(&mut linker)?;
    wasmtime_wasi::p3::random::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    interfaces::add_to_linker(&mut linker, Guest::view)?;
    let linked = linker.instantiate_pre(&component)?;
    let handler = match wasmtime_wasi_http::p3::bindings::ServicePre::new(linked.clone()) {
        Ok(handler) => ProxyPre::P3(handler),
        Err(_) => ProxyPre::P2(wasmtime_wasi_http::p2::bindings::ProxyPre::new(linked)?),
    };
    Ok((engine, Arc::new(handler)))
}

/// The engine of components, and what counts its time.
fn engine() -> Result<Engine, LoadError> {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(None);
    let engine = Engine::new(&config)?;
    let weak = engine.weak();
    let ticker = thread::Builder::new().name("aecp-components".to_owned());
    ticker.spawn(move || {
        // Instances hold the engine too; the ticker ends with the last of them.
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    })?;
    Ok(engine)
}
