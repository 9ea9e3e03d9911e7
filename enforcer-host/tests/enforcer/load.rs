//! Swapping releases while requests are in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use serde_json::{Value, json};

use crate::{
    fixture::{Publisher, within},
    http::url,
};

/// Even releases allow region U, odd ones region E.
fn letter(serial: u64) -> char {
    if serial % 2 == 1 { 'E' } else { 'U' }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_over_a_swap_and_each_is_decided_wholly_by_one_release() {
    let publisher = Publisher::new();
    publisher.publish(1, letter(1));
    let sidecar = publisher.sidecar().await;
    let (done, batches) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (done, batches) = (Arc::clone(&done), Arc::clone(&batches));
            let url = url(&sidecar, "/v1/decisions");
            tokio::spawn(async move {
                let client = Client::new();
                let body: Vec<Value> = (0..20)
                    .map(|i| json!({"customer.region": if i % 2 == 0 { "EU" } else { "US" }}))
                    .collect();
                let mut newest = 0;
                while !done.load(Ordering::Relaxed) {
                    let response = client.post(&url).json(&body).send().await.unwrap();
                    assert_eq!(response.status(), 200);
                    let answers: Vec<Value> = response.json().await.unwrap();
                    let serial = answers[0]["release"].as_u64().unwrap();
                    assert!(serial >= newest, "a release never comes back");
                    newest = serial;
                    for (i, answer) in answers.iter().enumerate() {
                        assert_eq!(answer["release"], serial, "one batch, one release");
                        assert!(answer["reason"].is_null(), "{answer}");
                        let region = if i % 2 == 0 { 'E' } else { 'U' };
                        let expected = if region == letter(serial) { "ALLOW" } else { "DENY" };
                        assert_eq!(answer["decision"], expected);
                    }
                    batches.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut swaps = sidecar.enforcer().watch();
    for serial in 2..=12 {
        publisher.publish(serial, letter(serial));
        sidecar.poll_now();
        let taken_up = swaps.wait_for(|id| id.is_some_and(|id| id.serial == serial));
        within(taken_up).await.unwrap();
        let seen = batches.load(Ordering::Relaxed) + 4;
        let answers = async {
            while batches.load(Ordering::Relaxed) < seen {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within(answers).await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    sidecar.stop().await.unwrap();
}
