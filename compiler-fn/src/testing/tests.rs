use std::fmt::Write as _;

use aecp_contract::value::Type;
use proptest::prelude::*;

use super::{
    decisive::Clauses,
    edits::{self, Site},
    *,
};
use crate::{
    check::check,
    language::{
        arbitrary::typed::{literal_of, typed_condition},
        ast::{Condition, Literal, Spanned},
        format,
    },
    reference::{self, Truth},
    set::Policy,
    source::{Source, Sources},
};

fn set(text: &str) -> PolicySet {
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text: text.to_owned() }]);
    let checked = check(&sources);
    checked.set.unwrap_or_else(|| panic!("{text}: {:?}", checked.findings))
}

/// The clauses and how they were seen, TRUE first.
fn seen(text: &str) -> Vec<(String, Seen, Seen)> {
    let set = set(text);
    let clauses = coverage(&set).clauses;
    let each = |it: &Clause<'_>| (format::condition(it.condition), it.when_true, it.when_false);
    clauses.iter().map(each).collect()
}

const POLICY: &str = "POLICY p { SCOPE: x CONSTRAINT: a == 1 OR b == 2 ENFORCEMENT: BLOCKING }\n";

fn test(given: &str, expect: &str) -> String {
    let name = given.replace('"', "'");
    format!("TEST \"{name}\" {{ GIVEN: {{ {given} }} EXPECT: {expect} }}\n")
}

#[test]
fn a_clause_is_covered_where_it_alone_decides() {
    use Seen::{Decisive, Never};
    let clause = |text: &str, when_true, when_false| (text.to_owned(), when_true, when_false);
    let text = [
        POLICY,
        &test("resource.type: \"x\", a: 1, b: 3", "ALLOW"),
        &test("resource.type: \"x\", a: 2, b: 3", "DENY BY p"),
        // Neither decides alone here.
        &test("resource.type: \"x\", a: 1, b: 2", "ALLOW"),
    ];
    let expected = [
        clause("resource.type == \"x\"", Decisive, Never),
        clause("a == 1", Decisive, Decisive),
        clause("b == 2", Never, Decisive),
    ];
    assert_eq!(seen(&text.concat()), expected);
}

#[test]
fn ways_that_nothing_can_decide_are_proven_and_not_counted() {
    let text = "POLICY p { SCOPE: requests CONSTRAINT: a == 1 AND a == 1 ENFORCEMENT: BLOCKING }\n";
    let text = [text, &test("a: 1", "ALLOW")].concat();
    let set = set(&text);
    let coverage = coverage(&set);
    let ways: Vec<_> = coverage.clauses.iter().map(|it| (it.when_true, it.when_false)).collect();
    assert_eq!(ways, [(Seen::Decisive, Seen::Impossible); 2]);
    let summary = coverage.summary(100);
    assert_eq!((summary.ways, summary.decisive, summary.impossible), (4, 2, 2));
    assert!(summary.is_enough());
    assert_eq!(summary.percent(), 100);
}

#[test]
fn a_scope_decides_by_itself_only_under_default_deny() {
    let policy = "POLICY p { SCOPE: x CONSTRAINT: a == 1 ENFORCEMENT: BLOCKING }\n";
    let allowed = test("resource.type: \"x\", a: 1", "ALLOW");
    let scope = |text: &str| seen(text)[0].1;
    assert_eq!(scope(&[policy, &allowed].concat()), Seen::Never);
    assert_eq!(scope(&["DEFAULT: DENY\n", policy, &allowed].concat()), Seen::Decisive);
}

#[test]
fn a_set_below_its_threshold_is_refused_with_its_largest_gaps() {
    let text = ["MIN_COVERAGE: 80\n", POLICY, &test("resource.type: \"x\", a: 1, b: 3", "ALLOW")];
    let set = set(&text.concat());
    let finding = coverage(&set).finding(&set).unwrap();
    assert_eq!(finding.code, code::COVERAGE);
    assert_eq!(finding.message, "the tests cover 16 % of the clauses; the set asks for 80 %");
    assert_eq!(finding.labels[1].text, "5 of its 6 ways are covered by no test");
    assert_eq!(finding.policies, ["p"]);
}

/// What became of the mutants: of the survivors what was changed.
fn fates(text: &str) -> (usize, usize, usize, Vec<String>) {
    let set = set(text);
    let mut news = Vec::new();
    let mutation = mutants(&set, &mut |done, all| news.push((done, all)));
    assert_eq!(news.last(), Some(&(mutation.tried, mutation.all)));
    let survivors: Vec<_> = mutation.survivors.into_iter().map(|it| it.change).collect();
    let sum = mutation.killed + mutation.equivalent + mutation.unexpected + survivors.len();
    assert_eq!(sum, mutation.tried);
    (mutation.killed, mutation.equivalent, mutation.unexpected, survivors)
}

