//! What can go wrong with the record of decisions besides a crash: a disk that is full, a store that is away, a second
//! process on one log. Each leaves a clear state, and nothing that was answered is lost.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use aecp_contract::{audit::Event, manifest::AuditLevel};
use reqwest::Client;
use serde_json::{Value, json};

use crate::{
    commands::{root_file, serving, start_with},
    crashes::read,
    fixture::{CHANNEL, Publisher, artifacts, release, within},
};

/// A publisher whose policies want every decision on record.
fn publisher() -> Publisher {
    let publisher = Publisher::new();
    publisher.publish_as(&publisher.key, &release(1), &artifacts('E', AuditLevel::Required));
    publisher
}

async fn ask(address: &str, id: &str) -> Value {
    let request = Client::new().post(format!("{address}/v1/decision")).header("x-request-id", id);
    let request = request.json(&json!({"customer.region": "EU", "padding": "x".repeat(100)}));
    within(request.send()).await.unwrap().json().await.unwrap()
}

fn terminate(mut child: Child) -> bool {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    sent.success() && child.wait().unwrap().success()
}

/// The ids of the decisions of a log, and the decisions that its gaps count.
fn recorded(publisher: &Publisher) -> (Vec<String>, u64) {
    let (mut ids, mut lost) = (Vec::new(), 0);
    read(&publisher.store().join("audit/web-1"), &mut |entry| match &entry.event {
        Event::Decision(decision) => ids.push(decision.request_id.clone()),
        Event::Gap(gap) => lost += gap.lost,
        _ => {}
    });
    (ids, lost)
}

/// Starts an enforcer that may not write files above a size, as on a full disk. (The signal that would end it is ignored,
/// so that writes fail with an error.)
fn start_on_a_full_disk(publisher: &Publisher, audit: &str) -> (Child, String) {
    let script = r#"trap '' XFSZ; ulimit -f 24; exec "$0" "$@""#;
    let mut child = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_aecp-enforcer")])
        .args(["--store", &publisher.url(), "--channel", CHANNEL, "--listen", "127.0.0.1:0"])
        .args(["--audit-store", audit, "--audit-every", "1h", "--instance", "web-1", "--root"])
        .arg(root_file(publisher))
        .arg("--state")
        .arg(publisher.state())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .by_ref()
        .filter_map(|line| serde_json::from_str::<Value>(&line.unwrap()).ok())
        .find_map(|line| line["address"].as_str().map(str::to_owned))
        .expect("the log says where it serves");
    std::thread::spawn(move || lines.count());
    (child, format!("http://{address}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_what_must_be_recorded_is_denied_and_the_log_goes_on_when_there_is_room() {
    let publisher = publisher();
    let audit = publisher.url();
    // The release is in the state folder before the disk is full.
    let (child, address) = start_with(&publisher, &["--instance", "web-1", "--audit-store", &audit]);
    serving(&address).await;
    assert!(terminate(child));
    let (child, address) = start_on_a_full_disk(&publisher, &audit);
    serving(&address).await;
    let (mut answered, mut denied) = (Vec::new(), 0);
    for n in 0..200 {
        let answer = ask(&address, &format!("full-{n}")).await;
        match answer["reason"].as_str() {
            None => answered.push(format!("full-{n}")),
            Some(reason) => {
                assert_eq!((reason, &answer["decision"]), ("audit_unavailable", &json!("DENY")));
                denied += 1;
            }
        }
    }
    assert!(!answered.is_empty() && denied > 0, "{} answered, {denied} denied", answered.len());
    let metrics = reqwest::get(format!("{address}/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("audit_unavailable"), "{metrics}");
    terminate(child);

    let options = ["--instance", "web-1", "--audit-store", &audit, "--audit-every", "20ms"];
    let (child, address) = start_with(&publisher, &options);
    serving(&address).await;
    assert_eq!(ask(&address, "room again").await["decision"], "ALLOW");
    answered.push("room again".to_owned());
    assert!(terminate(child));
    let (ids, _) = recorded(&publisher);
    assert_eq!(ids, answered, "what was answered is on record, and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_entries_wait_here_and_then_all_of_them_arrive() {
    let publisher = publisher();
    let audit = publisher.store().join("audit");
    // A file where the log's folder should be: every write there fails.
    fs::write(&audit, "away").unwrap();
    let url = publisher.url();
    let options = ["--instance", "web-1", "--audit-store", &url, "--audit-every", "5ms"];
    let (child, address) = start_with(&publisher, &options);
    serving(&address).await;
    let ids: Vec<String> = (0..300).map(|n| format!("away-{n}")).collect();
    for id in &ids {
        assert_eq!(ask(&address, id).await["decision"], "ALLOW");
    }
    let failures = async {
        loop {
            let metrics =
                reqwest::get(format!("{address}/metrics")).await.unwrap().text().await.unwrap();
            let failed =
                metrics.lines().find(|line| line.starts_with("aecp_audit_ship_failures_total "));
            if failed.is_some_and(|line| !line.ends_with(" 0")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(failures).await;
    fs::remove_file(&audit).unwrap();
    let shipped = async {
        while !audit.join("web-1/checkpoint").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(shipped).await;
    assert!(terminate(child));
    assert_eq!(recorded(&publisher), (ids, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_fills_its_room_is_carried_before_its_time() {
    let publisher = publisher();
    let url = publisher.url();
    let rarely = ["--audit-store", &url, "--audit-every", "5m", "--audit-spool", "200000"];
    let (child, address) = start_with(&publisher, &[&["--instance", "web-1"], &rarely[..]].concat());
    serving(&address).await;
    let checkpoint = publisher.store().join("audit/web-1/checkpoint");
    let shipped = async {
        for n in 0.. {
            assert_eq!(ask(&address, &format!("{n}")).await["decision"], "ALLOW");
            if checkpoint.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(shipped).await;
    assert!(terminate(child));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_write_one_log() {
    let publisher = publisher();
    let url = publisher.url();
    let options = ["--instance", "web-1", "--audit-store", &url, "--audit-every", "5ms"];
    let (child, address) = start_with(&publisher, &options);
    serving(&address).await;
    assert_eq!(ask(&address, "first").await["decision"], "ALLOW");
    // The same state folder: it does not start.
    let second = Command::new(env!("CARGO_BIN_EXE_aecp-enforcer"))
        .args(["--store", &url, "--channel", CHANNEL, "--listen", "127.0.0.1:0", "--root"])
        .arg(root_file(&publisher))
        .arg("--state")
        .arg(publisher.state())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("is in use by another enforcer; give each its own"), "{said}");
    assert!(terminate(child));
    // Another state folder and the same name: it decides, and never touches the other's log.
    let checkpoint = publisher.store().join("audit/web-1/checkpoint");
    let before = fs::read(&checkpoint).unwrap();
    fs::rename(publisher.state(), publisher.state().with_extension("first")).unwrap();
    let (child, address) = start_with(&publisher, &options);
    serving(&address).await;
    assert_eq!(ask(&address, "second").await["decision"], "ALLOW");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(terminate(child));
    assert_eq!(fs::read(&checkpoint).unwrap(), before);
    assert_eq!(recorded(&publisher).0, ["first"]);
}
