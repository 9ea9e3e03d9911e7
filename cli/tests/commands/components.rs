//! Policies written as components: published beside compiled ones, enforced with them, and refused where they must be.

use std::{fs, path::Path, process::Output, sync::Arc};

use aecp_contract::{refusal::Code, slots::SlotBuffer, trust::TrustRoot, verdict::Verdict};
use aecp_enforcer::{
    Artifacts, Engine, Evaluation, PolicyPre, ReleaseSource, Sidecar, Store, VerifiedRelease,
    policy::DecisionError,
};
use aecp_integration_tests::guest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::helpers::{aecp, err, out, sidecar, url};

/// `a_…` and `z_…`, so that components stand before, between and after compiled policies.
const SET: &str = r#"
POLICY not_eve {
  SCOPE: requests
  CONSTRAINT: principal.id != "eve"
  ENFORCEMENT: BLOCKING
}
POLICY z_reads {
  SCOPE: requests
  CONSTRAINT: action.name == "read"
  ENFORCEMENT: ADVISORY
}
"#;

const SMALL: &str = r#"
POLICY small {
  SCOPE: requests WHERE probe.amount EXISTS
  CONSTRAINT: probe.amount <= 100
  ENFORCEMENT: BLOCKING
}
"#;

/// A folder with keys, the set, and `probe.wasm` with its declaration.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("set.aecp"), SET).unwrap();
    assert!(aecp(at, &["keygen", "--out", "keys"]).status.success());
    fs::copy(guest::component("policy"), at.join("probe.wasm")).unwrap();
    let declared = concat!(env!("CARGO_MANIFEST_DIR"), "/../integration-tests/policy/probe.json");
    fs::copy(declared, at.join("probe.json")).unwrap();
    folder
}

fn publish(at: &Path, components: &[&str]) -> Output {
    publish_with(at, components, &[])
}

fn publish_with(at: &Path, components: &[&str], more: &[&str]) -> Output {
    let store = url(&at.join("store"));
    let publish =
        ["publish", "set.aecp", "--store", &store, "--channel", "prod", "--key", "keys/private.pem"];
    let components = components.iter().flat_map(|component| ["--component", component]);
    let more = more.iter().copied();
    aecp(at, &publish.into_iter().chain(components).chain(more).collect::<Vec<_>>())
}

/// The release in the store, for commands that ask it.
fn release(at: &Path) -> [String; 6] {
    let store = url(&at.join("store"));
    ["--store", &store, "--channel", "prod", "--root", "keys/root.json"].map(str::to_owned)
}

/// A command of the release in the store.
fn of_release(at: &Path, command: &[&str]) -> Output {
    let release = release(at);
    aecp(at, &command.iter().copied().chain(release.iter().map(String::as_str)).collect::<Vec<_>>())
}

/// What the world is made of by other means than Rust's compiler: a set of one policy, compiled to a component.
fn small(at: &Path) {
    fs::write(at.join("small.aecp"), SMALL).unwrap();
    let compiled = aecp(at, &["compile", "small.aecp", "--out", "small"]);
    assert!(compiled.status.success(), "{}", err(&compiled));
    fs::copy(at.join("small/policy.wasm"), at.join("small.wasm")).unwrap();
    let declared = json!({
        "name": "small", "enforcement": "ADVISORY", "audit": "NONE",
        "attributes": [{ "path": "probe.amount", "type": "INT" }],
    });
    fs::write(at.join("small.json"), declared.to_string()).unwrap();
}

/// The release that an enforcer would take up.
fn fetched(at: &Path) -> VerifiedRelease {
    let root = TrustRoot::pinned(&fs::read(at.join("keys/root.json")).unwrap()).unwrap();
    let store = Store::open(&url(&at.join("store"))).unwrap();
    let source = ReleaseSource::new(store, "prod".parse().unwrap());
    let fetch = source.fetch_latest(&root, aecp_enforcer::now(), Artifacts::Needed);
    Runtime::new().unwrap().block_on(fetch).unwrap()
}

