//! Statements that the grammar refuses, read part by part.

use std::ops::Range;

use super::{
    Reader, Refusal,
    build::{Builder, Node, is_strict},
    grammar::Rule,
    split::Body,
    words::{FIELDS, STATEMENTS, meant, one_of, suggestion},
};
use crate::{
    findings::{Finding, Kind, code},
    language::{
        ast::{Declaration, Name, Policy, Schema, Spanned, Statement},
        tokens::TokenKind,
    },
    source::Span,
};
use aecp_contract::value::Type;

impl Reader<'_> {
    /// Reports what is wrong in a statement and gives what can be kept of it.
    pub(super) fn recover(
        &mut self,
        piece: Range<usize>,
        refusal: &Refusal,
    ) -> Option<Spanned<Statement>> {
        let before = self.findings.len();
        let word = self.tokens.word(piece.start);
        let exact = STATEMENTS.contains(&word);
        if !exact {
            let message = format!("unknown statement `{word}`");
            self.report_unknown(piece.start, message, &STATEMENTS);
        }
        let statement = match meant(word, &STATEMENTS) {
            Some("POLICY") => self.policy(&piece, exact).map(Statement::Policy),
            _ if !exact => None,
            Some("SCHEMA") => Some(Statement::Schema(self.schema(&piece))),
            Some("TEST") => self.test(&piece).map(Statement::Test),
            Some("FIXTURE") => self.fixture(&piece).map(Statement::Fixture),
            _ => self.invariant(&piece),
        };
        self.policy = None;
        if self.findings.len() == before {
            self.diagnose(Rule::one_statement, &piece, refusal);
        }
        Some(Spanned::new(statement?, self.place(&piece)))
    }

    /// Gives a part to the grammar and builds it, or reports what is wrong.
    pub(super) fn part<T>(
        &mut self,
        rule: Rule,
        piece: &Range<usize>,
        build: impl FnOnce(&mut Builder, Node<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.piece(rule, piece) {
            Ok(mut parts) => {
                let node = parts.next()?;
                self.build(piece, |builder| build(builder, node))
            }
            Err(refusal) => {
                self.diagnose(rule, piece, &refusal);
                None
            }
        }
    }

    /// From the statement's keyword to its opening brace, or to where its body seems to start without one.
    pub(super) fn head(&self, piece: &Range<usize>, starts: impl Fn(usize) -> bool) -> Range<usize> {
        let mut end = piece.start + 1;
        while end < piece.end && !starts(end) {
            end += 1;
            if self.tokens.word(end - 1) == "{" {
                break;
            }
        }
        piece.start..end
    }

    // ---- POLICY

    fn policy(&mut self, piece: &Range<usize>, exact: bool) -> Option<Policy> {
        let head = self.head(piece, |index| self.starts_field(index));
        let before = self.findings.len();
        let read = if exact {
            self.part(Rule::one_policy_head, &head, |builder, node| builder.head_name(node))
        } else {
            None
        };
        let name = read.or_else(|| self.name_at(piece.start + 1));
        if let (Some(name), Some(findings)) = (&name, self.findings.get_mut(before..)) {
            findings.iter_mut().for_each(|finding| finding.policies.push(name.node.clone()));
        }
        self.policy = name.as_ref().map(|name| name.node.clone());
        let body = self.split(head.end..piece.end, |index| self.starts_field(index));
        let mut fields = Vec::new();
        let mut incomplete = false;
        for field in &body.pieces {
            match self.field(field) {
                Some(field) => fields.push(field),
                None => incomplete = true,
            }
        }
        incomplete |= !body.tail.is_empty();
        self.finish(&head, &body);
        Some(Policy { name: name?, fields, incomplete })
    }

    fn field(&mut self, piece: &Range<usize>) -> Option<Spanned<crate::language::ast::Field>> {
        let word = self.tokens.word(piece.start);
        if self.starts_field(piece.start) && !FIELDS.contains(&word) {
            let message = format!("unknown field `{word}`");
            self.report_unknown(piece.start, message, &FIELDS);
            return None;
        }
        self.part(Rule::one_field, piece, |builder, node| builder.field(node))
    }

    /// The token as a name, if it is one.
    fn name_at(&self, index: usize) -> Option<Name> {
        let word = self.tokens.word(index);
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let is_name = word.starts_with(|c: char| c.is_ascii_lowercase()) && word.bytes().all(inner);
        is_name.then(|| Spanned::new(word.to_owned(), self.place(&(index..index + 1))))
    }

    // ---- SCHEMA

    fn schema(&mut self, piece: &Range<usize>) -> Schema {
        let head = self.head(piece, |index| self.tokens.word(index + 1) == ":");
        let strict = self.part(Rule::one_schema_head, &head, |_, node| Some(is_strict(node)));
        let body = self.split(head.end..piece.end, |index| self.starts_entry(index));
        let mut declarations = Vec::new();
        for piece in &body.pieces {
            let declaration = self.part(Rule::one_declaration, piece, Builder::declaration);
            declarations.extend(declaration.or_else(|| self.untyped(piece)));
        }
        self.finish(&head, &body);
        Schema { strict: strict.unwrap_or_default(), declarations }
    }

    /// A declaration whose type cannot be read still declares its path, so that no use of it is reported.
    fn untyped(&self, piece: &Range<usize>) -> Option<Declaration> {
        let word = self.tokens.word(piece.start);
        let is_path = word.split('.').all(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
        let span = self.place(&(piece.start..piece.start + 1));
        is_path.then(|| Declaration {
            path: Spanned::new(word.to_owned(), span),
            ty: Spanned::new(Type::Any, span),
        })
    }

    // ---- INVARIANT

    fn invariant(&mut self, piece: &Range<usize>) -> Option<Statement> {
        let head = self.head(piece, |_| false);
        let body = self.split(head.end..piece.end, |_| false);
        if body.close.is_some() && !body.tail.is_empty() {
            self.after(&body.tail);
        }
        let whole = piece.start..body.close.map_or(piece.end, |close| close + 1);
        let built = self.part(Rule::one_statement, &whole, Builder::statement);
        built.map(|statement| statement.node)
    }

    // ---- what all have

    /// Reports what is wrong with the braces around a body and behind it.
    pub(super) fn finish(&mut self, head: &Range<usize>, body: &Body) {
        for stray in &body.stray {
            let error = self.error_at(*stray, "this `}` closes nothing");
            self.report(error.try_instead("remove it"));
        }
        let opener = head.end.saturating_sub(1);
        if body.close.is_none() && self.tokens.word(opener) == "{" && !self.ends_broken(body) {
            let last = body.tail.end.saturating_sub(1);
            let message = format!("expected `}}` after {}", self.found(last));
            let opened = self.place(&(opener..opener + 1));
            let error = self.error_at(last, message).also(opened, "opened here");
            self.report(error);
        }
        if !body.tail.is_empty() {
            self.after(&body.tail);
        }
    }

    /// Whether the end of the body's last piece has been reported, so that the missing brace is part of that.
    fn ends_broken(&self, body: &Body) -> bool {
        let Some(last) = body.pieces.last() else { return false };
        let end = self.tokens.bytes(last).end;
        let reported = self.findings.last().and_then(|finding| finding.labels.first());
        reported.is_some_and(|label| label.span.end >= end)
    }

    /// Reports text between two statements.
    fn after(&mut self, tail: &Range<usize>) {
        let word = self.tokens.word(tail.start);
        self.policy = None;
        let message = format!("expected a statement, found {}", self.found(tail.start));
        let error = self.error_at(tail.start, message);
        self.report(match word {
            "MODULE" | "DEFAULT" | "MIN_COVERAGE" => {
                error.because(format!("`{word}` stands before the first statement"))
            }
            "}" => error.because("this `}` closes nothing"),
            _ => match suggestion(word, &STATEMENTS) {
                Some(suggestion) => error.try_instead(suggestion),
                None => error.because(format!("a statement starts with {}", one_of(&STATEMENTS))),
            },
        });
    }

    fn report_unknown(&mut self, index: usize, message: String, words: &[&'static str]) {
        let finding =
            Finding::error(code::UNKNOWN_FIELD, Kind::Unknown, self.place(&(index..index + 1)), message);
        let suggestion = suggestion(self.tokens.word(index), words);
        self.report(match suggestion {
            Some(suggestion) => finding.try_instead(suggestion),
            None => finding,
        });
    }

    /// Where a piece stands in the file.
    pub(super) fn place(&self, piece: &Range<usize>) -> Span {
        super::span(self.file, &self.tokens.bytes(piece))
    }

    /// A syntax error at a token.
    pub(super) fn error_at(&self, index: usize, message: impl Into<String>) -> Finding {
        Finding::error(code::SYNTAX, Kind::Syntax, self.place(&(index..index + 1)), message)
    }

    /// A token as a message shows it.
    pub(super) fn found(&self, index: usize) -> String {
        match self.tokens.all.get(index) {
            None => "the end of the file".to_owned(),
            Some(token) if token.kind == TokenKind::Unterminated => "an unterminated string".to_owned(),
            Some(token) => format!("`{}`", self.tokens.of(*token)),
        }
    }
}
