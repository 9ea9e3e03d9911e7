//! The record of decisions: what a policy wants recorded is on disk before its answer leaves.

mod answer;
mod attributes;
mod block;
#[cfg(feature = "host")]
mod cosign;
#[cfg(feature = "host")]
mod identity;
pub mod openings;
#[cfg(feature = "host")]
mod recorder;
#[cfg(feature = "host")]
mod ship;
#[cfg(feature = "host")]
mod spool;
#[cfg(feature = "host")]
mod writer;

pub use answer::{Answer, Denial, Entry, Permit, RequestContext};
pub use attributes::{AttributeRules, Attributes, NotAPath, PathPattern};
pub use block::Block;
#[cfg(feature = "host")]
pub use cosign::WitnessError;
#[cfg(feature = "host")]
pub use identity::{LogIdentity, open_key};
#[cfg(feature = "host")]
pub use recorder::{Pending, Recorder, Recording};
#[cfg(feature = "host")]
pub use ship::{ShipError, Shipper, Shipping};
#[cfg(feature = "host")]
pub use spool::LogError;
