//! Text to syntax tree.
//!
//! A file is cut at the keywords that start statements, and each statement is given to the grammar by itself.
//! Only a statement that the grammar refuses is cut further, at its fields (`recover.rs`), so that every
//! broken place is reported once and everything else of the file is still read.

mod build;
mod conditions;
mod diagnose;
mod expected;
mod fields;
mod grammar;
mod literals;
mod recover;
mod split;
mod test_parts;
mod test_recovery;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use std::ops::Range;

use pest::{
    Parser as _,
    error::{ErrorVariant, InputLocation},
    iterators::Pairs,
};

use self::{
    build::{Builder, Parts as _},
    grammar::{Grammar, Rule},
};
use crate::{
    findings::{Finding, Kind, code, sort},
    language::{
        ast::{File, Spanned, Statement},
        tokens::{Token, Tokens},
    },
    source::Span,
};

/// The deepest that brackets and NOTs may nest, so that no text exhausts the stack.
pub const MAX_NESTING: usize = 256;

/// The most findings of one file; who has that many errors reads them from the top.
const MAX_FINDINGS: usize = 100;

/// What parsing one file gives: as much of the tree as could be read, and everything that was wrong.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The tree, without what could not be parsed.
    pub file: File,
    /// The comments in their order, each with its `--` or `#`, for the printer.
    pub comments: Vec<Span>,
    /// Syntax and limit errors.
    pub findings: Vec<Finding>,
}

/// Parses file number `file` of a set.
#[must_use]
pub fn parse(file: u32, text: &str) -> Parsed {
    if u32::try_from(text.len()).is_err() {
        let span = Span { file, start: 0, end: 0 };
        let finding = Finding::error(code::LIMIT, Kind::Limit, span, "the file has more than 4 GiB");
        return Parsed { file: File::default(), comments: Vec::new(), findings: vec![finding] };
    }
    let tokens = Tokens::read(text);
    let comments = tokens.comments.iter().map(|bytes| span(file, bytes)).collect();
    let mut reader = Reader { file, tokens: &tokens, policy: None, findings: Vec::new() };
    let tree = reader.file();
    let mut findings = reader.findings;
    sort(&mut findings);
    if let Some(first) = findings.get(MAX_FINDINGS) {
        let place = first.labels.first().map_or(Span { file, start: 0, end: 0 }, |label| label.span);
        let more = findings.len() - MAX_FINDINGS;
        findings.truncate(MAX_FINDINGS);
        let message = format!("too many errors: {more} more from here on");
        findings.push(Finding::error(code::LIMIT, Kind::Limit, place, message));
    }
    Parsed { file: tree, comments, findings }
}

fn span(file: u32, bytes: &Range<u32>) -> Span {
    Span { file, start: bytes.start, end: bytes.end }
}

/// Why the grammar refused a piece.
enum Refusal {
    /// It nests too deeply from this token on.
    TooDeep(Token),
    /// From byte `at` of the file on it is none of what was `expected`.
    Syntax { at: u32, expected: Vec<Rule> },
}

/// Reads one file; pieces of it are ranges of its tokens.
struct Reader<'t> {
    file: u32,
    tokens: &'t Tokens<'t>,
    /// The policy being read.
    policy: Option<String>,
    findings: Vec<Finding>,
}

impl<'t> Reader<'t> {
    fn file(&mut self) -> File {
        let starts: Vec<_> =
            (0..self.tokens.all.len()).filter(|index| self.starts_statement(*index)).collect();
        let end = self.tokens.all.len();
        let mut tree = File::default();
        self.header(0..starts.first().copied().unwrap_or(end), &mut tree);
        for (number, start) in starts.iter().enumerate() {
            let next = starts.get(number + 1).copied().unwrap_or(end);
            tree.statements.extend(self.statement(*start..next));
        }
        tree
    }

    fn header(&mut self, piece: Range<usize>, tree: &mut File) {
        let parts = match self.piece(Rule::one_header, &piece) {
            Ok(parts) => parts,
            Err(refusal) => return self.diagnose(Rule::one_header, &piece, &refusal),
        };
        let builder = self.builder(&piece);
        let mut min_coverage = None;
        for part in parts {
            match part.as_rule() {
                Rule::module => {
                    tree.module = part.into_inner().next_of(Rule::name).map(|name| builder.word(&name));
                }
                Rule::default_deny => tree.default_deny = true,
                Rule::min_coverage => min_coverage = part.into_inner().next_of(Rule::integer),
                _ => {}
            }
        }
        if let Some(number) = min_coverage {
            tree.min_coverage = self.build(&piece, |builder| builder.integer(number));
        }
    }

    fn statement(&mut self, piece: Range<usize>) -> Option<Spanned<Statement>> {
        match self.piece(Rule::one_statement, &piece) {
            Ok(mut parts) => {
                let statement = parts.next()?;
                self.build(&piece, |builder| builder.statement(statement))
            }
            Err(refusal) => self.recover(piece, &refusal),
        }
    }

    /// Gives a piece to the grammar.
    fn piece(&self, rule: Rule, piece: &Range<usize>) -> Result<Pairs<'t, Rule>, Refusal> {
        if let Some(token) = self.tokens.too_deep(piece.clone(), MAX_NESTING) {
            return Err(Refusal::TooDeep(token));
        }
        let bytes = self.tokens.bytes(piece);
        let text = self.tokens.text.get(bytes.start as usize..bytes.end as usize).unwrap_or_default();
        Grammar::parse(rule, text).map_err(|error| {
            let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = error.location;
            match error.variant {
                ErrorVariant::ParsingError { positives, .. } => {
                    Refusal::Syntax { at: bytes.start + at as u32, expected: positives }
                }
                // pest's own guard of the stack; a thread with hardly any stack can come to it.
                ErrorVariant::CustomError { .. } => match self.tokens.all.get(piece.start) {
                    Some(token) => Refusal::TooDeep(*token),
                    None => Refusal::Syntax { at: bytes.start, expected: Vec::new() },
                },
            }
        })
    }

    fn builder(&self, piece: &Range<usize>) -> Builder {
        Builder {
            file: self.file,
            base: self.tokens.bytes(piece).start,
            policy: self.policy.clone(),
            findings: Vec::new(),
        }
    }

    /// Builds from what the grammar made of a piece, and takes over what was wrong.
    fn build<T>(&mut self, piece: &Range<usize>, build: impl FnOnce(&mut Builder) -> T) -> T {
        let mut builder = self.builder(piece);
        let built = build(&mut builder);
        self.findings.append(&mut builder.findings);
        built
    }

    fn report(&mut self, finding: Finding) {
        self.findings.push(match &self.policy {
            Some(policy) => finding.about(policy),
            None => finding,
        });
    }
}
