//! From what the grammar recognised to the syntax tree.
//!
//! A function here returns `None` when a literal has no value; it has reported that then. `?` on a part that
//! the grammar guarantees does the same without a report and never happens.

use aecp_contract::value::Type;
use pest::iterators::{Pair, Pairs};

use super::grammar::Rule;
use crate::{
    findings::Finding,
    language::ast::{Declaration, Invariant, Name, Policy, Schema, Spanned, Statement},
    source::Span,
};

/// A piece that the grammar recognised.
pub(super) type Node<'t> = Pair<'t, Rule>;

/// Builds the tree of one piece of a file.
#[derive(Debug)]
pub(super) struct Builder {
    /// The number of the file.
    pub(super) file: u32,
    /// Where the piece starts in it.
    pub(super) base: u32,
    /// The policy that the piece is of.
    pub(super) policy: Option<String>,
    /// What was wrong with literals.
    pub(super) findings: Vec<Finding>,
}

/// The parts of a node, keywords and punctuation among them.
pub(super) trait Parts<'t> {
    /// The next part that is a `rule`, passing over others.
    fn next_of(&mut self, rule: Rule) -> Option<Node<'t>>;
}

impl<'t> Parts<'t> for Pairs<'t, Rule> {
    fn next_of(&mut self, rule: Rule) -> Option<Node<'t>> {
        self.find(|node| node.as_rule() == rule)
    }
}

impl Builder {
    /// Where a node stands in the file.
    pub(super) fn span(&self, node: &Node<'_>) -> Span {
        let start = node.as_span().start();
        // Where an optional last part is missing, pest counts the white space and comments before it to the
        // node. All tokens are nodes, so the last one's end is the real one.
        let mut last = node.clone();
        while last.as_str().ends_with([' ', '\t', '\r', '\n'])
            && let Some(inner) = last.clone().into_inner().next_back()
        {
            last = inner;
        }
        let end = last.as_span().end();
        Span { file: self.file, start: self.base + start as u32, end: self.base + end as u32 }
    }

    /// A name or path as it is written.
    pub(super) fn word(&self, node: &Node<'_>) -> Spanned<String> {
        Spanned::new(node.as_str().to_owned(), self.span(node))
    }

    pub(super) fn report(&mut self, finding: Finding) {
        self.findings.push(match &self.policy {
            Some(policy) => finding.about(policy),
            None => finding,
        });
    }

    /// A statement with all its parts that have a value; `None` if nothing can be kept of it.
    pub(super) fn statement(&mut self, node: Node<'_>) -> Option<Spanned<Statement>> {
        let span = self.span(&node);
        let statement = match node.as_rule() {
            Rule::schema => Statement::Schema(self.schema(node)),
            Rule::policy => Statement::Policy(self.policy(node)?),
            Rule::test => Statement::Test(self.test(node)?),
            Rule::fixture => Statement::Fixture(self.fixture(node)?),
            Rule::invariant => Statement::Invariant(self.invariant(node)?),
            _ => return None,
        };
        Some(Spanned::new(statement, span))
    }

    // ---- SCHEMA

    fn schema(&mut self, node: Node<'_>) -> Schema {
        let mut schema = Schema { strict: false, declarations: Vec::new() };
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::schema_head => schema.strict = is_strict(part),
                Rule::declaration => schema.declarations.extend(self.declaration(part)),
                _ => {}
            }
        }
        schema
    }

    pub(super) fn declaration(&mut self, node: Node<'_>) -> Option<Declaration> {
        let mut parts = node.into_inner();
        let path = self.word(&parts.next_of(Rule::path)?);
        let ty = parts.next_of(Rule::type_name)?;
        let span = self.span(&ty);
        let inner = ty.into_inner().next()?;
        let ty = if inner.as_rule() == Rule::list_type {
            let element = inner.into_inner().next_of(Rule::element_type)?;
            Type::List(Box::new(self.element_type(element)?))
        } else {
            self.element_type(inner)?
        };
        Some(Declaration { path, ty: Spanned::new(ty, span) })
    }

    fn element_type(&mut self, node: Node<'_>) -> Option<Type> {
        let inner = node.into_inner().next()?;
        if inner.as_rule() == Rule::enum_type {
            let texts = inner.into_inner().filter(|part| part.as_rule() == Rule::text);
            let members: Option<Vec<_>> = texts.map(|text| Some(self.text(text)?.node)).collect();
            return members.map(Type::Enum);
        }
        Some(match inner.as_str() {
            "STRING" => Type::String,
            "INT" => Type::Int,
            "DECIMAL" => Type::Decimal,
            "BOOL" => Type::Bool,
            "TIMESTAMP" => Type::Timestamp,
            "DURATION" => Type::Duration,
            "IP" => Type::Ip,
            _ => return None,
        })
    }

    // ---- POLICY

    fn policy(&mut self, node: Node<'_>) -> Option<Policy> {
        let mut parts = node.into_inner();
        let name = self.head_name(parts.next_of(Rule::policy_head)?)?;
        self.policy = Some(name.node.clone());
        let mut policy = Policy { name, fields: Vec::new(), incomplete: false };
        for part in parts.filter(|part| part.as_rule() == Rule::field) {
            match self.field(part) {
                Some(field) => policy.fields.push(field),
                None => policy.incomplete = true,
            }
        }
        self.policy = None;
        Some(policy)
    }

    /// The name in `POLICY name {` and its like.
    pub(super) fn head_name(&mut self, node: Node<'_>) -> Option<Name> {
        Some(self.word(&node.into_inner().next_of(Rule::name)?))
    }

    // ---- INVARIANT

    fn invariant(&mut self, node: Node<'_>) -> Option<Invariant> {
        let mut parts = node.into_inner();
        let head = parts.next_of(Rule::invariant_head)?;
        let assumed = head.clone().into_inner().next_of(Rule::assumed_kw).is_some();
        let name = self.head_name(head)?;
        Some(Invariant { name, assumed, never_allow: self.condition(parts.next_of(Rule::condition)?)? })
    }
}

/// Whether a SCHEMA's head says STRICT.
pub(super) fn is_strict(head: Node<'_>) -> bool {
    head.into_inner().next_of(Rule::strict_kw).is_some()
}
