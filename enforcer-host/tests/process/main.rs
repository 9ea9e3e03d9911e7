//! The enforcer as a process: its command line, killed, on a full disk, without its store.
//!
//! A program of its own: a process that is being started holds this program's files for a moment, and with them the locks
//! of state folders, which tests of enforcers within one program would stumble over.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic in a test's helper is a failed test"
)]

mod commands;
mod crashes;
mod faults;
#[allow(dead_code, reason = "the tests within one program use the rest of it")]
#[path = "../enforcer/fixture.rs"]
mod fixture;
