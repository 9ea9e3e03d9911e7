//! What could be written in a condition.

use aecp_contract::value::Type;

use super::{
    complete::{CompletionKind, Proposals},
    place::is_path,
};
use crate::language::{parse::words::OPERATORS, tokens::TokenKind};

impl Proposals<'_> {
    /// What fits behind the tokens before the place, which stand in a condition.
    pub(super) fn condition(&mut self) {
        match self.before(1) {
            // The second side of `BETWEEN low AND high`.
            "AND" if self.before(3) == "BETWEEN" => self.values(self.before(4)),
            "NOT" if is_path(self.before(2)) => self.keywords(&["IN"]),
            ":" | "WHERE" | "AND" | "OR" | "NOT" | "(" | "{" => {
                self.attributes(|_, _| true);
                self.keywords(&["NOT"]);
            }
            "==" | "=" | "!=" | "<" | "<=" | ">" | ">=" | "BETWEEN" | "CONTAINS" => {
                self.values(self.before(2));
            }
            "WITH" => self.values(self.before(3)),
            "IN" => self.collections(),
            "[" | "," => self.list_values(),
            "IS" => self.keywords(&["MISSING"]),
            "STARTS" | "ENDS" => self.keywords(&["WITH"]),
            "CIDR" | "MATCHES" | "BY" => {}
            _ if self.starts_operand(2) => match self.before_kind(1) {
                // The left side of a comparison, or a BOOL.
                Some(TokenKind::Word) if is_path(self.before(1)) => self.keywords(&OPERATORS),
                // An element that is looked for in a list.
                Some(TokenKind::Text | TokenKind::Number | TokenKind::Word) => {
                    self.keywords(&["IN", "NOT"]);
                }
                _ => self.keywords(&["AND", "OR"]),
            },
            _ if self.before(2) == "BETWEEN" => self.keywords(&["AND"]),
            _ => self.keywords(&["AND", "OR"]),
        }
    }

    /// Whether an operand starts behind the token `n` before the place.
    fn starts_operand(&self, n: usize) -> bool {
        match self.before(n) {
            "AND" => self.before(n + 2) != "BETWEEN",
            word => matches!(word, ":" | "WHERE" | "OR" | "NOT" | "(" | "{"),
        }
    }

    /// Values of an attribute as far as its type tells them, and other attributes of its type.
    pub(super) fn values(&mut self, path: &str) {
        let Some(ty) = self.snapshot.checked().types.get(path) else { return };
        let ty = match ty {
            Type::List(element) => element,
            scalar => scalar,
        };
        match ty {
            Type::Enum(members) => {
                self.plain(members.iter().map(|one| quoted(one)), CompletionKind::Value)
            }
            Type::Bool => self.plain(["true", "false"].map(str::to_owned), CompletionKind::Value),
            _ => {}
        }
        self.attributes(|other, of| other != path && of == ty);
    }

    /// The same between brackets, where no attributes stand.
    pub(super) fn list_values(&mut self) {
        // Back to the bracket: `path [NOT] IN [` or `path: [`.
        let mut n = 1;
        while !matches!(self.before(n), "[" | "") {
            n += 1;
        }
        let behind_path = match (self.before(n + 1), self.before(n + 2)) {
            ("IN", "NOT") => n + 3,
            _ => n + 2,
        };
        self.values(self.before(behind_path));
        self.only_values();
    }

    /// What `IN` may look into.
    fn collections(&mut self) {
        let left = if self.before(2) == "NOT" { self.before(3) } else { self.before(2) };
        let ty = self.snapshot.checked().types.get(left);
        if matches!(ty, Some(Type::Ip | Type::Any)) {
            self.keywords(&["CIDR"]);
        }
        self.attributes(
            |_, of| matches!(of, Type::List(element) if ty.is_none_or(|ty| **element == *ty)),
        );
    }
}

/// A text as the language writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
