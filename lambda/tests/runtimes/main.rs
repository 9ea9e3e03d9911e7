//! The extension between real, unmodified runtimes and an emulator of Lambda: AWS's runtimes for Python, Node and Rust, taken
//! through the layer's own scripts, with events as AWS sends them.
//!
//! The functions in Rust are the examples of this package (`cargo build -p aecp-lambda --examples`, which `cargo test` does
//! when it is not told to make one test alone). `AECP_EXTENSION` names another binary of the extension to test, such as one
//! for another architecture.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: what fails must fail loudly"
)]

mod corpus;
mod crashes;
mod deploy;
mod events;
mod freezing;
mod function;
mod misfortunes;
mod samples;
