//! The trail of decisions as an auditor gets it: a real sidecar writes it, then copies of it are tampered with.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{
    fs,
    path::{Path, PathBuf},
};

use aecp_contract::{
    audit::Entry,
    tlog::tile::{push_entry, read_entries},
    trust::{Role, RootPayload, TrustRoot},
};
use aecp_enforcer::{Sidecar, SidecarConfig};
use aecp_integration_tests::python;
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use helpers::{aecp, sidecar, url};
use serde_json::Value;
use tempfile::TempDir;

/// Decisions that are in the log; the entry before them says that the enforcer started, the one after them what it counted.
const DECISIONS: u64 = 600;

/// A store with a release and a log of decisions by it.
struct Audited {
    folder: TempDir,
    key: String,
}

impl Audited {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(
            at.join("set.aecp"),
            "POLICY region {\n  SCOPE: requests\n  CONSTRAINT: region == \"EU\"\n  ENFORCEMENT: BLOCKING\n}\n",
        )
        .unwrap();
        assert!(aecp(at, &["keygen", "--out", "keys"]).status.success());
        let store = url(&at.join("store"));
        let publish = ["publish", "set.aecp", "--store", &store, "--channel", "prod"];
        let published = aecp(at, &[&publish[..], &["--key", "keys/private.pem"]].concat());
        assert!(published.status.success(), "{published:?}");
        decide(sidecar(at, &at.join("state"), &at.join("store")));
        let key = fs::read_to_string(at.join("store/audit/web-1/vkey")).unwrap();
        Self { folder, key }
    }

    /// A copy of the store, to be tampered with.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.folder.path().join(name);
        copy_folder(&self.folder.path().join("store"), &copy);
        copy
    }

    fn verify(&self, store: &Path) -> (bool, Value) {
        let store = url(store);
        let verify =
            ["audit", "verify", "--store", &store, "--key", &self.key, "--root", "keys/root.json"];
        let output = aecp(self.folder.path(), &[&verify[..], &["--format", "json"]].concat());
        (output.status.success(), serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The faults that are found after this was done to a copy of the log, as entry and kind.
    fn faults(&self, name: &str, tamper: impl FnOnce(&Path)) -> Vec<(u64, String)> {
        let copy = self.copy(name);
        tamper(&copy.join("audit/web-1"));
        let (good, report) = self.verify(&copy);
        assert!(!good, "{name} is not seen: {report}");
        let faults = report["logs"][0]["faults"].as_array().unwrap();
        let fault = |fault: &Value| {
            (fault["entry"].as_u64().unwrap(), fault["kind"].as_str().unwrap().to_owned())
        };
        faults.iter().map(fault).collect()
    }
}

/// Runs a sidecar that answers [`DECISIONS`] requests, and stops it in order.
fn decide(config: SidecarConfig) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sidecar = Sidecar::start(config).await.unwrap();
        sidecar.enforcer().watch().wait_for(Option::is_some).await.unwrap();
        let client = reqwest::Client::new();
        let decision = format!("http://{}/v1/decision", sidecar.address());
        for n in 0..DECISIONS {
            let region = if n % 3 == 0 { "US" } else { "EU" };
            let body = format!("{{\"region\": \"{region}\"}}");
            let request = client.post(&decision).header("content-type", "application/json").body(body);
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        sidecar.stop().await.unwrap();
    });
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Rewrites a full bundle's entries.
fn rewrite(log: &Path, bundle: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let path = log.join("tile/entries").join(bundle);
    let bytes = fs::read(&path).unwrap();
    let mut entries: Vec<_> =
        read_entries(&bytes, 256).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    change(&mut entries);
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| push_entry(&mut bytes, entry).unwrap());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_trail_verifies_with_public_keys_alone_and_whatever_is_done_to_it_is_named() {
    let audited = Audited::new();
    let (good, report) = audited.verify(&audited.copy("honest"));
    assert!(good, "{report}");
    let log = &report["logs"][0];
    assert_eq!((&log["entries"], &log["decisions"]), (&(DECISIONS + 2).into(), &DECISIONS.into()));
    assert_eq!((&log["denials"], &log["lost"]), (&(DECISIONS / 3).into(), &0.into()));

    let kind = |entry: u64, kind: &str| (entry, kind.to_owned());
    let flipped = audited.faults("flipped", |log| {
        rewrite(log, "001", |entries| {
            let text = String::from_utf8(entries[44].clone()).unwrap();
            entries[44] = text.replace("DENY", "ALLOW").replace("ALLOW\"", "DENY\"").into_bytes();
            let entry = Entry::from_json(&entries[44]).unwrap();
            assert_eq!(entry.seq, 300);
            entries[44].push(b' ');
        });
    });
    assert_eq!(flipped, [kind(300, "changed")]);
    let swapped = audited.faults("swapped", |log| rewrite(log, "000", |entries| entries.swap(5, 6)));
    let both = |n| [kind(n, "changed"), kind(n, "out_of_sequence")];
    assert_eq!(swapped, [both(5), both(6)].concat());
    let dropped = audited.faults("dropped", |log| {
        rewrite(log, "001", |entries| drop(entries.remove(9)));
    });
    assert_eq!(dropped, [kind(256, "truncated")]);
    let gone = audited.faults("gone", |log| fs::remove_file(log.join("tile/entries/000")).unwrap());
    assert_eq!(gone, [kind(0, "truncated")]);
    let tile = audited.faults("tile", |log| {
        let path = log.join("tile/0/001");
        let mut bytes = fs::read(&path).unwrap();
        bytes[32 * 10] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    assert_eq!(tile, [kind(266, "tile_changed")]);
    let release = audited.faults("release", |log| {
        fs::remove_file(log.join("../../releases/prod/1.json")).unwrap();
    });
    assert_eq!(release, [kind(1, "unknown_release")]);
}

#[test]
fn what_another_key_signed_is_not_believed_and_two_histories_are_seen() {
    let (audited, other) = (Audited::new(), Audited::new());
    let log = "audit/web-1";
    let copy = audited.copy("another");
    fs::copy(
        other.folder.path().join("store").join(log).join("checkpoint"),
        copy.join(log).join("checkpoint"),
    )
    .unwrap();
    let (good, report) = audited.verify(&copy);
    assert!(!good && report["logs"][0]["error"].as_str().unwrap().contains("not believed"), "{report}");

    // The same key, in a state folder that was set back: it signs another history.
    let back = audited.folder.path().join("set-back");
    copy_folder(&audited.folder.path().join("state"), &back);
    fs::remove_dir_all(back.join("decisions")).unwrap();
    fs::remove_file(back.join("shipped.json")).unwrap();
    let elsewhere = audited.folder.path().join("elsewhere");
    let run = |store: &Path| decide(sidecar(audited.folder.path(), &back, store));
    // Over the store that has its first history it refuses to write a second one.
    let store = audited.folder.path().join("store");
    let before = fs::read(store.join(log).join("checkpoint")).unwrap();
    run(&store);
    assert_eq!(fs::read(store.join(log).join("checkpoint")).unwrap(), before);
    assert!(audited.verify(&store).0);
    // Elsewhere it writes one, and both together are found to be a fork.
    run(&elsewhere);
    let forked = audited.faults("forked", |log| {
        let checkpoints = elsewhere.join("audit/web-1/checkpoints");
        for entry in fs::read_dir(checkpoints).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), log.join("checkpoints").join(entry.file_name())).unwrap();
        }
    });
    assert!(!forked.is_empty() && forked.iter().all(|(_, kind)| kind == "forked"), "{forked:?}");
}

