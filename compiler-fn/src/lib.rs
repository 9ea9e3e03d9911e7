//! The Judicial compiler: policies that people can read become tested, signed WebAssembly.
//!
//! A pure library with the I/O at its edge: reading sources ([`source`]) and writing releases. It reads no
//! clock, and no hash map decides an order, so that the same sources give the same bytes everywhere. It never
//! enforces anything; the enforcers live elsewhere and share only `aecp-contract` with it.

pub mod accept;
pub mod analyse;
pub mod check;
pub mod compile;
pub mod compliance;
pub mod diff;
pub mod editor;
pub mod explain;
pub mod findings;
pub mod generate;
pub mod hosted;
pub mod interpret;
pub mod keys;
pub mod language;
pub mod lifecycle;
pub mod local;
pub mod native;
mod parallel;
pub mod publish;
mod ranges;
pub mod reference;
pub mod self_check;
pub mod set;
pub mod source;
pub mod testing;
pub mod upload;
