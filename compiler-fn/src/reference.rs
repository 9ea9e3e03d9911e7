//! The reference evaluator: the meaning of a decision in the plainest code, straight over the syntax tree.
//!
//! It is the oracle for everything that is made to be fast, so it shares with the generated code nothing but
//! the checked set: it reads requests from a tree of JSON values and walks conditions by recursion. The self-check
//! asks it about values that it has at hand ([`Attributes`]).

use std::cmp::Ordering;

use aecp_contract::{
    manifest::{AuditLevel, Enforcement},
    value::{Attribute, Cidr, Type, Value},
    verdict::{Decision, Verdict},
};
use serde_json::Value as Json;

use crate::{
    language::ast::{Atom, Comparison, Condition, ConditionKind, Operand, Path},
    set::{PolicySet, literal_value},
};

/// Kleene's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// Certainly not.
    False,
    /// An attribute that would decide it is missing or unusable.
    Unknown,
    /// Certainly.
    True,
}

impl Truth {
    /// Kleene's NOT.
    pub(crate) fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }

    /// Kleene's AND.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Kleene's OR.
    pub(crate) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A request: what it has for each attribute. A JSON object is one.
pub trait Attributes {
    /// What it has for the attribute at `path`, which is of type `ty`.
    fn attribute(&self, path: &str, ty: &Type) -> Attribute;
}

/// What the set says of a request, a JSON object.
#[must_use]
pub fn decide(set: &PolicySet, request: &Json) -> Verdict {
    decide_on(set, request)
}

/// What the set says of a request in any form.
#[must_use]
pub fn decide_on(set: &PolicySet, request: &impl Attributes) -> Verdict {
    let mut verdict = Verdict {
        decision: Decision::Allow,
        audit: AuditLevel::None,
        violated: Vec::new(),
        indeterminate: Vec::new(),
        uncovered: Vec::new(),
        obligations: Vec::new(),
    };
    let mut obligation = 0;
    let mut covered = vec![false; set.modules.len()];
    for (index, policy) in (0..).zip(&set.policies) {
        let scope = match &policy.scope {
            Some(condition) => evaluate(set, condition, request),
            None => Truth::True,
        };
        let constraint = evaluate(set, &policy.constraint, request);
        let blocking = policy.info.enforcement == Enforcement::Blocking;
        let obligations = obligation..obligation + policy.actions.len() as u32;
        obligation = obligations.end;
        if scope != Truth::False {
            verdict.audit = verdict.audit.max(policy.info.audit);
            verdict.obligations.extend(obligations);
        }
        if scope == Truth::True && blocking {
            covered[policy.info.module as usize] = true;
        }
        match scope.and(constraint.not()) {
            Truth::True => verdict.violated.push(index),
            Truth::Unknown => verdict.indeterminate.push(index),
            Truth::False => continue,
        }
        if blocking {
            verdict.decision = Decision::Deny;
        }
    }
    for (index, (module, covered)) in (0..).zip(set.modules.iter().zip(covered)) {
        if module.default_deny && !covered {
            verdict.uncovered.push(index);
            verdict.decision = Decision::Deny;
            verdict.audit = AuditLevel::Required;
        }
    }
    verdict
}

/// The truth of a condition for a request.
#[must_use]
pub fn evaluate(set: &PolicySet, condition: &Condition, request: &impl Attributes) -> Truth {
    fold(condition, &mut |atom| evaluate_atom(set, atom, request))
}

/// The truth of an atom for a request.
pub(crate) fn evaluate_atom(set: &PolicySet, atom: &Atom, request: &impl Attributes) -> Truth {
    match (Request { set, attributes: request }).atom(atom) {
        Some(holds) => holds.into(),
        None => Truth::Unknown,
    }
}

