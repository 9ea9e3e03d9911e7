//! `aecp publish`, `sync` and `status` with several stores.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use aecp_contract::digest::Digest;
use helpers::{aecp, err, out, url};
use serde_json::Value;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path().join("set")).unwrap();
        place.write("one");
        assert!(aecp(place.path(), &["keygen", "--out", "keys"]).status.success());
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn url(&self, store: &str) -> String {
        url(&self.path().join(store))
    }

    fn write(&self, value: &str) {
        let text = format!(
            "POLICY a {{\n  SCOPE: requests\n  CONSTRAINT: a == \"{value}\"\n  ENFORCEMENT: BLOCKING\n}}\n"
        );
        fs::write(self.path().join("set/set.aecp"), text).unwrap();
    }

    /// A command about these stores, and what else is given.
    fn run(&self, command: &str, stores: &[&str], more: &[&str]) -> Output {
        let urls: Vec<String> = stores.iter().map(|store| self.url(store)).collect();
        let mut arguments = vec![command];
        arguments.extend(urls.iter().flat_map(|url| ["--store", url]));
        arguments.extend(["--channel", "prod", "--root", "keys/root.json"]);
        arguments.extend(more);
        aecp(self.path(), &arguments)
    }

    fn publish(&self, stores: &[&str], more: &[&str]) -> Output {
        self.run("publish", stores, &[&["set", "--key", "keys/private.pem"], more].concat())
    }

    /// Whether all is in order, and of each store its state, serial and how far it is behind.
    fn status(&self, stores: &[&str]) -> (bool, Vec<(String, Value, Value)>) {
        let output = self.run("status", stores, &["--format", "json"]);
        let report: Value =
            serde_json::from_str(&out(&output)).unwrap_or_else(|_| panic!("{}", err(&output)));
        let in_order = report["in_order"].as_bool().unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!in_order)));
        let shown = report["channels"][0]["stores"].as_array().unwrap();
        let row = |shown: &Value| {
            let state = shown["state"].as_str().unwrap().to_owned();
            (state, shown["serial"].clone(), shown["behind"].clone())
        };
        (in_order, shown.iter().map(row).collect())
    }
}

fn row(state: &str, serial: impl Into<Value>, behind: impl Into<Value>) -> (String, Value, Value) {
    (state.to_owned(), serial.into(), behind.into())
}

