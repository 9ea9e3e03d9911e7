//! What a compiled set says of one request, and how to read it out of the module's memory.

use serde::{Deserialize, Serialize};

use crate::manifest::{AuditLevel, Enforcement, Manifest};

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
    /// Obligations of policies whose scope is not FALSE: where it is in doubt whether they apply, they do.
    pub obligations: Vec<u32>,
}

/// Bytes of the record `verdict` in memory: two enums, then four lists of (address, length).
pub const VERDICT_SIZE: u32 = 36;

/// Byte offsets of the four lists in the record `verdict`: violated, indeterminate, uncovered, obligations.
pub const VERDICT_LISTS: [u32; 4] = [4, 12, 20, 28];

/// How many of each a set has: what the indexes of its verdicts must be below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Policies.
    pub policies: usize,
    /// Modules.
    pub modules: usize,
    /// Obligations.
    pub obligations: usize,
}

impl Counts {
    /// Those of a manifest.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let Manifest { policies, modules, obligations, .. } = manifest;
        Self { policies: policies.len(), modules: modules.len(), obligations: obligations.len() }
    }
}

/// The module's memory does not hold a verdict at the address it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy module returned no valid verdict")]
pub struct InvalidVerdict;

impl Verdict {
    /// The verdict, put in order, if every index is below its count and stands once: for verdicts that were not read out of a
    /// module's memory.
    ///
    /// # Errors
    /// [`InvalidVerdict`].
    pub fn checked(
        mut self,
        Counts { policies, modules, obligations }: Counts,
    ) -> Result<Self, InvalidVerdict> {
        let lists = [
            (&mut self.violated, policies),
            (&mut self.indeterminate, policies),
            (&mut self.uncovered, modules),
            (&mut self.obligations, obligations),
        ];
        for (list, count) in lists {
            list.sort_unstable();
            if !list.is_sorted_by(|a, b| a < b)
                || list.last().is_some_and(|last| *last as usize >= count)
            {
                return Err(InvalidVerdict);
            }
        }
        Ok(self)
    }

