use std::{
    fs, io,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use aecp_contract::verdict::Decision;
use serde_json::Value;

use super::*;

/// A log in memory that fails on demand and can be held up.
#[derive(Clone, Default)]
struct Memory {
    lines: Arc<Mutex<Vec<u8>>>,
    syncs: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    held_up: Arc<AtomicBool>,
}

impl log::Log for Memory {
    fn append(&mut self, lines: &[u8], durable: bool) -> io::Result<()> {
        while self.held_up.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("disk full"));
        }
        self.lines.lock().unwrap().extend_from_slice(lines);
        self.syncs.fetch_add(usize::from(durable), Ordering::Relaxed);
        Ok(())
    }
}

impl Memory {
    fn records(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    fn recorder(&self) -> Recorder {
        Recorder::start_with(Box::new(self.clone()), 1, Arc::new(Metrics::default())).unwrap()
    }
}

fn context(id: &str) -> RequestContext {
    RequestContext { request_id: id.into(), point: "test", started: Instant::now() }
}

/// Must be durable.
fn required() -> Decided {
    Decided::denied(Reason::PolicyTrap)
}

/// May be lost.
fn optional() -> Decided {
    Decided::denied(Reason::InvalidRequest)
}

#[tokio::test]
async fn an_answer_that_must_be_recorded_waits_until_its_record_is_durable() {
    let log = Memory::default();
    let recorder = log.recorder();
    log.held_up.store(true, Ordering::Relaxed);
    let mut pending = Box::pin(recorder.submit(required(), &context("a")).await.settled());
    let early = futures_util::poll!(&mut pending);
    assert!(early.is_pending());
    log.held_up.store(false, Ordering::Relaxed);
    let answer = pending.await;
    assert_eq!(answer.decided().reason(), Some(Reason::PolicyTrap));
    assert_eq!(log.records()[0]["request_id"], "a");
    assert_eq!(log.syncs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn many_records_share_one_wait_for_the_disk() {
    let log = Memory::default();
    let recorder = log.recorder();
    log.held_up.store(true, Ordering::Relaxed);
    let mut pending = Vec::new();
    for n in 0..500 {
        pending.push(recorder.submit(required(), &context(&n.to_string())).await);
    }
    log.held_up.store(false, Ordering::Relaxed);
    for pending in pending {
        assert_eq!(pending.settled().await.decided().reason(), Some(Reason::PolicyTrap));
    }
    assert!(log.syncs.load(Ordering::Relaxed) <= 3, "one for what came first, one for the rest");
    let numbers: Vec<_> = log.records().iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_record_that_fails_denies_and_leaves_a_gap_on_record() {
    let log = Memory::default();
    let recorder = log.recorder();
    recorder.settle(required(), &context("before")).await;
    log.fails.store(true, Ordering::Relaxed);
    let answer = recorder.settle(required(), &context("lost")).await;
    assert_eq!(answer.decided().reason(), Some(Reason::AuditUnavailable));
    assert!(answer.permit().is_err());
    let answer = recorder.settle(optional(), &context("lost too")).await;
    assert_eq!(answer.decided().reason(), Some(Reason::InvalidRequest), "this one did not need it");
    recorder.flush().await;
    log.fails.store(false, Ordering::Relaxed);
    recorder.settle(required(), &context("after")).await;
    let records = log.records();
    assert_eq!(records.len(), 3);
    assert_eq!((&records[1]["seq"], &records[1]["lost"]), (&2.into(), &2.into()));
    assert_eq!((&records[2]["seq"], &records[2]["request_id"]), (&3.into(), &"after".into()));
}

#[tokio::test]
async fn optional_records_are_dropped_and_counted_rather_than_waited_for() {
    let log = Memory::default();
    let recorder = log.recorder();
    log.held_up.store(true, Ordering::Relaxed);
    let total = QUEUE + BATCHES_IN_FLIGHT + 10;
    for _ in 0..total {
        recorder.settle(optional(), &context("x")).await;
    }
    log.held_up.store(false, Ordering::Relaxed);
    recorder.flush().await;
    recorder.settle(required(), &context("last")).await;
    let records = log.records();
    let lost: u64 = records.iter().filter_map(|record| record["lost"].as_u64()).sum();
    let kept = records.iter().filter(|record| record["request_id"] == "x").count() as u64;
    assert!(lost >= 10, "{lost}");
    assert_eq!(lost + kept, total as u64, "each is on record or counted as lost");
}

/// What the writer may have taken out of the queue while it is held up.
const BATCHES_IN_FLIGHT: usize = 1024;

fn numbers(path: &std::path::Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap();
    let number = |line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap();
    text.lines().map(number).collect()
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_the_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let write = async |id: &str| {
        let file = LogFile::open(&path).unwrap();
        let recorder = Recorder::start(file, Arc::new(Metrics::default())).unwrap();
        for _ in 0..3 {
            assert_eq!(
                recorder.settle(required(), &context(id)).await.decided().decision(),
                Decision::Deny
            );
        }
    };
    write(&"long".repeat(40_000)).await;
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for cut in [last, last + 1, last + 9, whole.len() - 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        write("x").await;
        assert_eq!(numbers(&path), [1, 2, 3, 4, 5], "cut at {cut}");
    }
    fs::write(&path, &whole[..20]).unwrap();
    write("x").await;
    assert_eq!(numbers(&path), [1, 2, 3], "nothing but a torn line");
    fs::write(&path, b"somebody's notes\n").unwrap();
    assert!(matches!(LogFile::open(&path), Err(LogError::NotARecord(_))));
    assert_eq!(fs::read(&path).unwrap(), b"somebody's notes\n", "what is no record is left alone");
}

#[test]
fn a_failed_write_is_cut_off_before_the_next_one() {
    use log::Log as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let mut file = LogFile::open(&path).unwrap();
    file.append(b"{\"seq\":1}\n", true).unwrap();
    // As if half of a block had reached the disk.
    fs::write(&path, b"{\"seq\":1}\n{\"seq\":2").unwrap();
    file.fail();
    file.append(b"{\"seq\":2}\n", true).unwrap();
    assert_eq!(numbers(&path), [1, 2]);
}
