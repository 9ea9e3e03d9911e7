//! The history of a channel: who submitted what, that none of it can be changed unseen, and that a publisher may die
//! anywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use helpers::{aecp, err, out};
use serde_json::Value;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    /// A folder with keys, an author's keys, and a set of two policies.
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path().join("set")).unwrap();
        place.write("one");
        assert!(place.run(&["keygen", "--out", "keys"]).status.success());
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    fn write(&self, value: &str) {
        let text = format!(
            "POLICY a {{\n  SCOPE: requests\n  CONSTRAINT: a == \"{value}\"\n  ENFORCEMENT: BLOCKING\n}}\n\
             POLICY b {{\n  SCOPE: requests\n  CONSTRAINT: b EXISTS\n  ENFORCEMENT: ADVISORY\n}}\n"
        );
        fs::write(self.path().join("set/set.aecp"), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        aecp(self.path(), arguments)
    }

    fn with_store(&self, arguments: &[&str]) -> Output {
        let store = format!("file://{}", self.store().display());
        let channel = ["--store", &store, "--channel", "prod"];
        self.run(&[arguments, &channel].concat())
    }

    fn publish(&self, more: &[&str]) -> Output {
        self.with_store(&[&["publish", "set", "--key", "keys/private.pem"], more].concat())
    }

    fn published(&self, more: &[&str]) -> u64 {
        let output = self.publish(more);
        let (said, error) = (out(&output), err(&output));
        let serial = said.split("published release ").nth(1).and_then(|rest| rest.split(' ').next());
        serial.unwrap_or_else(|| panic!("{said}{error}")).parse().unwrap()
    }

    fn refused(&self, more: &[&str], why: &str) {
        let before = files(&self.store());
        let output = self.publish(more);
        assert_eq!(output.status.code(), Some(2), "{}", out(&output));
        assert!(err(&output).contains(why), "{}", err(&output));
        let new: Vec<_> = files(&self.store()).into_iter().filter(|f| !before.contains(f)).collect();
        assert!(new.iter().all(|f| f.starts_with("root")), "something was written: {new:?}");
    }

    fn history(&self) -> Value {
        let output = self.with_store(&["history", "--root", "keys/root.json", "--format", "json"]);
        assert!(output.status.success(), "{}", err(&output));
        serde_json::from_str(&out(&output)).unwrap()
    }

    /// Serial and fate of each entry.
    fn fates(&self) -> Vec<(u64, String)> {
        let history = self.history();
        let fate = |one: &Value| {
            (one["entry"]["serial"].as_u64().unwrap(), one["fate"].as_str().unwrap().to_owned())
        };
        history.as_array().unwrap().iter().map(fate).collect()
    }

    fn verify(&self) -> Value {
        let output = self.with_store(&["verify", "--root", "keys/root.json", "--format", "json"]);
        serde_json::from_str(&out(&output)).unwrap()
    }

    fn sign(&self, who: &str, more: &[&str]) -> Output {
        let key = format!("{who}/private.pem");
        let author = ["--author", who, "--justification", "CR-1", "--out", "submission.json"];
        self.run(&[&["sign", "set", "--key", &key], &author[..], more].concat())
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found
}

const SUBMISSION: [&str; 2] = ["--submission", "submission.json"];

#[test]
fn the_history_says_what_changed_from_whom_and_why() {
    let place = Place::new();
    assert_eq!(place.published(&["--author", "Ops", "--justification", "a start"]), 1);
    place.write("two");
    let moved = ["--justification", "b is noisy", "--state", "b=audit-only"];
    assert_eq!(place.published(&moved), 2);
    let history = place.history();
    assert_eq!(history[0]["entry"]["author"], "Ops");
    assert_eq!(history[0]["entry"]["changes"][0]["change"], "added");
    let second = &history[1]["entry"];
    assert_eq!(second["previous"], history[0]["digest"]);
    assert_eq!(second["replaces"]["serial"], 1);
    assert_eq!(second["replaces"]["source"], history[0]["entry"]["source"]);
    assert_eq!(second["changes"].as_array().unwrap().len(), 1);
    assert_eq!(second["changes"][0]["policy"], "a");
    assert_eq!(second["changes"][0]["change"], "changed");
    assert_eq!(second["states"]["b"], "audit-only");
    // The state stays, and the release is what the sources and the states give.
    place.write("three");
    assert_eq!(place.published(&[]), 3);
    assert_eq!(place.verify()["states"]["b"], "audit-only");
    let rebuilt = place.with_store(&["verify", "--root", "keys/root.json", "--rebuild"]);
    assert!(rebuilt.status.success(), "{}", out(&rebuilt));
    let text = place.with_store(&["history", "--root", "keys/root.json", "--policy", "b"]);
    assert!(out(&text).contains("audit-only     b, which was blocking"), "{}", out(&text));
    assert!(!out(&text).contains("release 3"), "{}", out(&text));
    place.refused(&["--justification", "x", "--state", "none=draft"], "there is no policy `none`");
    assert_eq!(place.published(&["--justification", "x", "--state", "b=retired"]), 4);
    place.refused(&["--justification", "x", "--state", "b=draft"], "has retired");
}

#[test]
fn where_authors_are_named_only_what_they_signed_is_published() {
    let place = Place::new();
    assert_eq!(place.published(&[]), 1);
    for who in ["jane", "joe", "eve"] {
        assert!(place.run(&["keygen", "--author", "--out", who]).status.success());
    }
    let add = |root: &str, who: &str, out: &str, more: &[&str]| {
        let public = format!("{who}/public.pem");
        let keys = ["--role", "author", "--public", &public, "--key", "keys/private.pem", "--out", out];
        let output = place.run(&[&["root", "add", root], &keys[..], more].concat());
        assert!(output.status.success(), "{}", err(&output));
    };
    add("keys/root.json", "jane", "root-2.json", &[]);
    let root_2 = ["--root", "root-2.json"];
    let with = |more: &[&'static str]| [&root_2[..], more].concat();
    place.refused(&root_2, "none has signed it");
    assert!(place.sign("eve", &["--channel", "prod"]).status.success());
    place.refused(&with(&SUBMISSION), "unknown_key");
    assert!(place.sign("jane", &["--channel", "other"]).status.success());
    place.refused(&with(&SUBMISSION), "wrong_channel");
    assert!(place.sign("jane", &["--channel", "prod", "--state", "b=draft"]).status.success());
    place.write("other");
    place.refused(&with(&SUBMISSION), "digest_mismatch");
    place.write("one");
    assert_eq!(place.published(&with(&SUBMISSION)), 2);
    // A submission is for once, and the store's newest root holds for publishers that were given an older one.
    place.refused(&SUBMISSION, "serial_replayed");
    place.refused(&[], "none has signed it");
    let verified = place.verify();
    assert_eq!(verified["submission"]["author"], "jane");
    assert_eq!(verified["states"]["b"], "draft");
    let entry = place.history()[1]["entry"].clone();
    assert_eq!((entry["author"].as_str(), entry["root"].as_u64()), (Some("jane"), Some(2)));
    assert_eq!(entry["submission"]["keys"].as_array().unwrap().len(), 1);

    // Two of two authors, the second of whom signs what the first has signed.
    add("root-2.json", "joe", "root-3.json", &["--threshold", "2"]);
    let root_3 = [&["--root", "root-3.json"], &SUBMISSION[..]].concat();
    assert!(place.sign("jane", &["--channel", "prod"]).status.success());
    place.refused(&root_3, "threshold_not_met");
    let second = ["--key", "joe/private.pem", "--add", "submission.json", "--out", "submission.json"];
    assert!(place.run(&[&["sign", "set"], &second[..]].concat()).status.success());
    assert_eq!(place.published(&root_3), 3);
    assert_eq!(place.history()[2]["entry"]["submission"]["keys"].as_array().unwrap().len(), 2);

    // Whoever skips a root would lose the enforcers that trust the one before.
    let unsigned = place.run(&[
        "root",
        "remove",
        "root-3.json",
        "--role",
        "author",
        "--id",
        "zz",
        "--key",
        "eve/private.pem",
        "--out",
        "root-4.json",
    ]);
    assert_eq!(unsigned.status.code(), Some(2));
    assert!(!place.path().join("root-4.json").exists());
}

#[test]
fn what_an_author_signed_stays_theirs_when_they_leave() {
    let place = Place::new();
    assert!(place.run(&["keygen", "--author", "--out", "jane"]).status.success());
    let root = |command: &[&str]| {
        let key = ["--role", "author", "--key", "keys/private.pem"];
        let output = place.run(&[&["root"], command, &key].concat());
        assert!(output.status.success(), "{}", err(&output));
    };
    root(&["add", "keys/root.json", "--public", "jane/public.pem", "--out", "root-2.json"]);
    assert_eq!(place.published(&[]), 1, "nobody has published root 2 yet");
    assert!(place.sign("jane", &["--channel", "prod"]).status.success());
    assert_eq!(place.published(&[&["--root", "root-2.json"], &SUBMISSION[..]].concat()), 2);
    let shown = out(&place.run(&["root", "show", "root-2.json"]));
    let author = shown.lines().last().unwrap().trim();
    root(&["remove", "root-2.json", "--id", &author[..12], "--out", "root-3.json"]);
    // A release that an author signed under the root of its time is verified under the one that followed.
    fs::copy(place.path().join("root-3.json"), place.store().join("root/3.json")).unwrap();
    assert_eq!(place.verify()["submission"]["author"], "jane");
    assert_eq!(place.published(&[]), 3, "no author is named any more");
    assert_eq!(place.fates().len(), 3);
}

#[test]
fn what_was_accepted_cannot_be_changed_dropped_or_swapped_unseen() {
    let place = Place::new();
    for value in ["one", "two", "three"] {
        place.write(value);
        place.published(&["--author", value]);
    }
    let entry = |number: u64| place.store().join(format!("legislation/prod/{number}.json"));
    let refused = |what: &str| {
        let output = place.with_store(&["history", "--root", "keys/root.json"]);
        assert_eq!(output.status.code(), Some(2), "{what}: {}", out(&output));
        assert!(err(&output).contains("cannot be trusted"), "{what}: {}", err(&output));
    };
    for number in 1..=3 {
        let good = fs::read(entry(number)).unwrap();
        // Every 97th byte: each place of the envelope's parts comes up.
        for at in (0..good.len()).step_by(97) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(entry(number), bad).unwrap();
            refused(&format!("byte {at} of entry {number}"));
        }
        fs::remove_file(entry(number)).unwrap();
        refused(&format!("entry {number} dropped"));
        fs::write(entry(number), &good).unwrap();
    }
    let (first, second) = (fs::read(entry(1)).unwrap(), fs::read(entry(2)).unwrap());
    fs::write(entry(1), &second).unwrap();
    fs::write(entry(2), &first).unwrap();
    refused("swapped");
    fs::write(entry(1), &first).unwrap();
    fs::write(entry(2), &second).unwrap();
    assert_eq!(place.fates().len(), 3);
    // Publishing does not go on from a history that does not hold.
    fs::remove_file(entry(3)).unwrap();
    place.refused(&[], "the release names it");
}

#[test]
fn a_publisher_may_die_between_any_two_writes() {
    let place = Place::new();
    assert_eq!(place.published(&["--author", "first"]), 1);
    let pointer = place.store().join("channels/prod.json");
    let before = fs::read(&pointer).unwrap();
    place.write("two");
    assert_eq!(place.published(&["--author", "died"]), 2);
    place.write("three");

    // It died before the pointer: the release is written, so whoever comes next points at it.
    fs::write(&pointer, &before).unwrap();
    assert_eq!(place.verify()["release"]["serial"], 1);
    assert_eq!(place.fates(), [(1, "in_force".to_owned()), (2, "never_released".to_owned())]);
    assert_eq!(place.published(&["--author", "next"]), 3);
    let fates = ["replaced", "replaced", "in_force"].map(str::to_owned);
    assert_eq!(place.fates().into_iter().map(|(_, fate)| fate).collect::<Vec<_>>(), fates);

    // It died before the release: the entry never was in force, and its serial is the next one's.
    let third = place.store().join("releases/prod/3.json");
    let second = serde_json::json!({
        "channel": "prod", "serial": 2,
        "release": sha256(&place.store().join("releases/prod/2.json")),
    });
    fs::write(&pointer, second.to_string()).unwrap();
    fs::remove_file(&third).unwrap();
    assert_eq!(place.published(&["--author", "after that"]), 3);
    let expected = [(1, "replaced"), (2, "replaced"), (3, "never_released"), (3, "in_force")];
    assert_eq!(place.fates(), expected.map(|(serial, fate)| (serial, fate.to_owned())));
    assert_eq!(place.verify()["verified"], true);

    // It died before the entry: only blobs are there.
    let count = files(&place.store()).len();
    assert_eq!(place.published(&[]), 4);
    assert!(files(&place.store()).len() > count);
}

fn sha256(path: &Path) -> String {
    aecp_contract::digest::Digest::of(&fs::read(path).unwrap()).to_string()
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_aecp"))
        .current_dir(place.path())
        .args(["root", "show", "keys/root.json"])
        .stdout(writer)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(err(&output), "");
}
