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

pub mod engine;
mod module;
pub mod policy;

pub mod decided;
pub mod explain;

pub mod source;
pub mod state;
pub mod store;

pub mod enforcer;
pub mod refresh;

pub mod record;

pub mod driven;
pub mod metrics;
pub mod server;
pub mod sidecar;

mod clock;
mod coverage;

pub use clock::now;
pub use decided::{Decided, Reason, ReleaseId};
pub use driven::Driven;
pub use enforcer::Enforcer;
pub use engine::Engine;
pub use explain::NotExplained;
pub use module::Execution;
pub use policy::{PolicyInstance, PolicyPre};
pub use sidecar::{AuditConfig, Sidecar, SidecarConfig};
pub use source::{Artifacts, ReleaseSource, VerifiedRelease};
pub use store::Store;