#[test]
fn mutants_are_killed_by_tests_that_fail_on_them() {
    let policy = "POLICY p { SCOPE: requests CONSTRAINT: n < 5 ENFORCEMENT: BLOCKING }\n";
    let weak = [policy, &test("n: 9", "DENY BY p"), &test("n: 1", "ALLOW")].concat();
    assert_eq!(fates(&weak), (1, 0, 0, vec!["`n < 5` became `n <= 5`".to_owned()]));
    let strong = [&weak, &test("n: 5", "DENY BY p")[..]].concat();
    assert_eq!(fates(&strong), (2, 0, 0, Vec::new()));
    let untested = fates(policy);
    assert_eq!(untested.3, ["`n < 5` became `n <= 5`", "`BLOCKING` became `ADVISORY`"]);
}

#[test]
fn mutants_that_mean_the_same_are_proven_equivalent() {
    // The second comparison follows from the first.
    let policy = "POLICY p { SCOPE: requests CONSTRAINT: n < 5 AND n != 9 ENFORCEMENT: BLOCKING }\n";
    let tests = [test("n: 4", "ALLOW"), test("n: 5", "DENY BY p"), test("n: 9", "DENY BY p")];
    let (_, equivalent, _, survivors) = fates(&[policy, &tests.concat()].concat());
    assert_eq!((equivalent, survivors.as_slice()), (1, &[][..]));
}

#[test]
fn of_what_only_advises_more_nothing_is_asked() {
    let policy = "POLICY p { SCOPE: requests CONSTRAINT: n <= 5 ENFORCEMENT: ADVISORY }\n";
    let text = [policy, &test("n: 9", "ALLOW WITH ADVISORY p")].concat();
    // `n < 5` advises for 5 as well; no EXPECT says that there is no advice.
    assert_eq!(fates(&text), (1, 0, 1, Vec::new()));
}

/// The set with a change made to it.
fn mutated(set: &PolicySet, site: &Site<'_>) -> PolicySet {
    let changed = site.changed(&set.policies[site.policy]);
    let mut mutant = set.clone();
    let policy = &mut mutant.policies[site.policy];
    (policy.scope, policy.constraint) = (changed.scope, changed.constraint);
    policy.info.enforcement = changed.enforcement;
    mutant
}

/// Whether some test fails on a set, told the long way.
fn noticed(set: &PolicySet, original: &PolicySet) -> bool {
    set.tests.iter().any(|test| {
        let request = serde_json::from_str(&test.request).unwrap();
        let names: &[Name] = match &test.expect {
            Expect::Allow => &[],
            Expect::Deny(names) | Expect::AllowWithAdvisory(names) => names,
        };
        let refused = names.iter().any(|name| {
            let mode = |set: &PolicySet| set.policies[set.policy(&name.node).unwrap()].info.enforcement;
            mode(set) != mode(original)
        });
        refused || judge(set, &test.expect, &reference::decide(set, &request)).is_err()
    })
}

