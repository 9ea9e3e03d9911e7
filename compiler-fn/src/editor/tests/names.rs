//! Where names stand, where they come from, what renaming touches.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::language::{
    arbitrary,
    ast::{Atom, Condition, ConditionKind, Expect, Expectation, Field, Given, Operand},
    format::print,
};
use crate::source::Span;

const POLICY: &str = "POLICY keep {\n  SCOPE: orders WHERE a.region == \"EU\"\n  CONSTRAINT: b.place != a.region\n  \
                      ENFORCEMENT: BLOCKING\n}\n";
const TEST: &str = "TEST \"t\" {\n  GIVEN: { a.region: \"EU\", b.place: \"EU\", resource.type: \"orders\" }\n  \
                    EXPECT: DENY BY keep\n}\n";
const SCHEMA: &str = "SCHEMA { a.region: STRING }\n";

/// Marks the first `what` in a text.
fn marked(text: &str, what: &str) -> String {
    text.replacen(what, &format!("|{what}"), 1)
}

fn places(snapshot: &Snapshot, found: &[Occurrence]) -> Vec<String> {
    let sources = snapshot.sources();
    let place = |one: &Occurrence| {
        let at = sources.position(one.span.file, one.span.start);
        format!("{}:{}", sources.files()[one.span.file as usize].path, at.line)
    };
    found.iter().map(place).collect()
}

#[test]
fn an_attribute_comes_from_its_schema_or_else_from_its_first_use() {
    let test = marked(TEST, "a.region");
    let (snapshot, file, byte) = at(&[("a.aecp", POLICY), ("t.aecp", &test), ("z.aecp", SCHEMA)]);
    let symbol = symbol_at(&snapshot, file, byte).unwrap();
    assert_eq!(places(&snapshot, &definitions(&snapshot, &symbol)), ["z.aecp:1"]);
    assert_eq!(
        places(&snapshot, &references(&snapshot, &symbol)),
        ["a.aecp:2", "a.aecp:3", "t.aecp:2", "z.aecp:1"]
    );
    let (snapshot, file, byte) = at(&[("a.aecp", POLICY), ("t.aecp", &test)]);
    let symbol = symbol_at(&snapshot, file, byte).unwrap();
    assert_eq!(places(&snapshot, &definitions(&snapshot, &symbol)), ["a.aecp:2"]);
}

#[test]
fn a_policy_that_a_test_expects_is_found_even_if_both_are_broken() {
    let test = marked("TEST \"t\" {\n  EXPECT: DENY BY keep,\n", "keep");
    let (snapshot, file, byte) = at(&[("a.aecp", "POLICY keep {\n  SCOPE:"), ("t.aecp", &test)]);
    let symbol = symbol_at(&snapshot, file, byte).unwrap();
    assert_eq!(places(&snapshot, &definitions(&snapshot, &symbol)), ["a.aecp:1"]);
}

#[test]
fn what_extends_names_comes_from_the_fixture_or_test_of_that_name() {
    let (snapshot, file, byte) =
        at(&[("a.aecp", "TEST \"base\" { }\nTEST \"t\" {\n  EXTENDS |\"base\"\n}")]);
    let symbol = symbol_at(&snapshot, file, byte).unwrap();
    assert_eq!(places(&snapshot, &definitions(&snapshot, &symbol)), ["a.aecp:1"]);
}

#[test]
fn renaming_touches_every_file_and_nothing_else() {
    let policy = marked(POLICY, "a.region");
    let (snapshot, file, byte) = at(&[("a.aecp", &policy), ("t.aecp", TEST), ("z.aecp", SCHEMA)]);
    let edits = rename(&snapshot, file, byte, "a.country").unwrap();
    assert_eq!(places(&snapshot, &edits), ["a.aecp:2", "a.aecp:3", "t.aecp:2", "z.aecp:1"]);
    assert!(edits.iter().all(|edit| snapshot.sources().text(edit.span) == "a.region"));
    let (snapshot, file, byte) = at(&[("a.aecp", &marked(POLICY, "keep")), ("t.aecp", TEST)]);
    let edits = rename(&snapshot, file, byte, "hold").unwrap();
    assert_eq!(places(&snapshot, &edits), ["a.aecp:1", "t.aecp:3"]);
}

#[test]
fn a_name_that_is_taken_or_none_is_refused() {
    let refusal = |text: &str, what: &str, new: &str| {
        let (snapshot, file, byte) = at(&[("a.aecp", &marked(text, what)), ("t.aecp", TEST)]);
        rename(&snapshot, file, byte, new).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(POLICY, "a.region", "b.place"),
        "there is an attribute with the name `b.place` already, in `a.aecp`"
    );
    assert_eq!(
        refusal(POLICY, "keep", "Keep"),
        "`Keep` is no name of a policy: lower-case letters, digits and `_`, beginning with a letter"
    );
    assert!(refusal(POLICY, "keep", "a.b").contains("no name of a policy"));
    for wrong in ["true", "a..b", "", "a b", "1a"] {
        assert!(refusal(POLICY, "a.region", wrong).contains("is no path of an attribute"), "{wrong}");
    }
    let twice = format!("{POLICY}{POLICY}");
    assert!(refusal(&twice, "keep", "hold").starts_with("there are two policies"));
    let broken = format!("{POLICY}POLICY q {{");
    assert_eq!(
        refusal(&broken, "keep", "hold"),
        "`a.aecp` has a syntax error in line 6: correct it first, so that no place is missed"
    );
    assert_eq!(refusal(POLICY, "SCOPE", "hold"), "only policies and attributes can be renamed");
    assert_eq!(
        refusal(POLICY, "a.region", "resource.type"),
        RenameError::Reserved("resource.type".into()).to_string()
    );
}

