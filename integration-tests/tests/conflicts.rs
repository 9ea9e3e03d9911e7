//! The decision procedure against brute force: small worlds whose requests can all be listed, and the reference evaluator
//! as the oracle.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::collections::BTreeSet;

use aecp_compiler::{
    analyse::{self, Answer, Goal, Solver, Want},
    check::check,
    findings::Kind,
    reference::{Truth, evaluate},
    set::PolicySet,
    source::{Source, Sources},
};
use aecp_contract::manifest::Enforcement;
use aecp_integration_tests::{
    generated::Random,
    worlds::{WORLDS, World},
};

/// Random cases for each world.
const SEEDS: usize = 40;

fn sources(world: &World, policies: &str) -> Sources {
    Sources::new(vec![Source { path: "world.aecp".to_owned(), text: world.source(policies) }])
}

fn checked(sources: &Sources) -> PolicySet {
    let checked = check(sources);
    checked.set.unwrap_or_else(|| panic!("{:?}\n{:?}", sources, checked.findings))
}

#[test]
fn the_solver_finds_a_request_exactly_where_there_is_one() {
    let (mut yes, mut no, mut undecided) = (0, 0, 0);
    for (number, world) in WORLDS.iter().enumerate() {
        let requests = world.requests();
        for seed in 0..SEEDS {
            let mut random = Random::new((number * 1_000_000 + seed) as u64);
            // Many parts at once leave no request for some.
            let parts: Vec<_> = (0..=seed % 6).map(|_| world.condition(&mut random, 1)).collect();
            let text = parts.join(" AND ");
            let policy =
                format!("POLICY p {{ SCOPE: requests CONSTRAINT: {text} ENFORCEMENT: BLOCKING }}");
            let set = checked(&sources(world, &policy));
            let condition = &set.policies[0].constraint;
            let truths: Vec<Truth> = requests.iter().map(|r| evaluate(&set, condition, r)).collect();
            let solver = Solver::new(&set);
            for (want, wanted) in [
                (Want::True, &[Truth::True][..]),
                (Want::False, &[Truth::False]),
                (Want::Unknown, &[Truth::Unknown]),
                (Want::NotFalse, &[Truth::True, Truth::Unknown]),
                (Want::NotTrue, &[Truth::False, Truth::Unknown]),
            ] {
                let shown = truths.iter().position(|truth| wanted.contains(truth));
                match solver.find(&Goal::Is(condition, want)) {
                    Answer::Yes(request) => {
                        let json = request.to_json(&set);
                        let truth = evaluate(
                            &set,
                            condition,
                            &serde_json::from_str::<serde_json::Value>(&json).unwrap(),
                        );
                        assert!(wanted.contains(&truth), "{text} is {truth:?}, not {want:?}: {json}");
                        assert!(shown.is_some() || !world.complete, "{text}, {want:?}: {json}");
                        yes += 1;
                    }
                    Answer::No => {
                        assert!(shown.is_none(), "{text}, {want:?}: {}", requests[shown.unwrap()]);
                        no += 1;
                    }
                    Answer::NotDecided(blame) => {
                        let part = [" WITH t", " CONTAINS t", " WITH s"];
                        assert!(part.iter().any(|part| text.contains(part)), "{text}: {blame:?}");
                        undecided += 1;
                    }
                }
            }
        }
    }
    assert!(yes > 400 && no > 80, "{yes} and {no}");
    assert!(undecided < 10, "{undecided} not decided");
}

/// What one of two policies is to each request.
struct Truths {
    scope: Vec<Truth>,
    constraint: Vec<Truth>,
    mode: Enforcement,
    excepted: bool,
}

impl Truths {
    fn applies(&self, at: usize) -> bool {
        self.scope[at] == Truth::True
    }

    fn kept(&self, at: usize) -> bool {
        self.applies(at) && self.constraint[at] == Truth::True
    }

    /// 2 where it is violated, 1 where it is indeterminate, 0 elsewhere.
    fn raised(&self, at: usize) -> u8 {
        match (self.scope[at], self.constraint[at]) {
            (Truth::False, _) | (_, Truth::True) => 0,
            (Truth::True, Truth::False) => 2,
            _ => 1,
        }
    }

    fn any(&self, holds: impl Fn(usize) -> bool) -> bool {
        (0..self.scope.len()).any(holds)
    }

    fn live(&self) -> bool {
        self.any(|at| self.applies(at))
    }

    fn breakable(&self) -> bool {
        self.any(|at| self.raised(at) == 2)
    }

    fn implied_by(&self, other: &Self) -> bool {
        self.breakable() && !self.any(|at| self.raised(at) > other.raised(at))
    }
}

