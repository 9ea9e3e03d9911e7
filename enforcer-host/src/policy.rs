//! Policy modules: what is made once per release ([`PolicyPre`]) and what serves one request at a time
//! ([`PolicyInstance`]).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aecp_contract::{
    ABI_VERSION,
    cost::Cost,
    dsse::parse_json,
    manifest::{Manifest, Point},
    refusal::{Code, Refusal},
    release::MANIFEST,
    request::{AttributeTable, AuthZenRequest, RequestError},
    slots::{MAX_ATTRIBUTES, SlotBuffer},
    verdict::{Counts, Verdict},
};

use crate::{
    beside::Beside,
    clock::now,
    engine::Engine,
    explain::KeptClauses,
    module::{Evaluation, Execution, Instance, Module, invalid},
    source::VerifiedRelease,
};

/// The most bytes that `manifest.json` may have.
const MAX_MANIFEST_BYTES: usize = 64 << 20;

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

/// A loaded policy set: made once per release, shared by all workers.
pub struct PolicyPre {
    engine: Engine,
    module: Module,
    execution: Execution,
    /// Of all policies: those beside the compiled ones stand in it like them.
    manifest: Manifest,
    /// How many of each the compiled module knows.
    counts: Counts,
    /// How many attributes it reads, which come first.
    attributes: u32,
    beside: Arc<Beside>,
    table: Arc<AttributeTable>,
    /// The point of enforcement that requests are decided at, if it is known.
    point: Option<Point>,
    clauses: KeptClauses,
    /// Instances at rest. Their number is bounded by how many threads ever decided at once.
    idle: Mutex<Vec<PolicyInstance>>,
}

impl fmt::Debug for PolicyPre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyPre").field("source", &self.manifest.source).finish_non_exhaustive()
    }
}

impl PolicyPre {
    /// Loads the policy set of a release: its machine code where it has any for this machine that this host
    /// can run, else its core module, interpreted ([`Self::execution`] says which). The set decides the empty
    /// request once, so that a module which cannot decide is refused before it serves.
    ///
    /// This takes milliseconds; call it off the threads that serve requests.
    ///
    /// # Errors
    /// [`Code::UnsupportedAbi`], [`Code::TooLarge`], [`Code::Truncated`] or [`Code::Malformed`] for a manifest
    /// that cannot be read or does not hold together, and [`Code::InvalidModule`].
    #[cfg(feature = "interpreter")]
    pub fn load(engine: &Engine, release: &VerifiedRelease) -> Result<Self, Refusal> {
        let manifest = read_manifest(release.artifact(MANIFEST)?)?;
        // Every release has one: what it says must not depend on who asks.
        let core = release.artifact(aecp_contract::release::CORE_MODULE)?;
        let clauses = KeptClauses::of(release);
        let beside = Beside::load(release, &manifest)?;
        let new = |module, execution| Self::new(engine, module, execution, manifest, beside, clauses);
        let reason = match Module::native(engine, release)? {
            Ok(module) => return new(module, Execution::Native),
            Err(reason) => reason,
        };
        let module = Module::interpreted(engine, core)?;
        new(module, Execution::Interpreted(reason))
    }

