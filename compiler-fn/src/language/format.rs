//! Syntax tree to text.
