//! Comparing two sets against brute force: small worlds whose requests can all be listed, the reference evaluator and the
//! generated modules of both sets as the oracle.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::collections::BTreeMap;

use aecp_compiler::{
    check::check,
    diff::{Change, DecisionChange, Decisions, Diff, compare},
    generate,
    interpret::Interpreter,
    reference::{Truth, decide, evaluate},
    set::PolicySet,
    source::{Source, Sources},
};
use aecp_contract::{
    manifest::Enforcement,
    verdict::{Decision, Verdict},
};
use aecp_integration_tests::{
    generated::Random,
    worlds::{WORLDS, World},
};
use serde_json::Value;

/// Random cases for each world.
const SEEDS: usize = 24;

fn checked(text: String) -> PolicySet {
    let source = Source { path: "world.aecp".to_owned(), text };
    let checked = check(&Sources::new(vec![source.clone()]));
    checked.set.unwrap_or_else(|| panic!("{}\n{:?}", source.text, checked.findings))
}

/// A policy's fields but for its name.
fn policy(world: &World, random: &mut Random) -> [String; 3] {
    let mode = random.pick(&["BLOCKING", "BLOCKING", "BLOCKING", "ADVISORY"]);
    [world.condition(random, 1), world.condition(random, 2), mode.to_owned()]
}

/// Two sets that resemble each other.
fn variants(world: &World, random: &mut Random) -> [String; 2] {
    let mut before: BTreeMap<&str, [String; 3]> = BTreeMap::new();
    for name in ["p", "q", "r"] {
        if !random.once_in(4) {
            before.insert(name, policy(world, random));
        }
    }
    let mut after = before.clone();
    for name in ["p", "q", "r"] {
        let fresh = policy(world, random);
        match (random.below(9), after.get_mut(name)) {
            (0, Some(_)) => drop(after.remove(name)),
            (0 | 1, None) => drop(after.insert(name, fresh)),
            (1, Some(policy)) => policy[0] = fresh[0].clone(),
            (2, Some(policy)) => policy[1] = fresh[1].clone(),
            (3, Some(policy)) => policy[2] = fresh[2].clone(),
            // The same in other words, or nearly.
            (4, Some(policy)) => policy[1] = format!("NOT (NOT ({}))", policy[1]),
            (5, Some(policy)) => {
                policy[1] = format!("({}) OR ({}) AND ({})", policy[1], fresh[1], policy[1])
            }
            (6, Some(policy)) => policy[0] = format!("({}) AND ({})", policy[0], fresh[0]),
            _ => {}
        }
    }
    let default = [random.once_in(4), random.once_in(4)];
    let text = |policies: &BTreeMap<&str, [String; 3]>, default: bool| {
        let policies = policies.iter().map(|(name, [scope, constraint, mode])| {
            format!(
                "POLICY {name} {{ SCOPE: requests WHERE {scope} CONSTRAINT: {constraint} ENFORCEMENT: {mode} }}\n"
            )
        });
        let text = world.source(&policies.collect::<String>());
        if default { format!("DEFAULT: DENY\n{text}") } else { text }
    };
    [text(&before, default[0]), text(&after, default[1])]
}

/// What a policy is to a request, by the reference evaluator.
fn outcome(set: &PolicySet, name: &str, request: &Value) -> (Truth, Truth) {
    let policy = &set.policies[set.policy(name).unwrap()];
    let scope = evaluate(set, policy.scope.as_ref().unwrap(), request);
    let violated = match (scope, evaluate(set, &policy.constraint, request)) {
        (Truth::False, _) | (_, Truth::True) => Truth::False,
        (Truth::True, Truth::False) => Truth::True,
        _ => Truth::Unknown,
    };
    (scope, violated)
}

