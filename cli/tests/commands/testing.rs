//! `aecp test` and what it says: failures, coverage, mutants, reports.

use std::fs;

use serde_json::{Value, json};

use super::{aecp, err, folder, out, publish};

const SET: &str = r#"
POLICY residency {
  SCOPE: customer_data WHERE customer.region == "EU"
  CONSTRAINT: storage.location IN ["eu-west-1", "eu-central-1"]
  ENFORCEMENT: BLOCKING
}
FIXTURE "EU data" {
  GIVEN: { resource.type: "customer_data", customer.region: "EU" }
}
TEST "where EU data may be stored" {
  GIVEN: {} EXTENDS "EU data"
  TABLE: {
    storage.location | EXPECT
    "eu-west-1"      | ALLOW
    "us-east-1"      | DENY BY residency
    MISSING          | DENY BY residency
  }
}
"#;

fn report(text: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let folder = folder(text);
    let tested = aecp(folder.path(), &[&["test", "set", "--format", "json"], arguments].concat());
    (tested.status.code(), serde_json::from_str(&out(&tested)).unwrap())
}

#[test]
fn each_row_is_a_test_and_a_failed_one_shows_its_clauses_and_values() {
    let (code, good) = report(SET, &[]);
    assert_eq!((code, &good["passed"], &good["failed"]), (Some(0), &json!(3), &json!(0)));
    let test = &good["tests"][1];
    let name = json!("where EU data may be stored, row 2");
    assert_eq!((&test["name"], &test["line"]), (&name, &json!(15)));
    assert_eq!((&test["file"], &test["passed"]), (&json!("residency.aecp"), &json!(true)));
    assert!(test["duration_us"].is_u64());

    let broken = SET.replace("\"us-east-1\"      | DENY BY residency", "\"us-east-1\" | ALLOW");
    let folder = folder(&broken);
    let failed = aecp(folder.path(), &["test", "set"]);
    assert_eq!(failed.status.code(), Some(1));
    let text = out(&failed);
    for part in [
        "FAIL  where EU data may be stored, row 2",
        "expected  ALLOW",
        "actual    DENY",
        "residency is violated (BLOCKING)  residency.aecp:2",
        "TRUE    ",
        "customer.region == \"EU\"",
        "it is \"EU\"",
        "FALSE   storage.location IN [\"eu-west-1\", \"eu-central-1\"]",
        "it is \"us-east-1\"",
        "residency.aecp:4",
        "2 passed, 1 failed",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let row = "\"us-east-1\" | ALLOW";
    assert!(err(&failed).contains("E030") && err(&failed).contains(row), "{}", err(&failed));
    let (_, bad) = report(&broken, &[]);
    let test = &bad["tests"][1];
    assert_eq!((&test["expected"], &test["actual"]), (&json!("ALLOW"), &json!("DENY")));
    assert_eq!(test["explanation"]["policies"][0]["outcome"], json!("violated"));
}

#[test]
fn junit_has_a_case_for_each_row_with_its_message_and_time() {
    let folder = folder(&SET.replace("MISSING          | DENY BY residency", "MISSING | ALLOW"));
    let junit = out(&aecp(folder.path(), &["test", "set", "--format", "junit"]));
    for part in [
        r#"<testsuites name="aecp test" tests="3" failures="1" errors="0" time=""#,
        r#"<testsuite name="set" tests="3" failures="1""#,
        r#"<property name="clause_coverage_percent" value="66"/>"#,
        r#"<testcase name="where EU data may be stored, row 3" classname="residency.aecp" file="residency.aecp" line="16" time=""#,
        r#"<failure message="the decision is DENY: `residency` is indeterminate" type="TEST">expected ALLOW"#,
        "UNKNOWN storage.location IN [&quot;eu-west-1&quot;",
        "</failure>",
    ] {
        assert!(junit.contains(part), "{part}\n{junit}");
    }
}

#[test]
fn too_little_coverage_fails_and_names_the_clauses() {
    let (code, good) = report(SET, &["--min-coverage", "66"]);
    assert_eq!((code, &good["coverage"]["percent"]), (Some(0), &json!(66)));
    let (code, bad) = report(SET, &["--min-coverage", "67"]);
    assert_eq!((code, &bad["coverage"]["enough"]), (Some(1), &json!(false)));
    let clauses = bad["coverage"]["clauses"].as_array().unwrap();
    let first = json!({ "policy": "residency", "clause": "resource.type == \"customer_data\"",
        "file": "residency.aecp", "line": 3, "true": "decisive", "false": "never" });
    assert_eq!((clauses.len(), &clauses[0]), (3, &first));
    let folder = folder(SET);
    let text = out(&aecp(folder.path(), &["test", "set", "--min-coverage", "67"]));
    for part in [
        "never decides as FALSE customer.region == \"EU\"",
        "residency  residency.aecp:3",
        "clause coverage 66 %: 4 of 6 ways, but 67 % are asked for",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_set_below_its_own_threshold_is_not_published_and_one_above_says_so() {
    let folder = folder(&format!("MIN_COVERAGE: 67\n{SET}"));
    let folder = folder.path();
    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    let refused = publish(folder);
    assert_eq!(refused.status.code(), Some(1));
    let said = err(&refused);
    assert!(said.contains("error[E033]"), "{said}");
    assert!(said.contains("the tests cover 66 % of the clauses; the set asks for 67 %"), "{said}");
    assert!(said.contains("2 of its 6 ways are covered by no test"), "{said}");
    assert!(!folder.join("store/channels").exists());
    assert_eq!(aecp(folder, &["test", "set"]).status.code(), Some(1));

    fs::write(folder.join("set/residency.aecp"), format!("MIN_COVERAGE: 66\n{SET}")).unwrap();
    assert!(aecp(folder, &["compile", "set", "--out", "build"]).status.success());
    let manifest = fs::read_to_string(folder.join("build/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let coverage = json!({ "required": 66, "ways": 6, "decisive": 4, "impossible": 0 });
    assert_eq!(manifest["tests"], json!({ "passed": 3, "failed": 0, "coverage": coverage }));
}

#[test]
fn mutants_that_no_test_notices_are_listed_with_a_request_that_would() {
    let (code, report) = report(SET, &["--mutants"]);
    let mutants = &report["mutants"];
    assert_eq!(code, Some(0), "{mutants}");
    let number = |name: &str| mutants[name].as_u64().unwrap();
    assert_eq!((number("all"), number("tried"), number("equivalent")), (9, 9, 0));
    assert_eq!(number("killed") + number("survived"), 9);
    let survivors = mutants["survivors"].as_array().unwrap();
    let entry =
        survivors.iter().find(|it| it["change"] == "`\"eu-central-1\"` is no longer in the list");
    let entry = entry.unwrap_or_else(|| panic!("{mutants}"));
    assert_eq!((&entry["policy"], &entry["line"]), (&json!("residency"), &json!(4)));
    assert_eq!(entry["request"]["storage.location"], json!("eu-central-1"));
    let folder = folder(SET);
    let text = out(&aecp(folder.path(), &["test", "set", "--mutants"]));
    let summary = format!("mutants: killed {} of 9, {} survived", number("killed"), survivors.len());
    assert!(text.contains(&summary), "{text}");
    assert!(
        text.contains(
            "survived  residency: `\"eu-central-1\"` is no longer in the list  residency.aecp:4"
        )
    );
    let junit = aecp(folder.path(), &["test", "set", "--mutants", "--format", "junit"]);
    assert_eq!(junit.status.code(), Some(2));
}
