//! The names of a set: where each is declared and used.

use super::{
    Snapshot,
    place::{Place, is_path},
};
use crate::{
    language::tokens::{Token, Tokens},
    source::Span,
};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolKind {
    /// An attribute.
    Attribute,
    /// A policy.
    Policy,
    /// What a test may build on: another test or a fixture, named by its text.
    Example,
}

/// A place where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// What it names.
    pub kind: SymbolKind,
    /// Whether this place declares it.
    pub declares: bool,
    /// Where; the text there is the name.
    pub span: Span,
    /// The name of the policy around it.
    pub policy: Option<Span>,
}

/// Every name in a file.
pub(super) fn occurrences(snapshot: &Snapshot, file: u32) -> Vec<Occurrence> {
    let tokens = snapshot.tokens(file);
    let mut place = Place::default();
    let mut found = Vec::new();
    for (index, token) in tokens.all.iter().enumerate() {
        if let Some((kind, declares)) = place.names(&tokens, index) {
            let policy = place.statement.filter(|_| place.statement(&tokens) == "POLICY");
            let policy = policy.and_then(|keyword| tokens.all.get(keyword + 1));
            found.push(Occurrence {
                kind,
                declares,
                span: span_of(file, token),
                policy: policy.map(|name| span_of(file, name)),
            });
        }
        place.pass(&tokens, index);
    }
    found
}

/// The name at a byte of a file, or ending there.
#[must_use]
pub fn symbol_at(snapshot: &Snapshot, file: u32, byte: u32) -> Option<Occurrence> {
    let touches = |one: &Occurrence| one.span.start <= byte && byte <= one.span.end;
    occurrences(snapshot, file).into_iter().find(touches)
}

/// Every place of the set where the same is named, in the order of the sources.
#[must_use]
pub fn references(snapshot: &Snapshot, symbol: &Occurrence) -> Vec<Occurrence> {
    named(snapshot, symbol.kind, snapshot.sources.text(symbol.span))
}

/// Every place of the set where something has this name.
pub(super) fn named(snapshot: &Snapshot, kind: SymbolKind, name: &str) -> Vec<Occurrence> {
    let files = (0..).zip(snapshot.sources.files());
    // A file without the name is not worth reading.
    let files = files.filter(|(_, source)| source.text.contains(name));
    files
        .flat_map(|(file, _)| occurrences(snapshot, file))
        .filter(|one| one.kind == kind && snapshot.sources.text(one.span) == name)
        .collect()
}

/// Where what is named comes from: its declarations; for an attribute without one its first use.
#[must_use]
pub fn definitions(snapshot: &Snapshot, symbol: &Occurrence) -> Vec<Occurrence> {
    let all = references(snapshot, symbol);
    let declared: Vec<_> = all.iter().filter(|one| one.declares).copied().collect();
    match symbol.kind {
        SymbolKind::Attribute if declared.is_empty() => all.into_iter().take(1).collect(),
        _ => declared,
    }
}

/// The token at a byte, or ending there: a word rather than what stands behind it.
pub(super) fn token_at(tokens: &Tokens<'_>, byte: u32) -> Option<usize> {
    let first = tokens.all.partition_point(|token| token.end < byte);
    let touching = (first..tokens.all.len().min(first + 2))
        .filter(|index| tokens.all.get(*index).is_some_and(|token| token.start <= byte));
    let touching: Vec<_> = touching.collect();
    let word = touching.iter().find(|index| is_word(tokens.word(**index)));
    word.or(touching.last()).copied()
}

fn is_word(text: &str) -> bool {
    is_path(text) || text.starts_with(|c: char| c.is_alphabetic())
}

pub(super) fn span_of(file: u32, token: &Token) -> Span {
    Span { file, start: token.start, end: token.end }
}
