//! The enforcer over real parts: signed releases in a local folder, WebAssembly, HTTP, processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic in a test's helper is a failed test"
)]

mod bombs;
mod crashes;
mod explain;
mod faults;
mod fixture;
mod hostile;
mod http;
mod load;
mod modules;
mod process;
mod releases;