/// The names of the BLOCKING policies that a verdict denies by.
fn deniers(set: &PolicySet, verdict: &Verdict) -> Vec<String> {
    let raised = verdict.violated.iter().chain(&verdict.indeterminate);
    let policies = raised.map(|index| &set.policies[*index as usize]);
    let blocking = policies.filter(|policy| policy.info.enforcement == Enforcement::Blocking);
    let mut names: Vec<String> = blocking.map(|policy| policy.info.name.clone()).collect();
    names.sort();
    names
}

/// One case: two sets, what is said of them, and every request of the world.
struct Case<'a> {
    sets: [&'a PolicySet; 2],
    diff: &'a Diff,
    requests: &'a [Value],
    about: String,
}

impl Case<'_> {
    fn policies(&self) {
        let [old, new] = self.sets;
        let mut modules =
            self.sets.map(|set| Interpreter::new(set, &generate::core_module(set).unwrap()).unwrap());
        for policy in &self.diff.policies {
            let name = &policy.policy;
            let about = format!("{name}\n{}", self.about);
            match (old.policy(name), new.policy(name)) {
                (None, Some(_)) => assert_eq!(policy.change, Change::Added, "{about}"),
                (Some(_), None) => assert_eq!(policy.change, Change::Removed, "{about}"),
                (Some(before), Some(after)) => {
                    let fields =
                        [old.policies[before].info.enforcement, new.policies[after].info.enforcement];
                    let default = [old, new].map(|set| set.modules[0].default_deny);
                    let plain = fields[0] == fields[1] && default[0] == default[1];
                    let same =
                        |request: &Value| outcome(old, name, request) == outcome(new, name, request);
                    match policy.change {
                        Change::Same | Change::Reworded => {
                            assert!(plain, "{about}");
                            let other = self.requests.iter().find(|request| !same(request));
                            assert!(other.is_none(), "{} of {about}", other.unwrap());
                        }
                        Change::Changed => assert!(!plain || !policy.shown.is_empty(), "{about}"),
                        Change::NotDecided => {}
                        Change::Added | Change::Removed => panic!("{about}"),
                    }
                    for shown in &policy.shown {
                        let request: Value = serde_json::from_str(&shown.request).unwrap();
                        assert_ne!(shown.before, shown.after, "{about}");
                        for (at, said, index) in [(0, shown.before, before), (1, shown.after, after)] {
                            let expected = outcome(self.sets[at], name, &request);
                            assert_eq!((said.scope, said.violated), expected, "{request} of {about}");
                            let verdict = modules[at].decide(&shown.request).unwrap();
                            let raised = match expected.1 {
                                Truth::True => verdict.violated,
                                Truth::Unknown => verdict.indeterminate,
                                Truth::False => continue,
                            };
                            assert!(raised.contains(&(index as u32)), "{request} of {about}");
                        }
                    }
                }
                (None, None) => panic!("{about}"),
            }
        }
    }

    /// Requests that the set `denying` denies and the other one allows.
    fn decisions(&self, said: &Decisions, denying: usize) {
        let (set, other) = (self.sets[denying], self.sets[1 - denying]);
        let about = &self.about;
        let mut modules =
            [set, other].map(|set| Interpreter::new(set, &generate::core_module(set).unwrap()).unwrap());
        for DecisionChange { request, by, by_default_of } in &said.shown {
            let [denied, allowed] = [0, 1].map(|at| modules[at].decide(request).unwrap());
            assert_eq!(
                (denied.decision, allowed.decision),
                (Decision::Deny, Decision::Allow),
                "{about}"
            );
            assert_eq!(
                (by, by_default_of.is_empty()),
                (&deniers(set, &denied), denied.uncovered.is_empty())
            );
        }
        for request in self.requests {
            let (denied, allowed) = (decide(set, request), decide(other, request));
            if (denied.decision, allowed.decision) != (Decision::Deny, Decision::Allow) {
                continue;
            }
            let open = |about: &str| said.not_decided.iter().any(|open| open.about == about);
            for name in deniers(set, &denied) {
                let shown = said.shown.iter().any(|shown| shown.by.contains(&name));
                assert!(shown || open(&name), "{name} denies {request}\n{about}");
            }
            if !denied.uncovered.is_empty() {
                let shown = said.shown.iter().any(|shown| !shown.by_default_of.is_empty());
                assert!(shown || open("DEFAULT: DENY of module world"), "{request}\n{about}");
            }
        }
    }
}

