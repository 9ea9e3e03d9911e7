//! What a policy that is a component may reach: an empty world of WASI 0.2, so that its decisions are functions of the
//! request. There is no file, variable or argument in it, the clocks stand still, random numbers are zero, and what is
//! printed goes nowhere. All else that the standard libraries of languages import for such a world is there and ends the
//! decision when it is called; what is beyond that, such as sockets, is refused.
//!
//! wasmtime-wasi is not asked: its functions wait for timers and streams, which takes time that no fuel counts.

use wasmtime::{
    Engine, StoreContextMut,
    component::{
        Component, ComponentNamedList, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource,
        types::ComponentItem,
    },
};

/// The packages whose interfaces a policy may import.
const PACKAGES: [&str; 5] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random"];

/// What a call costs, in fuel: as much as the most that one does, which is to copy [`MAX_BYTES`].
const CALL: u64 = 10_000;

/// The most bytes that a call takes or gives.
pub(super) const MAX_BYTES: usize = 64 << 10;

/// A resource of WASI: those that are given away are all the same, and of no use.
type Handle = Resource<()>;

/// An instant of `wasi:clocks/wall-clock`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "nothing fails")]
    LastOperationFailed(Handle),
    #[component(name = "closed")]
    Closed,
}

/// A linker with what the component imports; else why it may not have it.
pub(super) fn linker<T: 'static>(engine: &Engine, component: &Component) -> Result<Linker<T>, String> {
    let mut linker = Linker::new(engine);
    let failed = |error: wasmtime::Error| format!("{error:#}");
    for (name, import) in component.component_type().imports(engine) {
        let interface = name.split('@').next().unwrap_or(name);
        let package = interface.split('/').next().unwrap_or(interface);
        if !matches!(import.ty, ComponentItem::ComponentInstance(_)) || !PACKAGES.contains(&package) {
            return Err(format!("it imports `{name:.80}`, which no policy may reach"));
        }
        give(&mut linker.instance(name).map_err(failed)?, interface).map_err(failed)?;
    }
    linker.define_unknown_imports_as_traps(component).map_err(failed)?;
    Ok(linker)
}

/// What there is of an interface. The component's own types of it are checked when it is instantiated.
fn give<T: 'static>(given: &mut LinkerInstance<'_, T>, interface: &str) -> wasmtime::Result<()> {
    let zero = || Datetime { seconds: 0, nanoseconds: 0 };
    match interface {
        "wasi:cli/environment" => {
            answer(given, "get-environment", |()| Ok(Vec::<(String, String)>::new()))?;
            answer(given, "get-arguments", |()| Ok(Vec::<String>::new()))?;
            answer(given, "initial-cwd", |()| Ok(None::<String>))
        }
        "wasi:cli/stdin" => answer(given, "get-stdin", |()| Ok(Handle::new_own(0))),
        "wasi:cli/stdout" => answer(given, "get-stdout", |()| Ok(Handle::new_own(0))),
        "wasi:cli/stderr" => answer(given, "get-stderr", |()| Ok(Handle::new_own(0))),
        "wasi:cli/terminal-stdin" => answer(given, "get-terminal-stdin", |()| Ok(None::<Handle>)),
        "wasi:cli/terminal-stdout" => answer(given, "get-terminal-stdout", |()| Ok(None::<Handle>)),
        "wasi:cli/terminal-stderr" => answer(given, "get-terminal-stderr", |()| Ok(None::<Handle>)),
        "wasi:clocks/monotonic-clock" => {
            answer(given, "now", |()| Ok(0_u64))?;
            answer(given, "resolution", |()| Ok(1_u64))
        }
        "wasi:clocks/wall-clock" => {
            answer(given, "now", move |()| Ok(zero()))?;
            answer(given, "resolution", move |()| Ok(zero()))
        }
        "wasi:filesystem/preopens" => {
            answer(given, "get-directories", |()| Ok(Vec::<(Handle, String)>::new()))
        }
        "wasi:io/streams" => {
            let read = |(_, _): (Handle, u64)| Ok(Err::<Vec<u8>, _>(StreamError::Closed));
            let write = |(_, _): (Handle, Vec<u8>)| Ok(Ok::<_, StreamError>(()));
            let flush = |(_,): (Handle,)| Ok(Ok::<_, StreamError>(()));
            answer(given, "[method]input-stream.read", read)?;
            answer(given, "[method]input-stream.blocking-read", read)?;
            let room = MAX_BYTES as u64 / 2;
            answer(given, "[method]output-stream.check-write", move |(_,): (Handle,)| {
                Ok(Ok::<_, StreamError>(room))
            })?;
            answer(given, "[method]output-stream.write", write)?;
            answer(given, "[method]output-stream.blocking-write-and-flush", write)?;
            answer(given, "[method]output-stream.flush", flush)?;
            answer(given, "[method]output-stream.blocking-flush", flush)
        }
        "wasi:random/random" => {
            answer(given, "get-random-bytes", |(count,)| zeros(count))?;
            answer(given, "get-random-u64", |()| Ok(0_u64))
        }
        "wasi:random/insecure" => {
            answer(given, "get-insecure-random-bytes", |(count,)| zeros(count))?;
            answer(given, "get-insecure-random-u64", |()| Ok(0_u64))
        }
        "wasi:random/insecure-seed" => answer(given, "insecure-seed", |()| Ok((0_u64, 0_u64))),
        _ => Ok(()),
    }
}

fn zeros(count: u64) -> wasmtime::Result<Vec<u8>> {
    match usize::try_from(count) {
        Ok(count) if count <= MAX_BYTES => Ok(vec![0; count]),
        _ => Err(wasmtime::format_err!("it asks for more than {MAX_BYTES} random bytes at once")),
    }
}

/// Defines a function, whose calls take fuel: the host's work is bounded like the component's own.
fn answer<T: 'static, P, R>(
    given: &mut LinkerInstance<'_, T>,
    name: &str,
    function: impl Fn(P) -> wasmtime::Result<R> + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentType + Lower + 'static,
{
    given.func_wrap(name, move |mut store: StoreContextMut<'_, T>, parameters| {
        let left = store.get_fuel()?;
        store.set_fuel(left.saturating_sub(CALL))?;
        Ok((function(parameters)?,))
    })
}
