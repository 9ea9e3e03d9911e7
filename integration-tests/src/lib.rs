#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a tool of tests: what fails must fail loudly"
)]
//! Tools of the integration tests: policy sets and requests made at random ([`generated`]), worlds whose requests can
//! all be listed ([`worlds`]), one corpus of HTTP requests for all points of enforcement ([`corpus`]), loading as enforcers
//! do ([`release`]), stores with a release ([`published`]), components that are built for the tests ([`guest`]), logs of
//! decisions ([`log`]), programs of other people to test against ([`python`], [`azure`]), an emulator of AWS Lambda's
//! execution environment ([`lambda`]), and a server for what we ask of Google Cloud Storage ([`gcs`]).

pub mod azure;
pub mod corpus;
pub mod gcs;
pub mod generated;
pub mod guest;
pub mod lambda;
pub mod log;
pub mod published;
pub mod python;
pub mod release;
pub mod worlds;
