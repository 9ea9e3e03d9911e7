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

impl spool::Log for Memory {
    fn append(&mut self, lines: &[u8], _: u64, durable: bool) -> io::Result<()> {
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
    fn entries(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// What was recorded after the entry that says that the writer began.
    fn records(&self) -> Vec<Value> {
        self.entries().split_off(1)
    }

    fn recorder_that(&self, recording: Recording) -> Recorder {
        let left = spool::Left::default();
        Recorder::start_with(Box::new(self.clone()), left, recording, Arc::default()).unwrap()
    }

    fn recorder(&self) -> Recorder {
        self.recorder_that(Recording::default())
    }
}

fn context(id: &str) -> RequestContext {
    RequestContext { request_id: id.into(), trace_id: None, point: "test", started: Instant::now() }
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
    assert_eq!(log.records()[0]["event"]["decision"]["request_id"], "a");
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
    assert_eq!(records[1]["event"]["decision"]["request_id"], "after");
    assert_eq!(records[2]["seq"], 3);
    assert_eq!(records[2]["event"], serde_json::json!({"gap": {"lost": 2, "reason": "disk"}}));
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
    let lost: u64 = records.iter().filter_map(|record| record["event"]["gap"]["lost"].as_u64()).sum();
    let is_kept = |record: &&Value| record["event"]["decision"]["request_id"] == "x";
    let kept = records.iter().filter(is_kept).count() as u64;
    assert!(lost >= 10, "{lost}");
    assert_eq!(lost + kept, total as u64, "each is on record or counted as lost");
}

/// What the writer may have taken out of the queue while it is held up.
const BATCHES_IN_FLIGHT: usize = 1024;

/// The numbers of the entries that are whole in a spool's files, file by file.
fn numbers(folder: &std::path::Path) -> Vec<Vec<u64>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap();
    files.iter().map(|path| fs::read_to_string(path).unwrap().lines().map(number).collect()).collect()
}

const FIRST: &str = "00000000000000000000.jsonl";

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_the_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FIRST);
    let write = async |id: &str| {
        let recorder = Recorder::start(folder.path(), Recording::default(), Arc::default()).unwrap();
        for _ in 0..3 {
            assert_eq!(
                recorder.settle(required(), &context(id)).await.decided().decision(),
                Decision::Deny
            );
        }
    };
    write(&"long".repeat(10_000)).await;
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for cut in [last, last + 1, last + 9, whole.len() - 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        write("x").await;
        assert_eq!(numbers(folder.path()), [[0, 1, 2, 3, 4, 5, 6]], "cut at {cut}");
    }
    fs::write(&path, &whole[..20]).unwrap();
    write("x").await;
    assert_eq!(numbers(folder.path()), [[0, 1, 2, 3]], "nothing but a torn line");
    fs::write(&path, b"somebody's notes\n").unwrap();
    assert!(matches!(Spool::open(folder.path()), Err(LogError::NotAnEntry(_))));
    assert_eq!(fs::read(&path).unwrap(), b"somebody's notes\n", "what is no entry is left alone");
}

#[test]
fn a_failed_write_is_cut_off_before_the_next_one() {
    use spool::Log as _;
    let folder = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(folder.path()).unwrap();
    spool.append(b"{\"seq\":0}\n", 1, true).unwrap();
    // As if half of a block had reached the disk.
    fs::write(folder.path().join(FIRST), b"{\"seq\":0}\n{\"seq\":1").unwrap();
    spool.fail();
    spool.append(b"{\"seq\":1}\n", 1, true).unwrap();
    assert_eq!(numbers(folder.path()), [[0, 1]]);
}

#[test]
fn entries_are_read_across_files_and_shipped_files_are_removed() {
    use spool::Log as _;
    let folder = tempfile::tempdir().unwrap();
    let open = || Spool::open(folder.path()).unwrap().0.with_segment_bytes(25);
    let mut spool = open();
    let mut reader = spool::SpoolReader::new(folder.path());
    let entry = |n: u64| format!("{{\"seq\":{n}}}");
    for n in 0..6 {
        spool.append(format!("{}\n", entry(n)).as_bytes(), 1, false).unwrap();
        assert_eq!(
            reader.read(n, n + 1).unwrap().entries,
            [entry(n).into_bytes()],
            "while it is written"
        );
    }
    assert_eq!(numbers(folder.path()), [[0, 1, 2], [3, 4, 5]]);
    drop(spool);
    let mut spool = open();
    assert_eq!(spool.next_seq(), 6);
    spool.append(b"{\"seq\":6}\n{\"seq\":7}\n", 2, false).unwrap();
    for (from, end) in [(0, 8), (2, 7), (3, 3), (7, 8), (0, 1)] {
        let expected: Vec<_> = (from..end).map(|n| entry(n).into_bytes()).collect();
        assert_eq!(reader.read(from, end).unwrap().entries, expected, "{from}..{end}");
    }
    assert!(reader.read(7, 9).is_err(), "what was not written is not there");
    reader.remove_before(5).unwrap();
    assert_eq!(numbers(folder.path()), [vec![3, 4, 5], vec![6, 7]]);
    assert!(reader.read(0, 4).is_err(), "what was removed is not there");
    assert_eq!(reader.read(4, 8).unwrap().entries.len(), 4);
    assert!(reader.bytes().unwrap() > 0);
    reader.remove_before(100).unwrap();
    assert_eq!(numbers(folder.path()), [[6, 7]], "the last file is written to");
}

