//! What requests said, in the trail: committed to, revealed with proof, and erased for good.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{fs, path::Path};

use aecp_contract::{
    audit::{Entry, Event, RecordedValue},
    tlog::tile::read_entries,
};
use aecp_enforcer::{Sidecar, SidecarConfig, record::AttributeRules};
use helpers::{aecp, err, out, sidecar, url};
use serde_json::{Value, json};

const SET: &str = r#"
SCHEMA {
  customer.name: STRING
  customer.card: STRING
  customer.age: INT
  transfer.amount: DECIMAL
  transfer.at: TIMESTAMP
  transfer.wait: DURATION
  transfer.from: IP
  transfer.tags: LIST<STRING>
}

POLICY transfers {
  SCOPE: requests
  CONSTRAINT: customer.name != "nobody" AND customer.card != "none" AND customer.age > 17
    AND transfer.amount < 1000.5 AND transfer.at > "2020-01-01T00:00:00Z" AND transfer.wait < 2h
    AND transfer.from IN CIDR "10.0.0.0/8" AND transfer.tags CONTAINS "eu" AND secret.code EXISTS
  ENFORCEMENT: BLOCKING
}
"#;

fn request(name: &str) -> Value {
    json!({
        "customer": {"name": name, "card": "4111111111111111", "age": 18},
        "transfer": {"amount": 999.125, "at": "2026-03-01T09:30:00Z", "wait": "90m",
                     "from": "10.1.2.3", "tags": ["eu", "a \"quoted\" one"]},
        "secret": {"code": "zebra-17"},
    })
}

fn config(at: &Path) -> SidecarConfig {
    let rules = AttributeRules {
        clear: vec!["transfer.amount".parse().unwrap()],
        mask: vec!["customer.card".parse().unwrap()],
        omit: vec!["secret.*".parse().unwrap()],
    };
    let mut config = sidecar(at, &at.join("state"), &at.join("audit"));
    config.audit.recording.attributes = rules;
    // As where the log is in a bucket that nothing can be removed from.
    config.audit.openings = Some(url(&at.join("erasable")));
    config
}

/// Decides these requests, and stops in order.
fn decide(at: &Path, requests: &[Value]) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let sidecar = Sidecar::start(config(at)).await.unwrap();
        sidecar.enforcer().watch().wait_for(Option::is_some).await.unwrap();
        let client = reqwest::Client::new();
        let decision = format!("http://{}/v1/decision", sidecar.address());
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for request in requests {
            let send = client.post(&decision).header("traceparent", trace);
            let send = send.header("content-type", "application/json").body(request.to_string());
            assert_eq!(send.send().await.unwrap().status(), 200);
        }
        sidecar.stop().await.unwrap();
    });
}

/// Every byte below a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes(&path) } else { fs::read(&path).unwrap() });
    }
    all
}

