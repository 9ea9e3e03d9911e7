use std::fmt::Write as _;

use super::{Change, Decisions, Diff, compare, versions};
use crate::{
    check::check,
    findings::Finding,
    language::format::format,
    set::PolicySet,
    source::{Source, Sources},
};

fn set(text: &str) -> PolicySet {
    let modules = text.split("---").enumerate();
    let files = modules.map(|(number, text)| Source {
        path: format!("{}.aecp", ["m", "n"][number]),
        text: text.to_owned(),
    });
    let checked = check(&Sources::new(files.collect()));
    checked.set.unwrap_or_else(|| panic!("{text}\n{:?}", checked.findings))
}

/// `scope => constraint; fields`, BLOCKING unless it says otherwise.
fn policy(name: &str, text: &str) -> String {
    let mut fields = text.split(';');
    let (scope, constraint) = fields.next().unwrap().split_once("=>").unwrap();
    let mut policy = format!("POLICY {name} {{ SCOPE: {scope} CONSTRAINT: {constraint} ");
    let fields: Vec<_> = fields.collect();
    if !fields.iter().any(|field| field.contains("ENFORCEMENT")) {
        policy.push_str("ENFORCEMENT: BLOCKING ");
    }
    policy + &fields.join(" ") + " }\n"
}

fn shown(diff: &Diff) -> String {
    let mut text = String::new();
    for policy in diff.policies.iter().filter(|policy| policy.change != Change::Same) {
        let fields: Vec<_> = policy.fields.iter().map(|change| change.field).collect();
        write!(text, "{} {:?} {}", policy.policy, policy.change, fields.join(",")).unwrap();
        for shown in &policy.shown {
            write!(text, " ({} -> {})", shown.before.as_str(), shown.after.as_str()).unwrap();
        }
        text.push_str("; ");
    }
    let decisions = |word: &str, decisions: &Decisions| {
        let by = decisions.shown.iter().map(|one| [one.by.clone(), one.by_default_of.clone()].concat());
        let mut by: Vec<String> = by.map(|by| by.join("+")).collect();
        by.extend(decisions.not_decided.iter().map(|one| format!("?{}", one.about)));
        format!("{word} {}", if by.is_empty() { "none".to_owned() } else { by.join(", ") })
    };
    text + &decisions("DENY", &diff.denied) + "; " + &decisions("ALLOW", &diff.allowed)
}

const SCHEMA: &str =
    "SCHEMA { kind: ENUM(\"a\", \"b\", \"c\") n: INT m: INT s: STRING ok: BOOL tags: LIST<STRING> }\n";

#[test]
fn what_changes_between_two_policies_is_told_exactly() {
    for (before, after, expected) in [
        ("doc => n < 5", "doc => NOT n >= 5", "p Reworded CONSTRAINT; DENY none; ALLOW none"),
        (
            "doc => n < 5",
            "doc => n < 4",
            "p Changed CONSTRAINT (satisfied -> violated); DENY p; ALLOW none",
        ),
        (
            "doc => n < 5",
            "doc => n > 5",
            "p Changed CONSTRAINT (satisfied -> violated) (violated -> satisfied); DENY p; ALLOW p",
        ),
        (
            "doc => n < 5; ENFORCEMENT: ADVISORY",
            "doc => n < 4; ENFORCEMENT: ADVISORY",
            "p Changed CONSTRAINT (satisfied -> violated); DENY none; ALLOW none",
        ),
        (
            "doc => n < 5; ENFORCEMENT: ADVISORY",
            "doc => n < 5",
            "p Changed ENFORCEMENT; DENY p; ALLOW none",
        ),
        ("doc => n < 5", "doc => n < 5; AUDIT: OPTIONAL", "p Changed AUDIT; DENY none; ALLOW none"),
        (
            "doc => n < 5",
            "doc => n < 5; EXCEPTION: break_glass_token_required",
            "p Changed EXCEPTION; DENY none; ALLOW none",
        ),
        ("doc => n < 5; AT: [MESH, DATA]", "doc => n < 5; AT: [DATA, MESH]", "DENY none; ALLOW none"),
        ("doc => n < 5", "doc => n < 5; AT: [INGRESS, MESH, DATA, EGRESS]", "DENY none; ALLOW none"),
        (
            "doc => n < 5; DESCRIPTION: \"a\" VERSION: 1",
            "doc => n < 5; DESCRIPTION: \"b\" VERSION: 2",
            "p Reworded DESCRIPTION,VERSION; DENY none; ALLOW none",
        ),
        // Who leaves `n` out was indeterminate.
        (
            "doc => n < 5",
            "doc => n < 5 OR n IS MISSING",
            "p Changed CONSTRAINT (indeterminate, and applies -> satisfied); DENY none; ALLOW p",
        ),
        ("doc => n < 5 OR n >= 5", "doc => n EXISTS", "p Changed CONSTRAINT"),
        // Nothing but the scope, which AUDIT and DEFAULT: DENY look at.
        (
            "doc WHERE n > 0 => n > 0",
            "doc WHERE n > 1 => n > 0",
            "p Changed SCOPE (satisfied -> out of scope); DENY none; ALLOW none",
        ),
        (
            "doc WHERE kind IN [\"a\", \"b\"] => ok",
            "doc WHERE kind != \"c\" => ok",
            "p Reworded SCOPE; DENY none; ALLOW none",
        ),
        ("doc => n < m", "doc => NOT m <= n", "p Reworded CONSTRAINT; DENY none; ALLOW none"),
        (
            "doc => \"x\" IN tags",
            "doc => tags CONTAINS \"x\"",
            "p Reworded CONSTRAINT; DENY none; ALLOW none",
        ),
        (
            "doc => s MATCHES \"ab*\"",
            "doc => s STARTS WITH \"ab\"",
            "p Reworded CONSTRAINT; DENY none; ALLOW none",
        ),
    ] {
        let [old, new] = [before, after].map(|text| set(&format!("{SCHEMA}{}", policy("p", text))));
        let found = shown(&compare(&old, &new).unwrap());
        assert!(
            found == expected || !expected.contains("DENY") && found.starts_with(expected),
            "{before} | {after}\n  {found}"
        );
    }
}