#[tokio::test]
async fn the_log_says_how_the_writer_before_ended() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Recorder::start(folder.path(), Recording::default(), Arc::default()).unwrap();
    let first = start();
    assert_eq!(first.flush().await, Some(1));
    assert_eq!(first.stop().await, Some(2), "with what it counted");
    drop(first);
    let second = start();
    second.settle(required(), &context("x")).await;
    assert_eq!(second.flush().await, Some(4));
    drop(second);
    start().flush().await;
    let text = fs::read_to_string(folder.path().join(FIRST)).unwrap();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let after: Vec<_> =
        entries.iter().filter_map(|entry| entry["event"]["start"]["after"].as_str()).collect();
    assert_eq!(after, ["nothing", "stop", "crash"]);
}

#[tokio::test]
async fn a_full_spool_denies_what_must_be_recorded_and_counts_the_rest() {
    let log = Memory::default();
    let recorder = log.recorder();
    recorder.settle(required(), &context("before")).await;
    recorder.set_full(true);
    let answer = recorder.settle(required(), &context("denied")).await;
    assert_eq!(answer.decided().reason(), Some(Reason::AuditUnavailable));
    recorder.settle(optional(), &context("not kept")).await;
    recorder.flush().await;
    recorder.set_full(false);
    recorder.settle(required(), &context("after")).await;
    let records = log.records();
    let lost: u64 = records.iter().filter_map(|entry| entry["event"]["gap"]["lost"].as_u64()).sum();
    assert_eq!(lost, 2);
    let ids: Vec<_> =
        records.iter().filter_map(|entry| entry["event"]["decision"]["request_id"].as_str()).collect();
    assert_eq!(ids, ["before", "after"]);
}

#[tokio::test]
async fn a_record_that_no_entry_can_hold_denies_and_is_counted() {
    let log = Memory::default();
    let recorder = log.recorder();
    let answer = recorder.settle(required(), &context(&"x".repeat(1 << 16))).await;
    assert_eq!(answer.decided().reason(), Some(Reason::AuditUnavailable));
    recorder.settle(required(), &context("after")).await;
    let events: Vec<_> = log.records().into_iter().map(|mut entry| entry["event"].take()).collect();
    assert_eq!(events[0], serde_json::json!({"gap": {"lost": 1, "reason": "size"}}));
    assert_eq!(events[1]["decision"]["request_id"], "after");
}

#[tokio::test]
async fn whatever_is_handed_to_the_record_is_counted_and_on_record_or_in_a_gap() {
    let log = Memory::default();
    let recorder = log.recorder();
    recorder.settle(required(), &context("kept")).await;
    recorder.settle(required(), &context(&"x".repeat(1 << 16))).await;
    log.fails.store(true, Ordering::Relaxed);
    recorder.settle(required(), &context("lost")).await;
    assert_eq!(recorder.stop().await, None, "the counts cannot be written");
    log.fails.store(false, Ordering::Relaxed);
    // The queue is full and its callers go away before there is room.
    log.held_up.store(true, Ordering::Relaxed);
    let first = recorder.submit(required(), &context("first")).await;
    let mut pending = Vec::new();
    for _ in 0..QUEUE + BATCHES_IN_FLIGHT {
        if let std::task::Poll::Ready(one) =
            futures_util::poll!(Box::pin(recorder.submit(required(), &context("x"))))
        {
            pending.push(one);
        }
    }
    let away = (QUEUE + BATCHES_IN_FLIGHT - pending.len()) as u64;
    assert!(away > 0, "the queue was never full");
    log.held_up.store(false, Ordering::Relaxed);
    first.settled().await;
    drop(pending);
    recorder.stop().await;
    let (mut kept, mut lost) = (0, 0);
    for record in log.records() {
        kept += u64::from(record["event"]["decision"].is_object());
        lost += record["event"]["gap"]["lost"].as_u64().unwrap_or_default();
    }
    let total = (4 + QUEUE + BATCHES_IN_FLIGHT) as u64;
    assert!(lost >= 2 + away);
    assert_eq!(kept + lost, total);
    let counts = &log.records().pop().unwrap()["event"]["counts"];
    assert_eq!((&counts["decided"][0]["decided"], &counts["last"]), (&total.into(), &true.into()));
}

