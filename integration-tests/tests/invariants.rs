//! Proofs against brute force: in worlds whose requests can all be listed, an invariant is proven exactly where no listed
//! request refutes it, and leaving attributes out opens no way but those that the proof names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use aecp_compiler::{
    analyse,
    check::check,
    findings::Kind,
    generate,
    interpret::Interpreter,
    reference::{self, Truth, evaluate},
    source::{Source, Sources},
};
use aecp_contract::{manifest::ProofStatus, verdict::Decision};
use aecp_integration_tests::{
    generated::{self, Random},
    worlds::{WORLDS, World},
};
use serde_json::Value;

/// Random sets for each world.
const SEEDS: usize = 60;

fn sources(text: String) -> Sources {
    Sources::new(vec![Source { path: "world.aecp".to_owned(), text }])
}

fn policies(world: &World, random: &mut Random) -> String {
    let mut text = String::from(if random.once_in(4) { "DEFAULT: DENY\n" } else { "" });
    text += &world.source("");
    let shared = world.condition(random, 1);
    for name in ["p", "q", "r"] {
        let scope = if random.once_in(2) { shared.clone() } else { world.condition(random, 1) };
        let mode = random.pick(&["BLOCKING", "BLOCKING", "ADVISORY", "AUDIT_ONLY"]);
        let constraint = world.condition(random, 2);
        text += &format!(
            "POLICY {name} {{ SCOPE: requests WHERE {scope} CONSTRAINT: {constraint} ENFORCEMENT: {mode} }}\n"
        );
    }
    // Often what a policy forbids anyway, else anything.
    let forbidden = if random.once_in(3) { shared } else { world.condition(random, 1) };
    let more = world.condition(random, 1);
    text + &format!("INVARIANT never {{ NEVER ALLOW WHERE {forbidden} AND {more} }}\n")
}

#[test]
fn an_invariant_is_proven_exactly_where_listing_all_requests_refutes_it_nowhere() {
    let (mut proven, mut refuted) = (0, 0);
    for (number, world) in WORLDS.iter().enumerate() {
        let requests = world.requests();
        for seed in 0..SEEDS {
            let mut random = Random::new((number * 9_000_000 + seed) as u64);
            let text = policies(world, &mut random);
            let sources = sources(text.clone());
            let Some(set) = check(&sources).set else { panic!("{text}") };
            let wide = set.with_all_attributes();
            let never = &set.invariants[0].never_allow;
            let breaks = |request: &&Value| {
                evaluate(&wide, never, *request) == Truth::True
                    && reference::decide(&set, request).decision == Decision::Allow
            };
            let shown = requests.iter().find(breaks);
            // Conflicts are another matter.
            let checked = analyse::proven(check(&sources));
            let findings: Vec<_> =
                checked.findings.iter().filter(|finding| finding.kind == Kind::Invariant).collect();
            let error =
                findings.iter().find(|finding| checked.set.is_none() && finding.code.starts_with('E'));
            match error {
                None => {
                    assert!(shown.is_none(), "{text}: {}", shown.unwrap());
                    let proof = checked.set.unwrap().proofs.pop().unwrap();
                    assert_eq!((proof.name.as_str(), proof.status), ("never", ProofStatus::Proven));
                    proven += 1;
                }
                Some(finding) if finding.code == "E060" => {
                    let witness = finding.witness.as_deref().unwrap();
                    assert!(breaks(&&serde_json::from_str(witness).unwrap()), "{text}: {witness}");
                    let core = generate::core_module(&set).unwrap();
                    let verdict = Interpreter::new(&set, &core).unwrap().decide(witness).unwrap();
                    assert_eq!(verdict.decision, Decision::Allow, "{text}: {witness}");
                    assert!(shown.is_some() || !world.complete, "{text}: {witness}");
                    refuted += 1;
                }
                Some(finding) => {
                    assert_eq!(finding.code, "E061", "{text}: {finding:?}");
                    let parts = [" WITH t", " CONTAINS t", " WITH s"];
                    assert!(parts.iter().any(|part| text.contains(part)), "{text}: {finding:?}");
                }
            }
        }
    }
    assert!(proven > 40 && refuted > 100, "{proven} proven, {refuted} refuted");
}

/// What of random sets is said to fail closed does: attributes are left out of denied requests, one by one and together.
#[test]
fn leaving_attributes_out_opens_no_way_but_those_that_the_proof_names() {
    let (mut kept, mut named) = (0, 0);
    for seed in 0..150 {
        let mut random = Random::new(77_000 + seed);
        let files = generated::set(&mut random, 6);
        let sources = files.into_iter().map(|(path, text)| Source { path, text }).collect();
        let Some(set) = analyse::proven(check(&Sources::new(sources))).set else {
            panic!("seed {seed}")
        };
        let proof = set.proofs.iter().find(|proof| proof.name == "fail_closed").unwrap();
        for _ in 0..30 {
            let request: Value = serde_json::from_str(&generated::request(&mut random)).unwrap();
            if reference::decide(&set, &request).decision != Decision::Deny {
                continue;
            }
            let mut less = request.clone();
            let gone: Vec<&str> = set
                .attributes
                .iter()
                .map(|attribute| attribute.path.as_str())
                .filter(|_| random.once_in(4))
                .collect();
            gone.iter().for_each(|path| leave_out(&mut less, path));
            if reference::decide(&set, &less).decision == Decision::Deny {
                kept += 1;
                continue;
            }
            let told = proof.exceptions.iter().any(|one| gone.contains(&one.attribute.as_str()));
            assert!(told, "seed {seed}: {request} is denied, {less} is not");
            named += 1;
        }
    }
    assert!(kept > 1_000 && named > 0, "{kept} stayed denied, {named} were named");
}

/// Leaves an attribute out, in whatever form it is given, and however often.
fn leave_out(value: &mut Value, path: &str) {
    let Value::Object(members) = value else { return };
    members.remove(path);
    for (name, inner) in members {
        if let Some(rest) = path.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('.')) {
            leave_out(inner, rest);
        }
    }
}
