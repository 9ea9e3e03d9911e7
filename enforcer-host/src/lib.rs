//! The Executive: beside a workload it verifies, loads and applies what the compiler signed, and records what
//! it decided.
//!
//! A release is taken whole or not at all: every byte of it is checked against the pinned trust root before
//! any of it is used, and what is refused leaves the last good release serving ([`refresh`]). A request is
//! decided wholly by one release, in memory ([`enforcer`]). Errors are denying values, not another road
//! ([`decided`]). An answer that the policies want recorded does not leave before its record is durable
//! ([`record`]).
//!
//! This crate refuses to parse the policy language, to decide without a verified release, to run a module
//! that imports anything, and to reach the network while it decides.

//!
//! Without the feature `host` it is what can be part of a guest as well: verification, interpreted policies, decisions and
//! what is recorded of them, with no operating system below it. With it, which is the default, it is the whole enforcer.

#[cfg(feature = "components")]
mod beside;
#[cfg(not(feature = "components"))]
#[path = "beside/without.rs"]
mod beside;
mod clock;
pub mod engine;
mod module;
pub mod policy;

mod answers;
pub mod decided;
pub mod explain;
pub mod obligations;

pub mod objects;
pub mod source;

pub mod record;

#[cfg(feature = "host")]
pub mod state;
#[cfg(feature = "host")]
pub mod store;

#[cfg(feature = "host")]
pub mod enforcer;
#[cfg(feature = "host")]
pub mod refresh;

#[cfg(feature = "components")]
pub mod component;
#[cfg(feature = "host")]
mod coverage;
#[cfg(feature = "host")]
pub mod driven;
#[cfg(feature = "host")]
pub mod metrics;
#[cfg(feature = "host")]
pub mod server;
#[cfg(feature = "host")]
pub mod sidecar;

pub use clock::now;
pub use decided::{Decided, Reason, ReleaseId};
#[cfg(feature = "host")]
pub use driven::Driven;
#[cfg(feature = "host")]
pub use enforcer::Enforcer;
pub use engine::Engine;
pub use explain::NotExplained;
pub use module::{Evaluation, Execution};
pub use objects::Objects;
pub use policy::{PolicyInstance, PolicyPre};
#[cfg(feature = "host")]
pub use sidecar::{AuditConfig, Sidecar, SidecarConfig};
pub use source::{Artifacts, ReleaseSource, VerifiedRelease};
#[cfg(feature = "host")]
pub use store::Store;
