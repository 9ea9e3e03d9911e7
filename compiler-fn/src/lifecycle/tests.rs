use aecp_contract::manifest::Enforcement;

use super::*;
use crate::{
    compile::{Compiled, compile_sources_under},
    source::{Source, Sources},
};

const SET: &str = r#"
MODULE exports
DEFAULT: DENY

POLICY region {
  SCOPE: requests WHERE resource.kind == "record"
  CONSTRAINT: customer.region == "EU"
  ENFORCEMENT: BLOCKING
}

POLICY note {
  SCOPE: requests WHERE resource.kind == "record"
  CONSTRAINT: reason EXISTS
  ENFORCEMENT: ADVISORY
}

POLICY files {
  SCOPE: requests WHERE resource.kind == "file"
  CONSTRAINT: size < 10
  ENFORCEMENT: BLOCKING
}

INVARIANT abroad {
  NEVER ALLOW WHERE resource.kind == "record" AND customer.region == "US"
}

TEST "abroad is denied" {
  GIVEN: { resource.kind: "record", customer.region: "US", reason: "x" }
  EXPECT: DENY BY region
}
"#;

fn compiled(states: &[(&str, State)]) -> Compiled {
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text: SET.to_owned() }]);
    let states = states.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
    let outcome = compile_sources_under(&sources, &states, &mut |_| ()).unwrap();
    outcome.compiled.unwrap_or_else(|| panic!("{:?}", outcome.findings))
}

fn enforcement(compiled: &Compiled, policy: &str) -> Option<Enforcement> {
    let mut policies = compiled.manifest.policies.iter();
    policies.find(|info| info.name == policy).map(|info| info.enforcement)
}

fn abroad(compiled: &Compiled) -> (ProofStatus, String) {
    let proof = compiled.manifest.proofs.iter().find(|proof| proof.name == "abroad").unwrap();
    (proof.status, proof.method.clone())
}

#[test]
fn a_release_enforces_no_more_than_the_states_let_it_and_claims_no_more() {
    let plain = compiled(&[]);
    assert_eq!(enforcement(&plain, "region"), Some(Enforcement::Blocking));
    assert_eq!(abroad(&plain).0, ProofStatus::Proven);
    assert!(plain.manifest.states.is_empty());

    // The tests are about the set as it is written: they pass, whatever is held back.
    let advisory = compiled(&[("region", State::Advisory), ("gone", State::Retired)]);
    assert_eq!(enforcement(&advisory, "region"), Some(Enforcement::Advisory));
    assert_eq!(advisory.manifest.tests, plain.manifest.tests);
    assert_ne!(advisory.core, plain.core);
    assert_eq!(advisory.manifest.states.len(), 1, "what the set has not is not held back in it");
    // A module that denies by default lets nothing pass that no BLOCKING policy covers.
    assert_eq!(abroad(&advisory).0, ProofStatus::Proven);

    let draft = compiled(&[("region", State::Draft), ("note", State::AuditOnly)]);
    assert_eq!(enforcement(&draft, "region"), None);
    assert_eq!(enforcement(&draft, "note"), Some(Enforcement::AuditOnly));
    assert_eq!(compiled(&[("note", State::Blocking)]).core, plain.core);
}

#[test]
fn an_invariant_that_rests_on_a_policy_that_is_held_back_is_suspended() {
    let text = SET.replace("DEFAULT: DENY", "");
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text }]);
    let states =
        States::from([("region".to_owned(), State::Advisory), ("note".to_owned(), State::Draft)]);
    let outcome = compile_sources_under(&sources, &states, &mut |_| ()).unwrap();
    let (status, method) = abroad(&outcome.compiled.unwrap());
    assert_eq!(status, ProofStatus::Suspended);
    assert!(method.contains("`region` is advisory") && !method.contains("note"), "{method}");
}

#[test]
fn moves_are_told_once_and_nothing_leaves_retirement() {
    let before = States::from([("a".to_owned(), State::Draft), ("b".to_owned(), State::Retired)]);
    let wanted = |name: &str, state| BTreeMap::from([(name.to_owned(), state)]);
    let (moves, states) = moved(&before, &wanted("a", State::Blocking)).unwrap();
    assert_eq!(moves, [Move { policy: "a".into(), from: State::Draft, to: State::Blocking }]);
    assert_eq!(states.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(moved(&before, &wanted("a", State::Draft)).unwrap(), (Vec::new(), before.clone()));
    assert_eq!(moved(&before, &wanted("b", State::Draft)), Err(MoveError::Retired("b".into())));
}
