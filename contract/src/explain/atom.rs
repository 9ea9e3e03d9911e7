//! Atoms as data, and their truth for a request.

use serde::{Deserialize, Serialize};

use super::Truth;
use crate::{
    manifest::AttributeDeclaration,
    value::{Attribute, Cidr, Type, Value},
};

/// One comparison, the smallest clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Atom {
    /// As the formatter prints it, cut to what is shown ([`super::shown`]).
    pub text: String,
    /// The line in the policy's file, from 1.
    pub line: u32,
    /// Whether it says the contrary of `test`, where that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
    /// What is compared.
    pub test: Test,
}

/// What an atom asks. Numbers are slots: indexes of the manifest's attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Are both the same?
    Equal(u32, Operand),
    /// Is the attribute less?
    Less(u32, Operand),
    /// Is the attribute greater?
    Greater(u32, Operand),
    /// Is the attribute between both, or one of them?
    Between(u32, Operand, Operand),
    /// Is the attribute one of these literals?
    OneOf(u32, Vec<String>),
    /// Does the LIST attribute have this element?
    Element(u32, Operand),
    /// Is this text a part of the attribute?
    HasPart(u32, Operand),
    /// Does the attribute start with this text?
    StartsWith(u32, Operand),
    /// Does the attribute end with this text?
    EndsWith(u32, Operand),
    /// Does the attribute match the pattern? `*` is any text, `?` one character, `\` takes the next as it is.
    Matches(u32, String),
    /// Does the address lie in the network?
    InNetwork(u32, String),
    /// Does the request have the attribute? Never UNKNOWN.
    Exists(u32),
    /// Is the BOOL attribute true?
    Holds(u32),
}

/// What an attribute is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// Another attribute.
    Slot(u32),
    /// A literal, as plain text; its type is that of the attribute.
    Value(String),
}

impl Atom {
    /// The slots that it looks at, in the order of the text.
    #[must_use]
    pub fn slots(&self) -> Vec<u32> {
        let (first, operands) = self.test.parts();
        let others = operands.into_iter().flatten().filter_map(|operand| match operand {
            Operand::Slot(slot) => Some(*slot),
            Operand::Value(_) => None,
        });
        let mut slots: Vec<u32> = Vec::new();
        for slot in [first].into_iter().chain(others) {
            if !slots.contains(&slot) {
                slots.push(slot);
            }
        }
        slots
    }

    /// Its truth where the attributes of these types have these values.
    #[must_use]
    pub fn truth(&self, types: &[AttributeDeclaration], values: &[Attribute]) -> Truth {
        match (Request { types, values }).test(&self.test) {
            Some(holds) => (holds != self.negated).into(),
            None => Truth::Unknown,
        }
    }

    /// The steps that [`Self::truth`] takes at most, about: bytes and elements that are looked at.
    pub(super) fn steps(&self, sizes: &[usize]) -> usize {
        let size = |slot: u32| sizes.get(slot as usize).copied().unwrap_or(0);
        let (first, operands) = self.test.parts();
        let mut steps = 1 + size(first);
        for operand in operands.into_iter().flatten() {
            steps += match operand {
                Operand::Slot(slot) => size(*slot),
                Operand::Value(text) => text.len(),
            };
        }
        match &self.test {
            Test::OneOf(_, entries) => {
                entries.iter().fold(steps, |steps, entry| steps + 1 + entry.len())
            }
            Test::Matches(slot, pattern) => {
                steps.saturating_add(size(*slot).saturating_mul(pattern.len()))
            }
            _ => steps,
        }
    }
}

impl Test {
    fn parts(&self) -> (u32, [Option<&Operand>; 2]) {
        match self {
            Self::Equal(slot, x)
            | Self::Less(slot, x)
            | Self::Greater(slot, x)
            | Self::Element(slot, x)
            | Self::HasPart(slot, x)
            | Self::StartsWith(slot, x)
            | Self::EndsWith(slot, x) => (*slot, [Some(x), None]),
            Self::Between(slot, low, high) => (*slot, [Some(low), Some(high)]),
            Self::OneOf(slot, _)
            | Self::Matches(slot, _)
            | Self::InNetwork(slot, _)
            | Self::Exists(slot)
            | Self::Holds(slot) => (*slot, [None, None]),
        }
    }
}

/// A request, typed.
struct Request<'a> {
    types: &'a [AttributeDeclaration],
    values: &'a [Attribute],
}

/// A value of the request, or a literal.
enum Side<'a> {
    Request(&'a Value),
    Literal(Value),
}

