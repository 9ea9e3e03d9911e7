//! The commands, run as their users run them: real processes, real files, their real output.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

#[path = "commands/components.rs"]
mod components;
#[path = "commands/report.rs"]
mod report;
#[path = "commands/testing.rs"]
mod testing;

mod helpers;

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use aecp_contract::{
    digest::Digest,
    dsse::Envelope,
    release::{Artifact, ChannelPointer, Release, STATEMENT_PAYLOAD_TYPE, Statement},
    trust::{Role, TrustRoot},
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use helpers::{aecp, err, out};
use serde_json::{Value, json};
use tempfile::TempDir;

const RESIDENCY: &str = r#"
POLICY data_residency_eu {
  SCOPE: customer_data WHERE customer.region = "EU"
  CONSTRAINT: storage.location IN ["eu-west-1", "eu-central-1"]
  ENFORCEMENT: BLOCKING
  AUDIT: REQUIRED
}
POLICY big_payload {
  SCOPE: requests
  CONSTRAINT: payload.size_kb <= 1024
  ENFORCEMENT: ADVISORY
}
TEST "EU data stored in the US is denied" {
  GIVEN: { resource.type: "customer_data", customer.region: "EU", storage.location: "us-east-1" }
  EXPECT: DENY BY data_residency_eu
}
"#;

const REQUESTS: &str = r#"{"resource":{"type":"customer_data"},"customer.region":"EU","storage.location":"us-east-1","payload":{"size_kb":2000}}
{"resource":{"type":"customer_data"},"customer":{"region":"EU"},"storage":{"location":"eu-west-1"},"payload.size_kb":1}
{"resource.type":"customer_data","customer.region":"EU","payload.size_kb":1}

{"resource.type":"other"}
not json
"#;

const DECISIONS: &str = r#"{"decision":"DENY","violated":[{"policy":"big_payload","enforcement":"ADVISORY"},{"policy":"data_residency_eu","enforcement":"BLOCKING"}],"indeterminate":[]}
{"decision":"ALLOW","violated":[],"indeterminate":[]}
{"decision":"DENY","violated":[],"indeterminate":[{"policy":"data_residency_eu","enforcement":"BLOCKING"}]}
{"decision":"ALLOW","violated":[],"indeterminate":[{"policy":"big_payload","enforcement":"ADVISORY"}]}
{"decision":"DENY","violated":[],"indeterminate":[],"reason":"invalid_request"}
"#;

/// A folder with the set `set/` and the requests `requests.jsonl`.
fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("set")).unwrap();
    fs::write(folder.path().join("set/residency.aecp"), text).unwrap();
    fs::write(folder.path().join("requests.jsonl"), REQUESTS).unwrap();
    folder
}

fn publish(folder: &Path) -> Output {
    let store = format!("file://{}/store", folder.display());
    aecp(
        folder,
        &["publish", "set", "--store", &store, "--channel", "prod", "--key", "keys/private.pem"],
    )
}

#[test]
fn decisions_are_the_same_from_sources_and_from_the_signed_release() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    let from_set = aecp(folder, &["decide", "--set", "set", "--requests", "requests.jsonl"]);
    assert_eq!(out(&from_set), DECISIONS, "{}", err(&from_set));

    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    let published = publish(folder);
    assert!(published.status.success(), "{}", err(&published));
    assert!(out(&published).contains("published release 1 of channel prod"));
    let store = format!("file://{}/store", folder.display());
    let release = ["--store", &store, "--channel", "prod", "--root", "keys/root.json"];
    let verified = aecp(folder, &[&["verify"], &release[..]].concat());
    assert!(verified.status.success(), "{}{}", out(&verified), err(&verified));
    let from_store = aecp(folder, &[&["decide", "--requests", "requests.jsonl"], &release[..]].concat());
    assert_eq!(out(&from_store), DECISIONS, "{}", err(&from_store));

    assert!(out(&publish(folder)).contains("release 2"), "serials grow");
    assert!(aecp(folder, &["keygen", "--out", "others"]).status.success());
    let mut distrusted = release;
    distrusted[5] = "others/root.json";
    let refused = aecp(folder, &[&["verify", "--format", "json"], &distrusted[..]].concat());
    assert_eq!(refused.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&refused)).unwrap();
    assert_eq!(report["code"], json!("root_mismatch"), "{report}");
}

