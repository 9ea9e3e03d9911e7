//! The parser that pest makes of `aecp.pest`, and how a piece of a file is given to it.

#![expect(unreachable_pub, missing_docs, reason = "pest makes public items, without documentation of each rule")]

/// The grammar of `aecp.pest`.
#[derive(pest_derive::Parser)]
#[grammar = "language/aecp.pest"]
pub(crate) struct Grammar;