/// Compares and checks everything that is said; what became of the policies, and whether decisions are proven alike.
fn check_case(texts: &[String; 2], requests: &[Value]) -> (Diff, bool) {
    let [old, new] = texts.clone().map(checked);
    let diff = compare(&old, &new).unwrap();
    let about = format!("{}\n{}\n{diff:?}", texts[0], texts[1]);
    let case = Case { sets: [&old, &new], diff: &diff, requests, about };
    case.policies();
    case.decisions(&diff.denied, 1);
    case.decisions(&diff.allowed, 0);
    let alike = diff.decides_alike();
    (diff, alike)
}

#[test]
fn what_is_said_of_two_sets_is_what_listing_all_requests_shows() {
    let mut changes: BTreeMap<Change, usize> = BTreeMap::new();
    let (mut alike, mut decided_otherwise, mut open) = (0, 0, 0);
    for (number, world) in WORLDS.iter().enumerate() {
        let requests = world.requests();
        for seed in 0..SEEDS {
            let mut random = Random::new((number * 3_000_000 + seed) as u64);
            let texts = variants(world, &mut random);
            let (diff, same) = check_case(&texts, &requests);
            diff.policies.iter().for_each(|policy| *changes.entry(policy.change).or_default() += 1);
            alike += usize::from(same);
            decided_otherwise +=
                usize::from(!diff.denied.shown.is_empty()) + usize::from(!diff.allowed.shown.is_empty());
            let decisions = diff.denied.not_decided.len() + diff.allowed.not_decided.len();
            let not_decided = decisions + diff.policies_that(Change::NotDecided).count();
            let part = [" WITH t", " CONTAINS t", " WITH s"];
            let parts = part.iter().any(|part| texts.iter().any(|text| text.contains(part)));
            assert!(not_decided == 0 || parts, "{texts:?}\n{diff:?}");
            open += usize::from(not_decided > 0);
        }
    }
    for change in [Change::Changed, Change::Added, Change::Removed, Change::Reworded, Change::Same] {
        assert!(changes.get(&change).is_some_and(|count| *count > 10), "{change:?}: {changes:?}");
    }
    assert!(open < 10, "{open} comparisons are not decided wholly");
    assert!(alike > 20 && decided_otherwise > 80, "{alike}, {decided_otherwise}");
}

#[test]
fn types_that_change_are_compared_by_the_requests_that_they_let_in() {
    let world = &WORLDS[0];
    let mut requests = world.requests();
    let other: Vec<Value> = requests
        .iter()
        .filter(|request| request["mode"] == "x")
        .map(|request| {
            let mut request = request.clone();
            request["mode"] = "w".into();
            request
        })
        .collect();
    requests.extend(other);
    let (mut same, mut changed) = (0, 0);
    for (number, ty) in
        ["STRING", r#"ENUM("w", "x", "y", "z")"#, r#"ENUM("z", "y", "x")"#].iter().enumerate()
    {
        for seed in 0..SEEDS {
            let mut random = Random::new((number * 5_000_000 + seed) as u64);
            let [mut before, mut after] = variants(world, &mut random);
            let text = if random.once_in(2) { &mut before } else { &mut after };
            *text = text.replace(r#"ENUM("x", "y", "z")"#, ty);
            let (diff, _) = check_case(&[before, after], &requests);
            same += diff.policies_that(Change::Same).count();
            changed += diff.policies_that(Change::Changed).count();
            assert_eq!(diff.policies_that(Change::NotDecided).count(), 0);
            assert!(diff.denied.not_decided.is_empty() && diff.allowed.not_decided.is_empty());
        }
    }
    assert!(same > 20 && changed > 20, "{same} and {changed}");
}