fn holds(folder: &Path, text: &str) -> bool {
    bytes(folder).windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn what_a_request_said_is_committed_to_revealed_with_proof_and_erased_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let run = |arguments: &[&str]| {
        let output = aecp(at, arguments);
        assert!(output.status.success(), "{}{}", out(&output), err(&output));
        out(&output)
    };
    fs::write(at.join("set.aecp"), SET).unwrap();
    run(&["keygen", "--out", "keys"]);
    let store = url(&at.join("store"));
    run(&["publish", "set.aecp", "--store", &store, "--channel", "prod", "--key", "keys/private.pem"]);
    let mut requests: Vec<Value> = (0..300).map(|n| request(&format!("client-{n}"))).collect();
    requests[0]["customer"]["age"] = json!("unknown");
    decide(at, &requests);

    let audit = url(&at.join("audit"));
    let key = fs::read_to_string(at.join("audit/audit/web-1/vkey")).unwrap();
    let verify = || run(&["audit", "verify", "--store", &audit, "--key", key.trim()]);
    let erasable = url(&at.join("erasable"));
    let reveal = |entry: &str| -> Value {
        let reveal = [
            "audit",
            "reveal",
            "--store",
            &audit,
            "--openings",
            &erasable,
            "--log",
            "web-1",
            "--entry",
            entry,
        ];
        let report = run(&[&reveal[..], &["--key", key.trim(), "--format", "json"]].concat());
        serde_json::from_str(&report).unwrap()
    };
    verify();
    // The log itself has none of it but what is to be in clear, and the end of what is masked.
    let log = at.join("audit/audit");
    for (text, there) in [
        ("client-7", false),
        ("4111111111111111", false),
        ("****1111", true),
        ("999.125", true),
        ("zebra", false),
        ("4bf92f3577b34da6a3ce929d0e0e4736", true),
        ("a \\\"quoted", false),
    ] {
        assert_eq!(holds(&log, text), there, "{text}");
    }
    let first = fs::read(log.join("web-1/tile/entries/000")).unwrap();
    let entry = Entry::from_json(read_entries(&first, 256).unwrap()[1]).unwrap();
    let Event::Decision(record) = &entry.event else { panic!("{entry:?}") };
    assert!(matches!(record.attributes["customer.name"], RecordedValue::Commitment(_)));
    assert!(matches!(record.attributes["customer.age"], RecordedValue::Unusable));
    assert_eq!(record.omitted_attributes, 1, "secret.code");
    // Entry 0 says that the enforcer started.
    let revealed = reveal("8");
    let values = &revealed["values"];
    assert_eq!(values["customer.name"], "client-7");
    assert_eq!(values["customer.age"], 18);
    assert_eq!(values["transfer.wait"], "90m");
    assert_eq!(values["transfer.from"], "10.1.2.3");
    assert_eq!(values["transfer.tags"], json!(["eu", "a \"quoted\" one"]));
    assert_eq!(values["customer.card"], "****1111");
    assert!(values["secret.code"].is_null());

    // What a crash left of an upload is found too.
    fs::write(at.join("erasable/openings/web-1/0.jsonl#7"), "client-299").unwrap();
    let erase = |what: &[&str]| run(&[&["audit", "erase", "--store", &erasable], what].concat());
    assert!(erase(&["--where", "customer.name=\"client-7\""]).contains("1 entry's values"));
    assert!(erase(&["--where", "customer.name=\"client-7\""]).contains("0 entries'"));
    assert!(erase(&["--log", "web-1", "--entry", "300"]).contains("1 entry's values"));
    for gone in ["client-7\"", "client-299"] {
        assert!(!holds(&at.join("audit"), gone) && !holds(&at.join("erasable"), gone), "{gone}");
    }
    assert!(reveal("8")["values"]["customer.name"].is_null());
    assert_eq!(reveal("8")["values"]["customer.card"], "****1111");
    assert_eq!(reveal("9")["values"]["customer.name"], "client-8");
    let text = [
        "audit",
        "reveal",
        "--store",
        &audit,
        "--openings",
        &erasable,
        "--log",
        "web-1",
        "--entry",
        "8",
        "--key",
        key.trim(),
    ];
    assert!(run(&text).contains("customer.name = erased"), "{}", run(&text));
    verify();

    let elsewhere = run(&[
        "audit",
        "reveal",
        "--store",
        &audit,
        "--log",
        "web-1",
        "--entry",
        "9",
        "--key",
        key.trim(),
    ]);
    assert!(elsewhere.contains("customer.name = no opening here"), "{elsewhere}");

    // The enforcer goes on in the same bundle, and brings nothing back.
    decide(at, &[request("later")]);
    assert!(!holds(&at.join("erasable"), "client-299"), "erased stays erased");
    assert!(holds(&at.join("erasable/openings"), "later"));
    verify();
    // An opening of other values is none.
    let file = at.join("erasable/openings/web-1/0.jsonl");
    let forged = fs::read_to_string(&file).unwrap().replace("client-8\"", "client-x\"");
    fs::write(&file, forged).unwrap();
    let forged = aecp(
        at,
        &[
            "audit",
            "reveal",
            "--store",
            &audit,
            "--openings",
            &erasable,
            "--log",
            "web-1",
            "--entry",
            "9",
            "--key",
            key.trim(),
        ],
    );
    assert_eq!(forged.status.code(), Some(1));
    assert!(out(&forged).contains("other values"), "{}", out(&forged));
}
