//! Syntax tree to text: one layout for everybody.
//!
//! The layout follows from the tree and from where comments stand, never from how the text was laid out
//! before; of the author's layout only single blank lines are kept. Statements become [`Line`]s
//! (`layout.rs`, `conditions.rs`), then comments are put between and behind these (`weave.rs`).

mod conditions;
mod layout;
mod test;
#[cfg(test)]
mod tests;
mod weave;
mod write;

use std::ops::Range;

use super::{
    ast::{Atom, Condition, Expect, Field, File, Literal, Policy, Spanned, Statement},
    parse::{MAX_NESTING, parse},
    tokens::{Token, TokenKind, Tokens},
};
use crate::{
    findings::{Finding, Kind, code, has_errors},
    source::Span,
};

/// Columns that a line with one connective may have before its condition is broken.
const CONDITION_COLUMNS: usize = 80;

/// Columns that any other line may have before it is broken.
const COLUMNS: usize = 100;

/// Columns of one level.
const INDENT: usize = 2;

/// Puts a file into the standard layout, keeping its comments.
///
/// # Errors
/// What keeps the text from being parsed; or that it nests so deeply that the layout could not be.
pub fn format(text: &str) -> Result<String, Vec<Finding>> {
    let parsed = parse(0, text);
    if has_errors(&parsed.findings) {
        return Err(parsed.findings);
    }
    let source = Tokens::read(text);
    let mut printer = Printer { source: Some(&source), lines: Vec::new() };
    printer.file(&parsed.file);
    let text = weave::weave(printer.lines, &source);
    // The layout's own parentheses are levels, too: rather no layout than one that cannot be read again.
    let result = Tokens::read(&text);
    match result.too_deep(0..result.all.len(), MAX_NESTING) {
        None => Ok(text),
        Some(_) => {
            let first = source.all.first().map_or(0..0, |token| token.start..token.end);
            let place = Span { file: 0, start: first.start, end: first.end };
            let message = format!("the layout would nest deeper than {MAX_NESTING} levels");
            Err(vec![Finding::error(code::LIMIT, Kind::Limit, place, message)])
        }
    }
}

/// Writes a tree in the standard layout.
#[must_use]
pub fn print(file: &File) -> String {
    let mut printer = Printer { source: None, lines: Vec::new() };
    printer.file(file);
    weave::weave(printer.lines, &Tokens::read(""))
}

/// Writes one field of a policy in one line.
#[must_use]
pub fn field(field: &Spanned<Field>) -> String {
    let name = Spanned::new("p".to_owned(), field.span);
    let policy = Policy { name, fields: vec![field.clone()], incomplete: true };
    let mut printer = Printer { source: None, lines: Vec::new() };
    printer.policy(&policy, field.span);
    let inner = printer.lines.get(1..printer.lines.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().map(|line| line.text.trim()).collect::<Vec<_>>().join(" ")
}

/// Writes a condition in one line.
#[must_use]
pub fn condition(condition: &Condition) -> String {
    write::condition(condition)
}

/// Writes a literal.
#[must_use]
pub fn literal(literal: &Literal) -> String {
    write::literal(literal)
}

/// Writes an atom in one line.
#[must_use]
pub fn atom(atom: &Atom) -> String {
    write::atom(atom)
}

/// What stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    /// Nothing.
    None,
    /// A blank line, if the author left one or more.
    Keep,
    /// A blank line.
    Blank,
}

/// One line of the layout.
#[derive(Debug)]
struct Line {
    /// Columns before the text.
    indent: usize,
    text: String,
    /// Where the line's first token stood in the source: comments from there to the next line's anchor
    /// belong behind this line.
    anchor: u32,
    gap: Gap,
    /// Whether it closes what an earlier line opened, so that comments before it stand one level deeper.
    closes: bool,
}

/// Lays statements out as lines.
struct Printer<'s> {
    /// What the tree was parsed from; `None` if only the tree counts.
    source: Option<&'s Tokens<'s>>,
    lines: Vec<Line>,
}

