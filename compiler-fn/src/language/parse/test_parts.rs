//! TESTs and FIXTUREs as their parts come in: GIVEN and what is expected in either order, each exactly once.

use super::{
    build::{Builder, Node, Parts as _},
    grammar::Rule,
};
use crate::{
    findings::{Finding, Kind, code},
    language::ast::{
        Cell, Expect, Expectation, Fixture, Given, GivenEntry, Literal, Path, Row, Spanned, Table, Test,
        Text,
    },
    source::Span,
};

/// What has been read of a test or fixture.
#[derive(Debug, Default)]
pub(super) struct Draft {
    given: Option<(Span, Given)>,
    expect: Option<(&'static str, Span, Option<Expectation>)>,
}

impl Draft {
    /// Takes a GIVEN; `head` is its keyword.
    pub(super) fn given(&mut self, head: Span, given: Given, findings: &mut Vec<Finding>) {
        match &self.given {
            Some((first, _)) => findings.push(twice("GIVEN", head, *first)),
            None => self.given = Some((head, given)),
        }
    }

    /// Takes an EXPECT or TABLE; `None` where it is broken, which has been reported.
    pub(super) fn expect(
        &mut self,
        keyword: &'static str,
        place: Span,
        expect: Option<Expectation>,
        findings: &mut Vec<Finding>,
    ) {
        match &self.expect {
            Some((before, first, _)) if *before == keyword => {
                findings.push(twice(keyword, place, *first));
            }
            Some((before, first, _)) => {
                let message = format!("a test has `{before}` or `{keyword}`, not both");
                let finding = Finding::error(code::DUPLICATE_FIELD, Kind::Duplicate, place, message);
                findings.push(finding.also(*first, format!("`{before}` here")));
            }
            None => self.expect = Some((keyword, place, expect)),
        }
    }

    /// The test, unless a part is missing or broken.
    pub(super) fn test(self, name: Text, findings: &mut Vec<Finding>) -> Option<Test> {
        if self.expect.is_none() {
            missing("test", &name, "`EXPECT` or `TABLE`", findings);
        }
        let expect = self.expect;
        let given = self.given.map(|(_, given)| given);
        if given.is_none() {
            missing("test", &name, "`GIVEN`", findings);
        }
        Some(Test { name, given: given?, expect: expect?.2? })
    }

    /// The fixture, unless GIVEN is missing.
    pub(super) fn fixture(self, name: Text, findings: &mut Vec<Finding>) -> Option<Fixture> {
        if self.given.is_none() {
            missing("fixture", &name, "`GIVEN`", findings);
        }
        Some(Fixture { name, given: self.given?.1 })
    }
}

fn missing(what: &str, name: &Text, keyword: &str, findings: &mut Vec<Finding>) {
    let message = format!("{what} `{}` has no {keyword}", name.node);
    findings.push(Finding::error(code::MISSING_FIELD, Kind::Missing, name.span, message));
}

fn twice(keyword: &str, place: Span, first: Span) -> Finding {
    let message = format!("`{keyword}` stands twice in one test");
    Finding::error(code::DUPLICATE_FIELD, Kind::Duplicate, place, message).also(first, "first here")
}

impl Builder {
    pub(super) fn test(&mut self, node: Node<'_>) -> Option<Test> {
        let mut parts = node.into_inner();
        let name = self.quoted_name(parts.next_of(Rule::test_head)?)?;
        let mut draft = Draft::default();
        for part in parts {
            let place = self.span(&part);
            match part.as_rule() {
                Rule::given => self.draft_given(part, &mut draft),
                Rule::expect => {
                    let expect = self.expect(part).map(Expectation::One);
                    draft.expect("EXPECT", place, expect, &mut self.findings);
                }
                Rule::table => {
                    let table = self.table(part).map(|table| Spanned::new(table, place));
                    draft.expect("TABLE", place, table.map(Expectation::Table), &mut self.findings);
                }
                _ => {}
            }
        }
        draft.test(name, &mut self.findings)
    }

