//! What is told of one request.

use serde::{Deserialize, Serialize};

use super::{Clause, Clauses, Outcome, PolicyClauses, PolicyTruths, Truth, shown};
use crate::{
    manifest::{Enforcement, Manifest},
    slots::SlotBuffer,
    value::{Attribute, Value},
    verdict::{Decision, Verdict},
};

/// The most clauses of one explanation.
const MAX_CLAUSES: usize = 10_000;

/// The most bytes and elements that are looked at for one explanation.
const MAX_STEPS: usize = 1 << 25;

/// Why a request was decided as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The verdict's decision.
    pub decision: Decision,
    /// The policies: those that deny first, then by outcome, then in the manifest's order.
    pub policies: Vec<PolicyExplanation>,
    /// The modules that deny by default and none of whose BLOCKING policies applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_deny: Vec<String>,
    /// How many more policies there would be to tell of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What one policy says, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyExplanation {
    /// Its name.
    pub policy: String,
    /// What a violation does.
    pub enforcement: Enforcement,
    /// COMPLIANCE references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compliance: Vec<String>,
    /// The path of its file in the set.
    pub file: String,
    /// The line of its name.
    pub line: u32,
    /// What it says.
    pub outcome: Outcome,
    /// Its scope in preorder; empty for every request.
    pub scope: Vec<ExplainedClause>,
    /// Its constraint in preorder.
    pub constraint: Vec<ExplainedClause>,
}

/// One clause for one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainedClause {
    /// Within how many connectives it stands.
    pub depth: u32,
    /// Its truth.
    pub truth: Truth,
    /// `AND`, `OR`, `NOT`, or a comparison as the formatter prints it.
    pub clause: String,
    /// The line of a comparison; absent for a connective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether it decided ([`PolicyTruths::decisive`]).
    pub decisive: bool,
    /// What it looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looked_at: Vec<LookedAt>,
}

/// What a request has for one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedAt {
    /// The attribute's path.
    pub attribute: String,
    /// Whether there is a value.
    pub state: State,
    /// The value in the language's words, cut to what is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Whether a request has an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has a value of the attribute's type.
    Present,
    /// It has none.
    Missing,
    /// It has it twice, or with a value of another type.
    Unusable,
}

/// What is to be explained: of a verdict, as much as is needed. Indexes are the manifest's, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// ALLOW or DENY.
    pub decision: Decision,
    /// The violated policies.
    pub violated: &'a [u32],
    /// The indeterminate policies.
    pub indeterminate: &'a [u32],
    /// The modules that deny by default.
    pub uncovered: &'a [u32],
}

impl<'a> From<&'a Verdict> for Found<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self {
            decision: verdict.decision,
            violated: &verdict.violated,
            indeterminate: &verdict.indeterminate,
            uncovered: &verdict.uncovered,
        }
    }
}

/// Of which policies to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// Those in scope that a caller may know of: not the AUDIT_ONLY ones.
    Caller,
    /// All in scope.
    Auditor,
    /// This one alone, in scope or not: an index of the manifest's policies.
    Policy(usize),
}

/// Why there is no explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// It would take too long.
    #[error("the request is too large for its decision to be explained")]
    TooDear,
    /// A fault of the compiler.
    #[error("the clauses of `{0}` come to another outcome than the module did; please report this")]
    Disagrees(String),
}

