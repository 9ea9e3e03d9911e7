//! Recorded decisions run through another set: what changes, and what cannot be known.

#![allow(clippy::unwrap_used, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{collections::BTreeMap, fs, path::Path};

use aecp_contract::{
    audit::{
        DecisionRecord, Event, OpenedValue, Opening, PolicyRef, RecordedValue, ReleaseRef, Salt,
        commitment,
    },
    digest::Digest,
    manifest::Enforcement,
    value::Timestamp,
    verdict::Decision,
};
use aecp_integration_tests::log;
use helpers::{aecp, err, out};
use serde_json::{Value, json, value::RawValue};
use tempfile::TempDir;

const SALT: Salt = Salt([7; 16]);

fn set(region: &str, amount: &str) -> String {
    let policy = |name: &str, constraint: &str| {
        format!(
            "POLICY {name} {{\n  SCOPE: requests\n  CONSTRAINT: {constraint}\n  ENFORCEMENT: BLOCKING\n}}\n"
        )
    };
    [policy("region", region), policy("amount", amount)].join("\n")
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

/// A store with a release and a log of decisions by it, most of them with a commitment that can be opened.
struct Recorded {
    folder: TempDir,
    key: String,
}

/// What is recorded of one request: its amount, the policies that it violates, its region.
fn record(
    release: ReleaseRef,
    amount: Option<&str>,
    violated: &[&str],
    region: RecordedValue,
) -> DecisionRecord {
    let clear = |amount: &str| ("amount".to_owned(), RecordedValue::Clear(raw(amount)));
    let policy =
        |policy: &&str| PolicyRef { policy: (*policy).to_owned(), enforcement: Enforcement::Blocking };
    DecisionRecord {
        request_id: format!("r{}", amount.unwrap_or_default()),
        trace_id: None,
        point: "v1/decision".into(),
        release: Some(release),
        decision: if violated.is_empty() { Decision::Allow } else { Decision::Deny },
        violated: violated.iter().map(policy).collect(),
        indeterminate: Vec::new(),
        omitted: 0,
        excepted: Vec::new(),
        default_deny: Vec::new(),
        reason: None,
        latency_us: 4,
        attributes: amount.map(clear).into_iter().chain([("region".to_owned(), region)]).collect(),
        omitted_attributes: 0,
    }
}

fn committed(region: &str) -> RecordedValue {
    RecordedValue::Commitment(commitment(&SALT, "region", region))
}

impl Recorded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(at.join("set.aecp"), set("region == \"EU\"", "amount <= 100")).unwrap();
        assert!(aecp(at, &["keygen", "--out", "keys"]).status.success());
        let store = format!("file://{}", at.join("store").display());
        let publish = ["publish", "set.aecp", "--store", &store, "--channel", "prod"];
        let published = aecp(at, &[&publish[..], &["--key", "keys/private.pem"]].concat());
        assert!(published.status.success(), "{published:?}");
        let digest = Digest::of(&fs::read(at.join("store/releases/prod/1.json")).unwrap());
        let release = ReleaseRef { serial: 1, digest };

        let mut records = Vec::new();
        let mut opened: Vec<Option<&str>> = Vec::new();
        for n in 0..1000 {
            let (amount, eu) = (n % 200, n % 2 == 0);
            let region = if eu { "\"EU\"" } else { "\"US\"" };
            let violated: Vec<_> = [(amount > 100, "amount"), (!eu, "region")]
                .iter()
                .filter(|one| one.0)
                .map(|one| one.1)
                .collect();
            records.push(record(release, Some(&amount.to_string()), &violated, committed(region)));
            opened.push(Some(region));
        }
        // What cannot be replayed, one of each kind.
        let eu = || committed("\"EU\"");
        records.push(record(release, Some("1"), &[], RecordedValue::Masked("***".into())));
        records.push(record(release, Some("1"), &[], eu()));
        opened.extend([None, None]);
        records.push(record(release, Some("1"), &[], eu()));
        opened.push(Some("\"US\""));
        let mut stopped = record(release, Some("1"), &["region"], eu());
        stopped.reason = Some("policy_timeout".into());
        let mut lifted = record(release, Some("1"), &[], eu());
        lifted.excepted = vec!["region".into()];
        records.extend([stopped, lifted]);
        // What the request did not have, or had as no value of its type, denies then and now.
        let mut missing = record(release, None, &["amount"], eu());
        std::mem::swap(&mut missing.violated, &mut missing.indeterminate);
        let mut unusable = missing.clone();
        unusable.attributes.insert("amount".into(), RecordedValue::Unusable);
        let mut omitted = missing.clone();
        omitted.omitted_attributes = 1;
        records.extend([missing, unusable, omitted]);
        opened.extend([Some("\"EU\""); 5]);

        let time = Timestamp { seconds: 1_772_000_000, nanoseconds: 0 };
        let events = records.into_iter().enumerate();
        let events = events.map(|(n, record)| {
            let time = Timestamp { seconds: time.seconds + n as i64, ..time };
            (time, Event::Decision(Box::new(record)))
        });
        let key = log::write(&at.join("store"), "web-1", events);
        let openings = at.join("store/openings/web-1");
        fs::create_dir_all(&openings).unwrap();
        for (bundle, values) in opened.chunks(256).enumerate() {
            let opening = |(at, value): (usize, &Option<&str>)| {
                let value = OpenedValue { salt: SALT, value: raw((*value)?) };
                let values = BTreeMap::from([("region".to_owned(), value)]);
                let opening = Opening { seq: (bundle * 256 + at) as u64, values };
                Some(serde_json::to_string(&opening).unwrap() + "\n")
            };
            let lines: String = values.iter().enumerate().filter_map(opening).collect();
            fs::write(openings.join(format!("{bundle}.jsonl")), lines).unwrap();
        }
        Self { folder, key }
    }

    fn replay(&self, candidate: &str, more: &[&str]) -> std::process::Output {
        let at: &Path = self.folder.path();
        fs::write(at.join("candidate.aecp"), candidate).unwrap();
        let store = format!("file://{}", at.join("store").display());
        let replay = ["replay", "--store", &store, "--key", &self.key, "--candidate", "candidate.aecp"];
        aecp(at, &[&replay[..], more].concat())
    }
}