#[test]
fn each_mutant_fares_as_the_whole_set_decides_with_it_and_survivors_have_a_telling_request() {
    let text = "DEFAULT: DENY
SCHEMA { roles: LIST<STRING>  ip: IP  s: STRING  n: INT  b: BOOL }
POLICY lists { SCOPE: x WHERE s IN [\"a\", \"b\", \"c\"] CONSTRAINT: roles CONTAINS \"r\" OR NOT b ENFORCEMENT: BLOCKING }
POLICY numbers { SCOPE: requests WHERE n BETWEEN 1 AND 9 CONSTRAINT: n > 2 AND ip IN CIDR \"10.0.0.0/8\" ENFORCEMENT: BLOCKING }
POLICY advice { SCOPE: requests WHERE s EXISTS CONSTRAINT: s STARTS WITH \"a\" AND n != 4 ENFORCEMENT: ADVISORY }
POLICY watched { SCOPE: requests CONSTRAINT: n == 1 ENFORCEMENT: AUDIT_ONLY }
TEST \"1\" { GIVEN: { resource.type: \"x\", s: \"a\", roles: [\"r\"], b: true, n: 0, ip: \"10.1.1.1\" } EXPECT: ALLOW }
TEST \"2\" { GIVEN: { resource.type: \"x\", s: \"b\", roles: [], b: true, n: 0 } EXPECT: DENY BY lists }
TEST \"3\" { GIVEN: { resource.type: \"y\", n: 2, s: \"b\", ip: \"10.1.1.1\" } EXPECT: DENY BY numbers }
TEST \"4\" { GIVEN: { resource.type: \"y\", s: \"q\", n: 3, ip: \"10.1.1.1\" } EXPECT: ALLOW WITH ADVISORY advice }
TEST \"5\" { GIVEN: { resource.type: \"y\", s: \"q\", n: 30 } EXPECT: DENY }
";
    let set = set(text);
    assert!(!noticed(&set, &set));
    let mutation = mutants(&set, &mut |_, _| ());
    let mut survivors = mutation.survivors.iter();
    let (mut killed, mut quiet) = (0, 0);
    let sites = (0..set.policies.len()).flat_map(|policy| edits::sites(&set, policy));
    for site in sites {
        let policy: &Policy = &set.policies[site.policy];
        let what = site.describe(policy);
        let mutant = mutated(&set, &site);
        if noticed(&mutant, &set) {
            killed += 1;
            continue;
        }
        let mut rest = survivors.clone();
        let Some(survivor) = rest.next().filter(|it| it.change == what) else {
            quiet += 1;
            continue;
        };
        survivors = rest;
        assert_eq!((survivor.policy, survivor.span), (site.policy, site.span(policy)));
        let request = survivor.request.as_ref().expect("all is decidable here");
        let request: serde_json::Value = serde_json::from_str(request).unwrap();
        let (before, after) = (reference::decide(&set, &request), reference::decide(&mutant, &request));
        assert!(
            before != after || mutant.policies[site.policy].info.enforcement != policy.info.enforcement,
            "{what}"
        );
    }
    assert_eq!(survivors.next(), None);
    assert_eq!((killed, quiet), (mutation.killed, mutation.equivalent + mutation.unexpected));
    assert!(killed > 15 && !mutation.survivors.is_empty(), "{mutation:?}");
}

fn attributes() -> Vec<(String, Type)> {
    let named = |name: &str, ty| (name.to_owned(), ty);
    vec![
        named("s", Type::String),
        named("i", Type::Int),
        named("b", Type::Bool),
        named("l", Type::List(Box::new(Type::String))),
    ]
}

/// Values for some of the attributes.
fn given() -> impl Strategy<Value = String> {
    let one = |(name, ty): (String, Type)| {
        let value = match ty {
            Type::List(element) => {
                literal_of(&element).prop_map(|entry| Literal::List(vec![entry])).boxed()
            }
            ty => literal_of(&ty).prop_map(|literal: Spanned<Literal>| literal.node).boxed(),
        };
        prop::option::weighted(0.8, value)
            .prop_map(move |value| value.map(|value| format!("{name}: {}", format::literal(&value))))
    };
    attributes()
        .into_iter()
        .map(one)
        .collect::<Vec<_>>()
        .prop_map(|entries| entries.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_clauses_that_decide_are_those_whose_flipping_changes_the_outcome(
        scope in typed_condition(attributes()),
        constraint in typed_condition(attributes()),
        given in given(),
        default_deny in any::<bool>(),
    ) {
        let mut text = String::new();
        if default_deny {
            text.push_str("DEFAULT: DENY\n");
        }
        text.push_str("SCHEMA { s: STRING\n i: INT\n b: BOOL\n l: LIST<STRING> }\n");
        let (scope, constraint) = (format::condition(&scope), format::condition(&constraint));
        let _ = write!(text, "POLICY p {{ SCOPE: requests WHERE {scope} CONSTRAINT: {constraint} ENFORCEMENT: BLOCKING }}\n{}", test("", "ALLOW").replace("GIVEN: {  }", &format!("GIVEN: {{ {given} }}")));
        let set = set(&text);
        let request: serde_json::Value = serde_json::from_str(&set.tests[0].request).unwrap();
        let policy = &set.policies[0];
        let outcome = |flipped: Option<usize>| {
            let mut number = 0;
            let mut truth = |condition: &Condition| reference::fold(condition, &mut |atom| {
                let truth = reference::evaluate_atom(&set, atom, &request);
                number += 1;
                if flipped == Some(number - 1) { truth.not() } else { truth }
            });
            let scope = truth(policy.scope.as_ref().unwrap());
            (scope.and(truth(&policy.constraint).not()), default_deny && scope == Truth::True)
        };
        let clauses = Clauses::of(&set, policy);
        let mut expected = Vec::new();
        for (number, condition) in clauses.atoms().enumerate() {
            let truth = reference::evaluate(&set, condition, &request);
            if truth != Truth::Unknown && outcome(Some(number)) != outcome(None) {
                expected.push((number, truth == Truth::True));
            }
        }
        let requests = super::given::requests(&set);
        let mut found = Vec::new();
        clauses.decide(&set, requests[0].as_ref().unwrap(), &mut |atom, holds| found.push((atom, holds)));
        prop_assert_eq!(found, expected, "{}", text);
    }
}