/// The names that a tree has, by place: the slow and sure way.
#[derive(Default)]
struct Names(BTreeSet<(Span, SymbolKind, bool)>);

impl Names {
    fn of(file: &File) -> Self {
        let mut names = Self::default();
        for statement in &file.statements {
            match &statement.node {
                Statement::Schema(schema) => schema
                    .declarations
                    .iter()
                    .for_each(|one| names.add(one.path.span, SymbolKind::Attribute, true)),
                Statement::Policy(policy) => names.policy(policy),
                Statement::Test(test) => {
                    names.add(test.name.span, SymbolKind::Example, true);
                    names.given(&test.given);
                    match &test.expect {
                        Expectation::One(expect) => names.expect(&expect.node),
                        Expectation::Table(table) => {
                            table.node.columns.iter().for_each(|path| names.attribute(path.span));
                            table.node.rows.iter().for_each(|row| names.expect(&row.node.expect.node));
                        }
                    }
                }
                Statement::Fixture(fixture) => {
                    names.add(fixture.name.span, SymbolKind::Example, true);
                    names.given(&fixture.given);
                }
                Statement::Invariant(invariant) => names.condition(&invariant.never_allow),
            }
        }
        names
    }

    fn add(&mut self, span: Span, kind: SymbolKind, declares: bool) {
        self.0.insert((span, kind, declares));
    }

    fn given(&mut self, given: &Given) {
        given.entries.iter().for_each(|entry| self.attribute(entry.path.span));
        if let Some(base) = &given.extends {
            self.add(base.span, SymbolKind::Example, false);
        }
    }

    fn expect(&mut self, expect: &Expect) {
        if let Expect::AllowWithAdvisory(policies) | Expect::Deny(policies) = expect {
            policies.iter().for_each(|name| self.add(name.span, SymbolKind::Policy, false));
        }
    }

    fn attribute(&mut self, span: Span) {
        self.add(span, SymbolKind::Attribute, false);
    }

    fn policy(&mut self, policy: &Policy) {
        self.add(policy.name.span, SymbolKind::Policy, true);
        for field in &policy.fields {
            match &field.node {
                Field::Scope(scope) => scope.condition.iter().for_each(|one| self.condition(one)),
                Field::Constraint(condition) | Field::Filter(condition) => self.condition(condition),
                Field::Mask { path, .. } => self.attribute(path.span),
                Field::Limit { by, .. } => self.attribute(by.span),
                _ => {}
            }
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match &condition.node {
            ConditionKind::And(operands) | ConditionKind::Or(operands) => {
                operands.iter().for_each(|operand| self.condition(operand));
            }
            ConditionKind::Not(operand) => self.condition(operand),
            ConditionKind::Atom(atom) => self.atom(atom),
        }
    }

    fn atom(&mut self, atom: &Atom) {
        let (path, others): (_, Vec<&Operand>) = match atom {
            Atom::Compare { path, right, .. } => (path, vec![right]),
            Atom::Between { path, low, high } => (path, vec![low, high]),
            Atom::InPath { element, list, .. } => (list, vec![element]),
            Atom::Contains { path, item } => (path, vec![item]),
            Atom::StartsWith { path, text } | Atom::EndsWith { path, text } => (path, vec![text]),
            Atom::InList { path, .. }
            | Atom::Matches { path, .. }
            | Atom::InCidr { path, .. }
            | Atom::Exists(path)
            | Atom::IsMissing(path)
            | Atom::IsTrue(path) => (path, Vec::new()),
        };
        self.attribute(path.span);
        others.into_iter().for_each(|other| {
            if let Operand::Path(path) = other {
                self.attribute(path.span);
            }
        });
    }
}

proptest! {
    #[test]
    fn the_names_that_tokens_tell_are_those_of_the_tree(file in arbitrary::file()) {
        let text = print(&file);
        let (snapshot, ..) = at(&[]);
        prop_assert!(snapshot.sources().files().is_empty());
        let source = Source { path: "a.aecp".to_owned(), text };
        let snapshot = Snapshot::new(Sources::new(vec![source]));
        let told: BTreeSet<_> = symbols::occurrences(&snapshot, 0)
            .into_iter()
            .map(|one| (one.span, one.kind, one.declares))
            .collect();
        prop_assert_eq!(told, Names::of(&snapshot.files[0]).0);
    }

    #[test]
    fn no_text_and_no_place_is_too_broken(text in "(?s)[ -~\n]{0,40}|((POLICY|TEST|SCOPE|GIVEN|a\\.b|\"x|[{}:\\[,]|IN|AND|é) ?){0,20}", byte in 0_u32..60) {
        let source = Source { path: "a.aecp".to_owned(), text };
        let snapshot = Snapshot::new(Sources::new(vec![source]));
        let _ = completions(&snapshot, 0, byte);
        let _ = hover(&snapshot, 0, byte);
        if let Some(symbol) = symbol_at(&snapshot, 0, byte) {
            prop_assert!(references(&snapshot, &symbol).contains(&symbol));
        }
        let _ = rename(&snapshot, 0, byte, "other");
        // Neither is a file that is not there.
        prop_assert_eq!(hover(&snapshot, 9, byte), None);
    }
}
