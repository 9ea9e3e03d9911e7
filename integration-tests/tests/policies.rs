//! The shipped policy sets: without errors, with every test passing, as many as the README says, and compiled to
//! the same bytes on every machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path, thread};

use aecp_compiler::{
    compile::{Compiled, compile_sources},
    findings::Severity,
    source::Sources,
};
use aecp_contract::{digest::Digest, release::SOURCES};

/// Set, artifact and SHA-256, a line each.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");

fn compiled() -> BTreeMap<String, Compiled> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let (mut sets, mut conflicts) = (BTreeMap::new(), Vec::new());
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let sources = Sources::read(&path).unwrap();
        let outcome = compile_sources(&sources, &mut |_| ()).unwrap();
        let findings: Vec<_> = outcome.findings.iter().map(|f| f.to_json(&sources)).collect();
        let shown = serde_json::to_string_pretty(&findings).unwrap();
        let compiled = outcome.compiled.unwrap_or_else(|| panic!("{}: {shown}", path.display()));
        // A warning other than "has no effect yet" would be a mistake in the set or in the compiler, but for the two
        // policies of the paper, of which one says less and alone takes no token.
        for finding in &outcome.findings {
            assert_eq!(finding.severity, Severity::Warning, "{shown}");
            if finding.code != "W010" {
                conflicts.push((finding.code, finding.policies.join(" ")));
            }
        }
        sets.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), compiled);
    }
    let known = [
        ("W024", "customer_data_residency data_residency_eu".to_owned()),
        ("W022", "data_residency_eu customer_data_residency".to_owned()),
    ];
    assert_eq!(conflicts, known);
    sets
}

#[test]
fn the_shipped_policy_sets_compile_their_tests_pass_and_their_bytes_are_known() {
    let compiled = compiled();
    let policies: usize = compiled.values().map(|set| set.manifest.policies.len()).sum();
    let tests: u32 = compiled.values().map(|set| set.manifest.tests.passed).sum();
    let sets = compiled.len();
    assert!(
        sets >= 5 && policies >= 60 && tests >= 150,
        "{sets} sets, {policies} policies, {tests} tests"
    );
    let mut lines = String::new();
    for (set, compiled) in &compiled {
        for (name, bytes) in compiled.artifacts().iter().filter(|(name, _)| *name != SOURCES) {
            writeln!(lines, "{set} {name} {}", Digest::of(bytes)).unwrap();
        }
    }
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(GOLDEN, &lines).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    let changed: Vec<_> =
        lines.lines().filter(|line| !golden.lines().any(|golden| golden == *line)).collect();
    assert!(
        lines == golden,
        "the compiler makes other bytes of these policies than before. If that is meant (code generation, the \
         manifest, wasmtime's version or the policies changed), run this test with UPDATE_GOLDEN=1 and commit \
         tests/golden.txt; if not, something depends on the machine.\n{}",
        changed.join("\n")
    );
}

#[test]
fn compilations_at_the_same_time_give_the_same_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/zero_trust");
    let sources = Sources::read(&folder).unwrap();
    let compile = || compile_sources(&sources, &mut |_| ()).unwrap().compiled.unwrap().artifacts();
    let compiled: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(compile)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(compiled[0].len(), 7);
    assert!(compiled.iter().all(|artifacts| *artifacts == compiled[0]));
    // From the archive, too, which is what rebuilding starts from.
    let archived = Sources::from_archive(&compiled[0][SOURCES]).unwrap();
    assert_eq!(archived, sources);
}