#[test]
fn any_changed_byte_of_any_object_in_the_store_is_refused() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    assert!(publish(folder).status.success());
    let store = format!("file://{}/store", folder.display());
    let release = ["verify", "--store", &store, "--channel", "prod", "--root", "keys/root.json"];
    let mut objects = Vec::new();
    files(&folder.join("store"), &mut objects);
    assert_eq!(objects.len(), 11, "{objects:?}");
    for object in objects {
        let good = fs::read(&object).unwrap();
        for at in [0, good.len() / 3, good.len() / 2, good.len() - 2] {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            fs::write(&object, &flipped).unwrap();
            let refused = aecp(folder, &release);
            assert_eq!(
                refused.status.code(),
                Some(1),
                "{} at {at}: {}",
                object.display(),
                out(&refused)
            );
        }
        fs::write(&object, &good[..good.len() - 1]).unwrap();
        assert_eq!(aecp(folder, &release).status.code(), Some(1), "{} cut", object.display());
        fs::write(&object, &good).unwrap();
    }
    assert!(aecp(folder, &release).status.success());
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with(".publish.lock") {
            found.push(path);
        }
    }
}

#[test]
fn a_set_whose_test_fails_is_not_published() {
    let folder = folder(&RESIDENCY.replace("DENY BY data_residency_eu", "ALLOW"));
    let folder = folder.path();
    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    let refused = publish(folder);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("E030"), "{}", err(&refused));
    assert!(!folder.join("store/channels").exists());
    let tested = aecp(folder, &["test", "set", "--format", "json"]);
    assert_eq!(tested.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&tested)).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&json!(0), &json!(1)));
    let junit = out(&aecp(folder, &["test", "set", "--format", "junit"]));
    assert!(junit.contains(r#"tests="1" failures="1""#), "{junit}");
}

#[test]
fn a_syntax_error_a_type_error_and_an_unknown_attribute_are_reported_together() {
    let text = r#"SCHEMA STRICT { resource.type: STRING
  customer.region: STRING
  payload.size_kb: INT }
POLICY first {
  SCOPE: requests WHERE customer.region == == "EU"
  CONSTRAINT: payload.size_kb < 10
  ENFORCEMENT: BLOCKING
}
POLICY second {
  SCOPE: customer_data
  CONSTRAINT: payload.size_kb == "ten" AND customer.regoin == "EU"
  ENFORCEMENT: BLOCKING
}
"#;
    let folder = folder(text);
    let checked = aecp(folder.path(), &["check", "set", "--format", "json"]);
    assert_eq!(checked.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&checked)).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let underlined = |finding: &Value| {
        let span = &finding["spans"][0];
        let number = |name: &str| span[name].as_u64().unwrap() as usize;
        let line: Vec<char> = lines[number("line") - 1].chars().collect();
        line[number("column") - 1..number("end_column") - 1].iter().collect::<String>()
    };
    let shown: Vec<_> = findings
        .iter()
        .map(|finding| {
            let policy = finding["policies"][0].as_str().unwrap_or_default();
            (finding["kind"].as_str().unwrap(), policy.to_owned(), underlined(finding))
        })
        .collect();
    let expected = [
        ("syntax", "first".to_owned(), "==".to_owned()),
        ("type", "second".to_owned(), "\"ten\"".to_owned()),
        ("unknown", "second".to_owned(), "customer.regoin".to_owned()),
    ];
    assert_eq!(shown, expected, "{report:#}");
    let text = err(&aecp(folder.path(), &["check", "set"]));
    assert!(text.contains("did you mean `customer.region`?"), "{text}");
    assert!(text.contains("3 errors, 0 warnings"), "{text}");
    assert!(!text.contains('\x1b'), "no colour where nobody sees it");
}

