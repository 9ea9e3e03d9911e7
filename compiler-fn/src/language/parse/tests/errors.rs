use crate::{
    findings::Kind,
    language::{
        ast::{Expectation, Field, Statement},
        parse::parse,
    },
};

/// What is underlined, and the message, of every finding.
fn errors(text: &str) -> Vec<(&str, String)> {
    let findings = parse(0, text).findings;
    let underlined = |span: crate::source::Span| &text[span.start as usize..span.end as usize];
    findings.into_iter().map(|it| (underlined(it.labels[0].span), it.message)).collect()
}

/// The one error of a text: underlined, message, and what is suggested or given as the cause.
#[track_caller]
fn one(text: &str) -> (String, String, String) {
    let findings = parse(0, text).findings;
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    let span = finding.labels[0].span;
    let underlined = text[span.start as usize..span.end as usize].to_owned();
    let hint = finding.suggestion.clone().or(finding.cause.clone()).unwrap_or_default();
    (underlined, finding.message.clone(), hint)
}

#[track_caller]
fn of_condition(text: &str) -> (String, String, String) {
    one(&format!("POLICY p {{ SCOPE: requests\n CONSTRAINT: {text}\n AUDIT: NONE }}"))
}

#[track_caller]
fn is(found: (String, String, String), underlined: &str, message: &str, hint: &str) {
    assert_eq!((&*found.0, &*found.1, &*found.2), (underlined, message, hint));
}

#[test]
fn each_broken_place_of_a_file_is_reported_once_and_the_rest_is_read() {
    let text = r#"POLICY first {
  SCOPE: requests WHERE a == ]
  CONSTRAINTS: b
  ENFORCEMENT: BLOCKING
}
POLICY second {
  SCOPE: requests
  CONSTRAINT: c == 1
  ENFORCEMENT: BLOKING
}
TEST "t" { GIVEN: { a: 1 b c: 2 } EXPECT: DENY }
"#;
    assert_eq!(
        errors(text),
        [
            ("]", "expected a literal or an attribute, found `]`".to_owned()),
            ("CONSTRAINTS", "unknown field `CONSTRAINTS`".to_owned()),
            ("BLOKING", "unknown enforcement `BLOKING`".to_owned()),
            ("b", "expected `,` or the next attribute, found `b`".to_owned()),
        ]
    );
    let parsed = parse(0, text);
    let about: Vec<_> = parsed.findings.iter().map(|it| it.policies.join(",")).collect();
    assert_eq!(about, ["first", "first", "second", ""]);
    let [first, second, test] = &parsed.file.statements[..] else { panic!("{:?}", parsed.file) };
    let (Statement::Policy(first), Statement::Policy(second)) = (&first.node, &second.node) else {
        panic!()
    };
    assert!(first.incomplete && second.incomplete);
    assert!(matches!(&first.fields[..], [field] if matches!(field.node, Field::Enforcement(_))));
    assert_eq!(second.fields.len(), 2);
    assert!(matches!(&test.node, Statement::Test(test) if test.given.entries.len() == 1));
}

#[test]
fn an_unclosed_policy_does_not_swallow_the_next() {
    let text = "POLICY a {\n SCOPE: requests WHERE { x\n AUDIT: NONE\nPOLICY b {\n SCOPE: requests\n}";
    assert_eq!(
        errors(text),
        [("x", "expected `}` after `x`".to_owned()), ("NONE", "expected `}` after `NONE`".to_owned()),]
    );
    let parsed = parse(0, text);
    assert_eq!(parsed.file.statements.len(), 2);
    for finding in &parsed.findings {
        assert_eq!(finding.labels[1].text, "opened here");
        assert_eq!(&text[finding.labels[1].span.start as usize..][..1], "{");
    }
    is(one("POLICY a { SCOPE: requests"), "requests", "expected `}` after `requests`", "");
}

