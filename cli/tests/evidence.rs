//! Evidence packs: made of what a real enforcer decided, checked with a public key alone, refused when anything is changed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{fs, path::Path};

use aecp_contract::dsse::{Envelope, key_id};
use aecp_enforcer::Sidecar;
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use helpers::{aecp, err, out, sidecar, url};
use serde_json::Value;

const SET: &str = r#"
POLICY transfer {
  SCOPE: requests
  CONSTRAINT: region == "EU"
  ENFORCEMENT: BLOCKING
  VERSION: 1
  COMPLIANCE: ["GDPR Art. 44", "SOC2 CC6.1"]
  JUSTIFICATION: "data stays in the EU"
}

POLICY other {
  SCOPE: requests
  CONSTRAINT: blocked == false
  ENFORCEMENT: BLOCKING
  COMPLIANCE: ["GDPR Art. 5"]
}

INVARIANT at_home {
  NEVER ALLOW WHERE region == "US"
}

TEST "the EU is allowed" {
  GIVEN: { region: "EU", blocked: false }
  EXPECT: ALLOW
}

TEST "the US is denied" {
  GIVEN: { region: "US", blocked: false }
  EXPECT: DENY BY transfer
}
"#;

/// A policy of the first release alone.
const EARLY: &str = r#"
POLICY early {
  SCOPE: requests
  CONSTRAINT: region != "CN"
  ENFORCEMENT: BLOCKING
  COMPLIANCE: ["GDPR Art. 44"]
}

TEST "an early denial" {
  GIVEN: { region: "CN", blocked: false }
  EXPECT: DENY BY early, transfer
}
"#;

const PACK: &str = "pack.json";

/// Denials by the policy `transfer`, and by the other one.
const DENIED: usize = 7;
const OTHERS: usize = 4;

