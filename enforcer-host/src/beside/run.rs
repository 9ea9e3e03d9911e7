//! One policy that is a component: translated once per release, and a new instance for every decision, so that nothing of
//! one request is there at the next.

use aecp_contract::{
    manifest::{ComponentPolicy, MAX_COMPONENT_BYTES},
    refusal::{Code, Refusal},
    slots::SlotBuffer,
    value::Type,
    verdict::{Counts, Decision, Verdict},
};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder, Trap, component};

use super::{
    Outcome, reach,
    values::{self, bindings},
};
use crate::{module::invalid, policy::DecisionError};

/// The most fuel for one decision, about an instruction each: some 100 ms of running.
const MAX_FUEL: u64 = 50_000_000;

/// The most bytes that each memory of a component may have.
const MAX_MEMORY_BYTES: usize = 16 << 20;

/// The most memories.
const MAX_MEMORIES: usize = 2;

/// The most tables and core instances that a component may have: compilers make one module of it, and tools for
/// components a few around it.
const MAX_PARTS: usize = 16;

/// The most entries of a table.
const MAX_TABLE_ELEMENTS: usize = 10_000;

/// Of a component that is one policy.
const ONE: Counts = Counts { policies: 1, modules: 0, obligations: 0 };

/// Translates and runs components, so that one decides alike on every machine, however busy it is: by fuel in place of
/// time, and without instructions whose results processors choose.
///
/// # Errors
/// [`Code::InvalidModule`] on a machine that wasmtime does not know.
pub(super) fn engine() -> Result<Engine, Refusal> {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        // Nothing reads backtraces of policies: a trap denies, whatever its place.
        .wasm_backtrace_max_frames(None)
        .concurrency_support(false);
    Engine::new(&config).map_err(|error| invalid(format!("components cannot be run: {error:#}")))
}

/// What instances are made of.
pub(super) struct Component {
    policy: bindings::PolicyPre<StoreLimits>,
    /// The slot and type of each attribute that it is given.
    attributes: Vec<(usize, Type)>,
}

impl Component {
    /// Translates it, and gives it all that it may import.
    ///
    /// # Errors
    /// [`Code::TooLarge`]; [`Code::InvalidModule`] for what is no component of the world or imports what it may not.
    pub(super) fn load(
        engine: &Engine,
        policy: &ComponentPolicy,
        bytes: &[u8],
        attributes: Vec<(usize, Type)>,
    ) -> Result<Self, Refusal> {
        let name = &policy.name;
        if bytes.len() > MAX_COMPONENT_BYTES {
            let detail = format!("component `{name}` has more than {MAX_COMPONENT_BYTES} bytes");
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        let refused = |why: String| invalid(format!("component `{name}` is no policy: {why}"));
        let failed = |error: wasmtime::Error| refused(format!("{error:#}"));
        let component = component::Component::from_binary(engine, bytes).map_err(failed)?;
        let linker = reach::linker(engine, &component).map_err(refused)?;
        let linked = linker.instantiate_pre(&component).map_err(failed)?;
        let policy = bindings::PolicyPre::new(linked).map_err(failed)?;
        Ok(Self { policy, attributes })
    }

    /// Decides with a new instance.
    pub(super) fn decide(&self, slots: &SlotBuffer) -> Result<Outcome, DecisionError> {
        let given: Vec<_> =
            self.attributes.iter().map(|(slot, ty)| values::given(slots.get(*slot, ty), ty)).collect();
        let verdict = self.run(&given).map_err(|error| match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => DecisionError::Timeout,
            Some(trap) => DecisionError::Trap(trap.to_string()),
            None => DecisionError::Trap(format!("{error:#}")),
        })?;
        let verdict = values::verdict(verdict).checked(ONE);
        verdict.map(|verdict| outcome(&verdict)).map_err(|error| DecisionError::Trap(error.to_string()))
    }

    fn run(&self, given: &[values::Value]) -> wasmtime::Result<values::Verdict> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(MAX_MEMORY_BYTES)
            .memories(MAX_MEMORIES)
            .tables(MAX_PARTS)
            .table_elements(MAX_TABLE_ELEMENTS)
            .instances(MAX_PARTS);
        let mut store = Store::new(self.policy.engine(), limits.build());
        store.limiter(|limits| limits);
        store.set_fuel(MAX_FUEL)?;
        store.set_hostcall_fuel(reach::MAX_BYTES);
        let instance = self.policy.instantiate(&mut store)?;
        instance.aecp_policy_evaluation().call_decide(&mut store, given)
    }
}

/// What the one policy says: whatever speaks against the request counts.
fn outcome(verdict: &Verdict) -> Outcome {
    let Verdict { decision, violated, indeterminate, .. } = verdict;
    if !violated.is_empty() || (*decision == Decision::Deny && indeterminate.is_empty()) {
        Outcome::Violated
    } else if indeterminate.is_empty() {
        Outcome::Satisfied
    } else {
        Outcome::Indeterminate
    }
}
