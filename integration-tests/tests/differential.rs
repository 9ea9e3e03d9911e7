//! One meaning, three times: the reference evaluator over the syntax tree, the generated module in the
//! compiler's interpreter, and its machine code in the enforcer must agree on every request.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use aecp_compiler::{
    check::check,
    compile::{Results, manifest},
    generate::{self, CoreModule},
    interpret::Interpreter,
    reference,
    set::PolicySet,
    source::{Source, Sources},
};
use aecp_enforcer::{Engine, Execution};
use aecp_integration_tests::{
    generated::{self, Random},
    release,
};
use serde_json::Value;

fn sources(files: &[(String, String)]) -> Sources {
    let source = |(path, text): &(String, String)| Source { path: path.clone(), text: text.clone() };
    Sources::new(files.iter().map(source).collect())
}

fn checked(sources: &Sources, seed: u64) -> PolicySet {
    let checked = check(sources);
    checked.set.unwrap_or_else(|| {
        let findings: Vec<_> = checked.findings.iter().map(|f| f.to_json(sources)).collect();
        panic!("seed {seed}: {}", serde_json::to_string_pretty(&findings).unwrap())
    })
}

/// What the enforcer must know of a module.
fn results(core: &CoreModule) -> Results {
    Results { cost: core.cost, ..Results::default() }
}

#[test]
fn reference_interpreter_and_enforcer_agree_on_random_sets_and_requests() {
    let engine = Engine::new().unwrap();
    let (mut denied, mut indeterminate, mut violated, mut bounded) = (0, 0, 0, 0);
    let (mut obliged, mut spared) = (0, 0);
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let files = generated::set(&mut random, 24);
        bounded += usize::from(bounds_one_attribute(&files));
        let set = checked(&sources(&files), seed);
        let core = generate::core_module(&set).unwrap();
        let mut interpreter = Interpreter::new(&set, &core).unwrap();
        let enforcer = release::load(&engine, &core.bytes, &manifest(&set, results(&core)));
        assert_eq!(*enforcer.execution(), Execution::Native);
        let mut instance = enforcer.instantiate().unwrap();
        for number in 0..60 {
            let request = generated::request(&mut random);
            let json: Value = serde_json::from_str(&request).unwrap();
            let expected = reference::decide(&set, &json);
            let place = || format!("seed {seed}, request {number}: {request}");
            assert_eq!(interpreter.decide(&request).unwrap(), expected, "{}", place());
            let decided = instance.decide_json(request.as_bytes()).unwrap();
            assert_eq!(decided, expected, "{}", place());
            denied += usize::from(expected.decision == aecp_contract::verdict::Decision::Deny);
            indeterminate += expected.indeterminate.len();
            violated += expected.violated.len();
            obliged += expected.obligations.len();
            spared += set.counts().obligations - expected.obligations.len();
        }
    }
    // The generator must not have become one-sided.
    assert!(denied > 2_000 && denied < 17_900, "{denied} of 18000 denied");
    assert!(indeterminate > 5_000 && violated > 5_000, "{indeterminate} and {violated}");
    assert!(obliged > 5_000 && spared > 5_000, "{obliged} and {spared} obligations");
    assert!(bounded > 60, "{bounded} of 300 sets have scopes enough for an ordered key");
}

/// Whether at least eight scopes ask one attribute of an ordered type: more than the plan leaves unsplit.
fn bounds_one_attribute(files: &[(String, String)]) -> bool {
    let scopes = |path: &str| {
        let asks = |(_, text): &(String, String)| text.matches(path).count();
        files.iter().map(asks).sum::<usize>()
    };
    let kinds = ["int", "ratio", "flag", "time", "span", "ip"];
    kinds.iter().any(|kind| scopes(&format!("SCOPE: requests WHERE a.{kind} ")) >= 8)
}

#[test]
fn a_set_of_thousands_of_policies_is_cut_into_functions_and_decides_the_same() {
    let mut random = Random::new(7);
    let set = checked(&sources(&generated::set(&mut random, 3000)), 7);
    let core = generate::core_module(&set).unwrap();
    let mut interpreter = Interpreter::new(&set, &core).unwrap();
    for _ in 0..5 {
        let request = generated::request(&mut random);
        let expected = reference::decide(&set, &serde_json::from_str::<Value>(&request).unwrap());
        assert_eq!(interpreter.decide(&request).unwrap(), expected);
    }
}

#[test]
fn extreme_policies_compile_and_decide_the_same() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}a.int == 5{}", open.repeat(depth), close.repeat(depth))
    };
    let alternating = (0..100).fold("a.int == 5".to_owned(), |inner, n| {
        let joined = if n % 2 == 0 { "AND" } else { "OR" };
        format!("({inner} {joined} b.int != {n})")
    });
    let entries: Vec<_> = (0..10_000).map(|n| format!("\"entry {n}\"")).collect();
    let numbers: Vec<_> = (0..10_000).map(|n| (n * 7).to_string()).collect();
    let atoms: Vec<_> = (0..5_000).map(|n| format!("b.int == {n}")).collect();
    let constraints = [
        nested("(", ")", 200),
        nested("NOT (", ")", 100),
        alternating,
        format!("a.text IN [{}]", entries.join(", ")),
        format!("NOT a.int IN [{}]", numbers.join(", ")),
        atoms.join(" OR "),
        format!("a.text == \"{}\"", "x".repeat(1 << 20)),
        format!("a.text CONTAINS \"{}\"", "xy".repeat(30_000)),
    ];
    let mut text = String::from("SCHEMA { a.int: INT\n b.int: INT\n a.text: STRING }\n");
    for (n, constraint) in constraints.iter().enumerate() {
        text.push_str(&format!(
            "POLICY p{n} {{ SCOPE: requests CONSTRAINT: {constraint} ENFORCEMENT: BLOCKING }}\n"
        ));
    }
    let set = checked(&sources(&[("set.aecp".to_owned(), text)]), 0);
    let core = generate::core_module(&set).unwrap();
    let mut interpreter = Interpreter::new(&set, &core).unwrap();
    let engine = Engine::new().unwrap();
    let enforcer = release::load(&engine, &core.bytes, &manifest(&set, results(&core)));
    let mut instance = enforcer.instantiate().unwrap();
    let long = "x".repeat(64 << 10);
    for request in [
        "{}".to_owned(),
        r#"{"a.int":5,"b.int":4999,"a.text":"entry 9999"}"#.to_owned(),
        r#"{"a.int":69993,"b.int":5000,"a.text":"entry 10000"}"#.to_owned(),
        format!(r#"{{"a.int":69994,"a.text":"{long}"}}"#),
    ] {
        let expected = reference::decide(&set, &serde_json::from_str::<Value>(&request).unwrap());
        assert_eq!(interpreter.decide(&request).unwrap(), expected, "{:.100}", request);
        assert_eq!(instance.decide_json(request.as_bytes()).unwrap(), expected, "{:.100}", request);
    }
}