/// Decides requests with the release of the folder's store, and carries the log to the folder `audit`.
fn decide(folder: &Path) {
    let config = sidecar(folder, &folder.join("state"), &folder.join("audit"));
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let sidecar = Sidecar::start(config).await.unwrap();
        sidecar.enforcer().watch().wait_for(Option::is_some).await.unwrap();
        let client = reqwest::Client::new();
        let decision = format!("http://{}/v1/decision", sidecar.address());
        let denied = (0..DENIED).map(|_| r#"{"region": "US", "blocked": false}"#);
        let others = (0..OTHERS).map(|_| r#"{"region": "EU", "blocked": true}"#);
        let allowed = (0..300).map(|_| r#"{"region": "EU", "blocked": false}"#);
        for body in denied.chain(allowed).chain(others) {
            let request = client.post(&decision).header("content-type", "application/json").body(body);
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        sidecar.stop().await.unwrap();
    });
}

/// A folder with a store of two releases, a log of decisions by the second, and an auditor's keys.
fn audited() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let run = |arguments: &[&str]| {
        let output = aecp(at, arguments);
        assert!(output.status.success(), "{}{}", out(&output), err(&output));
    };
    run(&["keygen", "--out", "keys"]);
    run(&["keygen", "--author", "--out", "auditor"]);
    let store = url(&at.join("store"));
    let publish =
        ["publish", "set.aecp", "--store", &store, "--channel", "prod", "--key", "keys/private.pem"];
    fs::write(at.join("set.aecp"), format!("{SET}{EARLY}")).unwrap();
    run(&[&publish[..], &["--author", "Jane", "--justification", "a start"]].concat());
    fs::write(at.join("set.aecp"), SET.replace("VERSION: 1", "VERSION: 2")).unwrap();
    run(&[&publish[..], &["--author", "Joe", "--justification", "CR-2"]].concat());
    decide(at);
    folder
}

/// Makes the pack with these arguments beside the usual ones.
fn make(at: &Path, from: &str, to: &str, more: &[&str]) -> std::process::Output {
    let (store, audit) = (url(&at.join("store")), url(&at.join("audit")));
    let key = fs::read_to_string(at.join("audit/audit/web-1/vkey")).unwrap();
    let usual = [
        "evidence",
        "--control",
        "gdpr article 44",
        "--from",
        from,
        "--to",
        to,
        "--releases",
        &store,
        "--channel",
        "prod",
        "--root",
        "keys/root.json",
        "--store",
        &audit,
        "--key",
        key.trim(),
        "--sign",
        "auditor/private.pem",
        "--out",
        PACK,
    ];
    aecp(at, &[&usual[..], more].concat())
}

const ALWAYS: (&str, &str) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");

fn verify(at: &Path, pack: &str, more: &[&str]) -> (Option<i32>, Value) {
    let verify = ["evidence", "verify", pack, "--signer", "auditor/public.pem", "--format", "json"];
    let output = aecp(at, &[&verify[..], more].concat());
    (output.status.code(), serde_json::from_str(&out(&output)).unwrap_or_default())
}

#[test]
fn a_pack_leads_from_a_control_to_proven_decisions_and_no_byte_of_it_can_be_changed() {
    let folder = audited();
    let at = folder.path();
    let made = make(at, ALWAYS.0, ALWAYS.1, &["--html", "page.html"]);
    assert!(made.status.success(), "{}", err(&made));
    // Offline: nothing but the pack and the auditor's public key.
    for gone in ["store", "audit", "state", "keys"] {
        fs::rename(at.join(gone), at.join(format!("{gone}.away"))).unwrap();
    }
    let (code, report) = verify(at, PACK, &[]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["control"], "GDPR Art. 44");
    let policies = report["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2, "the other policy names another control");
    let early = &policies[0];
    assert_eq!((&early["policy"], &early["stints"][0]["last"]), (&"early".into(), &1.into()));
    assert_eq!(early["violated"], serde_json::json!(["an early denial"]), "of the release that had it");
    let policy = &policies[1];
    assert_eq!(policy["policy"], "transfer");
    assert_eq!(policy["satisfied"], serde_json::json!(["the EU is allowed"]));
    assert_eq!(policy["violated"], serde_json::json!(["the US is denied"]));
    assert_eq!(policy["proofs"][0]["name"], "at_home");
    let stints: Vec<_> =
        policy["stints"].as_array().unwrap().iter().map(|one| one["version"].as_i64()).collect();
    assert_eq!(stints, [Some(1), Some(2)]);
    assert_eq!(policy["changes"][1]["author"], "Joe");
    assert_eq!(policy["changes"][1]["justification"], "CR-2");
    assert_eq!(policy["sums"]["denied"], DENIED);
    assert_eq!(report["decisions"].as_array().unwrap().len(), DENIED);
    let sums = &report["logs"][0]["sums"];
    assert_eq!(sums["decisions"], DENIED + OTHERS + 300);
    assert_eq!(sums["denials"], DENIED + OTHERS);
    assert_eq!(sums["by_release"], serde_json::json!({"2": DENIED + OTHERS + 300}));
    let page = fs::read_to_string(at.join("page.html")).unwrap();
    assert!(page.contains("7 of 7, each proven") && page.contains("the US is denied"), "{page}");

    let good = fs::read(at.join(PACK)).unwrap();
    for place in (0..good.len()).step_by(good.len() / 150) {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(at.join("bad.json"), bad).unwrap();
        assert_eq!(verify(at, "bad.json", &[]).0, Some(1), "byte {place}");
    }
    fs::write(at.join("bad.json"), &good[..good.len() - 1]).unwrap();
    assert_eq!(verify(at, "bad.json", &[]).0, Some(1), "cut");
}

/// The pack, changed by somebody who can sign packs.
fn forged(at: &Path, change: impl FnOnce(&mut Value)) -> (Option<i32>, String) {
    let pem = fs::read_to_string(at.join("auditor/private.pem")).unwrap();
    let key = SigningKey::from_pkcs8_pem(&pem).unwrap();
    let keys = [(key_id(&key.verifying_key()), key.verifying_key())].into();
    let payload_type = "application/vnd.aecp.evidence+json";
    let envelope = Envelope::from_json(&fs::read(at.join(PACK)).unwrap()).unwrap();
    let mut pack: Value =
        serde_json::from_slice(&envelope.verify(payload_type, &keys, 1).unwrap()).unwrap();
    change(&mut pack);
    let bytes = serde_json::to_vec(&pack).unwrap();
    fs::write(at.join("forged.json"), Envelope::sign(payload_type, &bytes, &[&key]).to_json()).unwrap();
    let (code, report) = verify(at, "forged.json", &[]);
    (code, report["detail"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn whoever_signs_a_pack_cannot_change_what_others_signed() {
    let folder = audited();
    let at = folder.path();
    assert!(make(at, ALWAYS.0, ALWAYS.1, &["--proofs", "3"]).status.success());
    let (code, report) = verify(at, PACK, &["--root", "keys/root.json"]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["decisions"].as_array().unwrap().len(), 3);
    assert_eq!(report["logs"][0]["sums"]["shown_of"], DENIED);
    assert_eq!(forged(at, |_| ()).0, Some(0), "signing again changes nothing");
    let refused = |what: &str, why: &str, change: &dyn Fn(&mut Value)| {
        let (code, detail) = forged(at, change);
        assert_eq!(code, Some(1), "{what}");
        assert!(detail.contains(why), "{what}: {detail}");
    };
    let replace = |value: &mut Value, from: &str, to: &str| {
        let text = value.as_str().unwrap();
        assert!(text.contains(from), "{text}");
        *value = text.replace(from, to).into();
    };
    refused("an entry dropped", "history", &|pack| {
        pack["history"].as_array_mut().unwrap().remove(0);
    });
    refused("the last entry dropped", "not in the history", &|pack| {
        pack["history"].as_array_mut().unwrap().pop();
    });
    refused("a manifest", "digest_mismatch", &|pack| {
        replace(&mut pack["releases"]["2"]["manifest"], "data stays", "data goes_");
    });
    refused("a release in the place of another", "says that it is", &|pack| {
        pack["releases"]["2"] = pack["releases"]["1"].clone();
    });
    refused("a checkpoint", "log `web-1`", &|pack| {
        replace(&mut pack["logs"]["web-1"]["checkpoint"], "\n313\n", "\n314\n");
    });
    refused("a proof", "log `web-1`", &|pack| {
        replace(&mut pack["logs"]["web-1"]["proofs"][0], "index 1\n", "index 2\n");
    });
    // Another root than the auditor knows.
    assert!(aecp(at, &["keygen", "--out", "others"]).status.success());
    let (code, report) = verify(at, PACK, &["--root", "others/root.json"]);
    assert_eq!(code, Some(1));
    assert!(report["detail"].as_str().unwrap().contains("another trust root"), "{report}");
}

#[test]
fn a_pack_is_of_the_time_that_was_asked_about() {
    let folder = audited();
    let at = folder.path();
    let made = make(at, "2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z", &[]);
    assert!(made.status.success(), "{}", err(&made));
    let (_, report) = verify(at, PACK, &[]);
    assert_eq!(report["releases"], serde_json::json!([]));
    assert_eq!(report["policies"], serde_json::json!([]));
    assert_eq!(report["logs"][0]["sums"]["decisions"], 0);
    let swapped = make(at, ALWAYS.1, ALWAYS.0, &[]);
    assert!(err(&swapped).contains("--from must be before --to"), "{}", err(&swapped));
    let unknown = aecp(at, &["evidence", "verify", "none.json", "--signer", "auditor/public.pem"]);
    assert_eq!(unknown.status.code(), Some(2));
}
