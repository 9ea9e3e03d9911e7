//! The sidecar as a process: started by its command line, killed, started again, stopped in order.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aecp_contract::manifest::AuditLevel;
use reqwest::Client;
use serde_json::{Value, json};

use crate::fixture::{CHANNEL, Publisher, artifacts, entries, release, within};

/// The trust root to pin, in a file.
pub(crate) fn root_file(publisher: &Publisher) -> PathBuf {
    let path = publisher.state().with_file_name("root.json");
    fs::write(&path, publisher.root.sign(&[&publisher.key]).to_json()).unwrap();
    path
}

/// Starts the binary and reads from its log where it serves.
fn start(publisher: &Publisher) -> (Child, String) {
    start_with(publisher, &["--poll", "50ms"])
}

pub(crate) fn start_with(publisher: &Publisher, more: &[&str]) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aecp-enforcer"))
        .args(["--store", &publisher.url(), "--channel", CHANNEL])
        .args(more)
        .arg("--root")
        .arg(root_file(publisher))
        .arg("--state")
        .arg(publisher.state())
        .env("AECP_LISTEN", "127.0.0.1:0")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .by_ref()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).expect("a JSON log line"))
        .find_map(|line| line["address"].as_str().map(str::to_owned))
        .expect("the log says where it serves");
    std::thread::spawn(move || lines.count());
    (child, format!("http://{address}"))
}

pub(crate) async fn serving(address: &str) {
    let health = format!("{address}/healthz");
    let ready = async {
        while reqwest::get(&health).await.is_ok_and(|response| response.status() != 200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(ready).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_a_kill_is_on_record_and_the_numbers_go_on() {
    let publisher = Publisher::new();
    publisher.publish_as(&publisher.key, &release(1), &artifacts('E', AuditLevel::Required));
    let (mut child, address) = start(&publisher);
    serving(&address).await;
    let progress = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..3)
        .map(|client| {
            let (url, progress) = (format!("{address}/v1/decision"), Arc::clone(&progress));
            tokio::spawn(async move {
                let http = Client::new();
                let mut answered = Vec::new();
                for n in 0.. {
                    let id = format!("{client}-{n}");
                    let request = http.post(&url).header("x-request-id", &id);
                    let sent = request.json(&json!({"customer.region": "EU"})).send().await;
                    let Ok(response) = sent else { return answered };
                    let Ok(answer) = response.json::<Value>().await else { return answered };
                    assert_eq!(answer["decision"], "ALLOW");
                    answered.push(id);
                    progress.fetch_add(1, Ordering::Relaxed);
                }
                answered
            })
        })
        .collect();
    let busy = async {
        while progress.load(Ordering::Relaxed) < 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(busy).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let recorded = entries(&publisher.state());
    for client in clients {
        let answered = within(client).await.unwrap();
        for id in answered {
            let found = recorded
                .iter()
                .filter(|record| record["event"]["decision"]["request_id"] == *id)
                .count();
            assert_eq!(found, 1, "{id}");
        }
    }

    let (mut child, address) = start(&publisher);
    serving(&address).await;
    let send = Client::new().post(format!("{address}/v1/decision")).json(&json!({})).send();
    assert_eq!(send.await.unwrap().status(), 200);
    let terminated = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(terminated.success());
    assert!(child.wait().unwrap().success());
    let records = entries(&publisher.state());
    assert!(records.len() > recorded.len());
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], number);
    }
}

#[test]
fn wrong_arguments_end_with_words_that_help() {
    let publisher = Publisher::new();
    let run = |store: &str, root: &std::path::Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_aecp-enforcer"))
            .args(["--store", store, "--channel", CHANNEL, "--listen", "127.0.0.1:0", "--root"])
            .arg(root)
            .arg("--state")
            .arg(publisher.state())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run("ftp://host", &root_file(&publisher)).contains("use file://, s3://, gs:// or az://"));
    assert!(run("file:///x", &publisher.state()).contains("cannot read the trust root"));
}
