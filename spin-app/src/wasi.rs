//! What speaks with the host.

mod answers;
mod bindings;
mod guard;
mod handler;
mod host;
mod message;
mod next;
#[cfg(feature = "sealed")]
mod sealed;
mod web;

pub use handler::Component;
