//! `aecp explain`, run as its users run it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use aecp_contract::explain::{Explanation, Outcome, Truth};
use helpers::aecp;
use tempfile::TempDir;

const SET: &str = r#"POLICY residency {
  COMPLIANCE: ["GDPR Art. 44"]
  SCOPE: customer_data WHERE customer.region = "EU"
  CONSTRAINT: storage.location IN ["eu-west-1"] AND compute.location != "us-east-1"
  ENFORCEMENT: BLOCKING
}
POLICY quiet {
  SCOPE: requests
  CONSTRAINT: payload.size_kb <= 1024 OR NOT payload.exempt
  ENFORCEMENT: AUDIT_ONLY
}
POLICY elsewhere {
  SCOPE: requests WHERE customer.region == "US"
  CONSTRAINT: storage.location EXISTS
  ENFORCEMENT: BLOCKING
}
"#;

const REQUEST: &str = r#"{"resource":{"type":"customer_data"},"customer.region":"EU",
 "storage.location":"us-east-1","payload":{"size_kb":2000,"exempt":"yes"}}"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/residency.aecp"), SET).unwrap();
    fs::write(folder.path().join("request.json"), REQUEST).unwrap();
    folder
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The words of the one line that has all of these.
fn line<'a>(text: &'a str, parts: &[&str]) -> &'a str {
    let mut lines = text.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
    let (Some(line), None) = (lines.next(), lines.next()) else { panic!("{parts:?} in\n{text}") };
    line.trim()
}

#[test]
fn the_clause_that_decided_is_marked_with_its_value_and_its_place() {
    let folder = folder();
    let text = out(&aecp(folder.path(), &["explain", "set", "--request", "request.json"]));
    assert!(
        text.starts_with("DENY by residency\n\nresidency is violated (BLOCKING, GDPR Art. 44)"),
        "{text}"
    );
    let decisive = line(&text, &["storage.location IN"]);
    assert!(decisive.starts_with("▸ FALSE "), "{text}");
    assert!(
        decisive.contains(r#"it is "us-east-1""#) && decisive.ends_with("residency.aecp:4"),
        "{text}"
    );
    assert!(line(&text, &["compute.location"]).starts_with("UNKNOWN"), "{text}");
    assert!(line(&text, &["compute.location"]).contains("it is missing"), "{text}");
    assert!(line(&text, &["resource.type =="]).starts_with("TRUE"), "{text}");
    // Auditors see AUDIT_ONLY policies, and what kept them undecided.
    assert!(text.contains("quiet is undecided (AUDIT_ONLY)"), "{text}");
    assert!(line(&text, &["payload.exempt"]).starts_with("▸ UNKNOWN"), "{text}");
    assert!(!text.contains("elsewhere"), "not in scope:\n{text}");
    assert!(!text.contains('\x1b'), "no colour where there is no terminal");
}

#[test]
fn one_policy_is_explained_also_where_it_is_not_in_scope() {
    let folder = folder();
    let arguments = ["explain", "set", "--request", "request.json", "--policy", "elsewhere"];
    let text = out(&aecp(folder.path(), &arguments));
    assert!(text.contains("elsewhere is not in scope"), "{text}");
    assert!(line(&text, &["customer.region =="]).starts_with("▸ FALSE"), "{text}");
    assert!(!text.contains("residency is"), "{text}");
    let nobody = ["explain", "set", "--request", "request.json", "--policy", "nobody"];
    let nobody = aecp(folder.path(), &nobody);
    assert_eq!(nobody.status.code(), Some(2));
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(said.contains("the set has no policy `nobody`"), "{said}");
}

#[test]
fn a_release_explains_itself_as_its_sources_do() {
    let folder = folder();
    let folder = folder.path();
    let from_set = ["explain", "set", "--request", "request.json", "--format", "json"];
    let from_set = out(&aecp(folder, &from_set));
    let explanation: Explanation = serde_json::from_str(&from_set).unwrap();
    let [residency, quiet] = explanation.policies.as_slice() else { panic!("{explanation:?}") };
    assert_eq!((residency.outcome, quiet.outcome), (Outcome::Violated, Outcome::Indeterminate));
    assert_eq!(quiet.constraint[1].truth, Truth::False);

    out(&aecp(folder, &["keygen", "--out", "keys"]));
    let store = format!("file://{}/store", folder.display());
    let channel = ["--store", &store, "--channel", "prod"];
    out(&aecp(folder, &[&["publish", "set", "--key", "keys/private.pem"], &channel[..]].concat()));
    let why = ["explain", "--root", "keys/root.json", "--request", "-", "--format", "json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_aecp"))
        .current_dir(folder)
        .args(why.iter().chain(&channel))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(REQUEST.as_bytes()).unwrap();
    assert_eq!(out(&child.wait_with_output().unwrap()), from_set);
}

#[test]
fn what_is_no_request_is_said_to_be_none() {
    let folder = folder();
    let folder = folder.path();
    for (request, expected) in [("[1]", "expected"), (r#"{"a":}"#, "line 1 column 6")] {
        fs::write(folder.join("bad.json"), request).unwrap();
        let refused = aecp(folder, &["explain", "set", "--request", "bad.json"]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("invalid_request") && said.contains(expected), "{said}");
    }
    let nothing = aecp(folder, &["explain", "--request", "request.json"]);
    assert_eq!(nothing.status.code(), Some(2));
}
