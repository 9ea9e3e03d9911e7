use aecp_contract::{
    manifest::{AuditLevel, Enforcement, Point},
    value::Type,
};

use crate::language::{arbitrary::nowhere, ast::*, parse::parse};

/// The tree of a sound text.
fn tree(text: &str) -> File {
    let parsed = parse(0, text);
    assert_eq!(parsed.findings, [], "{text}");
    parsed.file
}

fn name(name: &str) -> Spanned<String> {
    nowhere(name.to_owned())
}

fn text(text: &str) -> Spanned<Literal> {
    nowhere(Literal::Text(text.to_owned()))
}

fn int(value: i64) -> Operand {
    Operand::Literal(nowhere(Literal::Int(value)))
}

fn atom(atom: Atom) -> Condition {
    nowhere(ConditionKind::Atom(atom))
}

fn equal(path: &str, value: &str) -> Condition {
    let right = Operand::Literal(text(value));
    atom(Atom::Compare { path: name(path), operator: Comparison::Equal, right })
}

fn is_in(path: &str, entries: &[&str]) -> Condition {
    let list = entries.iter().map(|entry| text(entry)).collect();
    atom(Atom::InList { path: name(path), negated: false, list })
}

fn is_true(path: &str) -> Condition {
    atom(Atom::IsTrue(name(path)))
}

fn and(parts: Vec<Condition>) -> Condition {
    nowhere(ConditionKind::And(parts))
}

fn or(parts: Vec<Condition>) -> Condition {
    nowhere(ConditionKind::Or(parts))
}

fn not(part: Condition) -> Condition {
    nowhere(ConditionKind::Not(Box::new(part)))
}

/// The condition that the text is.
fn condition(text: &str) -> Condition {
    let file = tree(&format!("POLICY p {{ CONSTRAINT: {text} }}"));
    let [Spanned { node: Statement::Policy(policy), .. }] = &file.statements[..] else {
        panic!("{file:?}")
    };
    let [Spanned { node: Field::Constraint(condition), .. }] = &policy.fields[..] else {
        panic!("{file:?}")
    };
    condition.clone()
}

/// The atom that the text is.
fn one_atom(text: &str) -> Atom {
    match condition(text).node {
        ConditionKind::Atom(atom) => atom,
        other => panic!("{other:?}"),
    }
}

/// The fields that the text is.
fn fields(text: &str) -> Vec<Field> {
    let file = tree(&format!("POLICY p {{ {text} }}"));
    let [Spanned { node: Statement::Policy(policy), .. }] = &file.statements[..] else {
        panic!("{file:?}")
    };
    policy.fields.iter().map(|field| field.node.clone()).collect()
}

#[test]
fn both_forms_of_the_paper_parse() {
    let regions = ["eu-west-1", "eu-central-1"];
    let long = tree(
        r#"POLICY customer_data_residency {
  DESCRIPTION: "Ensure EU customer data stays in EU regions"
  VERSION: 3
  AUTHOR: "dpo@example.com"
  JUSTIFICATION: "GDPR transfer review 2026-Q1"
  COMPLIANCE: ["GDPR Art. 44", "SOC2 CC6.1"]

  SCOPE: requests WHERE {
    resource.type == "customer_data"
    AND customer.region == "EU"
  }
  CONSTRAINT: {
    storage.location IN ["eu-west-1", "eu-central-1"]
    AND compute.location IN ["eu-west-1", "eu-central-1"]
  }
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
  EXCEPTION: break_glass_token_required
}
"#,
    );
    let scope = and(vec![equal("resource.type", "customer_data"), equal("customer.region", "EU")]);
    let constraint = and(vec![is_in("storage.location", &regions), is_in("compute.location", &regions)]);
    let fields = vec![
        Field::Description(name("Ensure EU customer data stays in EU regions")),
        Field::Version(nowhere(3)),
        Field::Author(name("dpo@example.com")),
        Field::Justification(name("GDPR transfer review 2026-Q1")),
        Field::Compliance(vec![name("GDPR Art. 44"), name("SOC2 CC6.1")]),
        Field::Scope(Scope { resource: None, condition: Some(scope) }),
        Field::Constraint(constraint),
        Field::Enforcement(nowhere(Enforcement::Blocking)),
        Field::Audit(nowhere(AuditLevel::Required)),
        Field::Exception,
    ];
    assert_eq!(long, policy("customer_data_residency", fields));

    let short = tree(
        r#"POLICY data_residency_eu {
  SCOPE: customer_data WHERE customer.region = "EU"
  CONSTRAINT: storage.location IN ["eu-west-1", "eu-central-1"]
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
"#,
    );
    let resource = Some(name("customer_data"));
    let fields = vec![
        Field::Scope(Scope { resource, condition: Some(equal("customer.region", "EU")) }),
        Field::Constraint(is_in("storage.location", &regions)),
        Field::Enforcement(nowhere(Enforcement::Blocking)),
        Field::Audit(nowhere(AuditLevel::Required)),
    ];
    assert_eq!(short, policy("data_residency_eu", fields));
}

