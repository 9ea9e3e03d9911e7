//! The language's front end: text to syntax tree ([`parse`]) and back ([`format`]).

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod ast;
pub mod format;
pub mod parse;
pub(crate) mod tokens;
