//! TESTs: their requests become JSON, their expectations name policies that can do what is expected.

use std::collections::BTreeMap;

use aecp_contract::manifest::Enforcement;

use super::{fixtures::Fixtures, literals::Resolved};
use crate::{
    findings::{Finding, Kind, code, suggested},
    language::ast::{
        Cell, Expect, Expectation, Field, File, Given, GivenEntry, Literal, Name, Path, Policy, Row,
        Spanned, Statement, Table, Test,
    },
    set::{self, literal_value},
    source::Span,
};

/// The most tests that one set may have, each row of a table counted.
pub(super) const MAX_TESTS: usize = 100_000;

/// The most rows that one table may have.
pub(super) const MAX_ROWS: usize = 1_000;

/// The most bytes that the requests and names of all tests may have.
const MAX_TEST_BYTES: usize = 64 << 20;

/// The policies of a set by name; of two with one name the first.
type ByName<'a> = BTreeMap<&'a str, &'a Policy>;

fn by_name(files: &[File]) -> ByName<'_> {
    let mut by_name = ByName::new();
    for statement in files.iter().flat_map(|file| &file.statements) {
        if let Statement::Policy(policy) = &statement.node {
            by_name.entry(&policy.name.node).or_insert(policy);
        }
    }
    by_name
}

/// Checks the TESTs of a set, each as many tests as it has rows.
struct Tests<'a> {
    fixtures: Fixtures<'a>,
    policies: ByName<'a>,
    types: &'a Resolved,
    checked: Vec<set::Test>,
    /// Bytes of all requests.
    bytes: usize,
}

/// Checks the TESTs and FIXTUREs of a set.
pub(super) fn check(files: &[File], types: &Resolved, findings: &mut Vec<Finding>) -> Vec<set::Test> {
    let fixtures = Fixtures::of(files);
    fixtures.check(findings);
    let mut tests = Tests { fixtures, policies: by_name(files), types, checked: Vec::new(), bytes: 0 };
    for statement in files.iter().flat_map(|file| &file.statements) {
        match &statement.node {
            Statement::Test(test) => {
                tests.given(&test.given, findings);
                match &test.expect {
                    Expectation::One(expect) => tests.one(test, expect, findings),
                    Expectation::Table(table) => tests.table(test, table, findings),
                }
            }
            Statement::Fixture(fixture) => tests.given(&fixture.given, findings),
            _ => {}
        }
    }
    if tests.checked.len() > MAX_TESTS {
        let (count, place) = (tests.checked.len(), tests.checked[MAX_TESTS].span);
        let message = format!("the set has {count} tests, rows included; the limit is {MAX_TESTS}");
        findings.push(
            Finding::error(code::LIMIT, Kind::Limit, place, message)
                .try_instead("split it into several sets"),
        );
    }
    tests.checked
}

impl<'a> Tests<'a> {
    /// Checks what a test or fixture says itself; what it takes over has been checked where it stands.
    fn given(&self, given: &Given, findings: &mut Vec<Finding>) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for GivenEntry { path, value } in &given.entries {
            if let Some(first) = seen.insert(&path.node, path.span) {
                findings.push(given_twice(path, first));
                continue;
            }
            self.path(path, findings);
            self.value(path, value, findings);
        }
    }

    fn path(&self, path: &Path, findings: &mut Vec<Finding>) {
        if !self.types.attributes.contains_key(&path.node) {
            let names = self.types.attributes.keys().map(String::as_str);
            let near = suggested(&path.node, names, findings);
            findings.push(unknown_attribute(path, self.types.strict, near));
        }
    }

    fn value(&self, path: &Path, value: &Cell, findings: &mut Vec<Finding>) {
        let (Some((ty, _)), Some(literal)) = (self.types.attributes.get(&path.node), &value.node) else {
            return;
        };
        // A request may hold such a value, so a test may too; but it is rarely meant.
        if literal_value(literal, ty).is_none() && *ty != aecp_contract::value::Type::Any {
            let message = format!("this value is not usable as `{}`", path.node);
            findings.push(
                Finding::warning(code::GIVEN, Kind::Type, value.span, message)
                    .because(format!("the attribute is {ty}: atoms on it will be UNKNOWN")),
            );
        }
    }

    fn one(&mut self, test: &Test, expect: &Spanned<Expect>, findings: &mut Vec<Finding>) {
        let given = self.fixtures.resolve(&test.given);
        let values = given.iter().map(|(path, (_, value))| (*path, *value));
        let request = request(values);
        self.expect(&expect.node, findings);
        self.add(
            set::Test {
                name: test.name.node.clone(),
                span: test.name.span,
                request,
                expect: expect.node.clone(),
                expect_span: expect.span,
            },
            findings,
        );
    }

    fn table(&mut self, test: &Test, table: &Spanned<Table>, findings: &mut Vec<Finding>) {
        let Table { columns, rows } = &table.node;
        if rows.is_empty() {
            let message = format!("the table of test `{}` has no rows", test.name.node);
            findings.push(
                Finding::error(code::TABLE, Kind::Table, table.span, message)
                    .because("each row is a test: without rows nothing is tested"),
            );
        }
        if let Some(first) = rows.get(MAX_ROWS) {
            let message = format!("the table has {} rows; the limit is {MAX_ROWS}", rows.len());
            findings.push(
                Finding::error(code::LIMIT, Kind::Limit, first.span, message)
                    .try_instead("split it into several tests"),
            );
            return;
        }
        let own = test.given.entries.iter().map(|entry| &entry.path);
        let mut seen: BTreeMap<&str, Span> = own.map(|path| (path.node.as_str(), path.span)).collect();
        for path in columns {
            if let Some(first) = seen.insert(&path.node, path.span) {
                findings.push(given_twice(path, first));
            }
            self.path(path, findings);
        }
        let mut given: BTreeMap<&str, &Cell> = BTreeMap::new();
        for (path, (_, value)) in self.fixtures.resolve(&test.given) {
            given.insert(path, value);
        }
        for (number, row) in (1..).zip(rows) {
            let Row { cells, expect } = &row.node;
            if cells.len() != columns.len() {
                findings.push(ragged(row.span, cells.len(), columns));
                continue;
            }
            for (path, value) in columns.iter().zip(cells) {
                self.value(path, value, findings);
                given.insert(&path.node, value);
            }
            self.expect(&expect.node, findings);
            let request = request(given.iter().map(|(path, value)| (*path, *value)));
            let name = format!("{}, row {number}", test.name.node);
            let (expect, expect_span) = (expect.node.clone(), row.span);
            self.add(set::Test { name, span: row.span, request, expect, expect_span }, findings);
        }
    }

    fn expect(&self, expect: &Expect, findings: &mut Vec<Finding>) {
        let (names, needed, what) = match expect {
            Expect::Allow => return,
            Expect::Deny(names) => (names, Enforcement::Blocking, "deny a request"),
            Expect::AllowWithAdvisory(names) => (names, Enforcement::Advisory, "advise"),
        };
        expect_policies(names, needed, what, &self.policies, findings);
    }

    fn add(&mut self, mut test: set::Test, findings: &mut Vec<Finding>) {
        let before = self.bytes;
        self.bytes += test.request.len() + test.name.len();
        if self.bytes > MAX_TEST_BYTES {
            test.request = "{}".to_owned();
            if before <= MAX_TEST_BYTES {
                let message = "the requests of the set's tests have more than 64 MiB together";
                findings.push(
                    Finding::error(code::LIMIT, Kind::Limit, test.span, message)
                        .because("each test and row has all that it extends")
                        .try_instead("give less, or split the set"),
                );
            }
            self.bytes = self.bytes.max(MAX_TEST_BYTES + 1);
        }
        self.checked.push(test);
    }
}

