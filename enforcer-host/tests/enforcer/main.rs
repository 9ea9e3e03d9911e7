//! The enforcer over real parts: signed releases in a local folder, WebAssembly, HTTP, processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic in a test's helper is a failed test"
)]

mod bombs;
mod explain;
mod fixture;
mod hostile;
mod http;
mod load;
mod modules;
mod releases;