/// What the manual says must be told of two policies, `p` before `q`.
fn expected(p: &Truths, q: &Truths) -> BTreeSet<(Kind, String)> {
    let mut kinds = BTreeSet::new();
    for (name, policy) in [("p", p), ("q", q)] {
        if !policy.live() {
            kinds.insert((Kind::Dead, name.to_owned()));
        } else if !policy.breakable() {
            kinds.insert((Kind::Vacuous, name.to_owned()));
        }
    }
    if !p.any(|at| p.applies(at) && q.applies(at)) {
        return kinds;
    }
    let block = p.mode == Enforcement::Blocking && q.mode == Enforcement::Blocking;
    if block && p.excepted != q.excepted {
        kinds.insert((Kind::ExceptionClash, String::new()));
    }
    let keepable = |policy: &Truths| policy.any(|at| policy.kept(at));
    if block && keepable(p) && keepable(q) && !p.any(|at| p.kept(at) && q.kept(at)) {
        kinds.insert((Kind::Contradiction, String::new()));
        return kinds;
    }
    let (p_implied, q_implied) = (p.implied_by(q), q.implied_by(p));
    let same_scope = !p.any(|at| p.applies(at) != q.applies(at));
    if p.mode != q.mode && p_implied && q_implied && same_scope {
        kinds.insert((Kind::ModeClash, String::new()));
    } else if q_implied && p.mode <= q.mode {
        kinds.insert((Kind::Shadowed, "q".to_owned()));
    } else if p_implied && q.mode <= p.mode {
        kinds.insert((Kind::Shadowed, "p".to_owned()));
    }
    kinds
}

#[test]
fn conflicts_are_told_exactly_where_listing_all_requests_shows_them() {
    let mut told = BTreeSet::new();
    let mut quiet = 0;
    for (number, world) in WORLDS.iter().enumerate().filter(|(_, world)| world.complete) {
        let requests = world.requests();
        for seed in 0..2 * SEEDS {
            let mut random = Random::new((number * 7_000_000 + seed) as u64);
            let mut text = String::new();
            // Policies that resemble each other meet in more ways.
            let shared = [world.condition(&mut random, 1), world.condition(&mut random, 2)];
            for name in ["p", "q"] {
                let mut one = |shared: &String, depth| {
                    if random.once_in(2) { shared.clone() } else { world.condition(&mut random, depth) }
                };
                let (scope, constraint) = (one(&shared[0], 2), one(&shared[1], 2));
                let mode = random.pick(&["BLOCKING", "BLOCKING", "BLOCKING", "ADVISORY", "AUDIT_ONLY"]);
                let exception = random.pick(&["", "", "EXCEPTION: break_glass_token_required"]);
                text += &format!(
                    "POLICY {name} {{ SCOPE: requests WHERE {scope} CONSTRAINT: {constraint} \
                     ENFORCEMENT: {mode} {exception} }}\n"
                );
            }
            let sources = sources(world, &text);
            let set = checked(&sources);
            let [p, q] = [0, 1].map(|index| {
                let policy = &set.policies[index];
                let all = |condition| requests.iter().map(|r| evaluate(&set, condition, r)).collect();
                Truths {
                    scope: all(policy.scope.as_ref().unwrap()),
                    constraint: all(&policy.constraint),
                    mode: policy.info.enforcement,
                    excepted: policy.info.break_glass,
                }
            });
            let findings = analyse::check(&sources).findings;
            let unrelated = [Kind::Unknown, Kind::Misplaced];
            let found: BTreeSet<(Kind, String)> = findings
                .iter()
                .filter(|finding| !unrelated.contains(&finding.kind))
                .map(|finding| match finding.kind {
                    Kind::Dead | Kind::Vacuous | Kind::Shadowed => {
                        (finding.kind, finding.policies[0].clone())
                    }
                    Kind::Contradiction | Kind::ModeClash | Kind::ExceptionClash => {
                        (finding.kind, String::new())
                    }
                    kind => (kind, format!("{} ({:?})", finding.message, finding.cause)),
                })
                .collect();
            assert_eq!(found, expected(&p, &q), "world {number}, seed {seed}:\n{text}");
            quiet += usize::from(found.is_empty());
            told.extend(found.into_iter().map(|(kind, _)| kind));
        }
    }
    let all = [
        Kind::Contradiction,
        Kind::Dead,
        Kind::Vacuous,
        Kind::Shadowed,
        Kind::ModeClash,
        Kind::ExceptionClash,
    ];
    assert_eq!(told, BTreeSet::from(all));
    assert!(quiet > 20, "only {quiet} pairs without a conflict");
}
