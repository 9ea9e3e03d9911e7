//! The language's front end: text to syntax tree ([`parse`]) and back ([`format`]).

pub mod ast;
#[cfg(test)]
pub(crate) mod arbitrary;
pub mod format;
pub mod parse;
mod tokens;
