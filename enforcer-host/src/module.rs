//! A policy module in one of two engines: as machine code out of a signed release, or interpreted.
//!
//! Both give the same decisions (the differential tests hold them together); only the speed differs, so which
//! one runs is shown ([`Execution`]) and never chosen by a request.

#[cfg(feature = "interpreter")]
mod interpreted;
#[cfg(feature = "host")]
mod native;
#[cfg(feature = "interpreter")]
mod shape;

use std::sync::Arc;

use aecp_contract::{
    refusal::{Code, Refusal},
    slots::SlotBuffer,
    verdict::{Counts, Verdict},
};

#[cfg(feature = "interpreter")]
use crate::source::VerifiedRelease;
use crate::{engine::Engine, policy::DecisionError};

/// How a policy set is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// As the machine code of its release.
    Native,
    /// By the interpreter, some ten times slower, for this reason.
    Interpreted(String),
    /// By whoever composed it with this program ([`Evaluation`]).
    Composed,
}

impl Execution {
    /// `native`, `interpreted` or `composed`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Interpreted(_) => "interpreted",
            Self::Composed => "composed",
        }
    }
}

/// Policies that are part of the same program: those that a component was composed with, behind `aecp:policy/evaluation`.
pub trait Evaluation: Send + Sync {
    /// Decides on attributes, as many as the set has. What it gives is checked.
    ///
    /// # Errors
    /// [`DecisionError::Trap`].
    fn decide(&self, attributes: &SlotBuffer) -> Result<Verdict, DecisionError>;
}

/// A loaded module, shared by its instances.
pub(crate) enum Module {
    #[cfg(feature = "host")]
    Native(wasmtime::Module),
    #[cfg(feature = "interpreter")]
    Interpreted(wasmi::Module),
    Composed(Arc<dyn Evaluation>),
}

/// One instance: memory and the function that decides.
pub(crate) enum Instance {
    #[cfg(feature = "host")]
    Native(native::Instance),
    #[cfg(feature = "interpreter")]
    Interpreted(Box<interpreted::Instance>),
    Composed(Arc<dyn Evaluation>),
}

impl Module {
    /// The interpreted form of a core module.
    #[cfg(feature = "interpreter")]
    pub(crate) fn interpreted(engine: &Engine, core: &[u8]) -> Result<Self, Refusal> {
        let module = interpreted::load(engine.interpreter(), core)?;
        interpreted::shape(&module).check()?;
        Ok(Self::Interpreted(module))
    }

    /// The machine code that a trusted key signed for this machine.
    ///
    /// # Errors
    /// Outside: the refusal of code that is not of a policy module's shape. Inside: why there is none, or why this
    /// host cannot run it; then the module is interpreted.
    #[cfg(feature = "host")]
    pub(crate) fn native(
        engine: &Engine,
        release: &VerifiedRelease,
    ) -> Result<Result<Self, String>, Refusal> {
        let code = release.code_for_this_machine();
        match code.and_then(|code| native::load(engine.native(), &code)) {
            Ok(module) => {
                native::shape(&module).check()?;
                Ok(Ok(Self::Native(module)))
            }
            Err(reason) => Ok(Err(reason)),
        }
    }

    /// A guest can map no code.
    #[cfg(all(feature = "interpreter", not(feature = "host")))]
    pub(crate) fn native(_: &Engine, _: &VerifiedRelease) -> Result<Result<Self, String>, Refusal> {
        Ok(Err("this host cannot map machine code".to_owned()))
    }

    #[cfg_attr(
        not(feature = "interpreter"),
        expect(unused_variables, reason = "what is composed has neither")
    )]
    pub(crate) fn instantiate(&self, engine: &Engine) -> Result<Instance, DecisionError> {
        match self {
            #[cfg(feature = "host")]
            Self::Native(module) => native::Instance::new(engine.native(), module).map(Instance::Native),
            #[cfg(feature = "interpreter")]
            Self::Interpreted(module) => interpreted::Instance::new(engine.interpreter(), module)
                .map(|instance| Instance::Interpreted(Box::new(instance))),
            Self::Composed(evaluation) => Ok(Instance::Composed(Arc::clone(evaluation))),
        }
    }
}

impl Instance {
    /// Decides on the first `count` slots, within `limit` instructions.
    #[cfg_attr(
        not(feature = "interpreter"),
        expect(unused_variables, reason = "what is composed has neither")
    )]
    pub(crate) fn decide(
        &mut self,
        slots: &SlotBuffer,
        count: u32,
        limit: u64,
        counts: Counts,
    ) -> Result<Verdict, DecisionError> {
        let verdict = match self {
            #[cfg(feature = "host")]
            Self::Native(instance) => {
                let address = instance.decide(slots, count, limit)?;
                Verdict::read(instance.memory(), address, counts)
            }
            #[cfg(feature = "interpreter")]
            Self::Interpreted(instance) => {
                let address = instance.decide(slots, count, limit)?;
                Verdict::read(instance.memory(), address, counts)
            }
            Self::Composed(evaluation) => evaluation.decide(slots)?.checked(counts),
        };
        verdict.map_err(|error| DecisionError::Trap(error.to_string()))
    }
}

pub(crate) fn invalid(detail: String) -> Refusal {
    Refusal::new(Code::InvalidModule, detail)
}
