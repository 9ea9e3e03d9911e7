//! Runs a generated module, for tests and self-checks. An interpreter (wasmi) and not the enforcers' own
//! runtime: the compiler does not depend on them, and two engines agreeing is worth more than one.

use aecp_contract::{
    cost::Cost,
    request::{AttributeTable, RequestError},
    slots::{ARENA_BASE, DECIDE_EXPORT, SlotBuffer},
    verdict::Verdict,
};
use wasmi::{Config, CustomFuelCosts, Engine, Linker, Memory, Module, Store, TypedFunc};

use crate::{generate::CoreModule, set::PolicySet};

/// A generated module, ready to decide.
pub struct Interpreter {
    store: Store<()>,
    memory: Memory,
    decide: TypedFunc<(u32, u32), u32>,
    table: AttributeTable,
    slots: SlotBuffer,
    cost: Cost,
    spent: u64,
    policies: usize,
    modules: usize,
}

/// Why a module gave no verdict; a fault in the code generator unless the request itself is at fault.
#[derive(Debug, thiserror::Error)]
pub enum InterpretError {
    /// The module cannot be loaded, trapped, or took longer than its own cost says.
    #[error("the generated module fails: {0}")]
    Module(String),
    /// The request cannot be read.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl From<wasmi::Error> for InterpretError {
    fn from(error: wasmi::Error) -> Self {
        Self::Module(error.to_string())
    }
}

impl Interpreter {
    /// Loads the core module of `set`. Each decision is held to the module's cost.
    ///
    /// # Errors
    /// [`InterpretError::Module`].
    pub fn new(set: &PolicySet, core: &CoreModule) -> Result<Self, InterpretError> {
        let mut config = Config::default();
        config.consume_fuel(true);
        // wasmi's fuel is then what a `Cost` counts: translation on the first call is no part of a decision, and
        // bulk instructions count by the byte.
        config.fuel_cost(CustomFuelCosts {
            bytes_copied_per_fuel: 1,
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        });
        let engine = Engine::new(&config);
        let module = Module::new(&engine, &core.bytes)?;
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
        let memory = instance
            .get_memory(&store, "memory")
            .ok_or_else(|| InterpretError::Module("it exports no memory".to_owned()))?;
        let decide = instance.get_typed_func(&store, DECIDE_EXPORT)?;
        Ok(Self {
            store,
            memory,
            decide,
            table: AttributeTable::new(&set.attributes),
            slots: SlotBuffer::new(set.attributes.len()),
            cost: core.cost,
            spent: 0,
            policies: set.policies.len(),
            modules: set.modules.len(),
        })
    }

    /// The module's verdict on a request in JSON.
    ///
    /// # Errors
    /// [`InterpretError`].
    pub fn decide(&mut self, request: &str) -> Result<Verdict, InterpretError> {
        self.table.read_json(request.as_bytes(), &mut self.slots)?;
        let failed = |error: &dyn std::fmt::Display| InterpretError::Module(error.to_string());
        self.memory
            .write(&mut self.store, ARENA_BASE as usize, self.slots.bytes())
            .map_err(|error| failed(&error))?;
        let limit = self.cost.bound(self.slots.content().len());
        self.store.set_fuel(limit)?;
        let count = self.slots.count() as u32;
        let address = self.decide.call(&mut self.store, (ARENA_BASE, count))?;
        self.spent = limit - self.store.get_fuel()?;
        Verdict::read(self.memory.data(&self.store), address, self.policies, self.modules)
            .map_err(|error| failed(&error))
    }
    /// What the last decision cost, counted as in [`Cost`].
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent
    }
}