impl Side<'_> {
    fn value(&self) -> &Value {
        match self {
            Self::Request(value) => value,
            Self::Literal(value) => value,
        }
    }

    fn text(&self) -> Option<&str> {
        text(self.value())
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

impl<'a> Request<'a> {
    /// Whether it holds; `None` if an attribute that it looks at is missing or unusable.
    fn test(&self, test: &Test) -> Option<bool> {
        Some(match test {
            Test::Equal(slot, x) => self.value(*slot)? == self.operand(x, self.ty(*slot))?.value(),
            Test::Less(slot, x) => self.value(*slot)? < self.operand(x, self.ty(*slot))?.value(),
            Test::Greater(slot, x) => self.value(*slot)? > self.operand(x, self.ty(*slot))?.value(),
            Test::Between(slot, low, high) => {
                let (value, ty) = (self.value(*slot)?, self.ty(*slot));
                let (low, high) = (self.operand(low, ty)?, self.operand(high, ty)?);
                low.value() <= value && value <= high.value()
            }
            Test::OneOf(slot, entries) => {
                let (value, ty) = (self.value(*slot)?, self.ty(*slot));
                match value {
                    Value::Text(text) => entries.contains(text),
                    _ => entries.iter().any(|entry| Value::from_text(entry, ty).as_ref() == Some(value)),
                }
            }
            Test::Element(slot, x) => {
                let (Type::List(element), Value::List(elements)) = (self.ty(*slot), self.value(*slot)?)
                else {
                    return None;
                };
                elements.contains(self.operand(x, element)?.value())
            }
            Test::HasPart(slot, x) => {
                self.text(*slot)?.contains(self.operand(x, &Type::String)?.text()?)
            }
            Test::StartsWith(slot, x) => {
                self.text(*slot)?.starts_with(self.operand(x, &Type::String)?.text()?)
            }
            Test::EndsWith(slot, x) => {
                self.text(*slot)?.ends_with(self.operand(x, &Type::String)?.text()?)
            }
            Test::Matches(slot, pattern) => matches(self.text(*slot)?, pattern),
            Test::InNetwork(slot, network) => {
                let Value::Ip(address) = self.value(*slot)? else { return None };
                Cidr::parse_lenient(network).ok()?.0.contains(*address)
            }
            Test::Exists(slot) => *self.attribute(*slot) != Attribute::Missing,
            Test::Holds(slot) => *self.value(*slot)? == Value::Bool(true),
        })
    }

    fn attribute(&self, slot: u32) -> &'a Attribute {
        self.values.get(slot as usize).unwrap_or(&Attribute::Missing)
    }

    fn value(&self, slot: u32) -> Option<&'a Value> {
        match self.attribute(slot) {
            Attribute::Present(value) => Some(value),
            Attribute::Missing | Attribute::Invalid => None,
        }
    }

    fn text(&self, slot: u32) -> Option<&'a str> {
        text(self.value(slot)?)
    }

    fn ty(&self, slot: u32) -> &'a Type {
        self.types.get(slot as usize).map_or(&Type::Any, |declared| &declared.ty)
    }

    fn operand(&self, operand: &Operand, ty: &Type) -> Option<Side<'a>> {
        match operand {
            Operand::Slot(slot) => self.value(*slot).map(Side::Request),
            Operand::Value(text) => Value::from_text(text, ty).map(Side::Literal),
        }
    }
}

/// Whether the pattern matches the whole text: where it does not, the last `*` takes one character more.
fn matches(text: &str, pattern: &str) -> bool {
    #[derive(PartialEq)]
    enum Symbol {
        Any,
        One,
        Exactly(char),
    }
    let mut symbols = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        symbols.push(match c {
            '*' => Symbol::Any,
            '?' => Symbol::One,
            '\\' => Symbol::Exactly(rest.next().unwrap_or('\\')),
            c => Symbol::Exactly(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut symbol) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match symbols.get(symbol) {
            Some(Symbol::Any) => {
                symbol += 1;
                star = Some((symbol, at));
            }
            Some(Symbol::One) => (at, symbol) = (at + 1, symbol + 1),
            Some(Symbol::Exactly(c)) if *c == text[at] => (at, symbol) = (at + 1, symbol + 1),
            _ => {
                let Some((after, from)) = star else { return false };
                (at, symbol) = (from + 1, after);
                star = Some((after, from + 1));
            }
        }
    }
    symbols.get(symbol..).is_some_and(|rest| rest.iter().all(|symbol| *symbol == Symbol::Any))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_texts() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "*", true),
            ("", "?", false),
            ("abc", "a*c", true),
            ("abcd", "a*c", false),
            ("äb", "?b", true),
            ("a*b", r"a\*b", true),
            ("axb", r"a\*b", false),
            ("aXbXc", "*X*c", true),
            ("aXbXcd", "*X*c", false),
            ("ab", "a", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
    }
}
