//! All that crosses between AECP's three powers, and nothing else.
//!
//! The compiler writes these types, the enforcers read them, and neither knows the other:
//! the WIT world and its memory layout ([`slots`], [`verdict`]), attribute values ([`value`]) and how a
//! request's JSON becomes them ([`request`]), what a compiled set says of itself ([`manifest`]) and of its
//! [`cost`], how it is signed ([`dsse`], [`release`], [`trust`]), stored ([`layout`]) and remembered
//! ([`legislation`]), why a request was decided as it
//! was ([`explain`]), and the transparency logs of what was decided ([`tlog`], [`audit`]).
//!
//! This crate does no I/O, reads no clock and knows no sibling; it builds for wasm32 and native alike.

pub mod audit;
pub mod cost;
pub mod digest;
pub mod dsse;
pub mod explain;
pub mod layout;
pub mod legislation;
pub mod manifest;
pub mod native;
pub mod refusal;
pub mod release;
pub mod report;
pub mod request;
pub mod slots;
pub mod tlog;
pub mod trust;
pub mod value;
pub mod verdict;

/// The WIT package that a compiled policy set implements (`aecp:policy`).
pub const POLICY_WIT: &str = include_str!("../wit/policy.wit");

/// The WIT package of a release that is sealed into a component (`aecp:sealed`).
pub const SEALED_WIT: &str = include_str!("../wit/sealed.wit");

/// The version of the core module's calling convention ([`slots`], [`verdict`]); a host refuses another one.
pub const ABI_VERSION: u32 = 2;