#[test]
fn a_contradiction_is_refused_with_a_request_that_shows_it() {
    let folder = folder(
        r#"POLICY low { SCOPE: doc CONSTRAINT: n <= 5 ENFORCEMENT: BLOCKING }
        POLICY high { SCOPE: requests WHERE ok CONSTRAINT: n > 5 ENFORCEMENT: BLOCKING }
        POLICY late { SCOPE: doc CONSTRAINT: n <= 9 ENFORCEMENT: ADVISORY }"#,
    );
    let checked = aecp(folder.path(), &["check", "set", "--format", "json"]);
    assert_eq!(checked.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&checked)).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let kinds: Vec<_> =
        findings.iter().map(|finding| (&finding["kind"], &finding["severity"])).collect();
    assert_eq!(
        kinds,
        [(&json!("contradiction"), &json!("error")), (&json!("shadowed"), &json!("warning"))]
    );
    assert_eq!(findings[0]["policies"], json!(["high", "low"]));
    assert_eq!(findings[1]["policies"], json!(["late", "low"]));
    let witness = json!({ "n": 0, "ok": true, "resource.type": "doc" });
    assert_eq!(findings[0]["witness"], witness);
    let labels: Vec<_> = findings[0]["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["label"].as_str().unwrap())
        .collect();
    let expected =
        ["`high` asks for this", "`high` applies here", "`low` asks for this", "`low` applies here"];
    assert_eq!(labels, expected);
    assert!(err(&aecp(folder.path(), &["check", "set"])).contains("this request shows it: {\"n\": 0"));
    let compiled = aecp(folder.path(), &["compile", "set", "--out", "out"]);
    assert_eq!(compiled.status.code(), Some(1));
    assert!(err(&compiled).contains("error[E040]"), "{}", err(&compiled));
}

#[test]
fn two_compilations_in_two_processes_give_the_same_bytes() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    // Another folder and another working directory: no path may show.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir(elsewhere.path().join("copy")).unwrap();
    fs::copy(folder.join("set/residency.aecp"), elsewhere.path().join("copy/residency.aecp")).unwrap();
    assert!(aecp(folder, &["compile", "set", "--out", "build"]).status.success());
    assert!(aecp(elsewhere.path(), &["compile", "copy", "--out", "b"]).status.success());
    for name in ["policy.wasm", "policy.core.wasm", "manifest.json", "clauses.json", "sources.json"] {
        let one = fs::read(folder.join("build").join(name)).unwrap();
        let two = fs::read(elsewhere.path().join("b").join(name)).unwrap();
        assert!(one == two, "{name} differs");
    }
}

#[test]
fn a_release_is_rebuilt_from_its_own_sources_and_a_forged_one_is_told() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    assert!(publish(folder).status.success());
    let store = format!("file://{}/store", folder.display());
    let rebuild =
        ["verify", "--rebuild", "--store", &store, "--channel", "prod", "--root", "keys/root.json"];
    let good = aecp(folder, &rebuild);
    assert!(good.status.success(), "{good:?}");
    for name in ["policy.wasm", "policy.core.wasm", "manifest.json", "policy.aarch64-linux.cwasm"] {
        assert!(out(&good).contains(&format!("rebuilt   {name}")), "{good:?}");
    }
    // Somebody with the key signs a manifest that is not what the sources say, by another compiler.
    let (forged, other) = (manifest(folder).replacen("BLOCKING", "ADVISORY", 1), "aecp 0.0.9");
    sign_again(folder, &[("manifest.json", forged.as_bytes()), ("policy.new", b"?")], other);
    let bad = aecp(folder, &rebuild);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    for line in ["differs   manifest.json", "rebuilt   policy.core.wasm", "not rebuilt policy.new"] {
        assert!(out(&bad).contains(line), "{line}: {bad:?}");
    }
    assert!(out(&bad).contains("it was compiled by aecp 0.0.9, this is aecp "), "{bad:?}");
    let json = |output: &Output| serde_json::from_str::<Value>(&out(output)).unwrap()["rebuild"].clone();
    let report = json(&aecp(folder, &[&rebuild[..], &["--format", "json"]].concat()));
    let results = report["artifacts"].as_array().unwrap();
    assert!(results.contains(&json!({ "name": "manifest.json", "result": "differs" })), "{report}");
    assert!(results.contains(&json!({ "name": "policy.new", "result": "not_rebuilt" })), "{report}");
    assert!(results.contains(&json!({ "name": "policy.wasm", "result": "rebuilt" })), "{report}");
    // And one whose sources are others.
    let other = r#"{"files":[{"path":"a.aecp","text":"POLICY"}]}"#;
    sign_again(folder, &[("sources.json", other.as_bytes())], "aecp 0.0.9");
    let bad = aecp(folder, &rebuild);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(out(&bad).contains("does not have the digest of the release's sources"), "{bad:?}");
    assert!(aecp(folder, &[&rebuild[..1], &rebuild[2..]].concat()).status.success());
}