    /// The policy set of a release whose policies are part of this program. Whoever put them there has checked that they
    /// are the release's.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn composed(
        engine: &Engine,
        release: &VerifiedRelease,
        evaluation: Arc<dyn Evaluation>,
    ) -> Result<Self, Refusal> {
        let manifest = read_manifest(release.artifact(MANIFEST)?)?;
        let clauses = KeptClauses::of(release);
        let beside = Beside::none(&manifest)?;
        let module = Module::Composed(evaluation);
        Self::new(engine, module, Execution::Composed, manifest, beside, clauses)
    }

    fn new(
        engine: &Engine,
        module: Module,
        execution: Execution,
        mut manifest: Manifest,
        beside: Beside,
        clauses: KeptClauses,
    ) -> Result<Self, Refusal> {
        let (counts, attributes) = (Counts::of(&manifest), manifest.attributes.len() as u32);
        beside.join(&mut manifest);
        let beside = Arc::new(beside);
        let table = Arc::new(AttributeTable::new(&manifest.attributes));
        let engine = engine.clone();
        let (point, idle) = (None, Mutex::default());
        let set = Self {
            engine,
            module,
            execution,
            manifest,
            counts,
            attributes,
            beside,
            table,
            clauses,
            point,
            idle,
        };
        set.with_instance(|instance| instance.decide(&SlotBuffer::new(set.table.len()))).map_err(
            |error| invalid(format!("the policies cannot decide the empty request: {error}")),
        )?;
        Ok(set)
    }

    /// The same policies, deciding at this point of enforcement where a request does not name one.
    #[must_use]
    pub fn at(self, point: Option<Point>) -> Self {
        Self { point, idle: Mutex::default(), ..self }
    }

    /// Whether the policies ask at which point a request is decided, while neither the host nor, perhaps, the request
    /// says it: such policies are then in doubt.
    #[must_use]
    pub fn lacks_point(&self) -> bool {
        self.table.asks_for_point() && self.point.is_none()
    }

    /// Fills in what the policies ask of a request's circumstances, as before a decision.
    pub(crate) fn fill_in(&self, slots: &mut SlotBuffer) -> Result<(), RequestError> {
        Ok(self.table.fill_in(self.point, now, slots)?)
    }

    /// How it is run.
    #[must_use]
    pub fn execution(&self) -> &Execution {
        &self.execution
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

    pub(crate) fn clauses(&self) -> &KeptClauses {
        &self.clauses
    }

    /// A fresh instance, for a worker that keeps its own.
    ///
    /// # Errors
    /// [`DecisionError`] if the module's start-up traps or memory is short.
    pub fn instantiate(&self) -> Result<PolicyInstance, DecisionError> {
        let guest = Guest {
            instance: self.module.instantiate(&self.engine)?,
            cost: self.manifest.cost,
            slots: self.table.len(),
            attributes: self.attributes,
            counts: self.counts,
            beside: Arc::clone(&self.beside),
            sound: true,
        };
        Ok(PolicyInstance {
            guest,
            slots: SlotBuffer::new(self.table.len()),
            table: Arc::clone(&self.table),
            point: self.point,
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
    point: Option<Point>,
}

impl PolicyInstance {
    /// Decides on slots that the caller filled; they must be as many as the set's attributes. Nothing is filled in:
    /// [`AttributeTable::fill_in`] is the caller's to call.
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
        self.decide_filled()
    }

    /// Decides on a request of the OpenID AuthZEN Authorization API 1.0.
    ///
    /// # Errors
    /// As [`Self::decide_json`].
    pub fn decide_authzen(&mut self, request: &AuthZenRequest<'_>) -> Result<Verdict, DecisionError> {
        self.table.read_authzen(request, &mut self.slots)?;
        self.decide_filled()
    }

    /// Decides on a request that `read` reads into the slots, which are empty at first.
    ///
    /// # Errors
    /// As [`Self::decide_json`].
    pub fn decide_read(
        &mut self,
        read: impl FnOnce(&AttributeTable, &mut SlotBuffer) -> Result<(), RequestError>,
    ) -> Result<Verdict, DecisionError> {
        self.slots.reset();
        read(&self.table, &mut self.slots)?;
        self.decide_filled()
    }

    /// What the last request had, as the policies saw it.
    pub(crate) fn slots(&self) -> &SlotBuffer {
        &self.slots
    }

    fn decide_filled(&mut self) -> Result<Verdict, DecisionError> {
        self.table.fill_in(self.point, now, &mut self.slots).map_err(RequestError::from)?;
        self.guest.decide(&self.slots)
    }
}

/// The WebAssembly side of an instance.
struct Guest {
    instance: Instance,
    /// What a decision costs at most.
    cost: Cost,
    /// How many slots requests have.
    slots: usize,
    /// How many of them, the first ones, the module reads.
    attributes: u32,
    counts: Counts,
    beside: Arc<Beside>,
    /// False from the start of a call until its verdict was read: a call that failed leaves it false.
    sound: bool,
}

impl Guest {
    fn decide(&mut self, slots: &SlotBuffer) -> Result<Verdict, DecisionError> {
        let trap = |what: &str| DecisionError::Trap(what.to_owned());
        if slots.count() != self.slots {
            return Err(trap("the slots are not this set's"));
        }
        if !self.sound {
            return Err(trap("this instance failed before"));
        }
        self.sound = false;
        let limit = self.cost.bound(slots.content().len());
        let verdict = self.instance.decide(slots, self.attributes, limit, self.counts)?;
        self.sound = true;
        self.beside.decide(slots, verdict)
    }
}

/// Reads `manifest.json` and checks that it holds together.
fn read_manifest(bytes: &[u8]) -> Result<Manifest, Refusal> {
    let manifest: Manifest = parse_json(bytes, MAX_MANIFEST_BYTES, "`manifest.json`")?;
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
    let policies = manifest.policies.len();
    if manifest.obligations.iter().any(|obligation| obligation.policy as usize >= policies) {
        return malformed("an obligation of the manifest names a policy that is not there");
    }
    Ok(manifest)
}