/// The truth of a condition whose atoms are as true as `atom` says; it is asked for each once, in their order.
pub(crate) fn fold(condition: &Condition, atom: &mut dyn FnMut(&Atom) -> Truth) -> Truth {
    match &condition.node {
        ConditionKind::And(operands) => {
            operands.iter().map(|operand| fold(operand, atom)).fold(Truth::True, Truth::and)
        }
        ConditionKind::Or(operands) => {
            operands.iter().map(|operand| fold(operand, atom)).fold(Truth::False, Truth::or)
        }
        ConditionKind::Not(operand) => fold(operand, atom).not(),
        ConditionKind::Atom(node) => atom(node),
    }
}

struct Request<'a, A> {
    set: &'a PolicySet,
    attributes: &'a A,
}

impl<A: Attributes> Request<'_, A> {
    /// Whether the atom holds; `None` if an attribute that it looks at is missing or unusable.
    fn atom(&self, atom: &Atom) -> Option<bool> {
        Some(match atom {
            Atom::Compare { path, operator, right } => {
                let order = self.value(path)?.cmp(&self.operand(right, self.ty(path))?);
                match operator {
                    Comparison::Equal => order == Ordering::Equal,
                    Comparison::NotEqual => order != Ordering::Equal,
                    Comparison::Less => order == Ordering::Less,
                    Comparison::LessOrEqual => order != Ordering::Greater,
                    Comparison::Greater => order == Ordering::Greater,
                    Comparison::GreaterOrEqual => order != Ordering::Less,
                }
            }
            Atom::Between { path, low, high } => {
                let (value, low, high) = (
                    self.value(path)?,
                    self.operand(low, self.ty(path))?,
                    self.operand(high, self.ty(path))?,
                );
                low <= value && value <= high
            }
            Atom::InList { path, negated, list } => {
                let value = self.value(path)?;
                let ty = self.ty(path);
                let found =
                    list.iter().any(|entry| literal_value(&entry.node, ty).as_ref() == Some(&value));
                found != *negated
            }
            Atom::InPath { element, negated, list } => self.contains(list, element)? != *negated,
            Atom::Contains { path, item } => match self.ty(path) {
                Type::List(_) => self.contains(path, item)?,
                _ => self.text(path)?.contains(&self.operand_text(item)?),
            },
            Atom::StartsWith { path, text } => self.text(path)?.starts_with(&self.operand_text(text)?),
            Atom::EndsWith { path, text } => self.text(path)?.ends_with(&self.operand_text(text)?),
            Atom::Matches { path, glob } => matches_glob(&self.text(path)?, &glob.node),
            Atom::InCidr { path, negated, cidr } => {
                let Value::Ip(ip) = self.value(path)? else { return None };
                let (network, _) = Cidr::parse_lenient(&cidr.node).ok()?;
                network.contains(ip) != *negated
            }
            Atom::Exists(path) => self.attribute(path) != Attribute::Missing,
            Atom::IsMissing(path) => self.attribute(path) == Attribute::Missing,
            Atom::IsTrue(path) => self.value(path)? == Value::Bool(true),
        })
    }

    fn contains(&self, list: &Path, item: &Operand) -> Option<bool> {
        let Type::List(element) = self.ty(list) else { return None };
        let Value::List(elements) = self.value(list)? else { return None };
        Some(elements.contains(&self.operand(item, element)?))
    }

    fn operand(&self, operand: &Operand, ty: &Type) -> Option<Value> {
        match operand {
            Operand::Literal(literal) => literal_value(&literal.node, ty),
            Operand::Path(path) => self.value(path),
        }
    }

    fn operand_text(&self, operand: &Operand) -> Option<String> {
        match self.operand(operand, &Type::String)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn text(&self, path: &Path) -> Option<String> {
        match self.value(path)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn value(&self, path: &Path) -> Option<Value> {
        match self.attribute(path) {
            Attribute::Present(value) => Some(value),
            Attribute::Missing | Attribute::Invalid => None,
        }
    }

    fn ty(&self, path: &Path) -> &Type {
        self.set.attribute(&path.node).map_or(&Type::Any, |(_, ty)| ty)
    }

    fn attribute(&self, path: &Path) -> Attribute {
        self.attributes.attribute(&path.node, self.ty(path))
    }
}

impl Attributes for Json {
    fn attribute(&self, path: &str, ty: &Type) -> Attribute {
        let mut found = Vec::new();
        occurrences(self, path, &mut found);
        match found.as_slice() {
            [] => Attribute::Missing,
            [Some(value)] => match typed(value, ty) {
                Some(value) => Attribute::Present(value),
                None => Attribute::Invalid,
            },
            _ => Attribute::Invalid,
        }
    }
}

/// Every place where the request has the attribute; `None` where a dotted key makes it an object.
fn occurrences<'a>(json: &'a Json, path: &str, found: &mut Vec<Option<&'a Json>>) {
    let Json::Object(members) = json else { return };
    for (key, value) in members {
        if key == path {
            if !value.is_null() {
                found.push(Some(value));
            }
        } else if let Some(rest) = path.strip_prefix(key.as_str()).and_then(|r| r.strip_prefix('.')) {
            occurrences(value, rest, found);
        } else if key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')) {
            found.push(None);
        }
    }
}

