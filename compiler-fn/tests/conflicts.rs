//! The corpus of conflicts: pairs of policies with what the compiler must say of them, all of it and nothing else.
//!
//! A line of `tests/conflicts/*.pairs` is `expected : p | q`, each policy `scope => constraint`, then more fields after
//! `;`. Policies are BLOCKING unless they say otherwise. What is expected is a list of kinds, with the name of the policy
//! concerned where a kind is about one of the two; `none` is nothing at all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use aecp_compiler::{
    analyse,
    findings::{Finding, Kind},
    source::{Source, Sources},
};

const SCHEMA: &str = r#"SCHEMA {
  resource.type: STRING
  region: ENUM("EU", "US", "APAC")
  home: ENUM("EU", "US")
  name: STRING
  path: STRING
  host: STRING
  owner: STRING
  n: INT
  m: INT
  k: INT
  rate: DECIMAL
  cost: DECIMAL
  ok: BOOL
  flag: BOOL
  day: TIMESTAMP
  due: TIMESTAMP
  age: DURATION
  ttl: DURATION
  ip: IP
  peer: IP
  roles: LIST<STRING>
  tags: LIST<STRING>
  ports: LIST<INT>
  zones: LIST<ENUM("A", "B")>
  zone: ENUM("A", "B")
}
"#;

fn policy(name: &str, text: &str) -> String {
    let mut fields = text.split(';').map(str::trim);
    let (scope, constraint) =
        fields.next().unwrap().split_once("=>").unwrap_or_else(|| panic!("{text}"));
    let mut policy =
        format!("POLICY {name} {{\n  SCOPE: {}\n  CONSTRAINT: {}\n", scope.trim(), constraint.trim());
    let fields: Vec<_> = fields.collect();
    for field in &fields {
        writeln!(policy, "  {field}").unwrap();
    }
    if !fields.iter().any(|field| field.starts_with("ENFORCEMENT")) {
        policy.push_str("  ENFORCEMENT: BLOCKING\n");
    }
    policy + "}\n"
}

fn conflicts(text: String) -> Vec<Finding> {
    let source = Source { path: "pair.aecp".to_owned(), text };
    let sources = Sources::new(vec![source]);
    let checked = analyse::check(&sources);
    let unrelated = [Kind::Unknown];
    let findings = checked.findings.into_iter().filter(|finding| !unrelated.contains(&finding.kind));
    findings.collect()
}

/// A finding as the corpus writes it.
fn shown(finding: &Finding) -> String {
    let kind = serde_json::to_value(finding.kind).unwrap();
    let kind = kind.as_str().unwrap().to_owned();
    match finding.kind {
        Kind::Dead | Kind::Vacuous | Kind::Shadowed => format!("{kind} {}", finding.policies[0]),
        Kind::Contradiction | Kind::ModeClash | Kind::ExceptionClash => kind,
        _ => format!("{kind}: {} ({:?})", finding.message, finding.cause),
    }
}

#[test]
fn every_labelled_pair_gives_exactly_what_it_is_labelled_with() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conflicts");
    let (mut pairs, mut without, mut wrong) = (0, 0, Vec::new());
    let mut kinds = BTreeSet::new();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for (line, text) in (1..).zip(text.lines()) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let place = format!("{}:{line}", path.file_name().unwrap().display());
            let (expected, pair) = text.split_once(" : ").unwrap_or_else(|| panic!("{place}"));
            let (p, q) = pair.split_once(" | ").unwrap_or_else(|| panic!("{place}"));
            let findings = conflicts(format!("{SCHEMA}{}{}", policy("p", p), policy("q", q)));
            let found: BTreeSet<String> = findings.iter().map(shown).collect();
            let expected: BTreeSet<String> =
                expected.split(',').map(|kind| kind.trim().to_owned()).filter(|k| k != "none").collect();
            pairs += 1;
            without += usize::from(expected.is_empty());
            kinds.extend(findings.iter().map(|finding| finding.code));
            if found != expected {
                wrong.push(format!("{place}: {text}\n    found {found:?}"));
            }
            // A finding that its witness did not show would be E099.
            assert!(findings.iter().all(|finding| finding.witness.is_some()), "{place}: {findings:?}");
        }
    }
    assert!(wrong.is_empty(), "{} of {pairs} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(pairs >= 200 && without >= 80, "{pairs} pairs, {without} without a conflict");
    assert_eq!(kinds, BTreeSet::from(["E040", "W020", "W021", "W022", "W023", "W024"]));
}
