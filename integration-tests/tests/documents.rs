//! The documents say what is there: the map names what exists, and the examples compile.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]

use std::{fs, path::PathBuf};

use aecp_compiler::{
    compile::compile_sources,
    source::{Source, Sources},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The words in backticks of a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_map_names_what_exists() {
    let page = read("ARCHITECTURE.md");
    let manifests: String =
        ["contract", "compiler-fn", "enforcer-host", "lambda", "spin-app", "cli", "integration-tests"]
            .iter()
            .map(|folder| read(&format!("{folder}/Cargo.toml")))
            .collect();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| [`")).collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let mut names = quoted(row);
        let folder = names.next().unwrap();
        assert!(root().join(folder).is_dir(), "{folder}");
        for name in names.filter(|name| name.starts_with("aecp-") && *name != "aecp-enforcer") {
            assert!(manifests.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
    for (heading, folders) in [
        (
            "### Inside the compiler",
            &["compiler-fn/src", "compiler-fn/src/generate", "compiler-fn/src/testing"][..],
        ),
        (
            "### Inside the enforcer",
            &["enforcer-host/src", "enforcer-host/src/beside", "enforcer-host/src/record"][..],
        ),
    ] {
        let section = page.split(heading).nth(1).unwrap().split("\n#").next().unwrap();
        let modules: Vec<_> =
            quoted(section).filter(|name| name.chars().all(|c| c.is_ascii_lowercase())).collect();
        assert!(modules.len() > 5, "{modules:?}");
        for module in modules {
            let exists = folders.iter().any(|folder| {
                let place = root().join(folder).join(module);
                place.is_dir() || place.with_extension("rs").is_file()
            });
            assert!(exists, "ARCHITECTURE.md names `{module}`, which is not in {folders:?}");
        }
    }
}

#[test]
fn the_language_guides_examples_compile_and_their_test_passes() {
    let guide = read("docs/language.md");
    let blocks = guide.split("```").skip(1).step_by(2).map(str::trim);
    let examples: Vec<_> = blocks
        .filter(|block| {
            let words = ["POLICY", "SCHEMA", "TEST", "FIXTURE", "INVARIANT"];
            words.iter().any(|word| block.starts_with(word))
        })
        .collect();
    assert_eq!(examples.len(), 7);
    let source = Source { path: "guide.aecp".to_owned(), text: examples.join("\n") };
    let outcome = compile_sources(&Sources::new(vec![source]), &mut |_| ()).unwrap();
    let compiled = outcome.compiled.unwrap_or_else(|| panic!("{:?}", outcome.findings));
    let manifest = compiled.manifest;
    assert_eq!((manifest.policies.len(), manifest.tests.passed), (2, 6));
    assert!(manifest.proofs.iter().any(|proof| proof.name == "eu_customer_data_never_leaves"));
}
