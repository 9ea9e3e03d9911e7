#![expect(clippy::expect_used, clippy::panic, reason = "a tool of tests: what fails must fail loudly")]
//! Tools of the integration tests: policy sets and requests made at random ([`generated`]), worlds whose requests can
//! all be listed ([`worlds`]), and programs of other people to test against ([`python`]).

pub mod generated;
pub mod python;
pub mod worlds;