/// Who asks for what; the decision, the policies against it, those in doubt, and the code of a failure.
type Case =
    (&'static str, Value, bool, &'static [&'static str], &'static [&'static str], Option<&'static str>);

#[test]
fn components_are_enforced_by_name_beside_compiled_policies() {
    let folder = folder();
    let at = folder.path();
    small(at);
    let published = publish(at, &["probe.wasm", "small.wasm"]);
    assert!(published.status.success(), "{}", err(&published));
    assert!(out(&published).contains("BLOCKING probe, a component, added"), "{}", out(&published));

    let config = sidecar(at, &at.join("state"), &at.join("audit"));
    let sidecar_again = config.clone();
    Runtime::new().unwrap().block_on(async {
        let sidecar = Sidecar::start(config).await.unwrap();
        sidecar.enforcer().watch().wait_for(Option::is_some).await.unwrap();
        let client = reqwest::Client::new();
        let url = format!("http://{}/access/v1/evaluation", sidecar.address());
        let cases: [Case; 18] = [
            ("ada", json!({ "ask": "allow" }), true, &[], &[], None),
            ("ada", json!({}), true, &[], &[], None),
            ("eve", json!({ "ask": "allow" }), false, &["not_eve"], &[], None),
            ("ada", json!({ "ask": "deny" }), false, &["probe"], &[], None),
            ("eve", json!({ "ask": "deny" }), false, &["not_eve", "probe"], &[], None),
            ("ada", json!({ "ask": "doubt" }), false, &[], &["probe"], None),
            ("ada", json!({ "ask": "allow", "amount": 101 }), true, &["small"], &[], None),
            ("ada", json!({ "ask": "allow", "amount": 100 }), true, &[], &[], None),
            ("ada", json!({ "ask": "deny", "amount": 101 }), false, &["probe", "small"], &[], None),
            ("ada", json!({ "ask": "subject" }), true, &[], &[], None),
            ("ada", json!({ "ask": "trap" }), false, &[], &[], Some("policy_trap")),
            ("ada", json!({ "ask": "memory" }), false, &[], &[], Some("policy_trap")),
            // A policy that is not its own.
            ("ada", json!({ "ask": "another" }), false, &[], &[], Some("policy_trap")),
            ("ada", json!({ "ask": "loop" }), false, &[], &[], Some("policy_timeout")),
            ("ada", json!({ "ask": "clock" }), true, &[], &[], None),
            ("ada", json!({ "ask": "random" }), true, &[], &[], None),
            ("ada", json!({ "ask": "world" }), true, &[], &[], None),
            ("ada", json!({ "ask": "print" }), true, &[], &[], None),
        ];
        let ask = async |who: &str, asked: &Value| -> Value {
            let request = json!({
                "subject": { "type": "user", "id": who },
                "action": { "name": "read" },
                "resource": { "type": "requests", "id": "1" },
                "context": { "probe": asked },
            });
            let answer = client.post(&url).header("content-type", "application/json");
            let answer = answer.body(request.to_string()).send().await.unwrap();
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
        };
        let mut requests = String::new();
        for (who, asked, allowed, violated, indeterminate, reason) in &cases {
            let answer = ask(who, asked).await;
            let plain =
                json!({ "principal": { "id": who }, "action": { "name": "read" }, "probe": asked });
            requests.push_str(&format!("{plain}\n"));
            let names = |list: &str| -> Vec<&str> {
                let list = answer["context"][list].as_array();
                list.into_iter().flatten().map(|one| one["policy"].as_str().unwrap()).collect()
            };
            assert_eq!(answer["decision"], *allowed, "{who} {asked} {answer}");
            assert_eq!(names("violated"), *violated, "{who} {asked} {answer}");
            assert_eq!(names("indeterminate"), *indeterminate, "{who} {asked} {answer}");
            assert_eq!(answer["context"]["reason"].as_str(), *reason, "{who} {asked} {answer}");
        }
        // The command decides alike.
        fs::write(at.join("requests.jsonl"), &requests).unwrap();
        let decided = of_release(at, &["decide", "--requests", "requests.jsonl"]);
        let lines = out(&decided);
        assert_eq!(lines.lines().count(), cases.len(), "{}", err(&decided));
        for (line, (who, asked, allowed, violated, _, reason)) in lines.lines().zip(&cases) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["decision"] == "ALLOW", *allowed, "{who} {asked} {line}");
            let policies = line["violated"].as_array().into_iter().flatten();
            let names: Vec<_> = policies.map(|one| one["policy"].as_str().unwrap()).collect();
            assert_eq!(names, *violated, "{who} {asked} {line}");
            assert_eq!(line["reason"].as_str(), *reason, "{who} {asked} {line}");
        }
        // No state goes from one decision to the next, and no file is there.
        for asked in ["state", "state", "state", "file"] {
            let answer = ask("ada", &json!({ "ask": asked })).await;
            assert_eq!(answer["decision"], true, "{asked} {answer}");
        }
        sidecar.stop().await.unwrap();
        // After a restart without its store it has the components still.
        fs::rename(at.join("store"), at.join("away")).unwrap();
        let sidecar = Sidecar::start(sidecar_again).await.unwrap();
        let decided = sidecar.enforcer().snapshot().decide_json(br#"{"probe":{"ask":"deny"}}"#);
        let line = serde_json::to_string(&decided).unwrap();
        assert!(line.contains(r#""policy":"probe""#), "{line}");
        sidecar.stop().await.unwrap();
        fs::rename(at.join("away"), at.join("store")).unwrap();
    });
    // The log names it like the others, and is replayed with it as it was, and without it not so.
    assert!(contain(&at.join("audit"), r#""policy":"probe""#));
    let key = fs::read_to_string(at.join("audit/audit/web-1/vkey")).unwrap();
    let (audit, store) = (url(&at.join("audit")), url(&at.join("store")));
    let replay = ["replay", "--store", &audit, "--key", key.trim(), "--candidate", "set.aecp"];
    let rooted = ["--root", "keys/root.json", "--releases", &store];
    let components = ["--component", "probe.wasm", "--component", "small.wasm"];
    let same = aecp(at, &[&replay[..], &rooted, &components].concat());
    assert!(same.status.success(), "{}{}", out(&same), err(&same));
    let without = aecp(at, &[&replay[..], &rooted].concat());
    assert_eq!(without.status.code(), Some(1), "{}{}", out(&without), err(&without));
    assert!(out(&without).contains("probe"), "{}", out(&without));
}

/// A component whose `decide` does this.
fn hostile(decide: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
          (func $decide (export "aecp:policy/evaluation@0.1.0#decide") (param i32 i32) (result i32)
            {decide}))"#
    );
    aecp_compiler::generate::component(&wat::parse_str(text).unwrap()).unwrap()
}

#[test]
fn a_policy_that_takes_without_end_or_gives_nonsense_is_stopped_and_not_published() {
    let folder = folder();
    let at = folder.path();
    let declared = fs::read_to_string(at.join("probe.json")).unwrap();
    fs::write(at.join("bad.json"), declared).unwrap();
    let fill = "(drop (memory.grow (i32.const 200)))
        (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 13000000)) (br $l)) unreachable";
    let grow = "(loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
        (if (i32.gt_u (memory.size) (i32.const 240)) (then unreachable)) (loop $m (br $m)) unreachable";
    // A verdict of sixteen million violated policies, which lie beyond its memory; or so many as there is memory for.
    let list = |count: u32, pages: u32| {
        format!(
            "(drop (memory.grow (i32.const {pages})))
             (i32.store (i32.const 12) (i32.const {count})) (i32.const 4)"
        )
    };
    for (decide, why) in [
        ("(loop $l (br $l)) unreachable", "ran too long"),
        (fill, "ran too long"),
        // What it is not given, it notices; and ends there.
        (grow, "unreachable"),
        ("(call $decide (i32.const 0) (i32.const 0))", "call stack exhausted"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.const -4)", "pointer"),
        (&list(1 << 24, 0), "list"),
        (&list(1 << 20, 200), "fuel"),
        // The decision of number 9.
        ("(i32.store8 (i32.const 4) (i32.const 9)) (i32.const 4)", "discriminant"),
    ] {
        fs::write(at.join("bad.wasm"), hostile(decide)).unwrap();
        let published = publish(at, &["bad.wasm"]);
        refused(&published, "invalid_module");
        refused(&published, why);
    }
    assert!(!at.join("store/channels/prod.json").exists());
}

#[test]
fn a_component_ends_only_where_that_is_said_and_the_history_says_it() {
    let folder = folder();
    let at = folder.path();
    small(at);
    let published = publish(at, &["probe.wasm"]);
    assert!(published.status.success(), "{}", err(&published));
    refused(&publish(at, &[]), "give it again with --component, or end it with --drop-component probe");
    refused(&publish_with(at, &["probe.wasm"], &["--drop-component", "probe"]), "or it is given");
    refused(&publish_with(at, &["probe.wasm"], &["--drop-component", "other"]), "no such component");
    // The same, then another and this one weaker, then this one ended.
    let again = publish(at, &["probe.wasm"]);
    assert!(out(&again).contains("BLOCKING probe, a component, as it was"), "{}", err(&again));
    assert!(out(&again).contains("since serial 1, without components: no policy changed"));
    let declared = fs::read_to_string(at.join("probe.json")).unwrap();
    fs::write(at.join("probe.json"), declared.replace("BLOCKING", "ADVISORY")).unwrap();
    let weaker = publish(at, &["probe.wasm", "small.wasm"]);
    assert!(out(&weaker).contains("ADVISORY probe, a component, changed"), "{}", err(&weaker));
    let dropped = publish_with(at, &["small.wasm"], &["--drop-component", "probe"]);
    assert!(out(&dropped).contains("dropped probe, a component"), "{}{}", out(&dropped), err(&dropped));
    let store = url(&at.join("store"));
    let history = ["history", "--store", &store, "--channel", "prod", "--root", "keys/root.json"];
    let history = aecp(at, &[&history[..], &["--format", "json"]].concat());
    let history: Value = serde_json::from_slice(&history.stdout).unwrap();
    let changes = |at: usize| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let changes = history[at]["entry"]["changes"].as_array().unwrap().iter();
        changes.map(|one| (text(&one["policy"]), text(&one["change"]))).collect()
    };
    let said = |expected: &[(&str, &str)]| -> Vec<(String, String)> {
        expected.iter().map(|(policy, change)| ((*policy).to_owned(), (*change).to_owned())).collect()
    };
    assert_eq!(changes(0), said(&[("not_eve", "added"), ("probe", "added"), ("z_reads", "added")]));
    assert_eq!(changes(1), []);
    assert_eq!(changes(2), said(&[("probe", "changed"), ("small", "added")]));
    assert_eq!(changes(3), said(&[("probe", "removed")]));
}