/// The manifest of the newest release.
fn manifest(folder: &Path) -> String {
    let blobs = fs::read_dir(folder.join("store/blobs/sha256")).unwrap();
    let texts = blobs.filter_map(|blob| fs::read_to_string(blob.unwrap().path()).ok());
    texts.into_iter().find(|text| text.contains("\"self_check\"")).unwrap()
}

/// Signs release 1 once more, with these artifacts changed or added and another compiler named.
fn sign_again(folder: &Path, changed: &[(&str, &[u8])], compiler: &str) {
    let key = fs::read_to_string(folder.join("keys/private.pem")).unwrap();
    let key = SigningKey::from_pkcs8_pem(&key).unwrap();
    let path = folder.join("store/releases/prod/1.json");
    let envelope = Envelope::from_json(&fs::read(&path).unwrap()).unwrap();
    let root = TrustRoot::pinned(&fs::read(folder.join("keys/root.json")).unwrap()).unwrap();
    let payload = root.verify(Role::Judicial, STATEMENT_PAYLOAD_TYPE, &envelope).unwrap();
    let signed: Statement = serde_json::from_slice(&payload).unwrap();
    let mut artifacts: BTreeMap<String, Artifact> =
        signed.artifacts().map(|(name, artifact)| (name.to_owned(), artifact)).collect();
    for (name, bytes) in changed {
        let artifact = Artifact::of(bytes);
        fs::write(folder.join("store/blobs/sha256").join(artifact.digest.to_string()), bytes).unwrap();
        artifacts.insert((*name).to_owned(), artifact);
    }
    let release = Release { compiler: compiler.to_owned(), ..signed.release().clone() };
    let envelope = Statement::new(&artifacts, release).sign(&[&key]).to_json();
    fs::write(&path, &envelope).unwrap();
    let pointer =
        ChannelPointer { channel: "prod".parse().unwrap(), serial: 1, release: Digest::of(&envelope) };
    fs::write(folder.join("store/channels/prod.json"), pointer.to_json()).unwrap();
}

#[test]
fn a_profile_has_every_phase_with_its_time() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    let args = ["compile", "set", "--out", "build", "--profile", "--format", "json"];
    let profile: Value = serde_json::from_str(&out(&aecp(folder, &args))).unwrap();
    let phases = profile["profile"]["phases"].as_array().unwrap();
    let names: Vec<_> = phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    let all = "parse check analyse prove generate test component self_check native sign";
    assert_eq!(names.join(" "), all);
    assert!(phases.iter().all(|phase| phase["ms"].as_f64().unwrap() > 0.0), "{profile}");
    assert_eq!(profile["artifacts"].as_array().unwrap().len(), 7);
}

#[test]
fn formatting_changes_layout_alone_and_only_once() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    let before = out(&aecp(folder, &["decide", "--set", "set", "--requests", "requests.jsonl"]));
    assert_eq!(aecp(folder, &["fmt", "set", "--check"]).status.code(), Some(1));
    assert!(aecp(folder, &["fmt", "set"]).status.success());
    assert!(aecp(folder, &["fmt", "set", "--check"]).status.success());
    let after = out(&aecp(folder, &["decide", "--set", "set", "--requests", "requests.jsonl"]));
    assert_eq!(before, after);
}

