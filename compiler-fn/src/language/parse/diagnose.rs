//! What to say about a piece that the grammar refuses: what was expected, what was found, what was meant.

use std::ops::Range;

use super::{
    MAX_NESTING, Reader, Refusal,
    expected::{choice, closes, expectation, is_number, wants_number},
    grammar::Rule,
    words::{OPERATORS, keyword_of_other_case, one_of, suggestion},
};
use crate::{
    findings::{Finding, Kind, code},
    language::tokens::TokenKind,
};

impl Reader<'_> {
    /// Reports why a piece, given to the grammar as `rule`, was refused: one finding.
    pub(super) fn diagnose(&mut self, rule: Rule, piece: &Range<usize>, refusal: &Refusal) {
        let finding = match refusal {
            Refusal::TooDeep(token) => {
                let place = super::span(self.file, &(token.start..token.end));
                let message = format!("nested deeper than {MAX_NESTING} levels");
                Finding::error(code::LIMIT, Kind::Limit, place, message)
                    .because("each bracket and each `NOT` is a level")
            }
            Refusal::Syntax { at, expected } => {
                let all = &self.tokens.all[..piece.end.min(self.tokens.all.len())];
                let index = all.partition_point(|token| token.end <= *at).max(piece.start);
                if index < piece.end {
                    self.unexpected(rule, piece, index, expected)
                } else {
                    self.ends_early(rule, piece, expected)
                }
            }
        };
        self.report(finding);
    }

    /// The piece goes wrong at token `index`.
    fn unexpected(&self, rule: Rule, piece: &Range<usize>, index: usize, expected: &[Rule]) -> Finding {
        let word = self.tokens.word(index);
        let kind = self.tokens.all.get(index).map_or(TokenKind::Symbol, |token| token.kind);
        let closing: Vec<_> = expected.iter().copied().filter(|rule| closes(*rule)).collect();
        let what = if kind == TokenKind::Close && !closing.is_empty() {
            // A wrong bracket is meant as the right one, not as another operator.
            expectation(rule, &closing)
        } else {
            expectation(rule, expected)
        };
        match kind {
            TokenKind::Unterminated => {
                return self
                    .error_at(index, "unterminated string")
                    .because("a string ends with `\"` on the line that it starts on");
            }
            TokenKind::SingleQuoted => {
                let inside = word.get(1..word.len().saturating_sub(1)).unwrap_or_default();
                return self
                    .error_at(index, format!("expected {what}, found `{word}`"))
                    .because("strings stand in double quotes")
                    .try_instead(format!("write `\"{}\"`", inside.replace('"', "\\\"")));
            }
            TokenKind::Number if wants_number(expected) && !is_number(word) => {
                return self
                    .error_at(index, format!("`{word}` is neither a number nor a duration"))
                    .because("the units of a duration are `ms`, `s`, `m`, `h`, `d` and `w`");
            }
            TokenKind::Word => {
                if let Some((name, words)) = choice(expected) {
                    return self.unknown_word(index, name, words);
                }
            }
            _ => {}
        }
        let after = match expected {
            [Rule::colon | Rule::open_brace | Rule::open_paren | Rule::open_bracket]
                if index > piece.start =>
            {
                format!(" after {}", self.found(index - 1))
            }
            _ => String::new(),
        };
        let mut finding = self.error_at(index, format!("expected {what}{after}, found `{word}`"));
        if kind == TokenKind::Close
            && let Some(opener) = self.unclosed(piece.start..index)
            && expected.iter().any(|rule| closes(*rule))
        {
            finding = finding.also(self.place(&(opener..opener + 1)), "opened here");
        }
        self.with_hint(finding, index, expected)
    }

    /// The piece stops where something is still expected.
    fn ends_early(&self, rule: Rule, piece: &Range<usize>, expected: &[Rule]) -> Finding {
        let last = piece.end.saturating_sub(1);
        if piece.is_empty() {
            return self.error_at(piece.start, format!("expected {}", expectation(rule, expected)));
        }
        let opener = self.unclosed(piece.clone()).filter(|_| expected.iter().any(|rule| closes(*rule)));
        let Some(opener) = opener else {
            let message = format!("expected {} after {}", expectation(rule, expected), self.found(last));
            return self.error_at(last, message);
        };
        let closing = match self.tokens.word(opener) {
            "{" => "}",
            "(" => ")",
            _ => "]",
        };
        self.error_at(last, format!("expected `{closing}` after {}", self.found(last)))
            .also(self.place(&(opener..opener + 1)), "opened here")
    }

    /// The innermost bracket that the tokens open and do not close.
    fn unclosed(&self, tokens: Range<usize>) -> Option<usize> {
        let mut open = Vec::new();
        for index in tokens {
            match self.tokens.all.get(index)?.kind {
                TokenKind::Open => open.push(index),
                TokenKind::Close => drop(open.pop()),
                _ => {}
            }
        }
        open.pop()
    }

    /// A word that is none of those its place takes.
    fn unknown_word(&self, index: usize, name: &str, words: &[&'static str]) -> Finding {
        let word = self.tokens.word(index);
        if name == "type" && word == "LIST" {
            return self
                .error_at(index, "a LIST cannot hold a LIST")
                .because("the elements of a LIST have one type, itself no LIST");
        }
        let place = self.place(&(index..index + 1));
        let message = format!("unknown {name} `{word}`");
        let finding = Finding::error(code::UNKNOWN_FIELD, Kind::Unknown, place, message);
        match suggestion(word, words) {
            Some(suggestion) => finding.try_instead(suggestion),
            None => finding.because(format!("it is {}", one_of(words))),
        }
    }

    /// Adds what was probably meant.
    fn with_hint(&self, finding: Finding, index: usize, expected: &[Rule]) -> Finding {
        let word = self.tokens.word(index);
        let kind = self.tokens.all.get(index).map_or(TokenKind::Symbol, |token| token.kind);
        let expects = |rule: Rule| expected.contains(&rule);
        let table = expects(Rule::cell) || expects(Rule::bar) || expects(Rule::outcome);
        let symbol = match word {
            "&&" | "&" => Some("AND"),
            "||" | "|" if !table => Some("OR"),
            "!" => Some("NOT"),
            "<>" => Some("!="),
            "=>" => Some(">="),
            "=~" => Some("MATCHES"),
            ":" | ":=" | "===" if expects(Rule::tail) => Some("=="),
            _ => None,
        };
        if let Some(symbol) = symbol {
            return finding.try_instead(format!("write `{symbol}`"));
        }
        if index > 0
            && expects(Rule::element)
            && matches!(word, "==" | "=" | "!=" | "<" | "<=" | ">" | ">=")
        {
            return finding.because("an attribute stands on the left of a comparison");
        }
        if kind != TokenKind::Word {
            return finding;
        }
        let before = index.checked_sub(1).map_or("", |before| self.tokens.word(before));
        if before == "not" && expects(Rule::tail) {
            return finding
                .because("`not` is an attribute here")
                .try_instead("keywords are upper case: `NOT`");
        }
        let wants_name = expects(Rule::name) || expects(Rule::path) || expects(Rule::given_entry);
        if let Some(keyword) = keyword_of_other_case(word).filter(|_| !wants_name) {
            return finding.try_instead(format!("keywords are upper case: `{keyword}`"));
        }
        if expects(Rule::name) && word.contains('.') {
            return finding.because("a name has no dots");
        }
        let lower = word.to_ascii_lowercase();
        let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_lowercase()) && name.is_ascii();
        let takes_path =
            wants_name || expects(Rule::value) || expects(Rule::condition) || expects(Rule::clause);
        if takes_path && lower != word && word != "EXPECT" && lower.split('.').all(is_name) {
            return finding.because("names are lower case").try_instead(format!("write `{lower}`"));
        }
        let near = expects(Rule::tail).then(|| suggestion(word, &OPERATORS)).flatten();
        match near {
            Some(suggestion) => finding.try_instead(suggestion),
            None => finding,
        }
    }
}
