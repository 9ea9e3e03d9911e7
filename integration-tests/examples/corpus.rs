//! Writes the policies of the corpus, to try or to measure with:
//!
//! ```text
//! cargo run -p aecp-integration-tests --example corpus > set/set.aecp
//! ```

fn main() {
    print!("{}", aecp_integration_tests::corpus::set());
}
