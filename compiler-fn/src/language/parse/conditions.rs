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

/// A chain that is being read: the whole condition, or a group in it.
struct Chain<'t> {
    parts: Pairs<'t, Rule>,
    /// Where the group's brackets stand.
    brackets: Option<Span>,
    /// The NOTs before the next operand.
    nots: Vec<Span>,
    /// The operands that AND has joined since the last OR.
    all: Vec<Bracketed>,
    /// What OR joins.
    any: Vec<Bracketed>,
}

impl<'t> Chain<'t> {
    fn new(condition: Node<'t>, brackets: Option<Span>) -> Self {
        let parts = condition.into_inner();
        Self { parts, brackets, nots: Vec::new(), all: Vec::new(), any: Vec::new() }
    }

    fn operand(&mut self, operand: Bracketed) {
        self.all.push(self.nots.drain(..).rev().fold(operand, negate));
    }

    fn or(&mut self) -> Option<()> {
        let all = std::mem::take(&mut self.all);
        self.any.push(join(all, ConditionKind::And)?);
        Some(())
    }

    /// The whole chain; a group stands with its brackets, unless it is a single clause.
    fn finish(mut self) -> Option<Bracketed> {
        self.or()?;
        let mut whole = join(self.any, ConditionKind::Or)?;
        if let Some(brackets) = self.brackets {
            whole.outer = brackets;
            if matches!(whole.condition.node, ConditionKind::And(_) | ConditionKind::Or(_)) {
                whole.condition.span = brackets;
            }
        }
        Some(whole)
    }
}

impl Builder {
    /// A condition of any depth: groups are put aside on a stack of our own, since the thread's may be short.
    pub(super) fn condition(&mut self, node: Node<'_>) -> Option<Condition> {
        let mut open = vec![Chain::new(node, None)];
        // A literal without a value is reported, and the others are still looked at.
        let mut sound = true;
        loop {
            let chain = open.last_mut()?;
            let Some(part) = chain.parts.next() else {
                let whole = open.pop()?.finish()?;
                match open.last_mut() {
                    Some(outer) => outer.operand(whole),
                    None => return Some(whole.condition).filter(|_| sound),
                }
                continue;
            };
            match part.as_rule() {
                Rule::and_kw => {}
                Rule::or_kw => chain.or()?,
                Rule::not_kw => chain.nots.push(self.span(&part)),
                Rule::group => {
                    let brackets = self.span(&part);
                    let inner = part.into_inner().next_of(Rule::condition)?;
                    open.push(Chain::new(inner, Some(brackets)));
                }
                _ => {
                    let clause = self.clause(part);
                    sound &= clause.is_some();
                    chain.operand(clause.unwrap_or_else(placeholder));
                }
            }
        }
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