fn given_twice(path: &Path, first: Span) -> Finding {
    let message = format!("`{}` is given twice", path.node);
    Finding::error(code::DUPLICATE_FIELD, Kind::Duplicate, path.span, message)
        .here("the second")
        .also(first, "the first")
}

fn ragged(row: Span, cells: usize, columns: &[Path]) -> Finding {
    let what = if cells < columns.len() { "too short" } else { "too long" };
    let (has, needs) = (values(cells), values(columns.len()));
    let message = format!("this row is {what}: it has {has} before its outcome, and needs {needs}");
    let finding = Finding::error(code::TABLE, Kind::Table, row, message);
    match columns {
        [first, .., last] => finding.also(first.span.to(last.span), "the columns"),
        [only] => finding.also(only.span, "the column"),
        [] => finding,
    }
    .try_instead("write `MISSING` where the request has no value")
}

fn values(count: usize) -> String {
    format!("{count} {}", if count == 1 { "value" } else { "values" })
}

/// The request of a test: a JSON object with dotted keys, in their byte order.
fn request<'a>(given: impl Iterator<Item = (&'a str, &'a Cell)>) -> String {
    let mut request = String::from("{");
    for (path, value) in given {
        let Some(literal) = &value.node else { continue };
        if request.len() > 1 {
            request.push(',');
        }
        push_json(&mut request, &Literal::Text(path.to_owned()));
        request.push(':');
        push_json(&mut request, literal);
    }
    request.push('}');
    request
}

fn unknown_attribute(path: &Name, strict: bool, near: Option<&str>) -> Finding {
    let finding = if strict {
        let message = format!("unknown attribute `{}`", path.node);
        Finding::error(code::UNKNOWN_ATTRIBUTE, Kind::Unknown, path.span, message)
            .because("the set's SCHEMA is STRICT, and does not declare it")
    } else {
        let message = format!("nothing in the set looks at `{}`", path.node);
        Finding::warning(code::GIVEN, Kind::Unknown, path.span, message)
    };
    match near {
        Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
        None => finding,
    }
}

/// Each named policy must exist and have the enforcement that the expectation speaks of.
fn expect_policies(
    names: &[Name],
    needed: Enforcement,
    what: &str,
    policies: &ByName<'_>,
    findings: &mut Vec<Finding>,
) {
    for name in names {
        let error = |message| {
            Finding::error(code::UNKNOWN_POLICY, Kind::Unknown, name.span, message).about(&name.node)
        };
        let Some(policy) = policies.get(name.node.as_str()) else {
            let finding = error(format!("unknown policy `{}`", name.node));
            let near = suggested(&name.node, policies.keys().copied(), findings);
            findings.push(match near {
                Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
                None => finding,
            });
            continue;
        };
        let enforcement = policy.fields.iter().find_map(|field| match &field.node {
            Field::Enforcement(word) => Some(word),
            _ => None,
        });
        if let Some(word) = enforcement
            && word.node != needed
        {
            findings.push(
                error(format!("policy `{}` cannot {what}", name.node))
                    .also(word.span, format!("its ENFORCEMENT is {}", word.node.as_str())),
            );
        }
    }
}

/// The literal as JSON; a duration is text, as requests carry it.
fn push_json(json: &mut String, literal: &Literal) {
    match literal {
        Literal::Text(text) | Literal::Duration { text, .. } => {
            json.push_str(&serde_json::Value::from(text.as_str()).to_string());
        }
        Literal::Int(n) => json.push_str(&n.to_string()),
        Literal::Decimal { text, .. } => json.push_str(text),
        Literal::Bool(b) => json.push_str(if *b { "true" } else { "false" }),
        Literal::List(elements) => {
            json.push('[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                push_json(json, &element.node);
            }
            json.push(']');
        }
    }
}