#[test]
fn one_entry_is_proven_in_a_file_that_is_checked_offline() {
    let audited = Audited::new();
    let at = audited.folder.path();
    let store = url(&at.join("store"));
    for entry in ["0", "255", "256", "601"] {
        let prove = ["audit", "prove", "--store", &store, "--log", "web-1", "--entry", entry];
        let proven = aecp(at, &[&prove[..], &["--key", &audited.key, "--out", "p.tlog-proof"]].concat());
        assert!(proven.status.success(), "{proven:?}");
        let check = aecp(at, &["audit", "check", "p.tlog-proof", "--key", &audited.key]);
        assert!(check.status.success(), "{check:?}");
        let shown = String::from_utf8(check.stdout).unwrap();
        assert!(shown.contains(&format!("\"seq\":{entry},")), "{shown}");
    }
    // Somebody else's reading of the specifications comes to the same.
    let log = at.join("store/audit/web-1");
    let tmp = env!("CARGO_TARGET_TMPDIR");
    let said = python::verify_log(tmp, &log, &audited.key, &[&at.join("p.tlog-proof")]);
    assert_eq!(said, "602 aecp/prod/web-1");
    let text = fs::read_to_string(at.join("p.tlog-proof")).unwrap();
    fs::write(at.join("bad.tlog-proof"), text.replace("index 601", "index 599")).unwrap();
    let check = aecp(at, &["audit", "check", "bad.tlog-proof", "--key", &audited.key]);
    assert_eq!(check.status.code(), Some(1));
    let beyond = ["audit", "prove", "--store", &store, "--log", "web-1", "--entry", "602", "--out", "x"];
    let beyond = aecp(at, &[&beyond[..], &["--key", &audited.key]].concat());
    assert_eq!(beyond.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&beyond.stderr).contains("entries 0 to 601"));

    let tail = ["audit", "tail", "--store", &store, "--key", &audited.key, "--decision", "DENY"];
    let tail = aecp(at, &[&tail[..], &["--policy", "region", "--format", "json"]].concat());
    let lines: Vec<Value> = String::from_utf8(tail.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() as u64, DECISIONS / 3);
    assert!(lines.iter().all(|line| line["entry"]["event"]["decision"]["decision"] == "DENY"));
}