fn typed(json: &Json, ty: &Type) -> Option<Value> {
    Some(match (ty, json) {
        (Type::String, Json::String(text)) => Value::Text(text.clone()),
        (Type::Enum(members), Json::String(text)) if members.contains(text) => Value::Text(text.clone()),
        (Type::Int, Json::Number(number)) => Value::Int(number.as_i64()?),
        (Type::Decimal, Json::Number(number)) => Value::Decimal(number.to_string().parse().ok()?),
        (Type::Bool, Json::Bool(b)) => Value::Bool(*b),
        (Type::Timestamp, Json::String(text)) => Value::Timestamp(text.parse().ok()?),
        (Type::Duration, Json::String(text)) => Value::Duration(text.parse().ok()?),
        (Type::Ip, Json::String(text)) => Value::Ip(text.parse().ok()?),
        (Type::List(element), Json::Array(elements)) => {
            Value::List(elements.iter().map(|json| typed(json, element)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Whether a value that has the form of `ty` is one of its values: that of an ENUM must be a member.
pub(crate) fn is_usable(value: &Value, ty: &Type) -> bool {
    match (ty, value) {
        (Type::Enum(members), Value::Text(text)) => members.contains(text),
        (Type::List(element), Value::List(values)) => {
            values.iter().all(|value| is_usable(value, element))
        }
        _ => true,
    }
}

/// `*` is any text, `?` any one character, `\` takes the next character as it is.
fn matches_glob(text: &str, glob: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // reachable[i]: the pattern so far matches the first i characters.
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut pattern = glob.chars();
    while let Some(symbol) = pattern.next() {
        let mut next = vec![false; text.len() + 1];
        match symbol {
            '*' => {
                let mut any = false;
                for i in 0..=text.len() {
                    any |= reachable[i];
                    next[i] = any;
                }
            }
            '?' => next[1..].copy_from_slice(&reachable[..text.len()]),
            symbol => {
                let wanted = if symbol == '\\' { pattern.next().unwrap_or('\\') } else { symbol };
                for i in 0..text.len() {
                    next[i + 1] = reachable[i] && text[i] == wanted;
                }
            }
        }
        reachable = next;
    }
    reachable[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (text, glob, expected) in [
            ("", "", true),
            ("", "*", true),
            ("abc", "a*c", true),
            ("abcd", "a*c", false),
            ("äb", "?b", true),
            ("a*b", r"a\*b", true),
            ("axb", r"a\*b", false),
            ("aXbXc", "*X*c", true),
            ("ab", "a", false),
        ] {
            assert_eq!(matches_glob(text, glob), expected, "{text} {glob}");
        }
    }

    #[test]
    fn kleene_tables() {
        use Truth::{False, True, Unknown};
        assert_eq!([True.and(Unknown), False.and(Unknown)], [Unknown, False]);
        assert_eq!([True.or(Unknown), False.or(Unknown)], [True, Unknown]);
        assert_eq!(Unknown.not(), Unknown);
    }
}
