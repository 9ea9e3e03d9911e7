//! `aecp coverage-map`, run as its users run it.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::fs;

use helpers::{aecp, err, out};
use serde_json::{Value, json};

/// Its test fails.
const SET: &str = r#"
POLICY data_residency_eu {
  COMPLIANCE: ["GDPR Art. 44"]
  SCOPE: customer_data
  CONSTRAINT: storage.location IN ["eu-west-1", "eu-central-1"]
  ENFORCEMENT: BLOCKING
}
TEST "EU data stored in the US is denied" {
  GIVEN: { resource.type: "customer_data", storage.location: "us-east-1" }
  EXPECT: ALLOW
}
"#;

/// The shipped sets.
fn policies(set: &str) -> String {
    format!("{}/../policies/{set}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_coverage_map_says_which_controls_have_policies_and_tests_as_text_json_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let set = policies("soc2");
    let text = aecp(folder, &["coverage-map", &set]);
    assert!(text.status.success(), "{}", err(&text));
    let text = out(&text);
    for line in [
        "  tested         SOC 2 CC6.8  Unauthorised and malicious software",
        "      running_image_trusted (boundary.aecp:70, BLOCKING): 1 satisfied, 3 violated",
        "      CC1 (Control environment): none of 5",
        "      CC5 (Control activities): CC5.2, CC5.3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let sums = text.lines().find(|line| line.starts_with("SOC 2, 61 in all")).unwrap();
    assert_eq!(sums.split_whitespace().collect::<Vec<_>>()[5..], ["20", "0", "0", "41"]);
    assert!(!text.contains('\u{1b}') && text.contains("is no proof of compliance"));

    let arguments =
        ["coverage-map", &set, "--format", "json", "--framework", "soc2", "--framework", "gdpr"];
    let json: Value = serde_json::from_str(&out(&aecp(folder, &arguments))).unwrap();
    let expected = json!({"tested": 0, "partly_tested": 0, "untested": 0, "none": 99});
    assert_eq!(json["frameworks"][0]["summary"], expected);
    assert_eq!(json["frameworks"][1]["framework"], "soc2");
    let section = &json["frameworks"][1]["sections"][5];
    let expected = json!({"name": "SOC 2 CC6.8", "id": "CC6.8", "title": "Unauthorised and malicious software",
        "state": "tested", "policies": ["running_image_trusted"]});
    assert_eq!((&section["id"], &section["controls"][7]), (&json!("CC6"), &expected));
    let policy = json["policies"].as_array().unwrap();
    let policy = policy.iter().find(|policy| policy["name"] == "running_image_trusted").unwrap();
    assert_eq!((&policy["line"], &policy["violated"]["count"]), (&json!(70), &json!(3)));

    let written = aecp(folder, &["coverage-map", &set, "--format", "html", "--out", "map.html"]);
    assert!(written.status.success() && written.stdout.is_empty(), "{}", err(&written));
    let page = fs::read_to_string(folder.join("map.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<a href=\"#policy-running_image_trusted\">running_image_trusted</a>"));
    let unwritable = aecp(folder, &["coverage-map", &set, "--out", "no/such/folder"]);
    assert_eq!(unwritable.status.code(), Some(2));
    assert!(err(&unwritable).contains("cannot write `no/such/folder`"), "{}", err(&unwritable));
}

#[test]
fn failing_tests_count_for_nothing_and_a_set_with_errors_has_no_map() {
    let folder = tempfile::tempdir().unwrap();
    let map = |text: &str| {
        fs::write(folder.path().join("set.aecp"), text).unwrap();
        aecp(folder.path(), &["coverage-map", "set.aecp"])
    };
    let failing = map(SET);
    assert_eq!(failing.status.code(), Some(1));
    assert!(out(&failing).contains("untested       GDPR Art. 44"), "{}", out(&failing));
    assert!(err(&failing).contains("1 test fails and counts for nothing"), "{}", err(&failing));
    let broken = map(&SET.replace("BLOCKING", "BLOKING"));
    assert_eq!((broken.status.code(), out(&broken).as_str()), (Some(1), ""));
    assert!(err(&broken).contains("E015"), "{}", err(&broken));
}