#[test]
fn bench_reports_in_the_shape_that_scripts_rely_on() {
    let folder = folder(RESIDENCY);
    let requests: String = REQUESTS.lines().take(3).map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("requests.jsonl"), requests).unwrap();
    let bench = ["bench", "set", "--requests", "requests.jsonl", "--format", "json"];
    let output = aecp(folder.path(), &bench);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&report["rules"], &report["requests"]), (&json!(2), &json!(3)));
    for times in ["prepared_ns", "json_ns"] {
        for value in ["mean", "p50", "p99"] {
            assert!(report[times][value].as_f64().unwrap() > 0.0, "{report}");
        }
    }
    assert!(report["compile_ms"].as_object().unwrap().len() > 4, "{report}");
    assert!(report["peak_rss_kb"].as_u64().unwrap() > 1000, "{report}");
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let folder = folder(RESIDENCY);
    let folder = folder.path();
    let none = aecp(folder, &["check", "nowhere"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(err(&none).contains("`nowhere`"), "{}", err(&none));
    assert!(aecp(folder, &["keygen", "--out", "keys"]).status.success());
    let again = aecp(folder, &["keygen", "--out", "keys"]);
    assert!(err(&again).contains("is there already"), "{}", err(&again));
    let key = fs::read_to_string(folder.join("keys/private.pem")).unwrap();
    fs::write(folder.join("keys/private.pem"), key.replace("PRIVATE KEY", "PUBLIC KEY")).unwrap();
    let wrong = publish(folder);
    assert!(err(&wrong).contains("neither an Ed25519 private key"), "{}", err(&wrong));
    assert!(!err(&wrong).contains(key.lines().nth(1).unwrap()), "the key is never shown");
}

#[test]
fn when_and_where_policies_apply_and_what_they_oblige_to_shows_in_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let set = r#"
POLICY masked {
  SCOPE: requests WHERE region == "EU"
  CONSTRAINT: consent
  ENFORCEMENT: BLOCKING
  AT: [DATA, EGRESS]
  EFFECTIVE: UNTIL "2030-01-01T00:00:00Z"
  MASK: customer.ssn WITH LAST(4)
}
TEST "in its time" {
  GIVEN: { region: "EU", consent: false, request.time: "2029-12-31T23:59:59Z", request.point: "DATA" }
  EXPECT: DENY BY masked
}
TEST "after its time" {
  GIVEN: { region: "EU", consent: false, request.time: "2030-01-01T00:00:00Z", request.point: "DATA" }
  EXPECT: ALLOW
}
"#;
    fs::write(folder.path().join("set.aecp"), set).unwrap();
    fs::write(
        folder.path().join("requests.jsonl"),
        "{\"region\": \"EU\", \"consent\": true, \"request.time\": \"2026-01-01T00:00:00Z\"}\n\
         {\"region\": \"US\"}\n",
    )
    .unwrap();
    let decide = |point: &[&str]| {
        let arguments = ["decide", "--set", "set.aecp", "--requests", "requests.jsonl"];
        let output = aecp(folder.path(), &[&arguments[..], point].concat());
        assert!(output.status.success(), "{output:?}");
        out(&output).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let mask =
        json!([{"policy": "masked", "action": {"mask": {"attribute": "customer.ssn", "last": 4}}}]);
    for (point, obliged) in
        [(vec!["--point", "data"], true), (vec!["--point", "INGRESS"], false), (vec![], true)]
    {
        let decisions = decide(&point);
        assert_eq!(decisions[0]["decision"], "ALLOW");
        let obligations = if obliged { mask.clone() } else { Value::Null };
        assert_eq!(decisions[0]["obligations"], obligations, "{point:?}");
        assert_eq!(decisions[1]["obligations"], Value::Null);
    }
}
