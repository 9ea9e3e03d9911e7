//! TESTs and FIXTUREs that the grammar refuses, read part by part.

use std::ops::Range;

use super::{
    Reader,
    build::Builder,
    grammar::Rule,
    test_parts::Draft,
    words::{TEST_PARTS, meant, one_of},
};
use crate::{
    findings::Finding,
    language::ast::{Expectation, Fixture, Given, Spanned, Table, Test, Text},
};

/// What starts the body of a FIXTURE.
const FIXTURE_PARTS: [&str; 1] = ["GIVEN"];

impl Reader<'_> {
    pub(super) fn test(&mut self, piece: &Range<usize>) -> Option<Test> {
        self.parts(Rule::one_test_head, piece, &TEST_PARTS, Draft::test)
    }

    pub(super) fn fixture(&mut self, piece: &Range<usize>) -> Option<Fixture> {
        self.parts(Rule::one_fixture_head, piece, &FIXTURE_PARTS, Draft::fixture)
    }

    /// Reads a statement whose body is of these `parts`.
    fn parts<T>(
        &mut self,
        head_rule: Rule,
        piece: &Range<usize>,
        parts: &[&'static str],
        finish: impl FnOnce(Draft, Text, &mut Vec<Finding>) -> Option<T>,
    ) -> Option<T> {
        let head = self.head(piece, |index| self.starts_test_part(index));
        let name = self.part(head_rule, &head, Builder::quoted_name);
        let body = self.split(head.end..piece.end, |index| self.starts_test_part(index));
        let mut draft = Draft::default();
        let before = self.findings.len();
        for piece in &body.pieces {
            let place = self.place(piece);
            match meant(self.tokens.word(piece.start), parts) {
                Some("GIVEN") => {
                    let given = self.given(piece);
                    draft.given(place, given, &mut self.findings);
                }
                Some("EXPECT") => {
                    let expect =
                        self.part(Rule::one_expect, piece, |builder, node| builder.expect(node));
                    draft.expect("EXPECT", place, expect.map(Expectation::One), &mut self.findings);
                }
                Some("TABLE") => {
                    let table = self.table(piece).map(|table| Spanned::new(table, place));
                    draft.expect("TABLE", place, table.map(Expectation::Table), &mut self.findings);
                }
                _ => {
                    let found = self.found(piece.start);
                    let message = format!("expected {}, found {found}", one_of(parts));
                    self.report(self.error_at(piece.start, message));
                }
            }
        }
        self.finish(&head, &body);
        // What seems to be missing may be what is broken.
        let broken = self.findings.len() > before || name.is_none();
        let mut missing = Vec::new();
        let built = finish(draft, name?, &mut missing);
        if !broken {
            self.findings.append(&mut missing);
        }
        built
    }

    fn given(&mut self, piece: &Range<usize>) -> Given {
        let mut given = Given { entries: Vec::new(), extends: None };
        let head = self.head(piece, |index| index > piece.start + 1 && self.starts_entry(index));
        if self.part(Rule::one_given_head, &head, |_, _| Some(())).is_none() {
            return given;
        }
        let mut body = self.split(head.end..piece.end, |index| self.starts_entry(index));
        for piece in &body.pieces {
            given.entries.extend(self.part(Rule::one_given_entry, piece, Builder::given_entry));
        }
        if self.tokens.word(body.tail.start) == "EXTENDS" {
            given.extends = self.part(Rule::one_extends, &body.tail, Builder::extends);
            body.tail.start = body.tail.end;
        }
        self.finish(&head, &body);
        given
    }

    /// A table with the rows that can be read; `None` if its columns or all its rows cannot.
    fn table(&mut self, piece: &Range<usize>) -> Option<Table> {
        let head = self.head(piece, |index| index > piece.start + 1 && self.tokens.word(index) != "{");
        self.part(Rule::one_table_head, &head, |_, _| Some(()))?;
        let inside = head.end..piece.end;
        // The columns end with EXPECT; without one, where a row starts.
        let expect = inside.clone().find(|index| self.tokens.word(*index) == "EXPECT");
        let ends = |index: &usize| self.starts_row(*index) || self.tokens.word(*index) == "}";
        let end = expect.map(|index| index + 1).or_else(|| inside.clone().skip(1).find(ends));
        let columns = head.end..end.unwrap_or(piece.end);
        let body = self.split(columns.end..piece.end, |index| self.starts_row(index));
        let columns =
            self.part(Rule::one_columns, &columns, |builder, node| Some(builder.columns(node)));
        let mut rows = Vec::new();
        for piece in &body.pieces {
            rows.extend(self.part(Rule::one_row, piece, Builder::row));
        }
        self.finish(&head, &body);
        // A table whose every row is broken is not an empty one.
        let broken = rows.is_empty() && !body.pieces.is_empty();
        Some(Table { columns: columns?, rows }).filter(|_| !broken)
    }
}
