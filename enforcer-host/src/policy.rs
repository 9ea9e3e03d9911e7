//! Policy modules: what is made once per release ([`PolicyPre`]) and what serves one request at a time
//! ([`PolicyInstance`]).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aecp_contract::{
    ABI_VERSION,
    dsse::parse_json,
    manifest::Manifest,
    refusal::{Code, Refusal},
    request::{AttributeTable, AuthZenRequest, RequestError},
    slots::{ARENA_BASE, ARENA_SIZE, DECIDE_EXPORT, MAX_ATTRIBUTES, SlotBuffer},
    verdict::Verdict,
};
use wasmtime::{ExternType, Memory, Module, Store, Trap, TypedFunc};

use crate::engine::{Engine, HostState, MAX_MEMORY_BYTES, limited_store, restart_clock};

/// The most bytes that `manifest.json` may have.
const MAX_MANIFEST_BYTES: usize = 64 << 20;

/// The memory that the core module exports.
const MEMORY_EXPORT: &str = "memory";

/// Why a module gave no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// The request cannot be read, or its attributes do not fit.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The module ran longer than a decision may take.
    #[error("the policy module ran too long")]
    Timeout,
    /// The module trapped, or returned what is no verdict.
    #[error("the policy module failed: {0}")]
    Trap(String),
}

/// A compiled policy set: made once per release, shared by all workers.
pub struct PolicyPre {
    engine: Engine,
    module: Module,
    manifest: Manifest,
    table: Arc<AttributeTable>,
    /// Instances at rest. Their number is bounded by how many threads ever decided at once.
    idle: Mutex<Vec<PolicyInstance>>,
}

impl fmt::Debug for PolicyPre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyPre").field("source", &self.manifest.source).finish_non_exhaustive()
    }
}

impl PolicyPre {
    /// Checks and compiles a core module, and has it decide the empty request once, so that a module which
    /// cannot decide is refused before it serves.
    ///
    /// This takes milliseconds to seconds; call it off the threads that serve requests.
    ///
    /// # Errors
    /// [`Code::UnsupportedAbi`], [`Code::TooLarge`], [`Code::Malformed`] for a manifest that does not hold
    /// together, and [`Code::InvalidModule`].
    pub fn new(engine: &Engine, core: &[u8], manifest: Manifest) -> Result<Self, Refusal> {
        check_manifest(&manifest)?;
        let module = Module::from_binary(engine.wasmtime(), core)
            .map_err(|error| invalid(format!("the module does not compile: {error:#}")))?;
        check_module(&module)?;
        let table = Arc::new(AttributeTable::new(&manifest.attributes));
        let set = Self { engine: engine.clone(), module, manifest, table, idle: Mutex::default() };
        set.with_instance(|instance| instance.decide(&SlotBuffer::new(set.table.len())))
            .map_err(|error| invalid(format!("the module cannot decide the empty request: {error}")))?;
        Ok(set)
    }

    /// The same from the bytes of `manifest.json`.
    ///
    /// # Errors
    /// As [`Self::new`], and [`Code::Truncated`].
    pub fn from_artifacts(engine: &Engine, core: &[u8], manifest: &[u8]) -> Result<Self, Refusal> {
        Self::new(engine, core, parse_json(manifest, MAX_MANIFEST_BYTES, "`manifest.json`")?)
    }

    /// What the set says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The attributes that the set looks at.
    #[must_use]
    pub fn attributes(&self) -> &AttributeTable {
        &self.table
    }

    /// A fresh instance, for a worker that keeps its own.
    ///
    /// # Errors
    /// [`DecisionError`] if the module's start-up traps or memory is short.
    pub fn instantiate(&self) -> Result<PolicyInstance, DecisionError> {
        let mut store = limited_store(&self.engine);
        restart_clock(&mut store);
        let instance = wasmtime::Instance::new(&mut store, &self.module, &[]).map_err(failure)?;
        let memory = instance
            .get_memory(&mut store, MEMORY_EXPORT)
            .ok_or_else(|| DecisionError::Trap("no memory".to_owned()))?;
        let decide = instance.get_typed_func(&mut store, DECIDE_EXPORT).map_err(failure)?;
        let guest = Guest {
            store,
            memory,
            decide,
            attributes: self.manifest.attributes.len(),
            policies: self.manifest.policies.len(),
            modules: self.manifest.modules.len(),
            sound: true,
        };
        Ok(PolicyInstance {
            guest,
            slots: SlotBuffer::new(self.table.len()),
            table: Arc::clone(&self.table),
        })
    }

    /// Runs `work` with an instance that nobody else uses meanwhile. It is kept for the next caller unless it
    /// failed.
    ///
    /// # Errors
    /// Those of `work` and of [`Self::instantiate`].
    pub fn with_instance<R>(
        &self,
        work: impl FnOnce(&mut PolicyInstance) -> Result<R, DecisionError>,
    ) -> Result<R, DecisionError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.instantiate()?,
        };
        let result = work(&mut instance);
        if instance.guest.sound {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
        result
    }
}

/// One instance of a policy module, with the slots that requests are read into. It keeps no state from one
/// decision to the next.
pub struct PolicyInstance {
    guest: Guest,
    slots: SlotBuffer,
    table: Arc<AttributeTable>,
}

impl PolicyInstance {
    /// Decides on slots that the caller filled; they must be as many as the set's attributes.
    ///
    /// # Errors
    /// [`DecisionError::Timeout`] or [`DecisionError::Trap`]; the instance must not be used again then, and
    /// answers [`DecisionError::Trap`] if it is.
    pub fn decide(&mut self, slots: &SlotBuffer) -> Result<Verdict, DecisionError> {
        self.guest.decide(slots)
    }