/// A decision of this time, straight to the writer.
async fn write_at(recorder: &Recorder, time: &str, id: &str) {
    let (done, durable) = oneshot::channel();
    let entry = Entry {
        time: time.parse().unwrap(),
        request_id: id.into(),
        trace_id: None,
        point: "test",
        latency: Duration::ZERO,
        decided: required(),
    };
    recorder.queue.send(Job::Write(Arc::new(entry), Some(done))).await.unwrap();
    durable.await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_is_told_once_and_the_entries_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Recorder::start(folder.path(), Recording::default(), Arc::default()).unwrap();
    let recorder = start();
    write_at(&recorder, "2100-01-01T00:00:10Z", "a").await;
    write_at(&recorder, "2100-01-01T00:00:09.5Z", "a little earlier").await;
    write_at(&recorder, "2100-01-01T00:00:01Z", "set back").await;
    write_at(&recorder, "2100-01-01T00:00:02Z", "after").await;
    recorder.flush().await;
    drop(recorder);
    let recorder = start();
    write_at(&recorder, "2100-01-01T00:00:00.5Z", "set back while it was down").await;
    drop(recorder);
    let text = fs::read_to_string(folder.path().join(FIRST)).unwrap();
    let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let behind: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            Some((entry["seq"].as_u64()?, entry["event"]["clock"]["behind_ms"].as_u64()?))
        })
        .collect();
    // Entry 0 says that the writer started, by the true clock; only decisions are compared, over a restart too.
    assert_eq!(behind, [(3, 8_500), (7, 1_500)], "{text}");
    let numbers: Vec<_> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn where_nothing_may_go_unrecorded_optional_decisions_wait_for_their_record_too() {
    let log = Memory::default();
    let recording = Recording { deny_unrecorded: true, ..Recording::default() };
    let recorder = log.recorder_that(recording);
    let answered = async |id: &str| recorder.settle(optional(), &context(id)).await.decided().reason();
    assert_eq!(answered("good").await, Some(Reason::InvalidRequest));
    recorder.set_full(true);
    assert_eq!(answered("spool full").await, Some(Reason::AuditUnavailable));
    recorder.set_full(false);
    assert_eq!(answered("good again").await, Some(Reason::InvalidRequest));
    log.fails.store(true, Ordering::Relaxed);
    assert_eq!(answered("the disk refuses").await, Some(Reason::AuditUnavailable));
    log.fails.store(false, Ordering::Relaxed);
    assert_eq!(answered("the disk takes it").await, Some(Reason::InvalidRequest));
    recorder.flush().await;
    let lost: u64 =
        log.records().iter().filter_map(|record| record["event"]["gap"]["lost"].as_u64()).sum();
    assert_eq!(lost, 2);
}

#[test]
fn what_opens_an_entry_that_a_crash_kept_away_is_cut_off_with_it() {
    use spool::Log as _;
    let folder = tempfile::tempdir().unwrap();
    let opening = |seq| format!("{{\"opening\":{{\"seq\":{seq},\"values\":{{}}}}}}\n");
    let (mut spool, _) = Spool::open(folder.path()).unwrap();
    let whole = format!("{}{{\"seq\":0}}\n{}{{\"seq\":1}}\n", opening(0), opening(1));
    spool.append(whole.as_bytes(), 2, true).unwrap();
    drop(spool);
    let path = folder.path().join(FIRST);
    for torn in
        [opening(2), opening(2).repeat(2), format!("{}{{\"se", opening(2)), opening(2)[..9].into()]
    {
        fs::write(&path, format!("{whole}{torn}")).unwrap();
        let (spool, left) = Spool::open(folder.path()).unwrap();
        assert_eq!((spool.next_seq(), left.next_seq), (2, 2), "{torn}");
        assert_eq!(fs::read_to_string(&path).unwrap(), whole, "{torn}");
    }
    let mut reader = spool::SpoolReader::new(folder.path());
    for from in [0, 1] {
        let read = reader.read(from, 2).unwrap();
        assert_eq!(read.entries.len() as u64, 2 - from);
        let numbers: Vec<u64> = read.openings.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (from..2).collect::<Vec<_>>());
        assert_eq!(read.openings.last().unwrap().1, b"{\"seq\":1,\"values\":{}}");
    }
}
