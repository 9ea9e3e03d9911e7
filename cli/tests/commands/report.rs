//! Reports of the hosted compiler, downloaded and verified offline.

use std::{fs, path::PathBuf};

use aecp_compiler::{
    hosted::{Answer, Hosted},
    publish::Store,
};
use aecp_contract::value::Duration;
use aecp_enforcer::now;
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use serde_json::Value;
use tempfile::TempDir;

use crate::helpers::{aecp, err, out, url};

const DAY: i64 = 24 * 3600 * 1000;

struct Downloaded {
    folder: TempDir,
    /// The report's path in it, without its ending.
    name: PathBuf,
}

impl Downloaded {
    /// What the compiler says of an upload with this policy, and the trust root beside it.
    async fn new(constraint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(aecp(path, &["keygen", "--out", "keys"]).status.success());
        let key =
            SigningKey::from_pkcs8_pem(&fs::read_to_string(path.join("keys/private.pem")).unwrap());
        let hosted = Hosted {
            store: Store::open(&url(&path.join("store"))).unwrap(),
            replicas: Vec::new(),
            keys: vec![key.unwrap()],
            root: fs::read(path.join("keys/root.json")).unwrap(),
            expires: Duration(90 * DAY),
            stale_after: Duration(30 * DAY),
            clock: now,
        };
        let inbox = path.join("store/inbox/eu/march");
        fs::create_dir_all(&inbox).unwrap();
        let policy = format!(
            "POLICY a {{\n  SCOPE: requests\n  CONSTRAINT: {constraint}\n  ENFORCEMENT: BLOCKING\n}}\n"
        );
        fs::write(inbox.join("set.aecp"), policy).unwrap();
        let request = r#"{"channel":"prod","author":"Jane Doe","justification":"CR-1"}"#;
        fs::write(inbox.join("aecp.json"), request).unwrap();
        let Answer::Reported(answered) = hosted.on_upload("inbox/eu/march/aecp.json").await.unwrap()
        else {
            panic!("there is no report");
        };
        Self { name: path.join("store").join(&answered.key), folder }
    }

    fn file(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.name.display()))
    }

    fn verify(&self, roots: &[&str]) -> (Option<i32>, String) {
        let report = self.file("json");
        let mut arguments = vec!["report", "verify", report.to_str().unwrap()];
        arguments.extend(roots.iter().flat_map(|root| ["--root", root]));
        let text = aecp(self.folder.path(), &arguments);
        arguments.extend(["--format", "json"]);
        let json = aecp(self.folder.path(), &arguments);
        assert_eq!(json.status.code(), text.status.code());
        if text.status.code() != Some(2) {
            let json: Value = serde_json::from_str(&out(&json)).unwrap();
            assert_eq!(json["verified"].as_bool(), Some(out(&text).starts_with("verified")), "{json}");
        }
        (text.status.code(), out(&text) + &err(&text))
    }
}

#[tokio::test]
async fn a_report_and_its_pages_are_verified_offline_and_a_changed_one_is_refused() {
    let at = Downloaded::new("a == \"1\"").await;
    let (code, told) = at.verify(&["keys/root.json"]);
    assert_eq!(code, Some(0), "{told}");
    for line in ["verified report of inbox/eu/march", "as release 1", "Jane Doe", "under trust root 1"] {
        assert!(told.contains(line), "{told}");
    }
    assert_eq!(told.matches("  same ").count(), 2, "{told}");

    // A page that says something else than the report.
    let page = fs::read_to_string(at.file("html")).unwrap();
    fs::write(at.file("html"), page.replace("Jane", "Joan")).unwrap();
    let (code, told) = at.verify(&["keys/root.json"]);
    assert!(code == Some(1) && told.contains("differs"), "{told}");
    fs::remove_file(at.file("html")).unwrap();
    assert_eq!(at.verify(&["keys/root.json"]).0, Some(0), "the report alone is enough");

    // A root that a stranger made; one that does not succeed the other; one that does, and no longer has the key.
    assert!(aecp(at.folder.path(), &["keygen", "--out", "other"]).status.success());
    let (code, told) = at.verify(&["other/root.json"]);
    assert!(code == Some(1) && told.contains("unknown_key"), "{told}");
    assert!(told.contains("give the trust root of its time"), "{told}");
    let (code, told) = at.verify(&["keys/root.json", "other/root.json"]);
    assert!(code == Some(2) && told.contains("does not succeed"), "{told}");
    let id = aecp_contract::digest::Digest::of(
        SigningKey::from_pkcs8_pem(
            &fs::read_to_string(at.folder.path().join("keys/private.pem")).unwrap(),
        )
        .unwrap()
        .verifying_key()
        .as_bytes(),
    );
    let changes = [
        ["add", "keys/root.json", "--public", "other/public.pem", "--out", "root-2.json"],
        ["remove", "root-2.json", "--id", &id.to_string(), "--out", "root-3.json"],
    ];
    for [command, from, option, value, to, out] in changes {
        let made = ["root", command, from, "--role", "judicial", option, value, to, out];
        let made = aecp(at.folder.path(), &[&made[..], &["--key", "keys/private.pem"]].concat());
        assert!(made.status.success(), "{}", err(&made));
    }
    assert_eq!(at.verify(&["root-3.json"]).0, Some(1));
    let (code, told) = at.verify(&["root-2.json", "root-3.json"]);
    assert!(code == Some(0) && told.contains("under trust root 2"), "{told}");

    // One byte of the report.
    let report = fs::read_to_string(at.file("json")).unwrap();
    fs::write(at.file("json"), report.replacen("\"payload\":\"e", "\"payload\":\"f", 1)).unwrap();
    assert_eq!(at.verify(&["keys/root.json"]).0, Some(1));
}

#[tokio::test]
async fn of_an_upload_that_was_rejected_the_report_verifies() {
    let at = Downloaded::new("a ==").await;
    let (code, told) = at.verify(&["keys/root.json"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("rejected") && told.contains("1 error"), "{told}");
}
