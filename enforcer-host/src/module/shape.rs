//! What every policy module looks like, whichever engine runs it, and how large it may be.

use aecp_contract::{
    refusal::Refusal,
    slots::{ARENA_BASE, ARENA_SIZE, DECIDE_EXPORT},
};

use super::invalid;
use crate::policy::DecisionError;

/// The most bytes that a policy module's memory may have.
pub(super) const MAX_MEMORY_BYTES: usize = 64 << 20;

/// The most entries that a policy module's table may have.
pub(super) const MAX_TABLE_ELEMENTS: usize = 100_000;

/// The memory that the core module exports.
pub(super) const MEMORY_EXPORT: &str = "memory";

/// Copies the slots' image to its place in a module's memory.
pub(super) fn fill_arena(memory: &mut [u8], image: &[u8]) -> Result<(), DecisionError> {
    let base = ARENA_BASE as usize;
    memory
        .get_mut(base..base + image.len())
        .ok_or_else(|| DecisionError::Trap("its memory is smaller than the arena".to_owned()))?
        .copy_from_slice(image);
    Ok(())
}

/// What a module shows to its host, whichever engine loaded it.
pub(super) struct Shape {
    /// One of its imports, if it has any.
    pub(super) import: Option<(String, String)>,
    /// The exported memory: bytes at the start, and whether it can grow.
    pub(super) memory: Option<(u64, bool)>,
    /// The exported function's parameters and results.
    pub(super) decide: Option<(Vec<String>, Vec<String>)>,
}

impl Shape {
    /// Refuses what is not a policy module.
    pub(super) fn check(self) -> Result<(), Refusal> {
        if let Some((module, name)) = self.import {
            let name = format!("{module:.80}.{name:.80}");
            return Err(invalid(format!("the module imports `{name}`; policies import nothing")));
        }
        let Some((bytes, grows)) = self.memory else {
            return Err(invalid(format!("the module exports no memory `{MEMORY_EXPORT}`")));
        };
        if grows {
            return Err(invalid("the module's memory can grow; it must be fixed".to_owned()));
        }
        if bytes < u64::from(ARENA_BASE + ARENA_SIZE) || bytes > MAX_MEMORY_BYTES as u64 {
            let range = format!("{} to {MAX_MEMORY_BYTES}", ARENA_BASE + ARENA_SIZE);
            return Err(invalid(format!("the module's memory has {bytes} bytes, not {range}")));
        }
        let Some((parameters, results)) = self.decide else {
            return Err(invalid(format!("the module exports no function `{DECIDE_EXPORT}`")));
        };
        if parameters != ["i32", "i32"] || results != ["i32"] {
            let (parameters, results) = (parameters.join(", "), results.join(", "));
            let detail =
                format!("`{DECIDE_EXPORT}` is ({parameters}) -> ({results}), not (i32, i32) -> i32");
            return Err(invalid(detail));
        }
        Ok(())
    }
}