/// Explains what the module of the set that `manifest` and `clauses` describe found of the request in `slots`.
///
/// # Errors
/// [`ExplainError`].
pub fn explain(
    manifest: &Manifest,
    clauses: &Clauses,
    slots: &SlotBuffer,
    found: Found<'_>,
    select: Select,
) -> Result<Explanation, ExplainError> {
    let request = Seen::read(manifest, slots);
    let mut steps = 0_usize;
    let mut told = Vec::new();
    for (index, (info, policy)) in manifest.policies.iter().zip(&clauses.policies).enumerate() {
        if matches!(select, Select::Policy(only) if only != index) {
            continue;
        }
        for clause in policy.scope.iter().chain(&policy.constraint) {
            let more = if let Clause::Atom(atom) = clause { atom.steps(&request.sizes) } else { 1 };
            steps = steps.saturating_add(more);
        }
        if steps > MAX_STEPS {
            return Err(ExplainError::TooDear);
        }
        let truths =
            PolicyTruths::of(policy, &mut |atom| atom.truth(&manifest.attributes, &request.values));
        let listed = |list: &[u32]| list.binary_search(&(index as u32)).is_ok();
        if listed(found.violated) != (truths.outcome == Outcome::Violated)
            || listed(found.indeterminate) != (truths.outcome == Outcome::Indeterminate)
        {
            return Err(ExplainError::Disagrees(info.name.clone()));
        }
        let shown = match select {
            Select::Policy(_) => true,
            Select::Auditor => truths.outcome != Outcome::NotInScope,
            Select::Caller => {
                truths.outcome != Outcome::NotInScope && info.enforcement != Enforcement::AuditOnly
            }
        };
        if shown {
            told.push((index, policy, truths));
        }
    }
    let rank = |(index, _, truths): &(usize, &PolicyClauses, PolicyTruths)| {
        let blocking = manifest.policies[*index].enforcement == Enforcement::Blocking;
        match truths.outcome {
            Outcome::Violated => 2 * u8::from(!blocking),
            Outcome::Indeterminate => 1 + 2 * u8::from(!blocking),
            Outcome::Satisfied => 4,
            Outcome::NotInScope => 5,
        }
    };
    told.sort_by_key(rank);
    let mut size = 0;
    let fits = |(_, policy, _): &&(usize, &PolicyClauses, PolicyTruths)| {
        size += policy.scope.len() + policy.constraint.len();
        size <= MAX_CLAUSES
    };
    let policies: Vec<_> = told
        .iter()
        .take_while(fits)
        .map(|(index, policy, truths)| {
            let info = &manifest.policies[*index];
            let (scope, constraint) = truths.decisive(policy);
            PolicyExplanation {
                policy: info.name.clone(),
                enforcement: info.enforcement,
                compliance: info.compliance.clone(),
                file: clauses.files.get(policy.file as usize).cloned().unwrap_or_default(),
                line: policy.line,
                outcome: truths.outcome,
                scope: request.explained(&policy.scope, &truths.scope, &scope),
                constraint: request.explained(&policy.constraint, &truths.constraint, &constraint),
            }
        })
        .collect();
    let uncovered = found.uncovered.iter().filter_map(|module| manifest.modules.get(*module as usize));
    Ok(Explanation {
        decision: found.decision,
        left_out: told.len() - policies.len(),
        policies,
        default_deny: uncovered.map(|module| module.name.clone()).collect(),
    })
}

/// A request's attributes, by slot.
struct Seen {
    values: Vec<Attribute>,
    sizes: Vec<usize>,
    shown: Vec<LookedAt>,
}

impl Seen {
    fn read(manifest: &Manifest, slots: &SlotBuffer) -> Self {
        let declared = || manifest.attributes.iter().enumerate();
        let values: Vec<_> = declared().map(|(slot, declared)| slots.get(slot, &declared.ty)).collect();
        let look = |(declared, value): (&crate::manifest::AttributeDeclaration, &Attribute)| LookedAt {
            attribute: declared.path.clone(),
            state: match value {
                Attribute::Missing => State::Missing,
                Attribute::Invalid => State::Unusable,
                Attribute::Present(_) => State::Present,
            },
            value: match value {
                Attribute::Present(value) => Some(shown(value.to_string())),
                Attribute::Missing | Attribute::Invalid => None,
            },
        };
        let shown = manifest.attributes.iter().zip(&values).map(look).collect();
        let sizes = values.iter().map(|value| match value {
            Attribute::Present(value) => size(value),
            Attribute::Missing | Attribute::Invalid => 0,
        });
        Self { sizes: sizes.collect(), shown, values }
    }

    fn explained(
        &self,
        clauses: &[Clause],
        truths: &[Truth],
        decisive: &[bool],
    ) -> Vec<ExplainedClause> {
        // How many operands are still to come of each connective around.
        let mut around: Vec<usize> = Vec::new();
        let mut explained = Vec::with_capacity(clauses.len());
        for ((clause, truth), decisive) in clauses.iter().zip(truths).zip(decisive) {
            while around.last() == Some(&0) {
                around.pop();
            }
            let depth = around.len() as u32;
            if let Some(left) = around.last_mut() {
                *left -= 1;
            }
            if clause.operands() > 0 {
                around.push(clause.operands());
            }
            let (text, line, looked_at) = match clause {
                Clause::All(_) => ("AND".to_owned(), None, Vec::new()),
                Clause::Any(_) => ("OR".to_owned(), None, Vec::new()),
                Clause::Not => ("NOT".to_owned(), None, Vec::new()),
                Clause::Atom(atom) => {
                    let slots = atom.slots().into_iter();
                    let looks = slots.filter_map(|slot| self.shown.get(slot as usize).cloned());
                    (atom.text.clone(), Some(atom.line), looks.collect())
                }
            };
            let clause = text;
            explained.push(ExplainedClause {
                depth,
                truth: *truth,
                clause,
                line,
                decisive: *decisive,
                looked_at,
            });
        }
        explained
    }
}

/// Bytes of a value, about.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::List(elements) => elements.iter().map(|element| 1 + size(element)).sum(),
        _ => 16,
    }
}
