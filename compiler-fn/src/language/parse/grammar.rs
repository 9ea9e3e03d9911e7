//! The parser that pest makes of `aecp.pest`, and how a piece of a file is given to it.

/// The grammar of `aecp.pest`.
#[derive(pest_derive::Parser)]
#[grammar = "language/aecp.pest"]
pub(crate) struct Grammar;
