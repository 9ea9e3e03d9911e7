//! What could be written at a place.

use std::ops::Range;

use aecp_contract::value::Type;

use super::{
    Snapshot, keywords,
    place::{Place, word_before},
    symbols::{SymbolKind, named},
};
use crate::{
    language::{
        parse::words::STATEMENTS,
        tokens::{TokenKind, Tokens},
    },
    source::Span,
};

/// Proposals made at most; beyond that only those that begin as the written word does.
const MAX: usize = 1000;

/// What kind of thing is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionKind {
    /// A word of the language.
    Keyword,
    /// An attribute.
    Attribute,
    /// A policy.
    Policy,
    /// A value.
    Value,
    /// A test or fixture.
    Example,
}

/// One proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text to write.
    pub text: String,
    /// What it is.
    pub kind: CompletionKind,
    /// An attribute's type.
    pub detail: Option<String>,
    /// A keyword's meaning.
    pub documentation: Option<&'static str>,
}

/// The proposals for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completions {
    /// What they replace: the word or text being written, up to the place.
    pub replace: Span,
    /// The proposals, the most likely kind first.
    pub items: Vec<Completion>,
    /// Whether there are more for a longer word.
    pub incomplete: bool,
}

/// What could be written at a byte of a file; `None` in comments and in texts that may say anything.
#[must_use]
pub fn completions(snapshot: &Snapshot, file: u32, byte: u32) -> Option<Completions> {
    let tokens = snapshot.tokens(file);
    // A comment goes on to the end of its line.
    let line_end = |comment: &Range<u32>| {
        let behind = tokens.text.get(comment.end as usize..).unwrap_or_default();
        comment.end + behind.find('\n').unwrap_or(behind.len()) as u32
    };
    let before = tokens.comments.iter().take_while(|comment| comment.start < byte).last();
    if before.is_some_and(|comment| byte <= line_end(comment)) {
        return None;
    }
    let index = tokens.all.partition_point(|token| token.end < byte);
    let (index, replace, in_text) = match tokens.all.get(index).filter(|token| token.start < byte) {
        Some(token) => match token.kind {
            TokenKind::Word => (index, token.start..byte, false),
            TokenKind::Text if byte < token.end => (index, token.start..token.end, true),
            TokenKind::Unterminated => (index, token.start..byte, true),
            TokenKind::Number | TokenKind::SingleQuoted => return None,
            _ => (index + 1, byte..byte, false),
        },
        None => (index, byte..byte, false),
    };
    let mut proposals = Proposals {
        snapshot,
        tokens: &tokens,
        index,
        writing: !replace.is_empty(),
        line_start: starts_line(tokens.text, replace.start),
        place: Place::before(&tokens, index),
        items: Vec::new(),
    };
    proposals.all();
    let mut items = proposals.items;
    let written = tokens.text.get(replace.start as usize..byte as usize).unwrap_or_default();
    if in_text {
        items.retain(|item| item.text.starts_with('"'));
    }
    // A path that stands nowhere but here is the one being written.
    if let [_] = *named(snapshot, SymbolKind::Attribute, written) {
        items.retain(|item| item.text != written);
    }
    let incomplete = items.len() > MAX;
    if incomplete {
        items.retain(|item| item.text.starts_with(written));
        items.truncate(MAX);
    }
    let replace = Span { file, start: replace.start, end: replace.end };
    Some(Completions { replace, items, incomplete })
}

fn starts_line(text: &str, byte: u32) -> bool {
    let before = text.get(..byte as usize).unwrap_or_default();
    before.rsplit('\n').next().is_some_and(|line| line.trim().is_empty())
}

/// Collects what fits between two tokens.
pub(super) struct Proposals<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) tokens: &'s Tokens<'s>,
    /// The token being written, or the one behind the place.
    pub(super) index: usize,
    /// Which of both.
    pub(super) writing: bool,
    /// Whether nothing stands before it on its line.
    pub(super) line_start: bool,
    pub(super) place: Place,
    items: Vec<Completion>,
}

impl<'s> Proposals<'s> {
    /// The token `n` before the place.
    pub(super) fn before(&self, n: usize) -> &'s str {
        word_before(self.tokens, self.index, n)
    }

    pub(super) fn before_kind(&self, n: usize) -> Option<TokenKind> {
        self.tokens.all.get(self.index.checked_sub(n)?).map(|token| token.kind)
    }

    fn all(&mut self) {
        match self.place.statement(self.tokens) {
            "" => {
                self.keywords(&STATEMENTS);
                if self.index == 0 {
                    self.keywords(&["MODULE", "DEFAULT"]);
                }
            }
            "SCHEMA" => self.schema(),
            "POLICY" if self.place.depth > 0 => self.policy(),
            "TEST" | "FIXTURE" if self.place.depth > 0 => self.test(),
            "INVARIANT" if self.place.depth > 0 => match self.before(1) {
                "NEVER" => self.keywords(&["ALLOW"]),
                "ALLOW" => self.keywords(&["WHERE"]),
                "{" if self.place.depth == 1 => self.keywords(&["NEVER"]),
                _ => self.condition(),
            },
            _ => {}
        }
    }

    pub(super) fn keywords(&mut self, words: &[&'static str]) {
        self.items.extend(words.iter().map(|word| Completion {
            text: (*word).to_owned(),
            kind: CompletionKind::Keyword,
            detail: None,
            documentation: keywords::keyword(word).map(|keyword| keyword.meaning),
        }));
    }

    pub(super) fn attributes(&mut self, fits: impl Fn(&str, &Type) -> bool) {
        let types = &self.snapshot.checked().types;
        let fitting = types.iter().filter(|(path, ty)| fits(path, ty));
        self.items.extend(fitting.map(|(path, ty)| Completion {
            text: path.clone(),
            kind: CompletionKind::Attribute,
            detail: (*ty != Type::Any).then(|| ty.to_string()),
            documentation: None,
        }));
    }

    pub(super) fn plain(&mut self, texts: impl IntoIterator<Item = String>, kind: CompletionKind) {
        let plain = |text| Completion { text, kind, detail: None, documentation: None };
        self.items.extend(texts.into_iter().map(plain));
    }

    /// Drops everything but values.
    pub(super) fn only_values(&mut self) {
        self.items.retain(|item| item.kind == CompletionKind::Value);
    }
}