impl Printer<'_> {
    fn file(&mut self, file: &File) {
        let word_at =
            |word: &str| self.token(0..u32::MAX, |_, found| found == word).map(|token| token.start);
        let (module, default) = (word_at("MODULE").unwrap_or(0), word_at("DEFAULT").unwrap_or(0));
        let coverage = word_at("MIN_COVERAGE").unwrap_or(0);
        if let Some(name) = &file.module {
            self.line(0, Gap::Keep, format!("MODULE {}", name.node), module);
        }
        let mut options = Vec::new();
        if file.default_deny {
            options.push((default, "DEFAULT: DENY".to_owned()));
        }
        if let Some(percent) = &file.min_coverage {
            options.push((coverage, format!("MIN_COVERAGE: {}", percent.node)));
        }
        // Both orders are sound, and the author's is kept.
        options.sort_by_key(|(at, _)| *at);
        for (at, text) in options {
            self.line(0, Gap::Keep, text, at);
        }
        for statement in &file.statements {
            let span = statement.span;
            match &statement.node {
                Statement::Schema(schema) => self.schema(schema, span),
                Statement::Policy(policy) => self.policy(policy, span),
                Statement::Test(test) => self.test(test, span),
                Statement::Fixture(fixture) => self.fixture(fixture, span),
                Statement::Invariant(invariant) => self.invariant(invariant, span),
            }
        }
    }

    fn line(&mut self, indent: usize, gap: Gap, text: String, anchor: u32) {
        self.lines.push(Line { indent, text, anchor, gap, closes: false });
    }

    /// A line that closes what the piece at `span` opened.
    fn close(&mut self, indent: usize, text: &str, span: Span) {
        let anchor = span.end.saturating_sub(1);
        self.lines.push(Line { indent, text: text.to_owned(), anchor, gap: Gap::None, closes: true });
    }

    /// Whether a comment starts within these bytes of the source.
    fn commented(&self, bytes: Range<u32>) -> bool {
        self.source.is_some_and(|source| {
            let at = source.comments.partition_point(|comment| comment.start < bytes.start);
            source.comments.get(at).is_some_and(|comment| comment.start < bytes.end)
        })
    }

    /// The first token within these bytes that is asked for.
    fn token(&self, bytes: Range<u32>, is: impl Fn(Token, &str) -> bool) -> Option<Token> {
        let source = self.source?;
        let from = source.all.partition_point(|token| token.start < bytes.start);
        let within = source.all.iter().skip(from).take_while(|token| token.start < bytes.end);
        within.copied().find(|token| is(*token, source.of(*token)))
    }

    /// A condition's place with all the brackets that stand around it alone.
    fn with_brackets(&self, span: Span) -> Span {
        let Some(source) = self.source else { return span };
        let mut before = source.all.partition_point(|token| token.start < span.start);
        let mut after = source.all.partition_point(|token| token.start < span.end);
        let mut outer = span;
        while let (Some(open), Some(close)) =
            (before.checked_sub(1).and_then(|at| source.all.get(at)), source.all.get(after))
            && open.kind == TokenKind::Open
            && close.kind == TokenKind::Close
        {
            outer = Span { start: open.start, end: close.end, ..outer };
            before -= 1;
            after += 1;
        }
        outer
    }
}

/// Whether a line of so many columns of indentation and this text has at most `columns`.
fn fits(indent: usize, text: &str, columns: usize) -> bool {
    indent + text.chars().count() <= columns
}

/// What stands behind `EXPECT: `, or in the last column of a table.
#[must_use]
pub fn outcome(expect: &Expect) -> String {
    let names = |names: &[super::ast::Name]| {
        names.iter().map(|name| name.node.as_str()).collect::<Vec<_>>().join(", ")
    };
    match expect {
        Expect::Allow => "ALLOW".to_owned(),
        Expect::AllowWithAdvisory(policies) => format!("ALLOW WITH ADVISORY {}", names(policies)),
        Expect::Deny(policies) if policies.is_empty() => "DENY".to_owned(),
        Expect::Deny(policies) => format!("DENY BY {}", names(policies)),
    }
}
