//! `aecp diff` and the rule of versions, run as their users run them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{fs, path::Path};

use helpers::{aecp, err, out};
use serde_json::{Value, json};
use tempfile::TempDir;

const BEFORE: &str = r#"
POLICY payload {
  VERSION: 3
  SCOPE: requests
  CONSTRAINT: payload.size_kb <= 1024
  ENFORCEMENT: BLOCKING
}
POLICY region {
  SCOPE: customer_data
  CONSTRAINT: customer.region == "EU"
  ENFORCEMENT: BLOCKING
}
"#;

/// A folder with the sets `old/` and `new/`.
fn folder(old: &str, new: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "old", old);
    write(folder.path(), "new", new);
    folder
}

fn write(folder: &Path, set: &str, text: &str) {
    fs::create_dir_all(folder.join(set)).unwrap();
    fs::write(folder.join(set).join("set.aecp"), text).unwrap();
}

fn decision(folder: &Path, set: &str, request: &Value) -> Value {
    fs::write(folder.join("request.jsonl"), format!("{request}\n")).unwrap();
    let decided = aecp(folder, &["decide", "--set", set, "--requests", "request.jsonl"]);
    serde_json::from_str::<Value>(&out(&decided)).unwrap()["decision"].clone()
}

#[test]
fn what_changes_is_told_with_requests_that_the_sets_decide_otherwise() {
    let after = BEFORE.replace("<= 1024", "< 1024")
        + "POLICY extra { SCOPE: requests CONSTRAINT: a EXISTS ENFORCEMENT: ADVISORY }";
    let folder = folder(BEFORE, &after);
    let folder = folder.path();
    let text = aecp(folder, &["diff", "old", "new"]);
    assert_eq!(text.status.code(), Some(1), "{}", err(&text));
    let expected = r#"added extra

changed payload
  CONSTRAINT
    was payload.size_kb <= 1024
    is  payload.size_kb < 1024
  was satisfied, is violated:
    {"payload.size_kb": 1024}

ALLOW becomes DENY
  {"payload.size_kb": 1024, "resource.type": "other"}
    denied by payload

DENY becomes ALLOW for no request: proven

1 policy changed, 1 added; some requests become DENY, none becomes ALLOW
"#;
    assert_eq!(out(&text), expected);

    let report = aecp(folder, &["diff", "new", "old", "--format", "json"]);
    assert_eq!(report.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&report)).unwrap();
    assert_eq!((&report["decides_alike"], &report["same"]), (&json!(false), &json!(1)));
    let changes: Vec<_> = report["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["policy"], &one["change"]))
        .collect();
    assert_eq!(changes, [(&json!("extra"), &json!("removed")), (&json!("payload"), &json!("changed"))]);
    let shown = &report["policies"][1]["shown"][0];
    assert_eq!((&shown["before"], &shown["after"]), (&json!("violated"), &json!("satisfied")));
    assert_eq!(report["denied"], json!({"shown": [], "not_decided": []}));
    let change = &report["allowed"]["shown"][0];
    assert_eq!(change["by"], json!(["payload"]));
    assert_eq!(decision(folder, "new", &change["request"]), json!("DENY"));
    assert_eq!(decision(folder, "old", &change["request"]), json!("ALLOW"));
}

#[test]
fn where_no_decision_changes_the_exit_code_is_zero() {
    let after = BEFORE.replace("payload.size_kb <= 1024", "NOT payload.size_kb > 1024");
    let folder = folder(BEFORE, &after);
    let folder = folder.path();
    let same = aecp(folder, &["diff", "old", "new"]);
    assert!(same.status.success(), "{}{}", out(&same), err(&same));
    assert!(out(&same).contains("reworded payload"), "{}", out(&same));
    assert!(out(&same).ends_with("1 policy reworded; no request changes its decision\n"));
    assert!(aecp(folder, &["fmt", "new"]).status.success());
    fs::write(folder.join("old/set.aecp"), &after).unwrap();
    assert_eq!(
        out(&aecp(folder, &["diff", "old", "new"])).lines().last(),
        Some("no policy changed; no request changes its decision")
    );
}

#[test]
fn sets_that_cannot_be_compared_are_an_error() {
    let folder = folder(BEFORE, "POLICY broken {");
    let broken = aecp(folder.path(), &["diff", "old", "new"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(err(&broken).contains("NEW has errors"), "{}", err(&broken));
    let one = aecp(folder.path(), &["diff", "old"]);
    assert_eq!(one.status.code(), Some(2));
    assert!(err(&one).contains("give OLD and NEW"), "{}", err(&one));
    assert_eq!(aecp(folder.path(), &["diff", "old", "none"]).status.code(), Some(2));
}

#[test]
fn a_policy_that_changes_under_its_version_is_not_published() {
    let folder = folder(BEFORE, BEFORE);
    let folder = folder.path();
    let store = format!("file://{}/store", folder.display());
    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    let publish = || {
        let to = ["publish", "new", "--store", &store, "--channel", "prod", "--key", "keys/private.pem"];
        aecp(folder, &to)
    };
    let release = ["--store", &store, "--channel", "prod", "--root", "keys/root.json"];
    let first = publish();
    assert!(first.status.success(), "{}", err(&first));
    assert!(!out(&first).contains("since serial"), "there is nothing to compare with: {}", out(&first));

    let changed = BEFORE.replace("<= 1024", "<= 512");
    write(folder, "new", &changed);
    let refused = publish();
    assert_eq!(refused.status.code(), Some(1));
    let told = err(&refused);
    assert!(told.contains("E070") && told.contains("its VERSION is still 3"), "{told}");
    assert!(
        told.contains("write `VERSION: 4`") && told.contains("{\"payload.size_kb\": 513}"),
        "{told}"
    );
    assert!(out(&refused).contains("since serial 1: 1 policy changed; some requests become DENY"));
    assert!(!folder.join("store/releases/prod/2.json").exists(), "nothing was written");

    // The same against the release, by its own command.
    let diff = aecp(folder, &[&["diff"], &release[..], &["new"]].concat());
    assert_eq!(diff.status.code(), Some(1));
    assert!(out(&diff).contains("changed payload"), "{}{}", out(&diff), err(&diff));

    write(folder, "new", &changed.replace("VERSION: 3", "VERSION: 2"));
    assert!(err(&publish()).contains("E071"));
    write(folder, "new", &changed.replace("VERSION: 3", ""));
    assert!(err(&publish()).contains("states no VERSION any more"));
    // A policy without a VERSION may change.
    write(folder, "new", &BEFORE.replace("\"EU\"", "\"US\""));
    let second = publish();
    assert!(second.status.success(), "{}", err(&second));
    write(folder, "new", &changed.replace("VERSION: 3", "VERSION: 4"));
    let third = publish();
    assert!(third.status.success(), "{}", err(&third));
    assert!(out(&third).contains("published release 3"), "{}", out(&third));
    assert!(aecp(folder, &[&["diff"], &release[..], &["new"]].concat()).status.success());
}