    pub(super) fn fixture(&mut self, node: Node<'_>) -> Option<Fixture> {
        let mut parts = node.into_inner();
        let name = self.quoted_name(parts.next_of(Rule::fixture_head)?)?;
        let mut draft = Draft::default();
        for part in parts.filter(|part| part.as_rule() == Rule::given) {
            self.draft_given(part, &mut draft);
        }
        draft.fixture(name, &mut self.findings)
    }

    /// The name in `TEST "name" {` and its like.
    pub(super) fn quoted_name(&mut self, head: Node<'_>) -> Option<Text> {
        self.text(head.into_inner().next_of(Rule::text)?)
    }

    fn draft_given(&mut self, node: Node<'_>, draft: &mut Draft) {
        let mut head = self.span(&node);
        let mut given = Given { entries: Vec::new(), extends: None };
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::given_head => head = self.span(&part),
                Rule::given_entry => given.entries.extend(self.given_entry(part)),
                Rule::extends => given.extends = self.extends(part),
                _ => {}
            }
        }
        draft.given(head, given, &mut self.findings);
    }

    pub(super) fn extends(&mut self, node: Node<'_>) -> Option<Text> {
        self.text(node.into_inner().next_of(Rule::text)?)
    }

    pub(super) fn given_entry(&mut self, node: Node<'_>) -> Option<GivenEntry> {
        let mut parts = node.into_inner();
        let path = self.word(&parts.next_of(Rule::path)?);
        Some(GivenEntry { path, value: self.cell(parts.next_of(Rule::cell)?)? })
    }

    fn cell(&mut self, node: Node<'_>) -> Option<Cell> {
        let span = self.span(&node);
        let inner = node.into_inner().next()?;
        let value = match inner.as_rule() {
            Rule::literal => Some(self.literal(inner)?.node),
            Rule::given_list => {
                let entries = inner.into_inner().filter(|part| part.as_rule() == Rule::literal);
                let entries: Option<Vec<_>> = entries.map(|entry| self.literal(entry)).collect();
                Some(Literal::List(entries?))
            }
            _ => None,
        };
        Some(Spanned::new(value, span))
    }

    pub(super) fn expect(&self, node: Node<'_>) -> Option<Spanned<Expect>> {
        let span = self.span(&node);
        Some(Spanned::new(self.outcome(node.into_inner().next_of(Rule::outcome)?)?, span))
    }

    fn outcome(&self, node: Node<'_>) -> Option<Expect> {
        let inner = node.into_inner().next()?;
        let denies = inner.as_rule() == Rule::deny;
        let names = inner.into_inner().next_of(Rule::names).map(|names| {
            let names = names.into_inner().filter(|part| part.as_rule() == Rule::name);
            names.map(|name| self.word(&name)).collect()
        });
        Some(match (denies, names) {
            (true, names) => Expect::Deny(names.unwrap_or_default()),
            (false, Some(names)) => Expect::AllowWithAdvisory(names),
            (false, None) => Expect::Allow,
        })
    }

    fn table(&mut self, node: Node<'_>) -> Option<Table> {
        let mut table = Table { columns: Vec::new(), rows: Vec::new() };
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::columns => table.columns = self.columns(part),
                Rule::row => table.rows.push(self.row(part)?),
                _ => {}
            }
        }
        Some(table)
    }

    pub(super) fn columns(&self, node: Node<'_>) -> Vec<Path> {
        let paths = node.into_inner().filter(|part| part.as_rule() == Rule::path);
        paths.map(|path| self.word(&path)).collect()
    }

    pub(super) fn row(&mut self, node: Node<'_>) -> Option<Spanned<Row>> {
        let span = self.span(&node);
        let mut cells = Vec::new();
        let mut expect = None;
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::cell => cells.push(self.cell(part)?),
                Rule::outcome => {
                    let place = self.span(&part);
                    expect = Some(Spanned::new(self.outcome(part)?, place));
                }
                _ => {}
            }
        }
        Some(Spanned::new(Row { cells, expect: expect? }, span))
    }
}
