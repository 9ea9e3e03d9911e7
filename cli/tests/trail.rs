//! Many logs read as one: shown, exported, and never believed beyond what they signed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

mod helpers;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aecp_contract::{
    audit::{
        Before, DecisionRecord, Event, Gap, GapReason, PolicyRef, RecordedValue, ReleaseRef, Start,
        Tally,
    },
    digest::Digest,
    manifest::Enforcement,
    tlog::{
        merkle::{Frontier, leaf_hash},
        tile::{push_entry, read_entries},
    },
    value::Timestamp,
    verdict::Decision,
};
use aecp_integration_tests::log;
use helpers::{aecp, err, out};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::RowAccessor as _,
};
use serde_json::value::RawValue;
use tempfile::TempDir;

fn at(seconds: u64) -> Timestamp {
    Timestamp { seconds: 1_772_000_000 + seconds as i64, nanoseconds: 250_000_000 }
}

fn decision(n: u64) -> Event {
    let denied = n.is_multiple_of(3);
    let policy = |name: &str| PolicyRef { policy: name.to_owned(), enforcement: Enforcement::Blocking };
    let value = RawValue::from_string("\"EU\"".to_owned()).unwrap();
    Event::Decision(Box::new(DecisionRecord {
        request_id: format!("r{n}"),
        trace_id: None,
        point: "v1/decision".into(),
        release: Some(ReleaseRef { serial: 3, digest: Digest::of(b"release") }),
        decision: if denied { Decision::Deny } else { Decision::Allow },
        violated: if denied { vec![policy("first"), policy("second")] } else { Vec::new() },
        indeterminate: Vec::new(),
        omitted: 0,
        excepted: Vec::new(),
        default_deny: Vec::new(),
        reason: None,
        latency_us: 4,
        attributes: BTreeMap::from([("region".to_owned(), RecordedValue::Clear(value))]),
        omitted_attributes: 0,
    }))
}

/// A start, a gap, a count, and decisions up to `count` entries, one every two seconds from `first` on.
fn events(first: u64, count: u64) -> impl Iterator<Item = (Timestamp, Event)> {
    (0..count).map(move |n| {
        let event = match n {
            0 => Event::Start(Start { enforcer: "e 1".into(), after: Before::Nothing }),
            1 => Event::Gap(Gap { lost: 12, reason: GapReason::Disk }),
            2 => Event::Counts(Tally { seen: 20, decided: Vec::new(), last: false }),
            _ => decision(n),
        };
        (at(first + 2 * n), event)
    })
}

struct Logs {
    folder: TempDir,
    policy: PathBuf,
}

impl Logs {
    /// `east` in one store and `west` in another, of so many entries, whose times alternate.
    fn new(east: u64, west: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let east = log::write(&folder.path().join("eu"), "east", events(0, east));
        let west = log::write(&folder.path().join("us"), "west", events(1, west));
        let policy = folder.path().join("logs.txt");
        fs::write(&policy, format!("log {east}\nlog {west}\nquorum none\n")).unwrap();
        Self { folder, policy }
    }

    fn arguments(&self, command: &str, more: &[&str]) -> Vec<String> {
        let store = |name: &str| format!("file://{}", self.folder.path().join(name).display());
        let (eu, us, policy) = (store("eu"), store("us"), self.policy.display().to_string());
        let fixed = ["audit", command, "--store", &eu, "--store", &us, "--log-policy", &policy];
        fixed.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }

    fn run(&self, command: &str, more: &[&str]) -> std::process::Output {
        let arguments = self.arguments(command, more);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        aecp(self.folder.path(), &arguments)
    }

    fn east(&self, path: &str) -> PathBuf {
        self.folder.path().join("eu/audit/east").join(path)
    }
}

/// The log and number of each line of `tail --format json`, and that their times ascend.
fn shown(text: &str) -> Vec<(String, u64)> {
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.is_sorted_by_key(|line| line["entry"]["time"].as_str().unwrap().to_owned()));
    let place = |line: &serde_json::Value| {
        (line["log"].as_str().unwrap().to_owned(), line["entry"]["seq"].as_u64().unwrap())
    };
    lines.iter().map(place).collect()
}

