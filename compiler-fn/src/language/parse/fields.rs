//! The fields of a policy.

use aecp_contract::manifest::{AuditLevel, Enforcement, Point};
use pest::iterators::Pairs;

use super::{
    build::{Builder, Node, Parts as _},
    grammar::Rule,
};
use crate::language::ast::{Field, MaskMethod, Scope, Spanned};

impl Builder {
    pub(super) fn field(&mut self, node: Node<'_>) -> Option<Spanned<Field>> {
        let span = self.span(&node);
        let inner = node.into_inner().next()?;
        let rule = inner.as_rule();
        let mut parts = inner.into_inner();
        let field = match rule {
            Rule::description => Field::Description(self.text(parts.next_of(Rule::text)?)?),
            Rule::version => Field::Version(self.integer(parts.next_of(Rule::integer)?)?),
            Rule::author => Field::Author(self.text(parts.next_of(Rule::text)?)?),
            Rule::justification => Field::Justification(self.text(parts.next_of(Rule::text)?)?),
            Rule::compliance => {
                let texts = parts.filter(|part| part.as_rule() == Rule::text);
                Field::Compliance(texts.map(|text| self.text(text)).collect::<Option<_>>()?)
            }
            Rule::scope => {
                let name = self.word(&parts.next_of(Rule::name)?);
                let condition = match parts.next_of(Rule::condition) {
                    Some(condition) => Some(self.condition(condition)?),
                    None => None,
                };
                Field::Scope(Scope { resource: (name.node != "requests").then_some(name), condition })
            }
            Rule::constraint => Field::Constraint(self.condition(parts.next_of(Rule::condition)?)?),
            Rule::filter => Field::Filter(self.condition(parts.next_of(Rule::condition)?)?),
            Rule::enforcement => {
                let word = parts.next_of(Rule::enforcement_word)?;
                let enforcement = match word.as_str() {
                    "BLOCKING" => Enforcement::Blocking,
                    "ADVISORY" => Enforcement::Advisory,
                    _ => Enforcement::AuditOnly,
                };
                Field::Enforcement(Spanned::new(enforcement, self.span(&word)))
            }
            Rule::audit => {
                let word = parts.next_of(Rule::audit_word)?;
                let level = match word.as_str() {
                    "REQUIRED" => AuditLevel::Required,
                    "OPTIONAL" => AuditLevel::Optional,
                    _ => AuditLevel::None,
                };
                Field::Audit(Spanned::new(level, self.span(&word)))
            }
            Rule::exception => Field::Exception,
            Rule::at => {
                let words = parts.filter(|part| part.as_rule() == Rule::point);
                Field::At(
                    words.map(|word| Spanned::new(point(word.as_str()), self.span(&word))).collect(),
                )
            }
            Rule::effective => self.effective(parts)?,
            Rule::mask => {
                let path = self.word(&parts.next_of(Rule::path)?);
                Field::Mask { path, method: self.method(parts.next_of(Rule::method)?)? }
            }
            Rule::redact => {
                let path = self.word(&parts.next_of(Rule::path)?);
                Field::Mask { path, method: MaskMethod::Redact }
            }
            Rule::hash => {
                let path = self.word(&parts.next_of(Rule::path)?);
                Field::Mask { path, method: MaskMethod::Hash }
            }
            Rule::limit => Field::Limit {
                count: self.integer(parts.next_of(Rule::integer)?)?,
                per: self.duration(parts.next_of(Rule::duration)?)?,
                by: self.word(&parts.next_of(Rule::path)?),
            },
            _ => return None,
        };
        Some(Spanned::new(field, span))
    }

    fn effective(&mut self, parts: Pairs<'_, Rule>) -> Option<Field> {
        let (mut from, mut until) = (None, None);
        for part in parts {
            match part.as_rule() {
                Rule::from => from = Some(self.text(part.into_inner().next_of(Rule::text)?)?),
                Rule::until => until = Some(self.text(part.into_inner().next_of(Rule::text)?)?),
                _ => {}
            }
        }
        Some(Field::Effective { from, until })
    }

    fn method(&mut self, node: Node<'_>) -> Option<MaskMethod> {
        let inner = node.into_inner().next()?;
        Some(match inner.as_rule() {
            Rule::redact_kw => MaskMethod::Redact,
            Rule::hash_kw => MaskMethod::Hash,
            _ => {
                let count = self.integer(inner.into_inner().next_of(Rule::integer)?)?;
                match u32::try_from(count.node) {
                    Ok(count) => MaskMethod::Last(count),
                    Err(_) => {
                        let message = format!("`{}` is no number of characters", count.node);
                        let cause = format!("LAST takes a number between 0 and {}", u32::MAX);
                        return self.refuse(count.span, message, cause);
                    }
                }
            }
        })
    }
}

fn point(word: &str) -> Point {
    match word {
        "INGRESS" => Point::Ingress,
        "MESH" => Point::Mesh,
        "DATA" => Point::Data,
        _ => Point::Egress,
    }
}
