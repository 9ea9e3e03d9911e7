//! Where a token stands in the language, told from the tokens before it alone, so that a statement that is still being
//! written has places too. In a sound file the keywords that start statements and parts start nothing else.

use super::symbols::SymbolKind;
use crate::language::{
    parse::words::{FIELDS, STATEMENTS, TEST_PARTS},
    tokens::{TokenKind, Tokens},
};

/// What is open before a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The keyword of the statement, by its token.
    pub(super) statement: Option<usize>,
    /// The keyword of the field or part of that statement.
    pub(super) part: Option<usize>,
    /// Brackets that the statement has open.
    pub(super) depth: usize,
}

impl Place {
    /// The place before token number `index`.
    pub(super) fn before(tokens: &Tokens<'_>, index: usize) -> Self {
        let mut place = Self::default();
        (0..index).for_each(|passed| place.pass(tokens, passed));
        place
    }

    /// Goes on behind token number `index`.
    pub(super) fn pass(&mut self, tokens: &Tokens<'_>, index: usize) {
        match tokens.all.get(index).map(|token| token.kind) {
            Some(TokenKind::Word) => {
                let word = tokens.word(index);
                if STATEMENTS.contains(&word) {
                    *self = Self { statement: Some(index), ..Self::default() };
                } else if self.starts_part(tokens, index) {
                    // Whatever the part before has left open is a mistake of that part.
                    (self.part, self.depth) = (Some(index), 1);
                }
            }
            Some(TokenKind::Open) if self.statement.is_some() => self.depth += 1,
            Some(TokenKind::Close) => match self.depth {
                0 | 1 => *self = Self::default(),
                _ => self.depth -= 1,
            },
            _ => {}
        }
    }

    fn starts_part(&self, tokens: &Tokens<'_>, index: usize) -> bool {
        let word = tokens.word(index);
        match self.statement(tokens) {
            "POLICY" => FIELDS.contains(&word) && word_before(tokens, index, 1) != "WITH",
            // A TABLE has a column EXPECT.
            "TEST" if word == "EXPECT" && self.part(tokens) == "TABLE" && self.depth > 1 => false,
            "TEST" | "FIXTURE" => TEST_PARTS.contains(&word),
            _ => false,
        }
    }

    /// The keyword of the statement; empty between statements.
    pub(super) fn statement<'t>(&self, tokens: &Tokens<'t>) -> &'t str {
        self.statement.map_or("", |index| tokens.word(index))
    }

    /// The keyword of the field or part; empty outside of one.
    pub(super) fn part<'t>(&self, tokens: &Tokens<'t>) -> &'t str {
        self.part.map_or("", |index| tokens.word(index))
    }

    /// What token number `index`, which stands here, names, and whether it stands there to declare it.
    pub(super) fn names(&self, tokens: &Tokens<'_>, index: usize) -> Option<(SymbolKind, bool)> {
        let (word, before) = (tokens.word(index), word_before(tokens, index, 1));
        let followed = tokens.word(index + 1) == ":";
        match tokens.all.get(index)?.kind {
            TokenKind::Text => {
                return match before {
                    "TEST" | "FIXTURE" => Some((SymbolKind::Example, true)),
                    "EXTENDS" => Some((SymbolKind::Example, false)),
                    _ => None,
                };
            }
            TokenKind::Word => {}
            _ => return None,
        }
        let policy = |declares| is_name(word).then_some((SymbolKind::Policy, declares));
        let attribute = |declares| is_path(word).then_some((SymbolKind::Attribute, declares));
        match (self.statement(tokens), self.part(tokens)) {
            ("POLICY", "") if before == "POLICY" => policy(true),
            ("POLICY", "SCOPE") if self.is_resource(tokens, index) => None,
            ("POLICY", "SCOPE" | "CONSTRAINT" | "MASK" | "REDACT" | "HASH" | "FILTER" | "LIMIT") => {
                attribute(false)
            }
            ("TEST", "EXPECT") => policy(false),
            ("TEST", "TABLE") if self.is_column(tokens, index) => attribute(false),
            ("TEST", "TABLE") if !matches!(word, "true" | "false") => policy(false),
            ("TEST" | "FIXTURE", _) if self.depth > 0 && followed => attribute(false),
            ("SCHEMA", _) if self.depth > 0 && followed => attribute(true),
            ("INVARIANT", _) if self.depth > 0 => attribute(false),
            _ => None,
        }
    }

    /// Whether this token stands in the first line of a TABLE, before its EXPECT.
    fn is_column(&self, tokens: &Tokens<'_>, index: usize) -> bool {
        self.part.is_some_and(|part| (part..index).all(|passed| tokens.word(passed) != "EXPECT"))
    }

    /// Whether this token stands where `SCOPE: name` has its name.
    pub(super) fn is_resource(&self, tokens: &Tokens<'_>, index: usize) -> bool {
        self.part(tokens) == "SCOPE"
            && self.part == index.checked_sub(2)
            && word_before(tokens, index, 1) == ":"
    }
}

/// The text of the token `n` before this one; empty before the first.
pub(super) fn word_before<'t>(tokens: &Tokens<'t>, index: usize, n: usize) -> &'t str {
    index.checked_sub(n).map_or("", |index| tokens.word(index))
}

/// Whether a text is a name of the language.
pub(super) fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(inner)
}

/// Whether a text is a path of an attribute.
pub(super) fn is_path(text: &str) -> bool {
    !matches!(text, "true" | "false") && text.split('.').all(is_name)
}