#[test]
fn each_flip_is_listed_by_policy_and_what_cannot_be_known_is_counted() {
    let recorded = Recorded::new();
    let candidate = set("region == \"EU\" OR region == \"US\"", "amount <= 50");
    let rooted = ["--root", "keys/root.json", "--format", "json"];
    let replayed = recorded.replay(&candidate, &rooted);
    assert_eq!(replayed.status.code(), Some(1), "{replayed:?}");
    let report: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!((&report["decisions"], &report["replayed"]), (&1008.into(), &1002.into()), "{report}");
    assert_eq!((&report["now_denied"], &report["now_allowed"]), (&125.into(), &125.into()));
    let flips = |policy: &str, recorded: &str, candidate: &str, entry: u64, request: Value| {
        json!({
            "policy": policy, "default_deny": null, "recorded": recorded, "candidate": candidate, "count": 125,
            "example": { "log": "web-1", "entry": entry, "request_id": format!("r{entry}"), "request": request },
        })
    };
    let expected = json!([
        flips("amount", "ALLOW", "DENY", 52, json!({"amount": 52, "region": "EU"})),
        flips("region", "DENY", "ALLOW", 1, json!({"amount": 1, "region": "US"})),
    ]);
    assert_eq!(report["by_policy"], expected);
    let why = |why: &str, of: Value| json!({ "why": why, "of": of, "count": 1 });
    let expected = json!([
        why("masked", "region".into()),
        why("erased", "region".into()),
        why("wrong_opening", "region".into()),
        why("unknown", "amount".into()),
        why("no_verdict", "policy_timeout".into()),
        why("excepted", Value::Null),
    ]);
    assert_eq!(report["not_replayed"], expected);

    // As much as is allowed.
    let code = |more: &[&str]| recorded.replay(&candidate, &[&rooted[..], more].concat()).status.code();
    assert_eq!((code(&["--max-flips", "250"]), code(&["--max-flips", "249"])), (Some(0), Some(1)));
    assert_eq!((code(&["--threshold", "25"]), code(&["--threshold", "24.9"])), (Some(0), Some(1)));
    let until = "2026-02-25T06:13:21Z";
    let text = out(&recorded.replay(&candidate, &["--until", until, "--root", "keys/root.json"]));
    assert_eq!(text, "0 flips in 1 of 1 decisions that could be replayed (0.00 %)\n");
}

#[test]
fn the_set_that_decided_changes_nothing_and_nothing_is_guessed_without_its_release() {
    let recorded = Recorded::new();
    let same = set("region == \"EU\"", "amount <= 100");
    let rooted = recorded.replay(&same, &["--root", "keys/root.json"]);
    let text = out(&rooted);
    assert_eq!(rooted.status.code(), Some(0), "{rooted:?}");
    assert!(text.starts_with("0 flips in 1002 of 1008 decisions"), "{text}");
    // It may have had an amount that the release did not look at, or of another type.
    let text = out(&recorded.replay(&same, &[]));
    assert!(text.starts_with("0 flips in 1000 of 1008 decisions"), "{text}");
    assert!(text.contains("2  it is not known whether the request had `amount`\n"), "{text}");
    assert!(text.contains("1  `amount` was no value of its type, and is not kept\n"), "{text}");
    assert!(text.contains("give --root"), "{text}");

    let more =
        recorded.replay(&set("region == \"EU\"", "tier == \"gold\""), &["--root", "keys/root.json"]);
    assert_eq!(more.status.code(), Some(1), "nothing could be replayed");
    let text = out(&more);
    assert!(text.starts_with("0 flips in 0 of 1008 decisions"), "{text}");
    assert!(text.contains("it is not known whether the request had `tier`\n"), "{text}");

    // Another's root does not vouch for the release.
    assert!(aecp(recorded.folder.path(), &["keygen", "--out", "others"]).status.success());
    let other = recorded.replay(&same, &["--root", "others/root.json"]);
    assert!(err(&other).contains("what release 1 looked at is not known"), "{}", err(&other));
    assert!(out(&other).starts_with("0 flips in 1000 of 1008 decisions"));
}
