//! What is too large, too deep or too many: a result or a clear error, never a crash, through the real command.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{fs, path::Path};

use helpers::aecp;
use serde_json::Value;
use tempfile::TempDir;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with the set `set/`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/set.aecp"), text).unwrap();
    folder
}

fn policy(name: &str, constraint: &str) -> String {
    format!("POLICY {name} {{ SCOPE: requests CONSTRAINT: {constraint} ENFORCEMENT: BLOCKING }}\n")
}

/// The answer's decision and reason to each request, of the set in `folder`.
fn decide(folder: &Path, requests: &[String]) -> Vec<(String, String)> {
    fs::write(folder.join("requests.jsonl"), requests.join("\n")).unwrap();
    let decided = aecp(folder, &["decide", "--set", "set", "--requests", "requests.jsonl"]);
    assert!(decided.status.success(), "{}", text(&decided.stderr));
    let answer = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (word("decision"), word("reason"))
    };
    text(&decided.stdout).lines().map(answer).collect()
}

/// The findings of the set in `folder`, which has errors: code, message, and what is underlined.
fn refused(folder: &Path) -> Vec<(String, String, String)> {
    let checked = aecp(folder, &["check", "set", "--format", "json"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let lines = fs::read_to_string(folder.join("set/set.aecp")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    let finding = |finding: &Value| {
        let span = &finding["spans"][0];
        let number = |name: &str| span[name].as_u64().unwrap() as usize - 1;
        let underlined = &lines[number("line")][number("column")..number("end_column")];
        let word = |name: &str| finding[name].as_str().unwrap().to_owned();
        (word("code"), word("message"), underlined.to_owned())
    };
    report["findings"].as_array().unwrap().iter().map(finding).collect()
}

#[test]
fn requests_that_are_json_bombs_are_answered_and_so_is_the_next_one() {
    let folder = folder(&policy("p", "a.t == \"x\""));
    let deep = |open: &str, close: &str, times: usize| {
        format!(r#"{{"bomb":{}1{},"a.t":"x"}}"#, open.repeat(times), close.repeat(times))
    };
    let good = r#"{"a":{"t":"x"}}"#.to_owned();
    let keys: Vec<_> = (0..60_000).map(|n| format!(r#""k{n}":0"#)).collect();
    let requests = [
        deep("[", "]", 200_000),
        deep(r#"{"b":"#, "}", 150_000),
        deep(r#"[{"b":"#, "}]", 100_000),
        format!(r#"{{"a.t":{}"#, "[".repeat(500_000)),
        format!(r#"{{"a":{}"#, r#"{"t":"#.repeat(150_000)),
        format!(r#"{{{},"a.t":"x"}}"#, keys.join(",")),
        format!(r#"{{"a.t":"x",{}"a.t":"x"}}"#, r#""a.t":"x","#.repeat(50_000)),
        format!(r#"{{"a.t":"{}"}}"#, "x".repeat(64 << 10)),
        format!(r#"{{"a.t":"{}"}}"#, "x".repeat(1 << 20)),
        format!(r#"{{"a.t":{}}}"#, "9".repeat(500_000)),
        good.clone(),
    ];
    let is = |decision: &str, reason: &str| (decision.to_owned(), reason.to_owned());
    let expected = [
        is("ALLOW", ""),
        is("ALLOW", ""),
        is("ALLOW", ""),
        is("DENY", "invalid_request"),
        is("DENY", "invalid_request"),
        is("ALLOW", ""),
        // An attribute given twice has no value.
        is("DENY", ""),
        is("DENY", ""),
        is("DENY", "request_too_large"),
        is("DENY", ""),
        is("ALLOW", ""),
    ];
    assert_eq!(decide(folder.path(), &requests), expected);
}

#[test]
fn conditions_nested_two_hundred_deep_decide_and_deeper_ones_are_underlined() {
    let shapes = [
        ("(", ")", 1),
        ("{", "}", 1),
        ("NOT NOT ", "", 2),
        ("NOT (NOT (", "))", 4),
        ("(b AND ", ")", 1),
    ];
    for (open, close, levels) in shapes {
        let nested = |levels_deep: usize| {
            let times = levels_deep / levels;
            policy("p", &format!("{}a{}", open.repeat(times), close.repeat(times)))
        };
        let fits = folder(&nested(200));
        let requests = [r#"{"a":true,"b":true}"#.to_owned(), r#"{"a":false,"b":true}"#.to_owned()];
        let decisions: Vec<_> =
            decide(fits.path(), &requests).into_iter().map(|(word, _)| word).collect();
        assert_eq!(decisions, ["ALLOW", "DENY"], "{open}");
        for depth in [300, 100_000] {
            let deeper = folder(&nested(depth));
            let findings = refused(deeper.path());
            let [(code, message, underlined)] = &findings[..] else { panic!("{open}: {findings:?}") };
            assert_eq!((&**code, &**message), ("E002", "nested deeper than 256 levels"));
            assert!(["(", "{", "NOT"].contains(&&**underlined), "{open}: {underlined}");
            let shown = aecp(deeper.path(), &["compile", "set", "--out", "out"]);
            assert_eq!(shown.status.code(), Some(1));
            assert!(text(&shown.stderr).contains("error[E002]"), "{open} {depth}");
        }
    }
}

#[test]
fn literals_and_lists_may_be_long_and_decide() {
    let long = "x".repeat(1 << 20);
    let entries: Vec<_> = (0..10_000).map(|n| format!("\"e{n}\"")).collect();
    let set = [
        policy("text", &format!("a.long != \"{long}\"")),
        policy("list", &format!("a.t IN [{}]", entries.join(","))),
        policy("glob", &format!("a.long IS MISSING OR NOT a.long MATCHES \"{}\"", "*a".repeat(30_000))),
    ];
    let folder = folder(&set.concat());
    let requests = [
        r#"{"a.t":"e9999","a.long":"x"}"#.to_owned(),
        r#"{"a.t":"e10000","a.long":"x"}"#.to_owned(),
        format!(r#"{{"a.t":"e0","a.long":"{}"}}"#, "a".repeat(64 << 10)),
    ];
    let decisions: Vec<_> = decide(folder.path(), &requests).into_iter().map(|(word, _)| word).collect();
    assert_eq!(decisions, ["ALLOW", "DENY", "DENY"]);
}

#[test]
fn more_than_the_most_of_everything_is_a_limit_error() {
    let attributes: Vec<_> = (0..4097).map(|n| format!("a.x{n}")).collect();
    let many = folder(&policy("p", &attributes.join(" AND ")));
    let checked = aecp(many.path(), &["check", "set"]);
    assert_eq!(checked.status.code(), Some(1));
    let shown = text(&checked.stderr);
    assert!(shown.contains("the set has 4097 attributes; the limit is 4096"), "{shown}");
    // Files: one, all of them together, and how many.
    let folder = folder("");
    let set = folder.path().join("set");
    let refused = |what: &str| {
        let checked = aecp(folder.path(), &["check", "set"]);
        assert_eq!(checked.status.code(), Some(2));
        assert!(text(&checked.stderr).contains(what), "{}", text(&checked.stderr));
    };
    fs::write(set.join("set.aecp"), "#".repeat((16 << 20) + 1)).unwrap();
    refused("set.aecp` is larger than 16777216 bytes; split it");
    for name in ["a.aecp", "b.aecp", "set.aecp"] {
        fs::write(set.join(name), "#".repeat(12 << 20)).unwrap();
    }
    refused("larger than 33554432 bytes together; make several sets");
    for name in ["a.aecp", "b.aecp", "set.aecp"] {
        fs::remove_file(set.join(name)).unwrap();
    }
    for number in 0..10_001 {
        fs::write(set.join(format!("{number}.aecp")), "").unwrap();
    }
    refused("more than 10000 files");
}

#[test]
fn thousands_of_errors_are_counted_and_the_first_are_shown() {
    let mut set = "SCHEMA STRICT { a.int: INT\n".to_owned();
    set.extend((0..200).map(|n| format!("b.name_{n}: INT\n")));
    set.push_str("}\n");
    // In one line, so that no place is found by its line alone.
    set.extend((0..1200).map(|n| policy(&format!("p{n}"), "a.int == \"x\"").replace('\n', " ")));
    set.push('\n');
    set.extend((0..200).map(|n| policy(&format!("q{n}"), &format!("b.nam_{n} == 1"))));
    set.extend(
        (0..1200).map(|n| format!("TEST \"{n}\" {{ GIVEN: {{ c: 1 }} EXPECT: DENY BY r{n} }}\n")),
    );
    let folder = folder(&set);
    let findings = refused(folder.path());
    assert_eq!(findings.len(), 1001);
    assert_eq!((&*findings[0].0, &*findings[0].2), ("E020", "\"x\""));
    assert_eq!(findings[1000].1, "too many findings: 2800 more from here on");
    let shown = aecp(folder.path(), &["check", "set"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown.stderr).contains("… and 801 more"), "{}", text(&shown.stderr));
}