#[test]
fn logs_of_several_stores_are_shown_as_one_in_the_order_of_time() {
    let logs = Logs::new(600, 300);
    let all = shown(&out(&logs.run("tail", &["--format", "json"])));
    assert_eq!(all.len(), 900);
    assert_eq!(all[..3], [("east".into(), 0), ("west".into(), 0), ("east".into(), 1)]);
    assert_eq!(all.iter().filter(|(log, _)| log == "west").count(), 300);
    let (from, until) = (at(100).to_string(), at(110).to_string());
    let some = ["--format", "json", "--from", &from, "--until", &until, "--decision", "deny"];
    let some = shown(&out(&logs.run("tail", &[&some[..], &["--policy", "second"]].concat())));
    assert_eq!(
        some,
        [("east".into(), 51), ("west".into(), 51), ("east".into(), 54), ("west".into(), 54)]
    );
    let text = out(&logs.run("tail", &[]));
    assert!(text.contains("east#1 gap 12 decisions not recorded (disk)"), "{text}");
    assert!(text.contains("west#2 20 requests seen, 0 decided"), "{text}");
    assert!(text.contains("DENY  v1/decision  violated first, second  release 3"), "{text}");
}

#[test]
fn entries_are_followed_as_logs_grow_and_another_history_is_refused() {
    let logs = Logs::new(300, 3);
    let arguments = logs.arguments("tail", &["--format", "json", "--follow"]);
    let mut tail = Command::new(env!("CARGO_BIN_EXE_aecp"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |count| shown(&lines.by_ref().take(count).collect::<Vec<_>>().join("\n"));
    assert_eq!(next(303).len(), 303);
    log::write(&logs.folder.path().join("eu"), "east", events(0, 700));
    let east: Vec<_> = (300..700).map(|n| ("east".to_owned(), n)).collect();
    assert_eq!(next(400), east);
    // The same key signs other events: they do not continue what was shown.
    log::write(&logs.folder.path().join("eu"), "east", events(5, 700));
    let mut errors = BufReader::new(tail.stderr.take().unwrap()).lines();
    let error = errors.next().unwrap().unwrap();
    tail.kill().unwrap();
    tail.wait().unwrap();
    assert!(error.contains("log `east` is another history than the one read before"), "{error}");
}

#[test]
fn logs_of_any_size_are_proven_to_their_end() {
    let logs = Logs::new(1, 1);
    for size in [255, 256, 257, 512, 65_536] {
        log::write(&logs.folder.path().join("eu"), "east", events(0, size));
        let all = shown(&out(&logs.run("tail", &["--format", "json"])));
        assert_eq!(all.len() as u64, size + 1);
    }
}

/// Replaces what entry `n` of a full bundle says, and the hash of it in its tile.
fn change(logs: &Logs, bundle: &str, n: usize) {
    let path = logs.east("tile/entries").join(bundle);
    let bytes = fs::read(&path).unwrap();
    let mut entries: Vec<_> =
        read_entries(&bytes, 256).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    let text = String::from_utf8(entries[n].clone()).unwrap();
    entries[n] = text.replace("EU", "US").into_bytes();
    let mut bundle_bytes = Vec::new();
    entries.iter().for_each(|entry| push_entry(&mut bundle_bytes, entry).unwrap());
    fs::write(path, bundle_bytes).unwrap();
    replace(&logs.east("tile/0").join(bundle), n, leaf_hash(&entries[n]));
}

/// Replaces a hash in a tile, and gives the root over the whole tile.
fn replace(tile: &Path, n: usize, hash: Digest) -> Digest {
    let mut bytes = fs::read(tile).unwrap();
    bytes[32 * n..32 * (n + 1)].copy_from_slice(hash.as_bytes());
    let mut tree = Frontier::default();
    bytes.as_chunks::<32>().0.iter().for_each(|hash| tree.push(Digest::from(*hash)));
    fs::write(tile, bytes).unwrap();
    tree.root()
}

#[test]
fn nothing_is_shown_or_exported_that_the_root_does_not_prove() {
    // So many that the tree has three levels of tiles.
    let logs = Logs::new(66_000, 3);
    assert_eq!(shown(&out(&logs.run("tail", &["--format", "json"]))).len(), 66_003);
    change(&logs, "001", 7);
    let refused = |what: &str| {
        let tail = logs.run("tail", &["--format", "json"]);
        assert_eq!(tail.status.code(), Some(2));
        assert!(err(&tail).contains(what), "{}", err(&tail));
        assert!(shown(&out(&tail)).iter().all(|(log, n)| log != "east" || *n < 256));
        let export = logs.run("export", &["--out", "all.jsonl"]);
        assert_eq!(export.status.code(), Some(2));
        assert!(!logs.folder.path().join("all.jsonl").exists());
        assert!(fs::read_dir(logs.folder.path()).unwrap().all(|file| {
            ["eu", "us", "logs.txt"].contains(&file.unwrap().file_name().to_str().unwrap())
        }));
    };
    refused("log `east`, entries from 256: they are not what was signed");
    // All hashes above it fitted in, up to the root, which is signed.
    let tile = logs.east("tile/0/001");
    let first = fs::read(&tile).unwrap();
    let root = replace(&tile, 0, Digest::from(*first.first_chunk::<32>().unwrap()));
    let above = replace(&logs.east("tile/1/000"), 1, root);
    refused("`tile/1/000` is not what was signed");
    replace(&logs.east("tile/2/000.p/1"), 0, above);
    refused("the tiles of log `east` do not lead to the root that was signed");
}

#[test]
fn an_export_is_read_back_as_it_was_recorded() {
    let logs = Logs::new(600, 300);
    let exported = logs.run("export", &["--out", "all.jsonl"]);
    assert_eq!(out(&exported), "exported 900 entries to all.jsonl\n", "{exported:?}");
    let lines = fs::read_to_string(logs.folder.path().join("all.jsonl")).unwrap();
    assert_eq!(lines, out(&logs.run("tail", &["--format", "json"])));

    let until = at(40).to_string();
    let exported = logs.run("export", &["--out", "some.parquet", "--until", &until]);
    assert_eq!(out(&exported), "exported 40 entries to some.parquet\n", "{exported:?}");
    let path = logs.folder.path().join("some.parquet");
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 40);
    let shown = |row: usize, columns: &[&str]| {
        let show = |column: &&str| {
            let mut columns = rows[row].get_column_iter();
            columns.find(|(name, _)| name == column).unwrap().1.to_string()
        };
        columns.iter().map(show).collect::<Vec<_>>().join(" ")
    };
    let gap = ["log", "event", "lost", "gap_reason", "decision", "violated"];
    assert_eq!(shown(2, &gap), r#""east" "gap" 12 "disk" null []"#);
    // Entry 3 of `east`, the first decision, is a denial at second 6.
    assert_eq!(rows[6].get_timestamp_micros(2).unwrap(), 1_772_000_006_250_000);
    let decision = ["seq", "decision", "serial", "latency_us", "violated", "indeterminate", "lost"];
    assert_eq!(shown(6, &decision), r#"3 "DENY" 3 4 ["first", "second"] [] null"#);
    assert_eq!(rows[6].get_string(17).unwrap(), r#"{"region":{"clear":"EU"}}"#);
    assert_eq!(rows[6].get_string(8).unwrap(), &Digest::of(b"release").to_string());
    read_with_pyarrow(&path);

    let unknown = logs.run("export", &["--out", "all.csv"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("give --format"), "{}", err(&unknown));
}

/// What other people's reader makes of it, where it is installed.
fn read_with_pyarrow(path: &Path) {
    let python =
        |program: &str| Command::new("python3").args(["-c", program]).arg(path).output().unwrap();
    if !python("import pyarrow").status.success() {
        println!("skipped: python3 has no pyarrow to read the file with");
        return;
    }
    let program = "import sys, pyarrow.parquet as p; t = p.read_table(sys.argv[1]); \
                   r = t.to_pylist()[6]; print(t.num_rows, r['violated'], t.schema.field('time').type)";
    let said = python(program);
    assert_eq!(out(&said), "40 ['first', 'second'] timestamp[us, tz=UTC]\n", "{said:?}");
}
