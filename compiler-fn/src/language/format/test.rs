//! Tests and fixtures as lines: as many attributes on a line as fit, tables in columns.

use super::{COLUMNS, Gap, INDENT, Printer, fits, outcome, write};
use crate::{
    language::ast::{Cell, Expectation, Fixture, Given, Table, Test},
    source::Span,
};

/// Columns that one column of a table is filled up to, at most.
const MAX_CELL: usize = 60;

impl Printer<'_> {
    pub(super) fn test(&mut self, test: &Test, span: Span) {
        self.line(0, Gap::Blank, format!("TEST {} {{", write::text(&test.name.node)), span.start);
        let given = self.given_place(span);
        let expected = match &test.expect {
            Expectation::One(expect) => expect.span,
            Expectation::Table(table) => table.span,
        };
        // Both orders are sound, and the author's is kept.
        let given_first = given.start <= expected.start;
        if given_first {
            self.given(&test.given, given);
        }
        match &test.expect {
            Expectation::One(expect) => {
                let text = format!("EXPECT: {}", outcome(&expect.node));
                self.line(INDENT, Gap::Keep, text, expected.start);
            }
            Expectation::Table(table) => self.table(&table.node, expected),
        }
        if !given_first {
            self.given(&test.given, given);
        }
        self.close(0, "}", span);
    }

    pub(super) fn fixture(&mut self, fixture: &Fixture, span: Span) {
        self.line(0, Gap::Blank, format!("FIXTURE {} {{", write::text(&fixture.name.node)), span.start);
        let given = self.given_place(span);
        self.given(&fixture.given, given);
        self.close(0, "}", span);
    }

    /// From GIVEN's keyword to its closing brace, which the tree does not keep.
    fn given_place(&self, statement: Span) -> Span {
        let within = statement.start..statement.end;
        let Some(keyword) = self.token(within, |_, word| word == "GIVEN") else {
            return Span { file: statement.file, start: 0, end: 0 };
        };
        let close = self.token(keyword.end..statement.end, |_, word| word == "}");
        Span { start: keyword.start, end: close.map_or(keyword.end, |token| token.end), ..statement }
    }

    /// As many entries on a line as fit, under each other; one on each if there are comments among them.
    fn given(&mut self, given: &Given, span: Span) {
        let mut entries = given
            .entries
            .iter()
            .map(|entry| (format!("{}: {}", entry.path.node, cell(&entry.value)), entry.path.span));
        let extends = given.extends.as_ref();
        let behind =
            extends.map_or_else(String::new, |name| format!(" EXTENDS {}", write::text(&name.node)));
        if self.commented(span.start..span.end) {
            self.line(INDENT, Gap::Keep, "GIVEN: {".to_owned(), span.start);
            self.entries(2 * INDENT, entries);
            return self.close(INDENT, &format!("}}{behind}"), span);
        }
        let Some((first, _)) = entries.next() else {
            return self.line(INDENT, Gap::Keep, format!("GIVEN: {{}}{behind}"), span.start);
        };
        let opening = "GIVEN: { ";
        let (mut indent, mut gap, mut anchor) = (INDENT, Gap::Keep, span.start);
        let mut line = format!("{opening}{first}");
        for (entry, place) in entries {
            line.push(',');
            // Two columns for what may follow: a comma, or a space and the brace.
            if indent + line.chars().count() + entry.chars().count() + 3 <= COLUMNS {
                line.push(' ');
                line.push_str(&entry);
            } else {
                self.line(indent, gap, std::mem::replace(&mut line, entry), anchor);
                (indent, gap, anchor) = (INDENT + opening.len(), Gap::None, place.start);
            }
        }
        line.push_str(" }");
        match extends {
            Some(name) if !fits(indent, &format!("{line}{behind}"), COLUMNS) => {
                self.line(indent, gap, line, anchor);
                self.line(2 * INDENT, Gap::None, behind.trim_start().to_owned(), name.span.start);
            }
            _ => self.line(indent, gap, line + &behind, anchor),
        }
    }

    fn table(&mut self, table: &Table, span: Span) {
        self.line(INDENT, Gap::Keep, "TABLE: {".to_owned(), span.start);
        let head = table.columns.iter().map(|path| path.node.clone()).collect::<Vec<_>>();
        let rows = table.rows.iter().map(|row| row.node.cells.iter().map(cell).collect::<Vec<_>>());
        let rows: Vec<_> = rows.collect();
        let widest = |column: usize| {
            let texts = [&head].into_iter().chain(&rows).filter_map(|texts| texts.get(column));
            texts.map(|text| text.chars().count()).filter(|width| *width <= MAX_CELL).max().unwrap_or(0)
        };
        let most = rows.iter().map(Vec::len).max().unwrap_or(0).max(head.len());
        let widths: Vec<_> = (0..most).map(widest).collect();
        let line = |texts: &[String], last: &str| {
            let cells = texts.iter().zip(&widths).map(|(text, width)| format!("{text:width$} | "));
            cells.collect::<String>() + last
        };
        let anchor = table.columns.first().map_or(span.start, |path| path.span.start);
        self.line(2 * INDENT, Gap::None, line(&head, "EXPECT"), anchor);
        for (texts, row) in rows.iter().zip(&table.rows) {
            let text = line(texts, &outcome(&row.node.expect.node));
            self.line(2 * INDENT, Gap::Keep, text, row.span.start);
        }
        self.close(INDENT, "}", span);
    }
}

fn cell(cell: &Cell) -> String {
    cell.node.as_ref().map_or_else(|| "MISSING".to_owned(), write::literal)
}