#[test]
fn decisions_are_those_of_the_whole_sets() {
    for (before, after, expected) in [
        // Another policy denies what the changed one does.
        (
            "p: doc => n < 5 / q: requests => n < 3",
            "p: doc => n < 4 / q: requests => n < 3",
            "p Changed CONSTRAINT (satisfied -> violated); DENY none; ALLOW none",
        ),
        (
            "p: doc => n < 5 / q: requests => ok",
            "p: doc => n < 4 / q: requests => ok",
            "p Changed CONSTRAINT (satisfied -> violated); DENY p; ALLOW none",
        ),
        ("p: doc => n < 5", "p: doc => n < 5 / q: requests => ok", "q Added ; DENY q; ALLOW none"),
        ("p: doc => n < 5 / q: requests => ok", "p: doc => n < 5", "q Removed ; DENY none; ALLOW q"),
        ("p: doc => n < 5", "q: doc => n < 5", "p Removed ; q Added ; DENY none; ALLOW none"),
        // What one gives up, the other takes.
        (
            "p: doc => n < 5 / q: doc => n < 9",
            "p: doc => n < 9 / q: doc => n < 5",
            "p Changed CONSTRAINT (violated -> satisfied); q Changed CONSTRAINT (satisfied -> violated); DENY none; \
             ALLOW none",
        ),
        // DEFAULT: DENY where nothing applies.
        ("DEFAULT: DENY p: doc => ok", "p: doc => ok", "p Changed DEFAULT; DENY none; ALLOW m"),
        (
            "DEFAULT: DENY p: doc WHERE ok => ok",
            "DEFAULT: DENY p: doc => ok OR NOT ok",
            "p Changed SCOPE,CONSTRAINT (out of scope -> satisfied); DENY none; ALLOW m",
        ),
        (
            "DEFAULT: DENY p: doc => ok / q: card => ok",
            "DEFAULT: DENY p: doc => ok / q: card => ok; ENFORCEMENT: ADVISORY",
            "q Changed ENFORCEMENT; DENY m; ALLOW none",
        ),
    ] {
        let [old, new] = [before, after].map(|text| {
            let (default, text) = match text.strip_prefix("DEFAULT: DENY") {
                Some(text) => ("DEFAULT: DENY\n", text),
                None => ("", text),
            };
            let policies = text.split(" / ").map(|text| {
                let (name, text) = text.split_once(':').unwrap();
                policy(name.trim(), text)
            });
            set(&format!("{default}{SCHEMA}{}", policies.collect::<String>()))
        });
        assert_eq!(shown(&compare(&old, &new).unwrap()), expected, "{before} | {after}");
    }
}

