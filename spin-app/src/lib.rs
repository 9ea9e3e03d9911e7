//! Policies at the edge: a WASI 0.3 component that decides on HTTP requests before an upstream, or the application behind
//! it, sees them, and on what they answer.
//!
//! `aecp-enforcer` verifies, decides and records what is decided; here is what stands around it in a place without a disk,
//! without threads and with instances that come and go: [`release`] keeps the release fresh, [`record`] writes decisions
//! down, [`wasi`] speaks with the host. Nothing but an [`aecp_enforcer::record::Answer`] opens the way on.

#![cfg_attr(feature = "middleware", expect(dead_code, reason = "middleware has no upstream"))]

mod audit;
mod base;
mod forward;
mod key_value;
mod log;
mod problem;
mod record;
mod release;
mod request;
mod response;
mod settings;
mod ship;
mod token;
mod wasi;

pub use wasi::Component;