    /// Reads the verdict at `address` of the module's `memory`, trusting nothing in it: every index must be
    /// below its count and stand once. The module lists them as it finds them; here they are
    /// put in order.
    ///
    /// # Errors
    /// [`InvalidVerdict`] for any address, case or index out of its range.
    pub fn read(
        memory: &[u8],
        address: u32,
        Counts { policies, modules, obligations }: Counts,
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
            obligations: list(3, obligations)?,
        })
    }

    /// The verdict where valid break-glass tokens are there for the policies `granted`, and which of these were needed.
    ///
    /// A denial is lifted if every BLOCKING policy that is violated or indeterminate has an EXCEPTION and is granted, and
    /// no module is uncovered. It is then an ALLOW that must be recorded. Nothing is struck from the lists: the policies
    /// were not satisfied.
    #[must_use]
    pub fn excepted(&self, manifest: &Manifest, granted: &[u32]) -> (Self, Vec<u32>) {
        let policy = |index: &u32| manifest.policies.get(*index as usize);
        let blocks = |index: &&u32| {
            policy(index).is_none_or(|policy| policy.enforcement == Enforcement::Blocking)
        };
        let lifted = |index: &u32| {
            granted.contains(index) && policy(index).is_some_and(|policy| policy.break_glass)
        };
        let mut against: Vec<u32> =
            self.violated.iter().chain(&self.indeterminate).filter(blocks).copied().collect();
        against.sort_unstable();
        let all = !against.is_empty() && self.uncovered.is_empty() && against.iter().all(lifted);
        if self.decision == Decision::Allow || !all {
            return (self.clone(), Vec::new());
        }
        let verdict = Self { decision: Decision::Allow, audit: AuditLevel::Required, ..self.clone() };
        (verdict, against)
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
    use crate::{
        cost::Cost,
        digest::Digest,
        manifest::{ModuleInfo, PolicyInfo, SelfCheckSummary, TestSummary},
    };

    fn memory(words: [u32; 11]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn counts(policies: usize, obligations: usize) -> Counts {
        Counts { policies, modules: 0, obligations }
    }

    #[test]
    fn a_verdict_is_read_only_where_every_index_is_sound() {
        let good = memory([0x0201, 36, 2, 0, 0, 0, 0, 0, 0, 1, 4]);
        let verdict = Verdict::read(&good, 0, counts(5, 0)).unwrap();
        assert_eq!(verdict.decision, Decision::Deny);
        assert_eq!(verdict.audit, AuditLevel::Required);
        assert_eq!(verdict.violated, [1, 4]);
        assert_eq!(Verdict::read(&good, 0, counts(4, 0)), Err(InvalidVerdict), "index beyond");
        assert_eq!(Verdict::read(&good, 12, counts(5, 0)), Err(InvalidVerdict), "record beyond memory");
        assert_eq!(Verdict::read(&good, u32::MAX, counts(5, 0)), Err(InvalidVerdict));
        let descending = memory([0x0201, 36, 2, 0, 0, 0, 0, 0, 0, 4, 1]);
        assert_eq!(Verdict::read(&descending, 0, counts(5, 0)).unwrap().violated, [1, 4]);
        let twice = memory([0x0201, 36, 2, 0, 0, 0, 0, 0, 0, 4, 4]);
        assert_eq!(Verdict::read(&twice, 0, counts(5, 0)), Err(InvalidVerdict));
        let no_case = memory([0x0203, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Verdict::read(&no_case, 0, counts(5, 0)), Err(InvalidVerdict));
        let obliged = memory([0x0200, 0, 0, 0, 0, 0, 0, 36, 2, 1, 0]);
        assert_eq!(Verdict::read(&obliged, 0, counts(0, 2)).unwrap().obligations, [0, 1]);
        assert_eq!(Verdict::read(&obliged, 0, counts(0, 1)), Err(InvalidVerdict));
    }

    /// The definition in the language's own words, against every verdict over three policies.
    #[test]
    fn a_denial_is_lifted_only_where_every_policy_behind_it_is_granted() {
        let policy = |name: &str, enforcement, break_glass| PolicyInfo {
            name: name.to_owned(),
            module: 0,
            enforcement,
            audit: AuditLevel::Optional,
            description: None,
            version: None,
            author: None,
            justification: None,
            compliance: Vec::new(),
            break_glass,
            at: Vec::new(),
            effective_from: None,
            effective_until: None,
        };
        let manifest = Manifest {
            abi: 0,
            compiler: String::new(),
            source: Digest::of(b""),
            attributes: Vec::new(),
            modules: vec![ModuleInfo { name: "m".into(), default_deny: true }],
            policies: vec![
                policy("a", Enforcement::Blocking, true),
                policy("b", Enforcement::Blocking, false),
                policy("c", Enforcement::Advisory, true),
            ],
            obligations: Vec::new(),
            proofs: Vec::new(),
            cost: Cost::default(),
            tests: TestSummary::default(),
            self_check: SelfCheckSummary::default(),
            states: crate::legislation::States::new(),
            components: Vec::new(),
        };
        let listed = |bits: u32| (0..3).filter(|index| bits >> index & 1 == 1).collect::<Vec<u32>>();
        for bits in 0..1 << 10 {
            let violated = listed(bits);
            let indeterminate: Vec<u32> =
                listed(bits >> 3).into_iter().filter(|index| !violated.contains(index)).collect();
            let granted = listed(bits >> 6);
            let uncovered = if bits >> 9 == 1 { vec![0] } else { Vec::new() };
            let against = |index: u32| violated.contains(&index) || indeterminate.contains(&index);
            let deny = against(0) || against(1) || !uncovered.is_empty();
            let verdict = Verdict {
                decision: if deny { Decision::Deny } else { Decision::Allow },
                audit: AuditLevel::Optional,
                violated: violated.clone(),
                indeterminate: indeterminate.clone(),
                uncovered: uncovered.clone(),
                obligations: Vec::new(),
            };
            let (after, needed) = verdict.excepted(&manifest, &granted);
            let lifted = against(0) && !against(1) && uncovered.is_empty() && granted.contains(&0);
            let expected = if deny && !lifted { Decision::Deny } else { Decision::Allow };
            assert_eq!(after.decision, expected, "{verdict:?} {granted:?}");
            assert_eq!(needed, if lifted { vec![0] } else { Vec::new() });
            assert_eq!(after.audit == AuditLevel::Required, lifted);
            assert_eq!((after.violated, after.indeterminate), (violated, indeterminate));
        }
    }
}