#[test]
fn a_release_goes_to_every_store_and_what_is_behind_is_seen_and_caught_up() {
    let place = Place::new();
    let output = place.publish(&["a", "b"], &[]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains(&format!("copied: {}", place.url("b"))), "{}", out(&output));
    assert_eq!(place.status(&["a", "b"]), (true, vec![row("valid", 1, 0), row("valid", 1, 0)]));

    // A store that cannot be written does not keep the release from the others.
    fs::rename(place.path().join("b"), place.path().join("elsewhere")).unwrap();
    fs::write(place.path().join("b"), "no folder").unwrap();
    place.write("two");
    let output = place.publish(&["a", "b", "c"], &[]);
    assert!(output.status.success(), "{}", err(&output));
    assert!(err(&output).contains("aecp sync"), "{}", err(&output));
    assert!(
        out(&output).contains(&format!("failed {}: store_unavailable", place.url("b"))),
        "{}",
        out(&output)
    );
    let output = place.run("sync", &["a", "b", "c"], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    fs::remove_file(place.path().join("b")).unwrap();
    fs::rename(place.path().join("elsewhere"), place.path().join("b")).unwrap();
    let shown = vec![row("valid", 2, 0), row("valid", 1, 1), row("valid", 2, 0)];
    assert_eq!(place.status(&["a", "b", "c"]), (false, shown));
    let text = out(&place.run("status", &["a", "b", "c"], &[]));
    assert!(text.contains("1 behind"), "{text}");
    // It was issued a moment ago.
    assert!(text.contains("expires in 89 days") || text.contains("expires in 90 days"), "{text}");

    let output = place.run("sync", &["a", "b", "c"], &[]);
    assert!(output.status.success(), "{}", out(&output));
    let all = vec![row("valid", 2, 0), row("valid", 2, 0), row("valid", 2, 0)];
    assert_eq!(place.status(&["a", "b", "c"]), (true, all));
    let history = place.run("history", &["b"], &[]);
    assert!(out(&history).contains("2 entries, one unbroken chain"), "{}", err(&history));

    // Damage and silence have their codes; neither is the highest.
    let blobs = fs::read_dir(place.path().join("c/blobs/sha256")).unwrap();
    for blob in blobs {
        fs::write(blob.unwrap().path(), "damaged").unwrap();
    }
    let (in_order, shown) = place.status(&["a", "c", "missing"]);
    assert!(!in_order);
    assert_eq!(shown[0], row("valid", 2, 0));
    assert!(["digest_mismatch", "truncated", "malformed"].contains(&&*shown[1].0), "{shown:?}");
    assert_eq!(shown[2], row("not_found", Value::Null, Value::Null));

    // Another release under the same serial is seen, and is not overwritten.
    place.publish(&["other"], &[]);
    place.write("three");
    place.publish(&["other"], &[]);
    assert_eq!(place.status(&["a", "other"]).1[1].1, 2);
    assert!(!place.status(&["a", "other"]).0);
    let output = place.run("sync", &["a", "other"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("serial_replayed"), "{}", out(&output));
    // One store is none to bring up, and none can be its own replica.
    assert_eq!(place.run("sync", &["a"], &[]).status.code(), Some(2));
    assert_eq!(place.run("sync", &["a", "a"], &[]).status.code(), Some(2));
}

#[test]
fn a_disk_that_is_full_leaves_the_old_release_in_force_and_nothing_half_written() {
    let place = Place::new();
    assert!(place.publish(&["a"], &[]).status.success());
    place.write("two");
    // No file may be larger than a few KiB, as on a disk that is full. (The signal that would end the process is ignored,
    // so that writes fail.)
    let script = r#"trap '' XFSZ; ulimit -f 8; exec "$0" "$@""#;
    let store = place.url("a");
    let output = Command::new("sh")
        .current_dir(place.path())
        .args(["-c", script, env!("CARGO_BIN_EXE_aecp"), "publish", "set", "--key", "keys/private.pem"])
        .args(["--store", &store, "--channel", "prod"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", out(&output));
    assert!(err(&output).contains("the store failed while writing `blobs/sha256/"), "{}", err(&output));
    assert_eq!(place.status(&["a"]), (true, vec![row("valid", 1, 0)]));
    for blob in fs::read_dir(place.path().join("a/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let digest = Digest::of(&fs::read(&path).unwrap()).to_string();
        assert_eq!(path.file_name().unwrap().to_str(), Some(&*digest), "a blob is whole or not there");
    }
    assert!(place.publish(&["a"], &[]).status.success());
    assert_eq!(place.status(&["a"]), (true, vec![row("valid", 2, 0)]));
}

#[test]
fn the_same_set_again_is_a_new_release_with_a_new_expiry() {
    let place = Place::new();
    assert!(place.publish(&["a"], &["--expires", "1d"]).status.success());
    let release = || {
        let output = place.run("verify", &["a"], &["--format", "json"]);
        serde_json::from_str::<Value>(&out(&output)).unwrap()["release"].clone()
    };
    let before = release();
    // Of which one is told in time.
    assert!(!place.status(&["a"]).0);
    let told = place.run("status", &["a"], &[]);
    assert!(out(&told).contains("  renew  "), "{}", out(&told));
    assert!(place.run("status", &["a"], &["--renew-within", "1h"]).status.success());
    assert!(place.publish(&["a"], &["--expires", "60d"]).status.success());
    assert!(place.status(&["a"]).0);
    // Without a channel, of all that there are.
    let store = place.url("a");
    let all = ["status", "--root", "keys/root.json", "--store", &store];
    assert!(out(&aecp(place.path(), &all)).contains("prod release 2"));
    let none = ["status", "--root", "keys/root.json", "--store", &place.url("none")];
    assert!(err(&aecp(place.path(), &none)).contains("say with --channel"));
    let after = release();
    assert_eq!((&before["serial"], &after["serial"]), (&Value::from(1), &Value::from(2)));
    assert_eq!(before["source"], after["source"]);
    assert!(before["expires"].as_str().unwrap() < after["expires"].as_str().unwrap());
}

#[test]
fn a_trust_root_that_enforcers_could_not_follow_to_is_refused_unless_the_store_has_none() {
    let place = Place::new();
    assert!(place.publish(&["a"], &[]).status.success());
    assert!(aecp(place.path(), &["keygen", "--out", "other"]).status.success());
    for (old, new, public) in [
        ("keys/root.json", "root-2.json", "keys/public.pem"),
        ("root-2.json", "root-3.json", "other/public.pem"),
    ] {
        let change = ["--role", "break-glass", "--public", public, "--key", "keys/private.pem"];
        let made = aecp(place.path(), &[&["root", "add", old, "--out", new], &change[..]].concat());
        assert!(made.status.success(), "{}", err(&made));
    }
    let by = |root: &str, store: &str| {
        let store = place.url(store);
        let to = ["--store", &store, "--channel", "prod", "--root", root];
        aecp(place.path(), &[&["publish", "set", "--key", "keys/private.pem"], &to[..]].concat())
    };
    let refused = by("root-3.json", "a");
    assert_eq!(refused.status.code(), Some(2), "{}", out(&refused));
    let told = "the store has trust root 1 and nothing that leads from it to trust root 3";
    assert!(err(&refused).contains(told), "{}", err(&refused));
    assert!(!place.path().join("a/root/3.json").exists());
    assert_eq!(place.status(&["a"]), (true, vec![row("valid", 1, 0)]));
    // A store without roots takes any as its first; one that has some, each in turn.
    assert!(by("root-3.json", "b").status.success());
    for (root, serial) in [("root-2.json", 2), ("root-3.json", 3)] {
        let published = by(root, "a");
        assert!(published.status.success(), "{}", err(&published));
        assert_eq!(place.status(&["a"]), (true, vec![row("valid", serial, 0)]), "root 1 leads there");
    }
    // Nor does an older one take its place where that never was.
    let refused = by("keys/root.json", "b");
    assert!(err(&refused).contains("trust root 3 and nothing"), "{}", err(&refused));
}