fn policy(policy: &str, fields: Vec<Field>) -> File {
    let fields = fields.into_iter().map(nowhere).collect();
    let policy = Policy { name: name(policy), fields, incomplete: false };
    File { statements: vec![nowhere(Statement::Policy(policy))], ..File::default() }
}

#[test]
fn not_binds_tighter_than_and_and_that_tighter_than_or() {
    let (a, b, c) = (|| is_true("a"), || is_true("b"), || is_true("c"));
    assert_eq!(condition("NOT a AND b OR c"), or(vec![and(vec![not(a()), b()]), c()]));
    assert_eq!(condition("a OR b AND c"), or(vec![a(), and(vec![b(), c()])]));
    assert_eq!(condition("a AND b AND c"), and(vec![a(), b(), c()]));
    assert_eq!(condition("(a AND b) AND c"), and(vec![and(vec![a(), b()]), c()]));
    assert_eq!(condition("((a))"), a());
    assert_eq!(condition("{a OR {b}} AND NOT NOT (c)"), and(vec![or(vec![a(), b()]), not(not(c()))]));
    assert_eq!(condition("NOT (a OR b)"), not(or(vec![a(), b()])));
}

#[test]
fn every_comparison_parses() {
    let path = || name("x.y");
    let q = || name("q");
    for (text, operator) in [
        ("==", Comparison::Equal),
        ("=", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        (">=", Comparison::GreaterOrEqual),
    ] {
        let expected = Atom::Compare { path: path(), operator, right: int(-1) };
        assert_eq!(one_atom(&format!("x.y{text}-1")), expected);
    }
    let right = Operand::Path(q());
    let expected = Atom::Compare { path: path(), operator: Comparison::Less, right: right.clone() };
    assert_eq!(one_atom("x.y < q"), expected);
    let expected = Atom::Between { path: path(), low: int(1), high: right.clone() };
    assert_eq!(one_atom("x.y BETWEEN 1 AND q"), expected);
    let entry = |value| nowhere(Literal::Int(value));
    for (word, negated) in [("", false), ("NOT ", true)] {
        let list = vec![entry(1), entry(2)];
        let expected = Atom::InList { path: path(), negated, list };
        assert_eq!(one_atom(&format!("x.y {word}IN [1, 2,]")), expected);
        let element = Operand::Path(path());
        let expected = Atom::InPath { element, negated, list: q() };
        assert_eq!(one_atom(&format!("x.y {word}IN q")), expected);
        let expected = Atom::InPath { element: int(1), negated, list: q() };
        assert_eq!(one_atom(&format!("1 {word}IN q")), expected);
        let expected = Atom::InCidr { path: path(), negated, cidr: name("10.0.0.0/8") };
        assert_eq!(one_atom(&format!("x.y {word}IN CIDR \"10.0.0.0/8\"")), expected);
    }
    let part = Operand::Literal(text("a"));
    assert_eq!(one_atom("x.y CONTAINS \"a\""), Atom::Contains { path: path(), item: part.clone() });
    assert_eq!(one_atom("x.y STARTS WITH \"a\""), Atom::StartsWith { path: path(), text: part });
    assert_eq!(one_atom("x.y ENDS WITH q"), Atom::EndsWith { path: path(), text: right });
    assert_eq!(one_atom("x.y MATCHES \"a*\""), Atom::Matches { path: path(), glob: name("a*") });
    assert_eq!(one_atom("x.y EXISTS"), Atom::Exists(path()));
    assert_eq!(one_atom("x.y IS MISSING"), Atom::IsMissing(path()));
    assert_eq!(one_atom("x.y"), Atom::IsTrue(path()));
    assert_eq!(one_atom("requests.count"), Atom::IsTrue(name("requests.count")));
    assert_eq!(one_atom("true.x"), Atom::IsTrue(name("true.x")));
}

#[test]
fn every_literal_parses() {
    let literals = |text: &str| match one_atom(&format!("x IN [{text}]")) {
        Atom::InList { list, .. } => list.into_iter().map(|entry| entry.node).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let decimal = |text: &str| Literal::Decimal { text: text.to_owned(), value: text.parse().unwrap() };
    let duration =
        |text: &str| Literal::Duration { text: text.to_owned(), value: text.parse().unwrap() };
    assert_eq!(literals("-1.5, 2.0"), [decimal("-1.5"), decimal("2.0")]);
    assert_eq!(literals("15m, 250ms, -2w"), [duration("15m"), duration("250ms"), duration("-2w")]);
    assert_eq!(literals("true, false"), [Literal::Bool(true), Literal::Bool(false)]);
    let bounds = [Literal::Int(i64::MIN), Literal::Int(i64::MAX)];
    assert_eq!(literals("-9223372036854775808, 9223372036854775807"), bounds);
    let texts = [r#"a"b"#, "-- no comment # \u{1f600}"].map(|text| Literal::Text(text.to_owned()));
    assert_eq!(literals(r#""a\"b", "-- no comment # \ud83d\ude00""#), texts);
}

#[test]
fn every_other_field_parses() {
    let path = || name("customer.ssn");
    assert_eq!(
        fields("AT: [INGRESS, MESH, DATA, EGRESS]"),
        [Field::At([Point::Ingress, Point::Mesh, Point::Data, Point::Egress].map(nowhere).to_vec())]
    );
    let (from, until) = (Some(name("a")), Some(name("b")));
    let effective = |from, until| Field::Effective { from, until };
    assert_eq!(
        fields("EFFECTIVE: FROM \"a\" UNTIL \"b\" EFFECTIVE: FROM \"a\" EFFECTIVE: UNTIL \"b\""),
        [effective(from.clone(), until.clone()), effective(from, None), effective(None, until)]
    );
    let mask = |method| Field::Mask { path: path(), method };
    assert_eq!(
        fields("MASK: customer.ssn WITH LAST(4) MASK: customer.ssn WITH HASH REDACT: customer.ssn"),
        [mask(MaskMethod::Last(4)), mask(MaskMethod::Hash), mask(MaskMethod::Redact)]
    );
    assert_eq!(fields("HASH: customer.ssn"), [mask(MaskMethod::Hash)]);
    let right = Operand::Path(name("principal.tenant_id"));
    let row = Atom::Compare { path: name("row.tenant_id"), operator: Comparison::Equal, right };
    assert_eq!(fields("FILTER: row.tenant_id == principal.tenant_id"), [Field::Filter(atom(row))]);
    let per = nowhere(Literal::Duration { text: "1m".to_owned(), value: "1m".parse().unwrap() });
    let limit = Field::Limit { count: nowhere(100), per, by: name("principal.id") };
    assert_eq!(fields("LIMIT: 100 PER 1m BY principal.id"), [limit]);
    assert_eq!(fields("SCOPE: requests"), [Field::Scope(Scope { resource: None, condition: None })]);
    assert_eq!(
        fields("ENFORCEMENT: AUDIT_ONLY AUDIT: NONE"),
        [Field::Enforcement(nowhere(Enforcement::AuditOnly)), Field::Audit(nowhere(AuditLevel::None)),]
    );
}

#[test]
fn modules_schemas_tests_and_invariants_parse() {
    let file = tree(
        r#"# a module
MODULE m MIN_COVERAGE: 80 DEFAULT: DENY
SCHEMA STRICT {
  customer.region: ENUM("EU", "US",), payload.size_kb: INT
  principal.roles: LIST<STRING>
}
TEST "t" {
  GIVEN: { a.b: "x", n: 1
           roles: ["a"], none: [], gone: MISSING, } EXTENDS "f"
  EXPECT: DENY BY p, q
}
FIXTURE "f" { GIVEN: { n: 1 } }
TEST "rows" {
  TABLE: { a.b | n | EXPECT
    "x" | [] | DENY BY p,
      q
    MISSING | 2 | ALLOW
    ALLOW WITH ADVISORY p }
  GIVEN: {}
}
TEST "u" { EXPECT: ALLOW WITH ADVISORY p GIVEN: {} }
INVARIANT never { NEVER ALLOW WHERE { a } }
"#,
    );
    let declaration = |path, ty| Declaration { path: name(path), ty: nowhere(ty) };
    let schema = Schema {
        strict: true,
        declarations: vec![
            declaration("customer.region", Type::Enum(vec!["EU".to_owned(), "US".to_owned()])),
            declaration("payload.size_kb", Type::Int),
            declaration("principal.roles", Type::List(Box::new(Type::String))),
        ],
    };
    let cell = |literal| nowhere(Some(literal));
    let given = |path, value| GivenEntry { path: name(path), value };
    let x = || Literal::Text("x".to_owned());
    let first = Test {
        name: name("t"),
        given: Given {
            entries: vec![
                given("a.b", cell(x())),
                given("n", cell(Literal::Int(1))),
                given("roles", cell(Literal::List(vec![text("a")]))),
                given("none", cell(Literal::List(Vec::new()))),
                given("gone", nowhere(None)),
            ],
            extends: Some(name("f")),
        },
        expect: Expectation::One(nowhere(Expect::Deny(vec![name("p"), name("q")]))),
    };
    let one = Given { entries: vec![given("n", cell(Literal::Int(1)))], extends: None };
    let fixture = Fixture { name: name("f"), given: one };
    let nothing = || Given { entries: Vec::new(), extends: None };
    let row = |cells, expect| nowhere(Row { cells, expect: nowhere(expect) });
    let advised = || Expect::AllowWithAdvisory(vec![name("p")]);
    let table = Table {
        columns: vec![name("a.b"), name("n")],
        rows: vec![
            row(
                vec![cell(x()), cell(Literal::List(Vec::new()))],
                Expect::Deny(vec![name("p"), name("q")]),
            ),
            row(vec![nowhere(None), cell(Literal::Int(2))], Expect::Allow),
            row(Vec::new(), advised()),
        ],
    };
    let table = Expectation::Table(nowhere(table));
    let rows = Test { name: name("rows"), given: nothing(), expect: table };
    let expect = Expectation::One(nowhere(advised()));
    let second = Test { name: name("u"), given: nothing(), expect };
    let invariant = Invariant { name: name("never"), assumed: false, never_allow: is_true("a") };
    let statements = vec![
        nowhere(Statement::Schema(schema)),
        nowhere(Statement::Test(first)),
        nowhere(Statement::Fixture(fixture)),
        nowhere(Statement::Test(rows)),
        nowhere(Statement::Test(second)),
        nowhere(Statement::Invariant(invariant)),
    ];
    let min_coverage = Some(nowhere(80));
    let module = Some(name("m"));
    assert_eq!(file, File { module, default_deny: true, min_coverage, statements });
}

#[test]
fn spans_cover_what_they_name_and_no_comment_behind_it() {
    let source = "POLICY p {\n  SCOPE: x WHERE a -- c\n    AND (b OR c) # d\n  AUDIT: NONE\n}\n-- end";
    let parsed = parse(7, source);
    let [Spanned { node: Statement::Policy(policy), .. }] = &parsed.file.statements[..] else {
        panic!()
    };
    let at = |span: crate::source::Span| {
        assert_eq!(span.file, 7);
        &source[span.start as usize..span.end as usize]
    };
    assert_eq!(at(policy.fields[0].span), "SCOPE: x WHERE a -- c\n    AND (b OR c)");
    let Field::Scope(Scope { condition: Some(condition), .. }) = &policy.fields[0].node else {
        panic!()
    };
    let ConditionKind::And(parts) = &condition.node else { panic!() };
    assert_eq!(parts.iter().map(|part| at(part.span)).collect::<Vec<_>>(), ["a", "(b OR c)"]);
    let comments: Vec<_> = parsed.comments.iter().map(|span| at(*span)).collect();
    assert_eq!(comments, ["-- c", "# d", "-- end"]);
}
