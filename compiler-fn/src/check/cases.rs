//! What the checker says of small sets: each finding by its code and the text that it underlines.

mod fixtures;

use aecp_contract::value::Type;

use super::{MAX_POLICIES, check, parse_with, report_limits};
use crate::{
    set::PolicySet,
    source::{Source, Sources},
};

fn sources(text: &str) -> Sources {
    Sources::new(vec![Source { path: "set.aecp".to_owned(), text: text.to_owned() }])
}

/// A policy with this constraint.
fn policy(constraint: &str) -> String {
    format!("POLICY p {{\n  SCOPE: requests\n  CONSTRAINT: {constraint}\n  ENFORCEMENT: BLOCKING\n}}\n")
}

fn findings(text: &str) -> Vec<(&'static str, String)> {
    let sources = sources(text);
    let findings = check(&sources).findings;
    let underlined =
        |finding: &crate::findings::Finding| sources.text(finding.labels[0].span).to_owned();
    findings.iter().map(|finding| (finding.code, underlined(finding))).collect()
}

fn expect(text: &str, expected: &[(&str, &str)]) {
    let found = findings(text);
    let found: Vec<_> = found.iter().map(|(code, text)| (*code, text.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

fn checked(text: &str) -> PolicySet {
    let checked = check(&sources(text));
    checked.set.unwrap_or_else(|| panic!("{text}: {:?}", checked.findings))
}

#[test]
fn undeclared_attributes_take_the_type_that_their_uses_agree_on() {
    let list = |ty| Type::List(Box::new(ty));
    for (constraint, path, ty) in [
        ("a == \"x\"", "a", Type::String),
        ("a == 5", "a", Type::Int),
        ("a == 5 AND a < 5.5", "a", Type::Decimal),
        ("a > \"2026-01-01T00:00:00Z\"", "a", Type::Timestamp),
        ("a == \"2026-01-01T00:00:00Z\"", "a", Type::String),
        ("a <= 15m", "a", Type::Duration),
        ("a IN CIDR \"10.0.0.0/8\" AND b == a", "b", Type::Ip),
        ("a", "a", Type::Bool),
        ("\"x\" IN a", "a", list(Type::String)),
        ("5 IN a AND b IN a", "b", Type::Int),
        ("a CONTAINS b AND b > 1.5", "a", list(Type::Decimal)),
        ("a EXISTS", "a", Type::Any),
    ] {
        let set = checked(&policy(constraint));
        assert_eq!(set.attribute(path).map(|(_, ty)| ty), Some(&ty), "{constraint}");
    }
}

#[test]
fn uses_that_leave_the_type_open_are_told_with_what_was_taken() {
    expect(&policy("a == b"), &[("W002", "a")]);
    expect(&policy("a CONTAINS \"x\""), &[("W002", "a")]);
    expect(&policy("a CONTAINS \"x\" AND a STARTS WITH \"y\""), &[]);
}

#[test]
fn uses_that_disagree_are_shown_all() {
    let text = policy("a == 5 OR a == \"x\" OR a");
    let finding = &check(&sources(&text)).findings[0];
    assert_eq!((finding.code, finding.labels.len()), ("E020", 3));
    assert_eq!(finding.policies, ["p"]);
    expect(&policy("a == 5 AND b == \"x\" AND a == b"), &[("E020", "a == b")]);
    expect(&policy("a > true"), &[("E020", "true")]);
}

#[test]
fn declared_types_are_enforced_at_every_use() {
    let schema = "SCHEMA { n: INT\n s: STRING\n r: ENUM(\"EU\", \"US\")\n t: TIMESTAMP\n i: IP\n l: LIST<INT> }\n";
    for (constraint, expected) in [
        ("n == \"x\"", &[("E020", "\"x\"")][..]),
        ("n > 1.5", &[("E020", "1.5")]),
        ("s < 5", &[("E020", "5")]),
        ("n == s", &[("E020", "n == s")]),
        ("r == \"EUR\"", &[("E021", "\"EUR\"")]),
        ("r IN [\"EU\", \"MARS\"]", &[("E021", "\"MARS\"")]),
        ("r == s", &[]),
        ("t < \"soon\"", &[("E021", "\"soon\"")]),
        ("i == \"10.0.0\"", &[("E021", "\"10.0.0\"")]),
        ("i IN CIDR \"10.0.0.1/8\"", &[("E021", "\"10.0.0.1/8\"")]),
        ("l CONTAINS \"x\"", &[("E020", "\"x\"")]),
        ("s IN l", &[("E020", "s IN l")]),
        ("n", &[("E020", "n")]),
    ] {
        expect(&format!("{schema}{}", policy(constraint)), expected);
    }
}

#[test]
fn undeclared_attributes_are_warnings_beside_a_schema_and_errors_under_a_strict_one() {
    let schema = "SCHEMA { customer.region: STRING }\n";
    let use_it = policy("customer.regoin == \"EU\"");
    expect(&format!("{schema}{use_it}"), &[("W001", "customer.regoin")]);
    let strict = schema.replace("SCHEMA", "SCHEMA STRICT");
    let finding = check(&sources(&format!("{strict}{use_it}"))).findings.remove(0);
    assert_eq!(finding.code, "E014");
    assert_eq!(finding.suggestion.as_deref(), Some("did you mean `customer.region`?"));
}

#[test]
fn names_and_fields_stand_once_and_required_ones_stand() {
    expect(&format!("{0}{0}", policy("a == 1")), &[("E012", "p")]);
    expect(
        "POLICY p { SCOPE: requests SCOPE: requests CONSTRAINT: a ENFORCEMENT: BLOCKING }",
        &[("E011", "SCOPE: requests")],
    );
    expect("POLICY p { SCOPE: requests CONSTRAINT: a }", &[("E010", "p")]);
}

#[test]
fn tests_name_policies_that_can_do_what_is_expected() {
    let advisory = policy("a == 1").replace("BLOCKING", "ADVISORY");
    let test =
        |given: &str, expect: &str| format!("TEST \"t\" {{ GIVEN: {{ {given} }} EXPECT: {expect} }}\n");
    let with = |given, expect| format!("{advisory}{}", test(given, expect));
    expect(&with("a: 1", "ALLOW WITH ADVISORY p"), &[]);
    expect(&with("a: 1", "DENY BY p"), &[("E013", "p")]);
    expect(&with("a: 1", "DENY BY q"), &[("E013", "q")]);
    expect(&with("a: 1, a: 2", "ALLOW"), &[("E011", "a")]);
    expect(&with("b: 1", "ALLOW"), &[("W003", "b")]);
    expect(&with("a: \"x\"", "ALLOW"), &[("W003", "\"x\"")]);
}

#[test]
fn what_has_no_effect_yet_is_said_once_per_kind() {
    let fields = "EXCEPTION: break_glass_token_required\n  LIMIT: 5 PER 1m BY principal.id\n}";
    let text = policy("a == 1").replace('}', fields);
    let text = format!("{text}{}", text.replace("POLICY p", "POLICY q"));
    let codes: Vec<_> = findings(&text).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["W010", "W010"]);
    let set = checked(&text);
    assert_eq!(set.policies[0].info.obligations, ["LIMIT: 5 PER 1m BY principal.id"]);
}

#[test]
fn however_many_threads_parse_the_trees_and_findings_are_the_same_and_in_the_order_of_the_files() {
    let file = |number: usize| Source {
        path: format!("{number:02}.aecp"),
        text: policy(if number.is_multiple_of(5) { "a ==" } else { "a == 1" }),
    };
    let sources = Sources::new((0..40).map(file).collect());
    let (files, findings) = parse_with(&sources, 1);
    assert_eq!((files.len(), findings.len()), (40, 8));
    for threads in [2, 3, 8, 64] {
        assert_eq!(parse_with(&sources, threads), (files.clone(), findings.clone()), "{threads}");
    }
}

#[test]
fn of_two_policies_with_one_name_a_test_means_the_first() {
    let advisory = policy("a == 2").replace("BLOCKING", "ADVISORY");
    let test = "TEST \"t\" { GIVEN: { a: 2 } EXPECT: DENY BY p }";
    expect(&[policy("a == 1"), advisory.clone(), test.to_owned()].concat(), &[("E012", "p")]);
    let found = findings(&[advisory, policy("a == 1"), test.to_owned()].concat());
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_set_has_at_most_so_many_policies_and_attributes() {
    let mut findings = Vec::new();
    report_limits(MAX_POLICIES, 4096, &mut findings);
    assert_eq!(findings, []);
    report_limits(MAX_POLICIES + 1, 4097, &mut findings);
    let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
    let expected = [
        "the set has 100001 policies; the limit is 100000",
        "the set has 4097 attributes; the limit is 4096",
    ];
    assert_eq!(messages, expected);
}
