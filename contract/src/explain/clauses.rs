//! `clauses.json`: the conditions of a set's policies, as data.

use serde::{Deserialize, Serialize};

use super::Atom;
use crate::{
    dsse::parse_json,
    manifest::Manifest,
    refusal::{Code, Refusal},
    release::MAX_ARTIFACT_BYTES,
};

/// The conditions of all policies of a set. Same sources and compiler give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clauses {
    /// The paths of the source files, in their order.
    pub files: Vec<String>,
    /// The policies, in the manifest's order.
    pub policies: Vec<PolicyClauses>,
}

/// The conditions of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyClauses {
    /// Its file, an index into [`Clauses::files`].
    pub file: u32,
    /// The line of its name, from 1.
    pub line: u32,
    /// To which requests it applies, in preorder; empty for every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<Clause>,
    /// What must hold there, in preorder.
    pub constraint: Vec<Clause>,
}

/// One node of a condition; a connective's operands follow it, each whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// AND of so many operands.
    All(u32),
    /// OR of so many operands.
    Any(u32),
    /// NOT of one operand.
    Not,
    /// A comparison.
    Atom(Atom),
}

impl Clause {
    /// How many operands follow it.
    pub(super) fn operands(&self) -> usize {
        match self {
            Self::All(count) | Self::Any(count) => *count as usize,
            Self::Not => 1,
            Self::Atom(_) => 0,
        }
    }
}

impl Clauses {
    /// The one JSON form.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "text, numbers and lists always serialise")]
        serde_json::to_vec(self).expect("clauses are plain data")
    }

    /// Reads the clauses of the set that `manifest` describes, and checks that they hold together.
    ///
    /// # Errors
    /// [`Code::TooLarge`], [`Code::Truncated`] or [`Code::Malformed`].
    pub fn from_json(json: &[u8], manifest: &Manifest) -> Result<Self, Refusal> {
        let clauses: Self = parse_json(json, MAX_ARTIFACT_BYTES as usize, "`clauses.json`")?;
        let sound = clauses.policies.len() == manifest.policies.len()
            && clauses.policies.iter().all(|policy| {
                let slots = manifest.attributes.len();
                (policy.file as usize) < clauses.files.len()
                    && (policy.scope.is_empty() || is_condition(&policy.scope, slots))
                    && is_condition(&policy.constraint, slots)
            });
        if sound {
            return Ok(clauses);
        }
        Err(Refusal::new(Code::Malformed, "`clauses.json` does not fit the release's manifest"))
    }
}

/// Whether the list is one whole condition over so many slots.
fn is_condition(clauses: &[Clause], slots: usize) -> bool {
    let mut open = 1_usize;
    for clause in clauses {
        let (Some(rest), true) = (open.checked_sub(1), is_sound(clause, slots)) else { return false };
        open = rest.saturating_add(clause.operands());
    }
    open == 0
}

fn is_sound(clause: &Clause, slots: usize) -> bool {
    match clause {
        Clause::All(count) | Clause::Any(count) => *count > 0,
        Clause::Not => true,
        Clause::Atom(atom) => atom.slots().iter().all(|slot| (*slot as usize) < slots),
    }
}