    /// Decides on a request in the plain form: one JSON object of attributes.
    ///
    /// # Errors
    /// As [`Self::decide`], and [`DecisionError::Request`], after which the instance is still good.
    pub fn decide_json(&mut self, json: &[u8]) -> Result<Verdict, DecisionError> {
        self.table.read_json(json, &mut self.slots)?;
        self.guest.decide(&self.slots)
    }

    /// Decides on a request of the OpenID AuthZEN Authorization API 1.0.
    ///
    /// # Errors
    /// As [`Self::decide_json`].
    pub fn decide_authzen(&mut self, request: &AuthZenRequest<'_>) -> Result<Verdict, DecisionError> {
        self.table.read_authzen(request, &mut self.slots)?;
        self.guest.decide(&self.slots)
    }
}

/// The WebAssembly side of an instance.
struct Guest {
    store: Store<HostState>,
    memory: Memory,
    decide: TypedFunc<(u32, u32), u32>,
    attributes: usize,
    policies: usize,
    modules: usize,
    /// False from the start of a call until its verdict was read: a call that failed leaves it false.
    sound: bool,
}

impl Guest {
    fn decide(&mut self, slots: &SlotBuffer) -> Result<Verdict, DecisionError> {
        let trap = |what: &str| DecisionError::Trap(what.to_owned());
        if slots.count() != self.attributes {
            return Err(trap("the slots are not this set's"));
        }
        if !self.sound {
            return Err(trap("this instance failed before"));
        }
        self.sound = false;
        let image = slots.bytes();
        let base = ARENA_BASE as usize;
        self.memory
            .data_mut(&mut self.store)
            .get_mut(base..base + image.len())
            .ok_or_else(|| trap("its memory is smaller than the arena"))?
            .copy_from_slice(image);
        restart_clock(&mut self.store);
        let address =
            self.decide.call(&mut self.store, (ARENA_BASE, slots.count() as u32)).map_err(failure)?;
        let memory = self.memory.data(&self.store);
        let verdict = Verdict::read(memory, address, self.policies, self.modules)
            .map_err(|error| DecisionError::Trap(error.to_string()))?;
        self.sound = true;
        Ok(verdict)
    }
}

fn failure(error: wasmtime::Error) -> DecisionError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => DecisionError::Timeout,
        Some(trap) => DecisionError::Trap(trap.to_string()),
        None => DecisionError::Trap(format!("{error:#}")),
    }
}

fn invalid(detail: String) -> Refusal {
    Refusal::new(Code::InvalidModule, detail)
}

fn check_manifest(manifest: &Manifest) -> Result<(), Refusal> {
    let malformed = |detail: &str| Err(Refusal::new(Code::Malformed, detail));
    if manifest.abi != ABI_VERSION {
        let detail =
            format!("the module speaks ABI {}, this host ABI {ABI_VERSION}; update one", manifest.abi);
        return Err(Refusal::new(Code::UnsupportedAbi, detail));
    }
    if manifest.attributes.len() > MAX_ATTRIBUTES {
        let detail = format!("the set reads more than {MAX_ATTRIBUTES} attributes");
        return Err(Refusal::new(Code::TooLarge, detail));
    }
    // Strictly ascending is sorted and unique: verdicts list policies in this order.
    if !manifest.attributes.is_sorted_by(|a, b| a.path < b.path) {
        return malformed("the manifest's attributes are not in order, or one stands twice");
    }
    if !manifest.policies.is_sorted_by(|a, b| a.name < b.name) {
        return malformed("the manifest's policies are not in order, or one stands twice");
    }
    if manifest.policies.iter().any(|policy| policy.module as usize >= manifest.modules.len()) {
        return malformed("a policy of the manifest names a module that is not there");
    }
    Ok(())
}

fn check_module(module: &Module) -> Result<(), Refusal> {
    if let Some(import) = module.imports().next() {
        let name = format!("{:.80}.{:.80}", import.module(), import.name());
        return Err(invalid(format!("the module imports `{name}`; policies import nothing")));
    }
    let Some(ExternType::Memory(memory)) = module.get_export(MEMORY_EXPORT) else {
        return Err(invalid(format!("the module exports no memory `{MEMORY_EXPORT}`")));
    };
    if memory.maximum() != Some(memory.minimum()) {
        return Err(invalid("the module's memory can grow; it must be fixed".to_owned()));
    }
    let bytes = memory.minimum().saturating_mul(memory.page_size());
    if bytes < u64::from(ARENA_BASE + ARENA_SIZE) || bytes > MAX_MEMORY_BYTES as u64 {
        let range = format!("{} to {MAX_MEMORY_BYTES}", ARENA_BASE + ARENA_SIZE);
        return Err(invalid(format!("the module's memory has {bytes} bytes, not {range}")));
    }
    let Some(ExternType::Func(decide)) = module.get_export(DECIDE_EXPORT) else {
        return Err(invalid(format!("the module exports no function `{DECIDE_EXPORT}`")));
    };
    let two_in = decide.params().len() == 2 && decide.params().all(|ty| ty.is_i32());
    let one_out = decide.results().len() == 1 && decide.results().all(|ty| ty.is_i32());
    if !(two_in && one_out) {
        return Err(invalid(format!("`{DECIDE_EXPORT}` is {decide}, not (i32, i32) -> i32")));
    }
    Ok(())
}