#[test]
fn words_of_other_languages_are_answered_with_ours() {
    is(
        of_condition("a and b"),
        "and",
        "expected an operator such as `==` or `IN`, found `and`",
        "keywords are upper case: `AND`",
    );
    is(
        of_condition("a == 1 && b"),
        "&&",
        "expected `AND`, `OR` or the next field, found `&&`",
        "write `AND`",
    );
    is(of_condition("{ a == 1 || b }"), "||", "expected `}`, `AND` or `OR`, found `||`", "write `OR`");
    is(of_condition("!a"), "!", "expected a condition, found `!`", "write `NOT`");
    is(
        of_condition("not a"),
        "a",
        "expected an operator such as `==` or `IN`, found `a`",
        "keywords are upper case: `NOT`",
    );
    is(
        of_condition("a == 'x'"),
        "'x'",
        "expected a literal or an attribute, found `'x'`",
        "write `\"x\"`",
    );
    is(of_condition("a <> 1"), "<>", "expected a literal or an attribute, found `<>`", "write `!=`");
    is(
        of_condition("a CONTANS 1"),
        "CONTANS",
        "expected an operator such as `==` or `IN`, found `CONTANS`",
        "did you mean `CONTAINS`?",
    );
    is(
        of_condition("1 == a"),
        "==",
        "expected `IN`, found `==`",
        "an attribute stands on the left of a comparison",
    );
    is(
        of_condition("Customer.region == 1"),
        "Customer.region",
        "expected a condition, found `Customer.region`",
        "write `customer.region`",
    );
    is(
        of_condition("a == 15x"),
        "15x",
        "`15x` is neither a number nor a duration",
        "the units of a duration are `ms`, `s`, `m`, `h`, `d` and `w`",
    );
    is(of_condition("(a OR b]"), "]", "expected `)`, found `]`", "");
    is(of_condition("a IN []"), "]", "expected a literal, found `]`", "");
    is(of_condition("a =="), "==", "expected a literal or an attribute after `==`", "");
    is(
        of_condition("a MATCHES \"x"),
        "\"x",
        "unterminated string",
        "a string ends with `\"` on the line that it starts on",
    );
}

#[test]
fn wrong_words_where_few_are_possible_name_the_nearest() {
    is(
        one("policy p { SCOPE: requests }"),
        "policy",
        "unknown statement `policy`",
        "keywords are upper case: `POLICY`",
    );
    is(
        one("POLICY p { scope: requests }"),
        "scope",
        "unknown field `scope`",
        "keywords are upper case: `SCOPE`",
    );
    is(
        one("POLICY p { AUDIT: required }"),
        "required",
        "unknown audit level `required`",
        "keywords are upper case: `REQUIRED`",
    );
    is(
        one("POLICY p { AT: [INGRES] }"),
        "INGRES",
        "unknown enforcement point `INGRES`",
        "did you mean `INGRESS`?",
    );
    is(
        one("POLICY p { EXCEPTION: none }"),
        "none",
        "unknown exception `none`",
        "it is `break_glass_token_required`",
    );
    is(one("SCHEMA { a: STRNG }"), "STRNG", "unknown type `STRNG`", "did you mean `STRING`?");
    is(
        one("SCHEMA { a: LIST<LIST<INT>> }"),
        "LIST",
        "a LIST cannot hold a LIST",
        "the elements of a LIST have one type, itself no LIST",
    );
    is(one("POLICY Zed { SCOPE: requests }"), "Zed", "expected a name, found `Zed`", "write `zed`");
    is(
        one("POLICY p { SCOPE requests }"),
        "requests",
        "expected `:` after `SCOPE`, found `requests`",
        "",
    );
    is(
        one("POLICY p { } DEFAULT: DENY"),
        "DEFAULT",
        "expected a statement, found `DEFAULT`",
        "`DEFAULT` stands before the first statement",
    );
    is(one("POLICY p { SCOPE: x } AUDIT: NONE }"), "}", "this `}` closes nothing", "remove it");
}