#[test]
fn types_that_change_are_told_with_what_they_change() {
    for (before, after, condition, expected) in [
        (
            "ENUM(\"a\", \"b\")",
            "ENUM(\"b\", \"a\", \"c\")",
            "x == \"a\"",
            "p Changed  (indeterminate, and applies -> violated); DENY none; ALLOW none",
        ),
        ("ENUM(\"a\", \"b\")", "ENUM(\"b\", \"a\")", "x == \"a\"", "DENY none; ALLOW none"),
        ("ENUM(\"a\", \"b\")", "STRING", "x IS MISSING OR x EXISTS", "DENY none; ALLOW none"),
        (
            "ENUM(\"a\", \"b\")",
            "STRING",
            "x != \"a\"",
            "p Changed  (indeterminate, and applies -> satisfied); DENY none; ALLOW p",
        ),
        ("STRING", "INT", "x IS MISSING", "DENY none; ALLOW none"),
    ] {
        let [old, new] = [before, after].map(|ty| {
            set(&format!("SCHEMA {{ x: {ty} }}\n{}", policy("p", &format!("doc => {condition}"))))
        });
        let diff = compare(&old, &new).unwrap();
        assert_eq!(shown(&diff), expected, "{before} | {after}");
    }
    let old = set(&format!("SCHEMA {{ x: INT }}\n{}", policy("p", "doc => x == 1")));
    let new = set(&format!("SCHEMA {{ x: BOOL }}\n{}", policy("p", "doc => x")));
    let diff = compare(&old, &new).unwrap();
    assert_eq!(diff.attributes.len(), 1);
    let expected = "p Changed CONSTRAINT (satisfied -> indeterminate, and applies) \
                    (violated -> indeterminate, and applies); DENY p; ALLOW ?p";
    assert_eq!(shown(&diff), expected);
    assert!(!diff.decides_alike());
}

fn findings(before: &str, after: &str) -> Vec<Finding> {
    let [old, new] = [before, after].map(|text| set(&policy("p", text)));
    versions(&old, &new, &compare(&old, &new).unwrap())
}

#[test]
fn a_version_grows_with_the_meaning_and_never_shrinks() {
    let codes =
        |before, after| findings(before, after).iter().map(|finding| finding.code).collect::<Vec<_>>();
    for (before, after, expected) in [
        ("doc => n < 5", "doc => n < 4", None),
        ("doc => n < 5", "doc => n < 4; VERSION: 1", None),
        ("doc => n < 5; VERSION: 1", "doc => n < 4; VERSION: 2", None),
        ("doc => n < 5; VERSION: 1", "doc => n < 4; VERSION: 1", Some("E070")),
        ("doc => n < 5; VERSION: 1", "doc => NOT n >= 5; VERSION: 1", None),
        ("doc => n < 5; VERSION: 1", "doc => n < 5; VERSION: 1 AUDIT: NONE", Some("E070")),
        ("doc => n < 5; VERSION: 3", "doc => n < 5; VERSION: 2", Some("E071")),
        ("doc => n < 5; VERSION: 3", "doc => n < 4; VERSION: 2", Some("E071")),
        ("doc => n < 5; VERSION: 3", "doc => n < 5", Some("E071")),
        ("doc => n < 5; VERSION: 1", "doc => n < 5; VERSION: 7", None),
        // Not decided, so not known to be the same.
        (
            "doc => a CONTAINS b; VERSION: 1",
            "doc => a CONTAINS b AND a CONTAINS c OR a CONTAINS b; VERSION: 1",
            Some("E070"),
        ),
    ] {
        assert_eq!(codes(before, after), Vec::from_iter(expected), "{before} | {after}");
    }
    let [finding] = &findings("doc => n < 5; VERSION: 3", "doc => n < 4; VERSION: 3")[..] else {
        panic!("one finding");
    };
    assert_eq!(finding.message, "policy `p` means something else, but its VERSION is still 3");
    assert_eq!(finding.suggestion.as_deref(), Some("write `VERSION: 4`"));
    assert!(finding.witness.as_ref().is_some_and(|json| json.contains("\"n\": 4")), "{finding:?}");
    assert!(
        finding.cause.as_ref().is_some_and(|cause| cause.contains("it was satisfied, and is violated"))
    );
}

#[test]
fn the_standard_layout_changes_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut policies = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let sources = Sources::read(&path).unwrap();
        // Without its line breaks it is not in the standard layout, to which it then is put.
        let joined = |text: &str| {
            let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
            lines.collect::<Vec<_>>().join(" ")
        };
        let files = sources.files().iter().map(|file| {
            let text = format(&joined(&file.text)).unwrap_or_else(|_| joined(&file.text));
            Source { path: file.path.clone(), text }
        });
        let [old, new] = [sources.clone(), Sources::new(files.collect())].map(|sources| {
            let checked = check(&sources);
            checked.set.unwrap_or_else(|| panic!("{:?}", checked.findings))
        });
        assert_ne!(old.source, new.source);
        let diff = compare(&old, &new).unwrap();
        assert!(diff.policies.iter().all(|policy| policy.change == Change::Same), "{}", diff.summary());
        assert!(diff.decides_alike());
        policies += diff.policies.len();
    }
    assert!(policies > 20, "{policies}");
}
