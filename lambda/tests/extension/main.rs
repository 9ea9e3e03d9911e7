//! The extension as a process, between a stand-in for Lambda's API and a stand-in for a function's runtime.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: what fails must fail loudly"
)]

mod egress;
mod environment;
mod failures;
mod http_events;
mod lambda;
mod layer;
mod life;
mod other_events;
mod records;
