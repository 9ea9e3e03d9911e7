//! A checked policy set: what the evaluator, the code generator and the test runner work on.

use aecp_contract::{
    digest::Digest,
    manifest::{AttributeDeclaration, ModuleInfo, PolicyInfo},
    value::{Type, Value},
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
    /// The percentage of clauses that the tests must cover at least, and where the set says so.
    pub min_coverage: Option<(u32, Span)>,
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
    /// To which requests it applies; `None` is every request.
    pub scope: Option<Condition>,
    /// What must hold there.
    pub constraint: Condition,
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