/// Whether one of the files in a folder has this text.
fn contain(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return contain(&path, text);
        }
        fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn what_is_no_policy_or_reaches_beyond_its_world_is_not_published() {
    let folder = folder();
    let at = folder.path();
    let declared = fs::read_to_string(at.join("probe.json")).unwrap();
    for (text, why) in [
        ("(component)", "evaluation"),
        ("(module)", "component"),
        (
            r#"(component (import "wasi:clocks/monotonic-clock@0.2.6" (instance (export "now" (func (result string))))))"#,
            "monotonic-clock",
        ),
        (r#"(component (import "wasi:sockets/tcp@0.2.6" (instance)))"#, "wasi:sockets/tcp"),
        (r#"(component (import "wasi:http/outgoing-handler@0.2.6" (instance)))"#, "wasi:http"),
        (r#"(component (import "mine:own/thing" (instance)))"#, "mine:own/thing"),
        (r#"(component (import "thing" (func)))"#, "thing"),
    ] {
        fs::write(at.join("bad.wasm"), wat::parse_str(text).unwrap()).unwrap();
        fs::write(at.join("bad.json"), &declared).unwrap();
        refused(&publish(at, &["bad.wasm"]), why);
    }
    let name = |name: &str| declared.replace(r#""probe""#, &format!("{name:?}"));
    for (declared, why) in [
        (name("not_eve"), "a compiled one and a component"),
        (name("../probe"), "name"),
        (
            declared.replace("principal.id\", \"type\": \"STRING", "principal.id\", \"type\": \"INT"),
            "INT",
        ),
        (declared.replace("probe.ask", "principal.id"), "twice"),
        (declared.replace("BLOCKING", "SOMETIMES"), "SOMETIMES"),
    ] {
        fs::write(at.join("probe.json"), declared).unwrap();
        refused(&publish(at, &["probe.wasm"]), why);
    }
    fs::write(at.join("probe.json"), &declared).unwrap();
    refused(&publish(at, &["probe.wasm", "probe.wasm"]), "two components are named");
    fs::write(at.join("probe.wasm"), b"\0asm no component").unwrap();
    refused(&publish(at, &["probe.wasm"]), "invalid_module");
    fs::write(at.join("probe.wasm"), vec![0; 9 << 20]).unwrap();
    refused(&publish(at, &["probe.wasm"]), "more than 8388608 bytes");
    fs::write(at.join("probe.wasm"), b"").unwrap();
    fs::remove_file(at.join("probe.json")).unwrap();
    refused(&publish(at, &["probe.wasm"]), "probe.json");
    assert!(!at.join("store/channels/prod.json").exists());
}

fn refused(output: &Output, why: &str) {
    assert!(!output.status.success(), "{why}: {}", out(output));
    assert!(err(output).contains(why), "{why}: {}", err(output));
}

/// A host that has policies within itself, and nothing to run components.
struct Sealed;

impl Evaluation for Sealed {
    fn decide(&self, _: &SlotBuffer) -> Result<Verdict, DecisionError> {
        Err(DecisionError::Trap("it is never asked".to_owned()))
    }
}

#[test]
fn a_host_that_cannot_run_components_refuses_their_release_and_never_passes_over_them() {
    let folder = folder();
    let at = folder.path();
    let published = publish(at, &["probe.wasm"]);
    assert!(published.status.success(), "{}", err(&published));
    let release = fetched(at);
    let engine = Engine::new().unwrap();
    assert_eq!(PolicyPre::load(&engine, &release).unwrap().manifest().policies.len(), 3);
    let refusal = PolicyPre::composed(&engine, &release, Arc::new(Sealed)).unwrap_err();
    assert_eq!(refusal.code, Code::UnsupportedAbi);
    assert!(refusal.detail.contains("`probe` is a component"), "{refusal}");
    // Nor is it sealed into anything.
    let composed = of_release(at, &["compose", "--component", "probe.wasm", "--out", "composed.wasm"]);
    assert_eq!(composed.status.code(), Some(1), "{}", err(&composed));
    assert!(out(&composed).contains("unsupported_abi: the release has policies"), "{}", out(&composed));
    // Nor explained, as if it were decided by its clauses.
    fs::write(at.join("request.json"), "{}").unwrap();
    refused(&of_release(at, &["explain", "--request", "request.json"]), "which have no clauses");
    // It is rebuilt with them.
    let verified = of_release(at, &["verify", "--rebuild"]);
    assert!(verified.status.success(), "{}{}", out(&verified), err(&verified));
    assert!(out(&verified).contains("BLOCKING probe, a component"), "{}", out(&verified));
}
