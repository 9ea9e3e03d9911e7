//! Where broken text goes on: starts of statements, of fields, of entries.

use std::ops::Range;

use super::{
    Reader,
    words::{FIELDS, STATEMENTS, TEST_PARTS, meant},
};
use crate::language::tokens::TokenKind;

/// The body of a statement, cut into the pieces that the grammar can be given.
pub(super) struct Body {
    /// The pieces in their order.
    pub(super) pieces: Vec<Range<usize>>,
    /// The closing brace.
    pub(super) close: Option<usize>,
    /// What stands behind the closing brace.
    pub(super) tail: Range<usize>,
    /// Closing braces that close nothing: the body goes on behind them.
    pub(super) stray: Vec<usize>,
}

impl Reader<'_> {
    fn is_word(&self, index: usize) -> bool {
        self.tokens.all.get(index).is_some_and(|token| token.kind == TokenKind::Word)
    }

    fn is_first_on_line(&self, index: usize) -> bool {
        self.tokens.all.get(index).is_some_and(|token| token.first_on_line)
    }

    /// Whether a statement starts at this token: at its keyword, or at a word that seems to be meant as one
    /// because of what follows. In a sound file every such keyword starts a statement, and nothing else does.
    pub(super) fn starts_statement(&self, index: usize) -> bool {
        if !self.is_word(index) {
            return false;
        }
        let word = self.tokens.word(index);
        let exact = STATEMENTS.contains(&word);
        let first_on_line = self.is_first_on_line(index);
        if exact && first_on_line {
            return true;
        }
        let next = self.tokens.all.get(index + 1).map(|token| token.kind);
        let opens = |index| self.tokens.word(index) == "{";
        // Asked before `meant`, which is slow and hardly ever needed.
        let shaped = opens(index + 1) || (opens(index + 2) && self.tokens.word(index + 1) != ":");
        let possible = exact || (first_on_line && shaped);
        if !possible {
            return false;
        }
        match meant(word, &STATEMENTS) {
            Some("SCHEMA") => opens(index + 1) || opens(index + 2),
            Some("TEST" | "FIXTURE") => next == Some(TokenKind::Text),
            Some(_) => next == Some(TokenKind::Word),
            None => false,
        }
    }

    /// Whether a field of a policy starts at this token.
    pub(super) fn starts_field(&self, index: usize) -> bool {
        self.starts_part(index, &FIELDS) && !(index > 0 && self.tokens.word(index - 1) == "WITH")
    }

    /// Whether GIVEN, EXPECT or TABLE starts at this token; EXPECT is also the last column of a table.
    pub(super) fn starts_test_part(&self, index: usize) -> bool {
        self.starts_part(index, &TEST_PARTS) && !(index > 0 && self.tokens.word(index - 1) == "|")
    }

    /// Whether a row of a table starts at this token: on a line of its own or behind an outcome, unless that goes on.
    pub(super) fn starts_row(&self, index: usize) -> bool {
        let before = index.checked_sub(1).map_or("", |before| self.tokens.word(before));
        let goes_on = ["|", ",", "BY", "WITH", "ADVISORY"];
        if goes_on.contains(&before) || goes_on.contains(&self.tokens.word(index)) || before == "[" {
            return false;
        }
        let is_name = before.starts_with(|c: char| c.is_ascii_lowercase());
        let outcome = matches!(before, "ALLOW" | "DENY") || (is_name && !self.is_literal(index - 1));
        let closes = matches!(self.tokens.word(index), "}" | "]" | ")");
        !closes && (self.is_first_on_line(index) || outcome)
    }

    fn starts_part(&self, index: usize, keywords: &[&'static str]) -> bool {
        if !self.is_word(index) {
            return false;
        }
        let word = self.tokens.word(index);
        let first_on_line = self.is_first_on_line(index);
        if self.tokens.word(index + 1) != ":" {
            return first_on_line && keywords.contains(&word);
        }
        let shouted = word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let of_file = matches!(word, "DEFAULT" | "MIN_COVERAGE");
        !word.contains('.') && !of_file && (shouted || first_on_line || meant(word, keywords).is_some())
    }

    /// Whether a declaration or an attribute of GIVEN starts at this token.
    pub(super) fn starts_entry(&self, index: usize) -> bool {
        let lower = self.tokens.word(index).starts_with(|c: char| c.is_ascii_lowercase());
        let followed = self.tokens.word(index + 1) == ":";
        self.is_word(index)
            && (followed || (lower && self.is_first_on_line(index) && !self.is_literal(index)))
    }

    fn is_literal(&self, index: usize) -> bool {
        matches!(self.tokens.word(index), "true" | "false")
    }

    /// Cuts a body, whose opening brace stands before it, at the `starts` of its parts. A closing brace
    /// without an opening one since the last start ends the body, unless a part follows it.
    pub(super) fn split(&self, body: Range<usize>, starts: impl Fn(usize) -> bool) -> Body {
        let mut split =
            Body { pieces: Vec::new(), close: None, tail: body.end..body.end, stray: Vec::new() };
        let mut open: Vec<&str> = Vec::new();
        let mut piece: Option<usize> = None;
        for index in body.clone() {
            if starts(index) {
                split.pieces.extend(piece.take().map(|start| start..index));
                open.clear();
            }
            let word = self.tokens.word(index);
            match word {
                "{" | "(" | "[" => open.push(word),
                ")" if open.last() == Some(&"(") => drop(open.pop()),
                "]" if open.last() == Some(&"[") => drop(open.pop()),
                "}" => match open.iter().rposition(|bracket| *bracket == "{") {
                    Some(at) => open.truncate(at),
                    None => {
                        split.pieces.extend(piece.take().map(|start| start..index));
                        if index + 1 < body.end && starts(index + 1) {
                            split.stray.push(index);
                            continue;
                        }
                        split.close = Some(index);
                        split.tail = index + 1..body.end;
                        return split;
                    }
                },
                _ => {}
            }
            piece.get_or_insert(index);
        }
        split.pieces.extend(piece.map(|start| start..body.end));
        split
    }
}
