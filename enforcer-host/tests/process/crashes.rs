//! An enforcer that is killed over and over while it decides, records and ships: whatever it answered is in its log, once,
//! and the log that comes out of it is one history.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aecp_contract::{
    audit::{Entry, Event, Opening, check::LogCheck},
    manifest::AuditLevel,
    tlog::{checkpoint::Checkpoint, policy::LogPolicy, tile::Tile},
};
use reqwest::Client;
use serde_json::{Value, json};

use crate::{
    commands::{serving, start_with},
    fixture::{Publisher, artifacts, release, within},
};

/// Requests that are under way at once.
const CLIENTS: usize = 4;

/// So often the enforcer is killed, over about 100,000 decisions.
const KILLS: u64 = 1000;

/// Decides until the enforcer is gone. The ids of what it answered.
async fn ask(url: String, ids: String, answers: Arc<AtomicU64>) -> Vec<String> {
    let http = Client::new();
    let mut answered = Vec::new();
    for n in 0.. {
        let id = format!("{ids}-{n}");
        let request =
            http.post(&url).header("x-request-id", &id).json(&json!({"customer.region": "EU"}));
        let Ok(response) = request.send().await else { break };
        let Ok(answer) = response.json::<Value>().await else { break };
        assert_eq!(answer["decision"], "ALLOW", "{answer}");
        answered.push(id);
        answers.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enforcer_may_be_killed_anywhere_and_no_answer_is_missing_from_its_log() {
    let publisher = Publisher::new();
    publisher.publish_as(&publisher.key, &release(1), &artifacts('E', AuditLevel::Required));
    let audit = publisher.url();
    let options = ["--audit-store", &audit, "--audit-every", "7ms", "--instance", "web-1"];
    let mut answered = BTreeSet::new();
    let mut killed_at = BTreeMap::<&str, u64>::new();
    for life in 0..KILLS {
        let (mut child, address) = start_with(&publisher, &options);
        // Every tenth is killed while it starts: before it serves, and before it has written anything.
        if life % 10 == 9 {
            std::thread::sleep(Duration::from_micros(life * 37 % 4000));
            *killed_at.entry("start").or_default() += 1;
            child.kill().unwrap();
            child.wait().unwrap();
            continue;
        }
        serving(&address).await;
        let answers = Arc::new(AtomicU64::new(0));
        let url = format!("{address}/v1/decision");
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| tokio::spawn(ask(url.clone(), format!("{life}-{n}"), Arc::clone(&answers))))
            .collect();
        // A number of answers, and then some microseconds: another place in the work each time.
        let due = 20 + life * 7 % 160;
        let busy = async {
            while answers.load(Ordering::Relaxed) < due {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        };
        within(busy).await;
        std::thread::sleep(Duration::from_micros(life * 131 % 3000));
        child.kill().unwrap();
        child.wait().unwrap();
        *killed_at.entry("work").or_default() += 1;
        for client in clients {
            answered.extend(within(client).await.unwrap());
        }
    }
    let (mut child, address) = start_with(&publisher, &options);
    serving(&address).await;
    let terminated = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(terminated.success());
    assert!(child.wait().unwrap().success());

    let log = publisher.store().join("audit/web-1");
    let mut recorded = BTreeMap::<String, u64>::new();
    let (mut lost, mut crashes) = (0, 0);
    let openings = openings(&publisher.store().join("openings/web-1"));
    read(&log, &mut |entry| match &entry.event {
        Event::Decision(decision) => {
            *recorded.entry(decision.request_id.clone()).or_default() += 1;
            let opening = &openings[&entry.seq];
            assert!(opening.opens(decision) && opening.values.contains_key("customer.region"));
        }
        Event::Gap(gap) => lost += gap.lost,
        Event::Counts(_) | Event::Clock(_) => {}
        Event::Start(start) => crashes += u64::from(start.after == aecp_contract::audit::Before::Crash),
    });
    let missing: Vec<_> = answered.iter().filter(|id| !recorded.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} of {} answers: {missing:?}", missing.len(), answered.len());
    let twice: Vec<_> = recorded.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(lost, 0, "each record was waited for, so none is in a gap");
    assert!(crashes > 0 && crashes <= KILLS, "{crashes}");
    // What is recorded and was not answered was under way when the enforcer died: at most one for each client and kill.
    let unanswered = recorded.len() - answered.len();
    assert!(unanswered as u64 <= KILLS * CLIENTS as u64, "{unanswered}");
    println!("{} decisions answered, {unanswered} more recorded, killed {killed_at:?}", answered.len());
}

/// What opens the entries of a log, by their numbers; none stands twice.
fn openings(folder: &Path) -> BTreeMap<u64, Opening> {
    let mut openings = BTreeMap::new();
    for path in
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_whole(path))
    {
        for line in fs::read_to_string(path).unwrap().lines() {
            let opening: Opening = serde_json::from_str(line).unwrap();
            assert!(openings.insert(opening.seq, opening).is_none());
        }
    }
    openings
}

/// An upload to a folder that a kill cut off leaves a file that is none of its objects.
fn is_whole(path: &Path) -> bool {
    !path.to_str().unwrap().contains('#')
}

/// Reads a log against its newest checkpoint and all that it kept, which must hold.
pub(crate) fn read(log: &Path, seen: &mut dyn FnMut(&Entry)) {
    let key = fs::read_to_string(log.join("vkey")).unwrap();
    let policy = LogPolicy::of_logs(vec![key.trim().parse().unwrap()]);
    let checkpoint =
        |path: &Path| -> Checkpoint { policy.trusted(&fs::read(path).unwrap()).unwrap().checkpoint };
    let earlier = fs::read_dir(log.join("checkpoints")).unwrap();
    let earlier = earlier.map(|entry| entry.unwrap().path()).filter(|path| is_whole(path));
    let earlier = earlier.map(|path| checkpoint(&path)).collect();
    let mut check = LogCheck::new(checkpoint(&log.join("checkpoint")), earlier);
    while let Some(bundle) = check.next() {
        let file = |tile: &Tile| fs::read(log.join(tile.path())).ok();
        let hashes = Tile { level: Some(0), ..bundle };
        let (entries, hashes) = (file(&bundle), file(&hashes));
        check.take(entries.as_deref(), hashes.as_deref(), &mut |entry, _| seen(entry));
    }
    let (_, faults) = check.finish();
    assert!(faults.is_empty(), "{faults:?}");
}
