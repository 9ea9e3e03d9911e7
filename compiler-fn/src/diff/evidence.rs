//! What requests show: each is read and decided by the generated modules of both sets, and by the reference evaluator.

use aecp_contract::{
    manifest::{Enforcement, ModuleInfo},
    value::{Attribute, Type},
    verdict::{Decision, Verdict},
};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::{Value as Json, value::RawValue};

use crate::{
    analyse::{Joint, Request, Side},
    compile::CompileError,
    generate,
    interpret::{InterpretError, Interpreter},
    reference::{Attributes, Truth, decide_on, evaluate, is_usable},
    set::PolicySet,
};

/// What a policy is to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether its scope holds.
    pub scope: Truth,
    /// Whether its scope holds and its constraint does not.
    pub violated: Truth,
}

impl Outcome {
    /// In words that follow on "it was" and "it is".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match (self.violated, self.scope) {
            (Truth::True, _) => "violated",
            (Truth::Unknown, Truth::True) => "indeterminate, and applies",
            (Truth::Unknown, _) => "indeterminate",
            (Truth::False, Truth::True) => "satisfied",
            (Truth::False, Truth::Unknown) => "satisfied, if it applies",
            (Truth::False, Truth::False) => "out of scope",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A request in JSON as it is, digit by digit.
pub(super) fn as_json<S: Serializer>(request: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let json: &RawValue = serde_json::from_str(request).map_err(S::Error::custom)?;
    json.serialize(serializer)
}

/// A type as SCHEMA writes it.
pub(super) fn as_text<S: Serializer>(ty: &Type, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(ty)
}

/// A request that the solver found.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) json: String,
    tree: Json,
    /// Its attributes with their paths and types, where numbers are as exact as the solver knows them.
    attributes: Vec<(String, Type, Attribute)>,
}

impl Sample {
    /// A request in the slots of this set.
    pub(super) fn new(table: &PolicySet, request: &Request) -> Result<Self, CompileError> {
        let json = request.to_json(table);
        let fault = |error: serde_json::Error| CompileError::Generator(error.to_string());
        let tree = serde_json::from_str(&json).map_err(fault)?;
        let attributes = table.attributes.iter().enumerate().map(|(slot, declared)| {
            (declared.path.clone(), declared.ty.clone(), request.attribute(slot).clone())
        });
        let attributes = attributes.filter(|(.., attribute)| *attribute != Attribute::Missing).collect();
        Ok(Self { json, tree, attributes })
    }
}

impl Attributes for Sample {
    fn attribute(&self, path: &str, ty: &Type) -> Attribute {
        let known = self.attributes.binary_search_by(|(known, ..)| known.as_str().cmp(path));
        let Ok(at) = known else { return self.tree.attribute(path, ty) };
        let (_, own, attribute) = &self.attributes[at];
        match attribute {
            Attribute::Present(value) if own == ty || own.is_text() && ty.is_text() => {
                if is_usable(value, ty) { attribute.clone() } else { Attribute::Invalid }
            }
            _ => self.tree.attribute(path, ty),
        }
    }
}

/// Both sets with what answers questions about them.
pub(super) struct Evidence<'a> {
    pub(super) joint: Joint<'a>,
    table: &'a PolicySet,
    interpreters: [Interpreter; 2],
}

impl<'a> Evidence<'a> {
    pub(super) fn new(joint: Joint<'a>, table: &'a PolicySet) -> Result<Self, CompileError> {
        let load = |side| -> Result<Interpreter, CompileError> {
            let set = joint.set(side);
            Ok(Interpreter::new(set, &generate::core_module(set)?)?)
        };
        let interpreters = [load(Side::Old)?, load(Side::New)?];
        Ok(Self { joint, table, interpreters })
    }

    pub(super) fn set(&self, side: Side) -> &'a PolicySet {
        self.joint.set(side)
    }

    pub(super) fn modules(&self) -> [&'a [ModuleInfo]; 2] {
        Side::BOTH.map(|side| self.set(side).modules.as_slice())
    }

    /// A request that answered a question about both sets.
    pub(super) fn sample(&self, request: &Request) -> Result<Sample, CompileError> {
        Sample::new(self.table, request)
    }

    /// The module's verdict; `None` if the request is beyond the limits of requests.
    pub(super) fn verdict(
        &mut self,
        side: Side,
        sample: &Sample,
    ) -> Result<Option<Verdict>, CompileError> {
        match self.interpreters[side as usize].decide(&sample.json) {
            Ok(verdict) => Ok(Some(verdict)),
            Err(InterpretError::Request(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What one policy is to the request, on which the module and the reference agree; `None` as in [`Self::verdict`].
    pub(super) fn outcome(
        &mut self,
        side: Side,
        policy: usize,
        sample: &Sample,
    ) -> Result<Option<Outcome>, CompileError> {
        let Some(verdict) = self.verdict(side, sample)? else { return Ok(None) };
        let set = self.set(side);
        let of = &set.policies[policy];
        let scope = of.scope.as_ref().map_or(Truth::True, |scope| evaluate(set, scope, sample));
        let violated = scope.and(evaluate(set, &of.constraint, sample).not());
        let index = policy as u32;
        let by_module = match (verdict.violated.contains(&index), verdict.indeterminate.contains(&index))
        {
            (true, _) => Truth::True,
            (_, true) => Truth::Unknown,
            _ => Truth::False,
        };
        if violated != by_module {
            return Err(disagree(&of.info.name, sample));
        }
        Ok(Some(Outcome { scope, violated }))
    }

    /// Makes sure that the reference evaluator decides as a set's module did.
    pub(super) fn confirm(
        &self,
        side: Side,
        sample: &Sample,
        verdict: &Verdict,
    ) -> Result<(), CompileError> {
        if decide_on(self.set(side), sample) == *verdict {
            return Ok(());
        }
        Err(disagree("the whole set", sample))
    }
}

/// The BLOCKING policies that deny, and the modules that deny by default.
pub(super) fn deniers(set: &PolicySet, verdict: &Verdict) -> (Vec<usize>, Vec<usize>) {
    let indexes = |of: &[u32]| of.iter().map(|index| *index as usize).collect::<Vec<_>>();
    if verdict.decision == Decision::Allow {
        return (Vec::new(), Vec::new());
    }
    let mut policies = indexes(&verdict.violated);
    policies.extend(indexes(&verdict.indeterminate));
    policies.retain(|index| set.policies[*index].info.enforcement == Enforcement::Blocking);
    policies.sort_unstable();
    (policies, indexes(&verdict.uncovered))
}

fn disagree(about: &str, sample: &Sample) -> CompileError {
    let Sample { json, .. } = sample;
    CompileError::Generator(format!(
        "the module and the reference evaluator disagree on `{about}` for {json}"
    ))
}

/// A request does not show what the solver said that it shows.
pub(super) fn not_shown(about: &str, sample: &Sample) -> CompileError {
    let Sample { json, .. } = sample;
    CompileError::Generator(format!("of `{about}`, {json} does not show what was found"))
}
