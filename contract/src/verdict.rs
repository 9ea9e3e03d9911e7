//! What a compiled set says of one request, and how to read it out of the module's memory.

use serde::{Deserialize, Serialize};

use crate::manifest::AuditLevel;

/// ALLOW or DENY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Decision {
    /// The request may go on.
    Allow,
    /// It may not.
    Deny,
}

impl Decision {
    /// The word of the language.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

/// The verdict of one policy set on one request. Indexes are the manifest's, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// ALLOW unless a BLOCKING policy is violated or indeterminate, or a module is uncovered.
    pub decision: Decision,
    /// The strictest AUDIT among the policies whose scope is not FALSE; REQUIRED where a module is uncovered.
    pub audit: AuditLevel,
    /// Policies whose scope is TRUE and whose constraint is FALSE.
    pub violated: Vec<u32>,
    /// Policies not violated for which `scope AND NOT constraint` is UNKNOWN.
    pub indeterminate: Vec<u32>,
    /// Modules with `DEFAULT: DENY` none of whose BLOCKING policies has a TRUE scope.
    pub uncovered: Vec<u32>,
}

/// Bytes of the record `verdict` in memory: two enums, then three lists of (address, length).
pub const VERDICT_SIZE: u32 = 28;

/// Byte offsets of the three lists in the record `verdict`: violated, indeterminate, uncovered.
pub const VERDICT_LISTS: [u32; 3] = [4, 12, 20];

/// The module's memory does not hold a verdict at the address it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy module returned no valid verdict")]
pub struct InvalidVerdict;

impl Verdict {
    /// Reads the verdict at `address` of the module's `memory`, trusting nothing in it: every index must be
    /// below `policies` or `modules` and stand once. The module lists them as it finds them; here they are
    /// put in order.
    ///
    /// # Errors
    /// [`InvalidVerdict`] for any address, case or index out of its range.
    pub fn read(
        memory: &[u8],
        address: u32,
        policies: usize,
        modules: usize,
    ) -> Result<Self, InvalidVerdict> {
        let record = span(memory, address, VERDICT_SIZE)?;
        let list = |which: usize, limit: usize| {
            let at = VERDICT_LISTS[which] as usize;
            let length = word(record, at + 4)?;
            if length as usize > limit {
                return Err(InvalidVerdict);
            }
            let mut indexes = Vec::with_capacity(length as usize);
            if length > 0 {
                for bytes in span(memory, word(record, at)?, length * 4)?.as_chunks::<4>().0 {
                    let index = u32::from_le_bytes(*bytes);
                    if index as usize >= limit {
                        return Err(InvalidVerdict);
                    }
                    indexes.push(index);
                }
                indexes.sort_unstable();
                if !indexes.is_sorted_by(|a, b| a < b) {
                    return Err(InvalidVerdict);
                }
            }
            Ok(indexes)
        };
        Ok(Self {
            decision: match record[0] {
                0 => Decision::Allow,
                1 => Decision::Deny,
                _ => return Err(InvalidVerdict),
            },
            audit: match record[1] {
                0 => AuditLevel::None,
                1 => AuditLevel::Optional,
                2 => AuditLevel::Required,
                _ => return Err(InvalidVerdict),
            },
            violated: list(0, policies)?,
            indeterminate: list(1, policies)?,
            uncovered: list(2, modules)?,
        })
    }
}

fn span(memory: &[u8], address: u32, length: u32) -> Result<&[u8], InvalidVerdict> {
    let start = address as usize;
    let end = start.checked_add(length as usize).ok_or(InvalidVerdict)?;
    memory.get(start..end).ok_or(InvalidVerdict)
}

fn word(bytes: &[u8], at: usize) -> Result<u32, InvalidVerdict> {
    let bytes = bytes.get(at..at + 4).and_then(|b| b.first_chunk()).ok_or(InvalidVerdict)?;
    Ok(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(words: [u32; 9]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_verdict_is_read_only_where_every_index_is_sound() {
        let good = memory([0x0201, 28, 2, 0, 0, 0, 0, 1, 4]);
        let verdict = Verdict::read(&good, 0, 5, 0).unwrap();
        assert_eq!(verdict.decision, Decision::Deny);
        assert_eq!(verdict.audit, AuditLevel::Required);
        assert_eq!(verdict.violated, [1, 4]);
        assert_eq!(Verdict::read(&good, 0, 4, 0), Err(InvalidVerdict), "index beyond the policies");
        assert_eq!(Verdict::read(&good, 12, 5, 0), Err(InvalidVerdict), "record beyond memory");
        assert_eq!(Verdict::read(&good, u32::MAX, 5, 0), Err(InvalidVerdict));
        let descending = memory([0x0201, 28, 2, 0, 0, 0, 0, 4, 1]);
        assert_eq!(Verdict::read(&descending, 0, 5, 0).unwrap().violated, [1, 4]);
        let twice = memory([0x0201, 28, 2, 0, 0, 0, 0, 4, 4]);
        assert_eq!(Verdict::read(&twice, 0, 5, 0), Err(InvalidVerdict));
        let no_case = memory([0x0203, 28, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Verdict::read(&no_case, 0, 5, 0), Err(InvalidVerdict));
    }
}