#[test]
fn what_a_sidecar_saw_is_accounted_for_and_a_record_that_never_was_is_missed() {
    let audited = Audited::new();
    let at = audited.folder.path();
    let coverage = |store: &Path| {
        let store = url(store);
        let coverage = ["audit", "coverage", "--store", &store, "--key", &audited.key];
        let output = aecp(at, &[&coverage[..], &["--format", "json"]].concat());
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, report) = coverage(&at.join("store"));
    assert_eq!(code, Some(0), "{report}");
    let log = &report["logs"][0];
    for what in ["seen", "decided", "recorded"] {
        assert_eq!(log[what], DECISIONS, "{report}");
    }
    assert_eq!(
        (&log["coverage"], &log["in_flight"], &log["unaccounted"]),
        (&1.0.into(), &0.into(), &0.into())
    );
    let point = &log["points"][0];
    assert_eq!((&point["point"], &point["release"]["serial"]), (&"v1/decision".into(), &1.into()));
    assert_eq!((&point["decided"], &point["recorded"]), (&DECISIONS.into(), &DECISIONS.into()));

    // Under another release, whose policy wants nothing recorded, the same enforcer goes on.
    let policy = fs::read_to_string(at.join("set.aecp")).unwrap();
    let silent = policy.replace("BLOCKING\n", "BLOCKING\n  AUDIT: NONE\n");
    fs::write(at.join("set.aecp"), silent).unwrap();
    let store = url(&at.join("store"));
    let publish = ["publish", "set.aecp", "--store", &store, "--channel", "prod"];
    let published = aecp(at, &[&publish[..], &["--key", "keys/private.pem"]].concat());
    assert!(published.status.success(), "{published:?}");
    let both = audited.copy("both");
    copy_folder(&at.join("state"), &at.join("later"));
    decide(sidecar(at, &at.join("later"), &both));
    let (code, report) = coverage(&both);
    assert_eq!(code, Some(0), "{report}");
    let log = &report["logs"][0];
    assert_eq!((&log["seen"], &log["decided"]), (&(2 * DECISIONS).into(), &(2 * DECISIONS).into()));
    // Before the new release arrives the old one still decides.
    let (old, new) = (&log["points"][0], &log["points"][1]);
    assert_eq!((&old["release"]["serial"], &new["release"]["serial"]), (&1.into(), &2.into()));
    assert_eq!((&old["decided"], &old["unrecorded"]), (&old["recorded"], &0.into()), "{report}");
    assert_eq!((&new["decided"], &new["recorded"]), (&new["unrecorded"], &0.into()), "{report}");

    // An enforcer that signs all but the record of one decision.
    let folder = at.join("store/audit/web-1/tile/entries");
    let mut events = Vec::new();
    for (bundle, width) in [("000", 256), ("001", 256), ("002.p/90", 90)] {
        let bytes = fs::read(folder.join(bundle)).unwrap();
        for entry in read_entries(&bytes, width).unwrap() {
            let entry = Entry::from_json(entry).unwrap();
            events.push((entry.time, entry.event));
        }
    }
    events.remove(300);
    let short = at.join("short");
    let key = aecp_integration_tests::log::write(&short, "web-1", events);
    let (store, arguments) = (url(&short), ["audit", "coverage", "--key", &key, "--store"]);
    let output = aecp(at, &[&arguments[..], &[&store]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not covered web-1\n  coverage     99.83 %\n"), "{text}");
    assert!(text.contains("unaccounted  1 seen, and nowhere on record"), "{text}");
}

#[test]
fn old_entries_move_to_an_archive_and_the_log_holds_as_before() {
    let audited = Audited::new();
    let at = audited.folder.path();
    let (store, cold) = (audited.copy("warm"), at.join("cold"));
    fs::create_dir(&cold).unwrap();
    let entries = |store: &Path| store.join("audit/web-1/tile/entries");
    let archive = |to: &Path, age: &str| {
        let archive = ["audit", "archive", "--store", &url(&store), "--key", &audited.key];
        aecp(at, &[&archive[..], &["--older-than", age, "--to", &url(to)]].concat())
    };
    assert!(archive(&cold, "90d").status.success());
    assert!(entries(&store).join("000").exists() && !entries(&cold).exists(), "nothing is that old");
    let itself = archive(&store, "1ms");
    assert!(itself.status.code() == Some(2) && helpers::err(&itself).contains("itself"), "{itself:?}");
    fs::remove_file(store.join("audit/web-1/archive")).unwrap();

    // As if it had been killed after the first copy, and before the original was removed.
    fs::create_dir_all(entries(&cold)).unwrap();
    fs::copy(entries(&store).join("000"), entries(&cold).join("000")).unwrap();
    // What was tampered with does not move.
    let whole = fs::read(entries(&store).join("001")).unwrap();
    rewrite(&store.join("audit/web-1"), "001", |entries| entries.swap(5, 6));
    let refused = archive(&cold, "1ms");
    assert!(
        refused.status.code() == Some(2) && helpers::err(&refused).contains("entry 261"),
        "{refused:?}"
    );
    assert!(entries(&store).join("001").exists() && !entries(&cold).join("001").exists());
    assert!(!entries(&store).join("000").exists() && entries(&cold).join("000").exists());
    fs::write(entries(&store).join("001"), &whole).unwrap();
    for _ in 0..2 {
        assert!(archive(&cold, "1ms").status.success());
        assert_eq!(fs::read(entries(&cold).join("001")).unwrap(), whole);
        let left: Vec<_> =
            fs::read_dir(entries(&store)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name == "000" || name == "001"), "{left:?}");
    }

    let read = |command: &[&str]| {
        let with = ["--store", &url(&store), "--key", &audited.key, "--archive", &url(&cold)];
        aecp(at, &[&["audit"], command, &with[..]].concat())
    };
    let verified = read(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
    assert!(read(&["prove", "--log", "web-1", "--entry", "300", "--out", "p"]).status.success());
    assert!(aecp(at, &["audit", "check", "p", "--key", &audited.key]).status.success());
    let tail = read(&["tail", "--format", "json"]);
    assert_eq!(helpers::out(&tail).lines().count() as u64, DECISIONS + 2);
    let without = aecp(at, &["audit", "verify", "--store", &url(&store), "--key", &audited.key]);
    assert!(helpers::out(&without).contains("truncated entry 0"), "{without:?}");
    rewrite(&cold.join("audit/web-1"), "001", |entries| entries[44].push(b' '));
    let flipped = read(&["verify"]);
    assert_eq!(flipped.status.code(), Some(1));
    assert!(helpers::out(&flipped).contains("changed entry 300"), "{flipped:?}");
}

#[test]
fn releases_under_a_successor_of_the_root_verify() {
    let audited = Audited::new();
    let at = audited.folder.path();
    assert!(aecp(at, &["keygen", "--out", "next"]).status.success());
    let key = |folder: &str| {
        let pem = fs::read_to_string(at.join(folder).join("private.pem")).unwrap();
        SigningKey::from_pkcs8_pem(&pem).unwrap()
    };
    let (old, new) = (key("keys"), key("next"));
    let pinned = TrustRoot::pinned(&fs::read(at.join("keys/root.json")).unwrap()).unwrap();
    let mut root = pinned.payload().clone();
    root.version = 2;
    let next = RootPayload::first(&new.verifying_key(), &[Role::Judicial]);
    root.keys.extend(next.keys);
    root.roles
        .get_mut(&Role::Judicial)
        .unwrap()
        .keyids
        .extend(next.roles[&Role::Judicial].keyids.iter());
    let successor = root.sign(&[&old]).to_json();
    fs::write(at.join("root2.json"), &successor).unwrap();
    fs::create_dir_all(at.join("store/root")).unwrap();
    fs::write(at.join("store/root/2.json"), &successor).unwrap();
    let store = url(&at.join("store"));
    let publish = ["publish", "set.aecp", "--store", &store, "--channel", "prod"];
    let keys = ["--key", "next/private.pem", "--root", "root2.json"];
    let published = aecp(at, &[&publish[..], &keys].concat());
    assert!(published.status.success(), "{published:?}");
    decide(sidecar(at, &at.join("state-2"), &at.join("second")));
    let vkey = fs::read_to_string(at.join("second/audit/web-1/vkey")).unwrap();
    let second = url(&at.join("second"));
    let verify = ["audit", "verify", "--store", &second, "--key", &vkey, "--releases", &store];
    let verify = |root: &str| aecp(at, &[&verify[..], &["--root", root]].concat());
    let verified = verify("keys/root.json");
    assert!(verified.status.success(), "{verified:?}");
    // One that does not descend from the pinned root gives nobody a say.
    root.version = 2;
    fs::write(at.join("store/root/2.json"), root.sign(&[&new]).to_json()).unwrap();
    let foreign = verify("keys/root.json");
    assert_eq!(foreign.status.code(), Some(1));
    assert!(helpers::out(&foreign).contains("unknown_release"), "{foreign:?}");
}
