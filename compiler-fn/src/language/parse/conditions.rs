//! Conditions: precedence, groups, and the comparisons they are made of.

use pest::iterators::Pairs;

use super::{
    build::{Builder, Node, Parts as _},
    grammar::Rule,
};
use crate::{
    language::ast::{Atom, Comparison, Condition, ConditionKind, Operand, Path, Spanned},
    source::Span,
};

/// A condition, and where it stands with the brackets around it.
struct Bracketed {
    condition: Condition,
    outer: Span,
}

impl Builder {
    /// A chain of operands: those joined by AND first, then what OR joins.
    pub(super) fn condition(&mut self, node: Node<'_>) -> Option<Condition> {
        self.chain(node).map(|chain| chain.condition)
    }

    fn chain(&mut self, node: Node<'_>) -> Option<Bracketed> {
        let (mut all, mut any) = (Vec::new(), Vec::new());
        let mut nots = Vec::new();
        // A literal without a value is reported, and the others are still looked at.
        let mut sound = true;
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::and_kw => {}
                Rule::or_kw => any.push(join(std::mem::take(&mut all), ConditionKind::And)?),
                Rule::not_kw => nots.push(self.span(&part)),
                rule => {
                    let operand = if rule == Rule::group { self.group(part) } else { self.clause(part) };
                    match operand {
                        Some(operand) => all.push(nots.drain(..).rev().fold(operand, negate)),
                        None => {
                            nots.clear();
                            sound = false;
                            all.push(placeholder());
                        }
                    }
                }
            }
        }
        any.push(join(all, ConditionKind::And)?);
        join(any, ConditionKind::Or).filter(|_| sound)
    }

    /// `( … )` or `{ … }`: what is inside, placed with its brackets unless it is a single clause.
    fn group(&mut self, node: Node<'_>) -> Option<Bracketed> {
        let outer = self.span(&node);
        let mut inner = self.chain(node.into_inner().next_of(Rule::condition)?)?.condition;
        if matches!(inner.node, ConditionKind::And(_) | ConditionKind::Or(_)) {
            inner.span = outer;
        }
        Some(Bracketed { condition: inner, outer })
    }

    fn clause(&mut self, node: Node<'_>) -> Option<Bracketed> {
        let span = self.span(&node);
        let mut parts = node.into_inner();
        let first = parts.next()?;
        let atom = if first.as_rule() == Rule::literal {
            let element = Operand::Literal(self.literal(first)?);
            let (negated, list) = self.element(parts.next_of(Rule::element)?)?;
            Atom::InPath { element, negated, list }
        } else {
            let path = self.word(&first);
            match parts.next_of(Rule::tail) {
                Some(tail) => self.tail(path, tail.into_inner().next()?)?,
                None => Atom::IsTrue(path),
            }
        };
        Some(Bracketed { condition: Spanned::new(ConditionKind::Atom(atom), span), outer: span })
    }

    fn element(&mut self, node: Node<'_>) -> Option<(bool, Path)> {
        let mut parts = node.into_inner();
        let negated = parts.next_of_not();
        Some((negated, self.word(&parts.next_of(Rule::path)?)))
    }

    fn tail(&mut self, path: Path, node: Node<'_>) -> Option<Atom> {
        let rule = node.as_rule();
        let mut parts = node.into_inner();
        Some(match rule {
            Rule::compare => {
                let operator = comparison(parts.next_of(Rule::operator)?.as_str())?;
                Atom::Compare { path, operator, right: self.value(&mut parts)? }
            }
            Rule::between => {
                Atom::Between { path, low: self.value(&mut parts)?, high: self.value(&mut parts)? }
            }
            Rule::membership => self.membership(path, parts)?,
            Rule::contains => Atom::Contains { path, item: self.value(&mut parts)? },
            Rule::starts_with => Atom::StartsWith { path, text: self.value(&mut parts)? },
            Rule::ends_with => Atom::EndsWith { path, text: self.value(&mut parts)? },
            Rule::matches => Atom::Matches { path, glob: self.text(parts.next_of(Rule::text)?)? },
            Rule::exists => Atom::Exists(path),
            Rule::is_missing => Atom::IsMissing(path),
            _ => return None,
        })
    }

    fn membership(&mut self, path: Path, mut parts: Pairs<'_, Rule>) -> Option<Atom> {
        let negated = parts.next_of_not();
        let collection = parts.next_of(Rule::collection)?.into_inner().next()?;
        Some(match collection.as_rule() {
            Rule::cidr => {
                let text = collection.into_inner().next_of(Rule::text)?;
                Atom::InCidr { path, negated, cidr: self.text(text)? }
            }
            Rule::literals => {
                let entries = collection.into_inner().filter(|part| part.as_rule() == Rule::literal);
                let list: Option<Vec<_>> = entries.map(|entry| self.literal(entry)).collect();
                Atom::InList { path, negated, list: list? }
            }
            _ => {
                let list = self.word(&collection);
                Atom::InPath { element: Operand::Path(path), negated, list }
            }
        })
    }

    fn value(&mut self, parts: &mut Pairs<'_, Rule>) -> Option<Operand> {
        let inner = parts.next_of(Rule::value)?.into_inner().next()?;
        Some(if inner.as_rule() == Rule::literal {
            Operand::Literal(self.literal(inner)?)
        } else {
            Operand::Path(self.word(&inner))
        })
    }
}

/// Whether the next part is a NOT.
trait Negated {
    fn next_of_not(&mut self) -> bool;
}

impl Negated for Pairs<'_, Rule> {
    fn next_of_not(&mut self) -> bool {
        let negated = self.peek().is_some_and(|part| part.as_rule() == Rule::not_kw);
        if negated {
            self.next();
        }
        negated
    }
}

fn negate(operand: Bracketed, not: Span) -> Bracketed {
    let span = not.to(operand.outer);
    let node = ConditionKind::Not(Box::new(operand.condition));
    Bracketed { condition: Spanned::new(node, span), outer: span }
}

/// The operands as one condition: a single one is itself.
fn join(mut operands: Vec<Bracketed>, kind: fn(Vec<Condition>) -> ConditionKind) -> Option<Bracketed> {
    if operands.len() == 1 {
        return operands.pop();
    }
    let span = operands.first()?.outer.to(operands.last()?.outer);
    let operands = operands.into_iter().map(|operand| operand.condition).collect();
    Some(Bracketed { condition: Spanned::new(kind(operands), span), outer: span })
}

/// Stands for an operand that has been reported, in a chain that is given up at its end.
fn placeholder() -> Bracketed {
    let nowhere = Span::default();
    let atom = Atom::IsTrue(Spanned::new(String::new(), nowhere));
    Bracketed { condition: Spanned::new(ConditionKind::Atom(atom), nowhere), outer: nowhere }
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "==" | "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
