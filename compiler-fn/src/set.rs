//! A checked policy set: what the evaluator, the code generator and the test runner work on.

use aecp_contract::{
    digest::Digest,
    manifest::{Action, AttributeDeclaration, ModuleInfo, Obligation, PolicyInfo, Proof},
    value::{Type, Value},
    verdict::Counts,
};

use crate::{
    language::ast::{Condition, Expect, Literal},
    source::Span,
};

/// A set without errors: names are resolved, every attribute has its type, every literal fits its place.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// The digest of the sources.
    pub source: Digest,
    /// The modules in the order of their files.
    pub modules: Vec<ModuleInfo>,
    /// The attributes that policies look at, in byte order of their paths: the slots.
    pub attributes: Vec<AttributeDeclaration>,
    /// The policies in byte order of their names.
    pub policies: Vec<Policy>,
    /// The tests in the order of the sources.
    pub tests: Vec<Test>,
    /// The invariants in the order of the sources.
    pub invariants: Vec<Invariant>,
    /// The attributes that invariants look at and policies do not, in byte order of their paths: they have no slots.
    pub others: Vec<AttributeDeclaration>,
    /// What is proven of the set; nothing before [`crate::analyse::proven`].
    pub proofs: Vec<Proof>,
    /// The percentage of clauses that the tests must cover at least, and where the set says so.
    pub min_coverage: Option<(u32, Span)>,
}

/// An invariant.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Whether its author vouches for it where it cannot be proven.
    pub assumed: bool,
    /// No request of which this is TRUE may be allowed.
    pub never_allow: Condition,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What the manifest says of it.
    pub info: PolicyInfo,
    /// Where its name stands.
    pub span: Span,
    /// Where ENFORCEMENT stands.
    pub enforcement_span: Span,
    /// Where EXCEPTION stands, if it does.
    pub exception_span: Option<Span>,
    /// To which requests it applies, with AT and EFFECTIVE; `None` is every request.
    pub scope: Option<Condition>,
    /// What must hold there.
    pub constraint: Condition,
    /// What it obliges a point of enforcement to do.
    pub actions: Vec<Action>,
}

/// A test, or a row of a table.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its name; of a row the test's name and the row's number.
    pub name: String,
    /// Where the name or the row stands.
    pub span: Span,
    /// GIVEN, all that it extends, and the row, as a request in JSON, with dotted keys.
    pub request: String,
    /// What is expected.
    pub expect: Expect,
    /// Where EXPECT or the row stands.
    pub expect_span: Span,
}

impl PolicySet {
    /// The slot and type of an attribute; `None` if no policy looks at it.
    #[must_use]
    pub fn attribute(&self, path: &str) -> Option<(usize, &Type)> {
        let slot = self.attributes.binary_search_by(|a| a.path.as_str().cmp(path)).ok()?;
        Some((slot, &self.attributes[slot].ty))
    }

    /// The same set with slots for all attributes, those of invariants too.
    #[must_use]
    pub fn with_all_attributes(&self) -> Self {
        let mut wide = self.clone();
        wide.attributes.extend(self.others.iter().cloned());
        wide.attributes.sort_by(|a, b| a.path.cmp(&b.path));
        wide
    }

    /// The obligations of all policies, in the order in which verdicts count them.
    pub fn obligations(&self) -> impl Iterator<Item = Obligation> {
        (0..).zip(&self.policies).flat_map(|(policy, one)| {
            one.actions.iter().map(move |action| Obligation { policy, action: action.clone() })
        })
    }

    /// How many policies, modules and obligations the set has.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            policies: self.policies.len(),
            modules: self.modules.len(),
            obligations: self.policies.iter().map(|policy| policy.actions.len()).sum(),
        }
    }

    /// The index of a policy.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<usize> {
        self.policies.binary_search_by(|policy| policy.info.name.as_str().cmp(name)).ok()
    }
}

/// The value that a literal is where a `ty` is asked for; `None` if it is none.
#[must_use]
pub fn literal_value(literal: &Literal, ty: &Type) -> Option<Value> {
    Some(match (literal, ty) {
        (Literal::Text(text), Type::String) => Value::Text(text.clone()),
        (Literal::Text(text), Type::Enum(members)) if members.contains(text) => {
            Value::Text(text.clone())
        }
        (Literal::Text(text), Type::Timestamp) => Value::Timestamp(text.parse().ok()?),
        (Literal::Text(text), Type::Ip) => Value::Ip(text.parse().ok()?),
        (Literal::Int(n), Type::Int) => Value::Int(*n),
        (Literal::Int(n), Type::Decimal) => Value::Decimal((*n).into()),
        (Literal::Decimal { value, .. }, Type::Decimal) => Value::Decimal(*value),
        (Literal::Bool(b), Type::Bool) => Value::Bool(*b),
        (Literal::Duration { value, .. }, Type::Duration) => Value::Duration(*value),
        (Literal::List(elements), Type::List(element)) => {
            let values = elements.iter().map(|literal| literal_value(&literal.node, element));
            Value::List(values.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
