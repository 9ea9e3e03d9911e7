//! Runs a generated module, for tests and self-checks. An interpreter (wasmi) and not the enforcers' own
//! runtime: the compiler does not depend on them, and two engines agreeing is worth more than one.

use std::sync::Arc;

use aecp_contract::{
    cost::Cost,
    request::{AttributeTable, RequestError},
    slots::{ARENA_BASE, DECIDE_EXPORT, SlotBuffer},
    value::{Attribute, Type, Value},
    verdict::{Counts, Verdict},
};
use wasmi::{Config, CustomFuelCosts, Engine, Linker, Memory, Module, Store, TypedFunc};

use crate::{generate::CoreModule, set::PolicySet};

/// A generated module, loaded once for any number of interpreters.
pub struct Loaded {
    engine: Engine,
    module: Module,
    table: Arc<AttributeTable>,
    cost: Cost,
}

/// A generated module, ready to decide.
pub struct Interpreter {
    store: Store<()>,
    memory: Memory,
    decide: TypedFunc<(u32, u32), u32>,
    table: Arc<AttributeTable>,
    slots: SlotBuffer,
    cost: Cost,
    spent: u64,
    counts: Counts,
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

impl Loaded {
    /// Loads the core module of `set`.
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
        let table = Arc::new(AttributeTable::new(&set.attributes));
        Ok(Self { engine, module, table, cost: core.cost })
    }

    /// A fresh instance, which has decided nothing yet. Each decision is held to the module's cost.
    ///
    /// # Errors
    /// [`InterpretError::Module`].
    pub fn interpreter(&self, set: &PolicySet) -> Result<Interpreter, InterpretError> {
        let mut store = Store::new(&self.engine, ());
        let instance = Linker::new(&self.engine).instantiate_and_start(&mut store, &self.module)?;
        let memory = instance
            .get_memory(&store, "memory")
            .ok_or_else(|| InterpretError::Module("it exports no memory".to_owned()))?;
        let decide = instance.get_typed_func(&store, DECIDE_EXPORT)?;
        Ok(Interpreter {
            store,
            memory,
            decide,
            table: Arc::clone(&self.table),
            slots: SlotBuffer::new(set.attributes.len()),
            cost: self.cost,
            spent: 0,
            counts: set.counts(),
        })
    }
}

impl Interpreter {
    /// Loads the core module of `set`.
    ///
    /// # Errors
    /// [`InterpretError::Module`].
    pub fn new(set: &PolicySet, core: &CoreModule) -> Result<Self, InterpretError> {
        Loaded::new(set, core)?.interpreter(set)
    }

    /// The module's verdict on a request in JSON.
    ///
    /// # Errors
    /// [`InterpretError`].
    pub fn decide(&mut self, request: &str) -> Result<Verdict, InterpretError> {
        self.table.read_json(request.as_bytes(), &mut self.slots)?;
        self.run()
    }

    /// The module's verdict on these attributes, by their slots and types; all others are missing.
    ///
    /// # Errors
    /// [`InterpretError`].
    pub(crate) fn decide_attributes<'a>(
        &mut self,
        attributes: impl Iterator<Item = (usize, &'a Type, &'a Attribute)>,
    ) -> Result<Verdict, InterpretError> {
        self.slots.reset();
        for (slot, ty, attribute) in attributes {
            match (ty, attribute) {
                (Type::List(element), Attribute::Present(Value::List(values))) if values.is_empty() => {
                    self.slots.set_empty_list(slot, element);
                }
                _ => {
                    self.slots.set(slot, attribute).map_err(RequestError::from)?;
                }
            }
        }
        self.run()
    }

    fn run(&mut self) -> Result<Verdict, InterpretError> {
        let failed = |error: &dyn std::fmt::Display| InterpretError::Module(error.to_string());
        self.memory
            .write(&mut self.store, ARENA_BASE as usize, self.slots.bytes())
            .map_err(|error| failed(&error))?;
        let limit = self.cost.bound(self.slots.content().len());
        self.store.set_fuel(limit)?;
        let count = self.slots.count() as u32;
        let address = self.decide.call(&mut self.store, (ARENA_BASE, count))?;
        self.spent = limit - self.store.get_fuel()?;
        Verdict::read(self.memory.data(&self.store), address, self.counts)
            .map_err(|error| failed(&error))
    }

    /// What the last decision cost, counted as in [`Cost`].
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent
    }
}
