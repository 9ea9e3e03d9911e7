//! Tools of the integration tests: policy sets and requests made at random ([`generated`]).

pub mod generated;
