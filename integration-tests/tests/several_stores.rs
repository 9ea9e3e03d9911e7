//! An enforcer of several stores: the highest serial that is valid serves, whatever the other stores show or do not show.
//!
//! One of the stores takes connections and never answers. It is a store of S3, configured by the process's environment, so
//! that [`the_highest_valid_serial`] runs in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{fs, net::TcpListener, path::Path, process::Command, time::Duration};

use aecp_compiler::publish::Store;
use aecp_contract::{layout, trust::TrustRoot};
use aecp_enforcer::{AuditConfig, Driven, Sidecar, SidecarConfig, server::Limits};
use aecp_integration_tests::published::{accepted, publish, root};

/// How long what must happen may take on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn no_store_hides_a_newer_release_of_another() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_highest_valid_serial", "--ignored"])
        .env("AWS_ENDPOINT", format!("http://{}", silent.local_addr().unwrap()))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_SKIP_SIGNATURE", "true")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("1 passed"), "{words}");
}

/// Releases of one policy each, which says its serial.
async fn release(store: &Store, serial: u64) {
    let policy = format!(
        "POLICY p{serial} {{\n  SCOPE: requests\n  CONSTRAINT: a == {serial}\n  ENFORCEMENT: BLOCKING\n}}\n"
    );
    assert_eq!(publish(store, &accepted(&policy), serial - 1).await.unwrap().serial, serial);
}

/// Makes one store's folder as another's.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other test, with a store in its environment"]
async fn the_highest_valid_serial() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = |name: &str| format!("file://{}", path(name).display());
    let channel = "prod".parse().unwrap();
    let good = Store::open(&url("good")).unwrap();
    release(&good, 1).await;
    copy(&path("good"), &path("stale"));
    release(&good, 2).await;
    copy(&path("good"), &path("tampered"));
    release(&Store::open(&url("tampered")).unwrap(), 3).await;
    let envelope = path("tampered").join(layout::release(&channel, 3));
    let changed = fs::read_to_string(&envelope).unwrap().replacen("payload\":\"e", "payload\":\"f", 1);
    fs::write(&envelope, changed).unwrap();

    let config = |state: &str, stores: Vec<String>| SidecarConfig {
        audit: AuditConfig::default(),
        point: None,
        stores,
        channel: channel.clone(),
        root: TrustRoot::pinned(&root()).unwrap(),
        state: path(state),
        listen: "127.0.0.1:0".parse().unwrap(),
        poll: Duration::from_millis(100),
        limits: Limits::default(),
        explain: false,
    };

    // Where there are no timers, one that does not answer is not waited for each time.
    let mut driven = Driven::start(config("driven", vec!["s3://silent".to_owned(), url("good")]), None)
        .await
        .unwrap();
    for _ in 0..30 {
        driven.refresh().await.unwrap();
    }
    assert_eq!(driven.enforcer().status().serial, Some(2));
    let metrics = driven.enforcer().metrics().encode();
    let counted = |store: &str| -> u64 {
        let lines = metrics.lines().filter(|line| line.starts_with("aecp_store_polls_total"));
        let of = lines.filter(|line| line.contains(&format!("store=\"{store}\"")));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    assert_eq!(counted(&url("good")), 30, "{metrics}");
    assert!((1..30).contains(&counted("s3://silent")), "{metrics}");

    let stores = format!("s3://silent {},{}", url("missing"), url("tampered"));
    let stores = vec![stores, url("stale"), url("good")];
    let sidecar = Sidecar::start(config("state", stores)).await.unwrap();
    let enforcer = sidecar.enforcer();
    let serial = || enforcer.status().serial;
    until("release 2 serves", || serial() == Some(2)).await;

    // What each store does is seen, and is no fault of the release that serves.
    let polled = |store: &str, outcome: &str| {
        let line = format!("aecp_store_polls_total{{store=\"{store}\",outcome=\"{outcome}\"}}");
        enforcer.metrics().encode().contains(&line)
    };
    for (store, outcome) in [
        ("s3://silent", "store_unavailable"),
        (&*url("missing"), "not_found"),
        (&*url("tampered"), "digest_mismatch"),
        (&*url("stale"), "serial_replayed"),
        (&*url("good"), "unchanged"),
    ] {
        until(&format!("{store} is {outcome}"), || polled(store, outcome)).await;
    }
    assert_eq!((serial(), enforcer.status().last_refusal), (Some(2), None));

    // Without the good one nothing leads back; a release in any other is taken up.
    fs::rename(path("good"), path("gone")).unwrap();
    until("a refusal is shown", || enforcer.status().last_refusal.is_some()).await;
    assert_eq!((serial(), enforcer.status().status), (Some(2), "serving"));
    let stale = Store::open(&url("stale")).unwrap();
    let gone = Store::open(&url("gone")).unwrap();
    release(&gone, 3).await;
    let roots = gone.roots(&root()).await.unwrap();
    let replicas = gone.replicate(&[stale], &channel, &roots, PATIENCE).await.unwrap();
    assert!(replicas[0].result.is_ok(), "{replicas:?}");
    until("release 3 serves", || serial() == Some(3)).await;
    until("the refusal is forgotten", || enforcer.status().last_refusal.is_none()).await;
    sidecar.stop().await.unwrap();
}
