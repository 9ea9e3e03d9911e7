//! Fixtures, tables and thresholds.

use super::{check, checked, expect, policy, sources};

/// A policy about `a` and `b`, and these statements.
fn with(statements: &str) -> String {
    format!("{}{statements}", policy("a == 1 AND b == 1"))
}

/// The names and requests of the set's tests.
fn requests(statements: &str) -> Vec<(String, String)> {
    let tests = checked(&with(statements)).tests;
    tests.into_iter().map(|test| (test.name, test.request)).collect()
}

fn test(name: &str, given: &str, extends: &str) -> String {
    format!("TEST \"{name}\" {{ GIVEN: {{ {given} }} EXTENDS \"{extends}\" EXPECT: ALLOW }}\n")
}

#[test]
fn own_attributes_replace_inherited_ones_and_missing_removes_them() {
    let text = [
        "FIXTURE \"base\" { GIVEN: { a: 1, b: 2 } }\n",
        "FIXTURE \"more\" { GIVEN: { b: 3 } EXTENDS \"base\" }\n",
        &test("one", "a: MISSING", "more"),
        &test("two", "a: 5", "one"),
    ];
    let found = requests(&text.concat());
    let expected = [("one", r#"{"b":3}"#), ("two", r#"{"a":5,"b":3}"#)];
    assert_eq!(found, expected.map(|(name, request)| (name.to_owned(), request.to_owned())));
}

#[test]
fn each_row_is_a_test_with_the_attributes_of_its_columns() {
    let text = "FIXTURE \"f\" { GIVEN: { a: 1 } }
TEST \"t\" {
  GIVEN: {} EXTENDS \"f\"
  TABLE: {
    a       | b | EXPECT
    2       | 1 | DENY BY p
    MISSING | 3 | ALLOW
  }
}";
    let found = requests(text);
    let expected = [("t, row 1", r#"{"a":2,"b":1}"#), ("t, row 2", r#"{"b":3}"#)];
    assert_eq!(found, expected.map(|(name, request)| (name.to_owned(), request.to_owned())));
    let sources = sources(&with(text));
    let tests = check(&sources).set.unwrap().tests;
    assert_eq!(sources.text(tests[0].expect_span), "2       | 1 | DENY BY p");
}

#[test]
fn extends_names_a_test_or_fixture_with_the_nearest_suggested() {
    let text = with(&["FIXTURE \"base\" { GIVEN: { a: 1 } }", &test("t", "", "bsae")].concat());
    expect(&text, &[("W031", "\"base\""), ("E031", "\"bsae\"")]);
    let findings = check(&sources(&text)).findings;
    assert_eq!(findings[1].suggestion.as_deref(), Some("did you mean `base`?"));
}

#[test]
fn a_circle_of_extends_is_told_once_with_every_step() {
    let text = [test("x", "", "y"), test("y", "", "z"), test("z", "", "x"), test("w", "", "x")];
    let findings = check(&sources(&with(&text.concat()))).findings;
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(finding.code, "E032");
    let labels: Vec<_> = finding.labels.iter().map(|label| label.text.as_str()).collect();
    assert_eq!(labels, ["`x` extends `y`", "`y` extends `z`", "`z` extends `x`"]);
    let findings = check(&sources(&with(&test("x", "", "x")))).findings;
    assert_eq!(findings[0].message, "`x` extends itself");
}

#[test]
fn extends_takes_at_most_so_many_steps_from_whatever_end_it_is_followed() {
    for (first, step) in [(0, 1_i32), (99, -1)] {
        let name = |number: i32| format!("{:02}", first + step * number);
        let chain = |length: i32| {
            let tests = (0..length).map(|number| test(&name(number), "", &name(number + 1)));
            let last = format!("TEST \"{}\" {{ GIVEN: {{ a: 1 }} EXPECT: ALLOW }}", name(length));
            with(&(tests.collect::<String>() + &last))
        };
        let set = checked(&chain(32));
        assert!(set.tests.iter().all(|test| test.request == r#"{"a":1}"#));
        let findings = check(&sources(&chain(40))).findings;
        let messages: Vec<_> = findings.iter().map(|finding| finding.message.clone()).collect();
        let expected = format!("`EXTENDS` takes more than 32 steps from `{}` on", name(7));
        assert_eq!(messages, [expected]);
    }
}

#[test]
fn tests_and_fixtures_share_their_names() {
    let text = ["FIXTURE \"t\" { GIVEN: {} }\n", &test("t", "a: 1", "t")].concat();
    expect(&with(&text), &[("E012", "\"t\"")]);
}

#[test]
fn rows_have_a_value_for_every_column_and_tables_have_rows() {
    let table =
        |rows: &str| with(&format!("TEST \"t\" {{ GIVEN: {{}} TABLE: {{ a | b | EXPECT\n{rows} }} }}"));
    expect(&table("1 | ALLOW\n1 | 1 | ALLOW"), &[("E034", "1 | ALLOW")]);
    expect(&table("1 | 2 | 3 | DENY BY p"), &[("E034", "1 | 2 | 3 | DENY BY p")]);
    expect(&table(""), &[("E034", "TABLE: { a | b | EXPECT\n }")]);
    expect(&table("1 | 2 | DENY BY q"), &[("E013", "q")]);
    expect(&table("\"x\" | 2 | ALLOW"), &[("W003", "\"x\"")]);
    let finding = check(&sources(&table("1 | ALLOW"))).findings.remove(0);
    let message = "this row is too short: it has 1 value before its outcome, and needs 2 values";
    assert_eq!(finding.message, message);
    let columns = |columns: &str, given: &str| {
        let row = "1 | 1 | 1 | ALLOW";
        with(&format!("TEST \"t\" {{ GIVEN: {{ {given} }} TABLE: {{ {columns} | EXPECT\n {row} }} }}"))
    };
    expect(&columns("a | b | a", ""), &[("E011", "a")]);
    expect(&columns("a | b | c", "a: 1"), &[("E011", "a"), ("W003", "c")]);
}

#[test]
fn tables_and_what_tests_take_over_are_bounded() {
    let rows = |count: usize| {
        let rows = "1 | ALLOW\n".repeat(count);
        with(&format!("TEST \"t\" {{ GIVEN: {{}} TABLE: {{ a | EXPECT\n{rows} }} }}"))
    };
    assert_eq!(checked(&rows(1000)).tests.len(), 1000);
    let findings = check(&sources(&rows(10_000))).findings;
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["the table has 10000 rows; the limit is 1000"]);
    // What one fixture says is not multiplied without end.
    let long = "x".repeat(100_000);
    let mut text = format!("FIXTURE \"f\" {{ GIVEN: {{ c: \"{long}\" }} }}\n");
    (0..700).for_each(|number| text.push_str(&test(&number.to_string(), "", "f")));
    let findings = check(&sources(&with(&text))).findings;
    let errors: Vec<_> = findings.iter().filter(|it| it.code == "E002").collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].message, "the requests of the set's tests have more than 64 MiB together");
}

#[test]
fn min_coverage_is_a_percentage_at_the_top_of_a_module() {
    let set = checked(&format!("DEFAULT: DENY MIN_COVERAGE: 80\n{}", policy("a == 1")));
    assert!(set.modules[0].default_deny);
    assert_eq!(set.min_coverage.map(|(percent, _)| percent), Some(80));
    expect(&format!("MIN_COVERAGE: 101\n{}", policy("a == 1")), &[("E021", "101")]);
    expect(&format!("MIN_COVERAGE: 0\n{}", policy("a == 1")), &[("E021", "0")]);
}
