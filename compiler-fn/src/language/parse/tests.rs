//! What the language page says parses to its tree; what is broken is reported at its place; nothing panics.

mod errors;
mod robust;
mod trees;
