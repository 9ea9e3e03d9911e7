//! What the checker says of small sets: each finding by its code and the text that it underlines.

mod fixtures;

use aecp_contract::{manifest::Action, value::Type};

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

/// The policy with these fields beside the required ones.
fn with_fields(fields: &str) -> String {
    policy("a == 1").replace('}', &format!("{fields}\n}}"))
}

#[test]
fn obligations_are_typed_and_numbered_over_the_whole_set() {
    let text = with_fields(
        "MASK: card.pan WITH LAST(4) REDACT: card.cvc HASH: card.holder
         FILTER: row.region == \"EU\" LIMIT: 5 PER 1m BY principal.id",
    );
    expect(&text, &[]);
    let set = checked(&format!("{}{text}", text.replace("POLICY p", "POLICY q")));
    let attribute = |path: &str| path.to_owned();
    let actions = [
        Action::Mask { attribute: attribute("card.pan"), last: 4 },
        Action::Redact { attribute: attribute("card.cvc") },
        Action::Hash { attribute: attribute("card.holder") },
        Action::Filter { condition: "row.region == \"EU\"".to_owned() },
        Action::Limit { count: 5, per_ms: 60_000, by: attribute("principal.id") },
    ];
    let obligations: Vec<_> = set.obligations().collect();
    assert_eq!((obligations.len(), set.counts().obligations), (10, 10));
    for (obligation, (policy, action)) in obligations
        .iter()
        .zip([0, 1].into_iter().flat_map(|policy| actions.iter().map(move |a| (policy, a))))
    {
        assert_eq!((obligation.policy, &obligation.action), (policy, action));
    }
    let paths: Vec<_> = set.attributes.iter().map(|attribute| attribute.path.as_str()).collect();
    assert_eq!(paths, ["a"], "what is only masked or filtered by has no slot");
}

#[test]
fn obligations_fit_their_attributes_and_their_points() {
    for (fields, code, at) in [
        ("MASK: x WITH LAST(0)", "E021", "MASK: x WITH LAST(0)"),
        ("MASK: x WITH LAST(65)", "E021", "MASK: x WITH LAST(65)"),
        ("MASK: a WITH LAST(4)", "E020", "a"),
        ("MASK: x WITH LAST(4) REDACT: x", "E011", "x"),
        ("LIMIT: 0 PER 1m BY x", "E021", "0"),
        ("LIMIT: 1 PER 0s BY x", "E021", "0s"),
        ("AT: [INGRESS, MESH] REDACT: x", "E050", "REDACT: x"),
        ("AT: [INGRESS] FILTER: x == 1", "E050", "FILTER: x == 1"),
        ("AT: [DATA, MESH, DATA]", "E011", "DATA"),
        ("EFFECTIVE: FROM \"tomorrow\"", "E021", "\"tomorrow\""),
        (
            "EFFECTIVE: FROM \"2026-01-01T00:00:00Z\" UNTIL \"2026-01-01T00:00:00Z\"",
            "E021",
            "\"2026-01-01T00:00:00Z\"",
        ),
    ] {
        expect(&with_fields(fields), &[(code, at)]);
    }
    for sound in ["AT: [EGRESS, INGRESS] REDACT: x", "AT: [INGRESS] LIMIT: 1 PER 1s BY x", "HASH: a"] {
        expect(&with_fields(sound), &[]);
    }
    let lists = |fields| format!("SCHEMA {{ a: INT tags: LIST<STRING> }}\n{}", with_fields(fields));
    expect(&lists("HASH: tags"), &[("E020", "tags")]);
    expect(&lists("LIMIT: 1 PER 1s BY tags"), &[("E020", "tags")]);
    expect(&lists("REDACT: tags"), &[]);
}

#[test]
fn an_exception_to_what_never_denies_is_told() {
    let fields = "EXCEPTION: break_glass_token_required";
    expect(&with_fields(fields), &[]);
    let advisory = with_fields(fields).replace("BLOCKING", "ADVISORY");
    expect(&advisory, &[("W050", fields)]);
}

#[test]
fn at_and_effective_are_part_of_the_scope_by_attributes_that_every_set_has() {
    let fields = "AT: [DATA] EFFECTIVE: UNTIL \"2026-01-01T00:00:00Z\"";
    let strict = format!("SCHEMA STRICT {{ a: INT }}\n{}", with_fields(fields));
    expect(&strict, &[]);
    let set = checked(&strict);
    let paths: Vec<_> = set.attributes.iter().map(|attribute| attribute.path.as_str()).collect();
    assert_eq!(paths, ["a", "request.point", "request.time"]);
    let says = |request: &str| {
        let request = serde_json::from_str(request).unwrap();
        let verdict = crate::reference::decide(&set, &request);
        (verdict.violated.len(), verdict.indeterminate.len())
    };
    let at = |point: &str, time: &str| {
        says(&format!(r#"{{"a": 2, "request.point": "{point}", "request.time": "{time}"}}"#))
    };
    assert_eq!(at("DATA", "2025-12-31T23:59:59.999Z"), (1, 0));
    assert_eq!(at("DATA", "2026-01-01T00:00:00Z"), (0, 0), "no longer in effect");
    assert_eq!(at("EGRESS", "2025-12-31T23:59:59Z"), (0, 0), "not here");
    assert_eq!(says(r#"{"a": 2}"#), (0, 1), "when and where is not known");
    assert_eq!(says(r#"{"a": 1}"#), (0, 0), "satisfied whenever and wherever");
    let all = checked(&with_fields("AT: [DATA, INGRESS, MESH, EGRESS]"));
    assert_eq!(all.attributes.len(), 1, "all points ask for nothing");
    expect(
        &format!("SCHEMA {{ a: INT request.time: STRING }}\n{}", policy("a == 1")),
        &[("E020", "STRING")],
    );
    expect(&policy("request.time == 5"), &[("E020", "5")]);
    expect(&policy("request.point == \"EGRES\""), &[("E021", "\"EGRES\"")]);
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
