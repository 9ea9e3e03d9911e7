use aecp_contract::manifest::{Proof, ProofStatus};

use crate::{
    analyse, check,
    source::{Source, Sources},
};

const POLICIES: &str = r#"
SCHEMA { region: ENUM("EU", "US")  place: STRING  size: INT  other: STRING  tag: STRING }
POLICY stays {
  SCOPE: requests WHERE region == "EU"
  CONSTRAINT: place IN ["eu-west-1", "eu-central-1"]
  ENFORCEMENT: BLOCKING
}
POLICY small {
  SCOPE: requests
  CONSTRAINT: size < 100
  ENFORCEMENT: BLOCKING
  EXCEPTION: break_glass_token_required
}
POLICY advised {
  SCOPE: requests
  CONSTRAINT: region == "EU"
  ENFORCEMENT: ADVISORY
}
"#;

/// What is said of an invariant beside those policies: the codes, the witness, and the proof.
fn said(head: &str, never: &str) -> (Vec<&'static str>, Option<String>, Option<Proof>) {
    let text = format!("{POLICIES}\nINVARIANT {head} {{ NEVER ALLOW WHERE {never} }}\n");
    let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text }]);
    // Conflicts are another matter.
    let checked = analyse::proven(check::check(&sources));
    let witness = checked.findings.iter().find_map(|finding| finding.witness.clone());
    let codes = checked.findings.iter().map(|finding| finding.code).collect();
    let proof = checked.set.and_then(|mut set| set.proofs.pop());
    (codes, witness, proof)
}

#[test]
fn what_holds_is_proven_with_the_policies_that_it_rests_on() {
    let proven = |never| {
        let (codes, _, proof) = said("never", never);
        assert_eq!(codes, [] as [&str; 0], "{never}");
        let proof = proof.unwrap();
        assert_eq!(proof.status, ProofStatus::Proven);
        (proof.because_of, proof.unless_excepted)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(proven(r#"region == "EU" AND place == "us-east-1""#), (names(&["stays"]), names(&[])));
    assert_eq!(proven("size > 5000"), (names(&["small"]), names(&["small"])));
    // Where the place is not known, the policy denies too.
    assert_eq!(proven(r#"region == "EU" AND place IS MISSING"#).0, names(&["stays"]));
    // Of an attribute that no policy looks at.
    assert_eq!(proven(r#"size > 5000 AND other == "x""#).0, names(&["small"]));
    assert_eq!(
        proven(r#"(region == "EU" AND place == "x") OR size == 100"#).0,
        names(&["small", "stays"])
    );
}

#[test]
fn what_does_not_hold_is_refuted_by_a_request_that_is_allowed() {
    for (never, shows) in [
        (r#"place == "us-east-1""#, r#""place": "us-east-1""#),
        ("region == \"US\"", "\"US\""),
        ("other == \"x\"", "\"other\": \"x\""),
        ("size > 98", "99"),
        // Advice denies nothing.
        ("region != \"EU\" AND size == 1", "\"US\""),
    ] {
        let (codes, witness, proof) = said("never", never);
        assert_eq!((codes.as_slice(), proof.is_some()), (&["E060"][..], false), "{never}");
        let witness = witness.unwrap();
        assert!(witness.contains(shows), "{never}: {witness}");
        // The author's word does not help against a request.
        assert_eq!(said("never ASSUMED", never).0, ["E060"]);
    }
}

#[test]
fn what_is_not_decided_is_refused_unless_its_author_vouches_for_it() {
    let open = "other STARTS WITH tag AND tag CONTAINS place AND other ENDS WITH place AND size > 1000";
    let hard = "tag STARTS WITH place AND other STARTS WITH tag AND NOT other STARTS WITH place";
    // What the policies deny anyway needs no such question.
    assert_eq!(said("never", open).0, [] as [&str; 0]);
    let (codes, _, proof) = said("never", hard);
    if codes == ["E061"] {
        assert!(proof.is_none());
        let (codes, _, proof) = said("never ASSUMED", hard);
        assert_eq!(codes, ["W060"]);
        let proof = proof.unwrap();
        assert_eq!(proof.status, ProofStatus::Assumed);
        assert!(proof.method.contains("not decided"), "{proof:?}");
    } else {
        panic!("{codes:?}: find another question that is not decided");
    }
}

#[test]
fn an_invariant_that_forbids_nothing_and_a_word_that_is_not_needed_are_told() {
    assert_eq!(said("never", "size > 5 AND size < 5").0, ["W062"]);
    assert_eq!(said("never ASSUMED", "size > 5000").0, ["W061"]);
}

#[test]
fn of_every_set_it_is_said_what_holds_and_where_presence_opens_a_way() {
    let text = r#"
DEFAULT: DENY
POLICY asks {
  SCOPE: requests WHERE a EXISTS OR NOT b IS MISSING OR c IS MISSING
  CONSTRAINT: d == 1 OR e IS MISSING
  ENFORCEMENT: BLOCKING
}
POLICY tells { SCOPE: requests WHERE f EXISTS CONSTRAINT: g == 1 ENFORCEMENT: ADVISORY }
"#;
    let proofs = |text: &str| {
        let sources = Sources::new(vec![Source { path: "set.aecp".to_owned(), text: text.to_owned() }]);
        analyse::check(&sources).set.unwrap().proofs
    };
    let open = |text: &str| {
        let [closed, default, others] = proofs(text).try_into().unwrap();
        assert_eq!(default.name, "default_deny_holds");
        assert!(others.method.contains("1 of 1 policies"), "{}", others.method);
        let exceptions: Vec<Proof> = vec![closed];
        exceptions[0].exceptions.iter().map(|one| one.attribute.clone()).collect::<Vec<_>>()
    };
    // With DEFAULT: DENY a scope that becomes true covers its module, so `c` counts as well.
    assert_eq!(open(text), ["a", "b", "c", "e"]);
    assert_eq!(open(&text.replace("DEFAULT: DENY", "")), ["a", "b", "e"]);
    assert!(proofs(text)[1].method.contains("1 of 1 modules"));
}