#[test]
fn literals_without_a_value_are_errors_at_their_place() {
    let int = "an INT lies between -9223372036854775808 and 9223372036854775807";
    is(
        of_condition("a == 9223372036854775808"),
        "9223372036854775808",
        "`9223372036854775808` is out of range",
        int,
    );
    is(
        of_condition(r#"a == "x\ud800y""#),
        r"\ud800",
        r"`\ud800` is half of a surrogate pair",
        r"a character beyond U+FFFF is written as itself or as two escapes, `\ud83d\ude00`",
    );
    is(of_condition(r#"a == "x\qy""#), r"\q", r"`\q` is no escape", r"write `\\` for a backslash");
    assert_eq!(of_condition("a == 0.0000000000000000001").1, "`0.0000000000000000001` is out of range");
    assert_eq!(of_condition("a == 99999999999999999w").1, "`99999999999999999w` is out of range");
    is(
        one("POLICY p { MASK: a WITH LAST(-1) }"),
        "-1",
        "`-1` is no number of characters",
        "LAST takes a number between 0 and 4294967295",
    );
}

#[test]
fn a_test_has_given_and_expect_once_each() {
    assert_eq!(one("TEST \"t\" { GIVEN: {} }").1, "test `t` has no `EXPECT` or `TABLE`");
    assert_eq!(one("TEST \"t\" { EXPECT: DENY }").1, "test `t` has no `GIVEN`");
    let twice = one("TEST \"t\" { GIVEN: {} EXPECT: DENY EXPECT: ALLOW }");
    is(twice, "EXPECT: ALLOW", "`EXPECT` stands twice in one test", "");
}

#[test]
fn a_broken_row_is_reported_and_the_others_are_read() {
    let text = "TEST \"t\" {
  GIVEN: { a: 1 } EXTENDS \"f\"
  TABLE: {
    b | c | EXPECT
    1 | 2 | ALOW
    1 | | ALLOW
    1 | 2
    3 | 4 | DENY BY p
  }
}
TEST \"u\" { GIVEN: {} EXTENDS f EXPECT: ALLOW }
FIXTURE \"f\" { GIVEN: {} EXPECT: ALLOW }";
    let expected = [
        ("ALOW", "unknown outcome `ALOW`"),
        ("|", "expected a value or `ALLOW` or `DENY`, found `|`"),
        ("2", "expected `|` after `2`"),
        ("f", "expected a string, found `f`"),
        ("EXPECT", "expected `GIVEN`, found `EXPECT`"),
    ];
    assert_eq!(errors(text), expected.map(|(at, message)| (at, message.to_owned())));
    let parsed = parse(0, text);
    let Some(Statement::Test(test)) = parsed.file.statements.first().map(|it| &it.node) else {
        panic!("{:?}", parsed.file)
    };
    assert_eq!(test.given.extends.as_ref().map(|name| name.node.as_str()), Some("f"));
    let Expectation::Table(table) = &test.expect else { panic!("{test:?}") };
    assert_eq!(table.node.rows.len(), 1);
    // Without a row that can be read there is no table, rather than an empty one.
    let text = "TEST \"t\" {\n GIVEN: {}\n TABLE: {\n a | EXPECT\n 1 | ALL";
    assert!(!errors(text).is_empty());
    assert_eq!(parse(0, text).file.statements, []);
}

#[test]
fn unfinished_tables_and_fixtures_are_told_at_their_end() {
    is(one("FIXTURE \"f\" {"), "{", "expected `}` after `{`", "");
    is(one("FIXTURE \"f\" { }"), "\"f\"", "fixture `f` has no `GIVEN`", "");
    is(one("TEST \"t\" { GIVEN: {} TABLE: { a | EXPECT 1 | ALLOW }"), "}", "expected `}` after `}`", "");
    is(
        one("TEST \"t\" { GIVEN: {} TABLE: { a | EXPECT 1 |"),
        "|",
        "expected a value or `ALLOW` or `DENY` after `|`",
        "",
    );
    let both = one("TEST \"t\" { GIVEN: {} EXPECT: ALLOW TABLE: { a | EXPECT } }");
    is(both, "TABLE: { a | EXPECT }", "a test has `EXPECT` or `TABLE`, not both", "");
    is(
        one("TEST \"t\" { GIVEN: {} TABLE: { EXPECT\n ALLOW } }"),
        "EXPECT",
        "expected an attribute, found `EXPECT`",
        "",
    );
}

#[test]
fn a_declaration_without_a_type_still_declares_its_attribute() {
    let parsed = parse(0, "SCHEMA STRICT {\n a.b: STRNG\n c: INT\n}");
    let [statement] = &parsed.file.statements[..] else { panic!() };
    let Statement::Schema(schema) = &statement.node else { panic!() };
    assert!(schema.strict);
    let paths: Vec<_> = schema.declarations.iter().map(|it| it.path.node.as_str()).collect();
    assert_eq!(paths, ["a.b", "c"]);
}

#[test]
fn more_errors_than_anybody_reads_end_with_their_number() {
    let text = "POLICY p {\n".to_owned() + &"X: 1\n".repeat(150) + "}";
    let findings = parse(0, &text).findings;
    assert_eq!(findings.len(), 101);
    assert_eq!(findings[100].message, "too many errors: 50 more from here on");
    assert_eq!(findings[100].kind, Kind::Limit);
}
