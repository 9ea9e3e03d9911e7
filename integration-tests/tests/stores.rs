//! The contract of a store, the same for a folder and three clouds, through the URLs and variables that users have.
//!
//! S3 is moto, Azure is Azurite; Google is `aecp_integration_tests::gcs`, **a server of our own: it tests us, not Google**.
//! A store is configured by its process's environment, so that each is tested in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use aecp_contract::refusal::Code;
use aecp_enforcer::store::Store;
use aecp_integration_tests::{azure::Azure, gcs::Gcs, python::S3};
use bytes::Bytes;
use object_store::{ObjectStoreExt as _, UpdateVersion};

/// Says which store [`the_contract`] is about.
const STORE: &str = "AECP_TEST_STORE";

/// Of the bucket or container.
const BUCKET: &str = "policies";

/// Runs [`the_contract`] in a process of its own.
fn check(url: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_contract", "--ignored"]).env(STORE, url);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("1 passed"), "{url}: {words}");
}

#[test]
fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    check(&format!("file://{}/a/b", folder.path().display()), &[]);
}

#[test]
fn s3_keeps_the_contract() {
    let s3 = S3::start(env!("CARGO_TARGET_TMPDIR"));
    let (started, client) = (Instant::now(), reqwest::Client::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bucket = format!("{}/{BUCKET}", s3.url);
    while !runtime.block_on(client.put(&bucket).send()).is_ok_and(|answer| answer.status().is_success())
    {
        assert!(started.elapsed() < Duration::from_secs(60), "the S3 emulator does not start");
        std::thread::sleep(Duration::from_millis(200));
    }
    let variables = [
        ("AWS_ENDPOINT", &*s3.url),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ];
    check(&format!("s3://{BUCKET}/a/b"), &variables);
}

#[test]
fn our_reading_of_gcs_keeps_the_contract() {
    let gcs = Gcs::start();
    check(&format!("gs://{BUCKET}/a/b"), &[("GOOGLE_SERVICE_ACCOUNT_KEY", &gcs.account_key())]);
}

#[test]
fn azure_keeps_the_contract() {
    let Some(azure) = Azure::start(env!("CARGO_TARGET_TMPDIR"), BUCKET) else { return };
    let variables = [("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", &*azure.url)];
    check(&format!("az://{BUCKET}/a/b"), &variables);
}

/// What is at a key, and how to replace it.
async fn read(store: &Store, key: &str) -> (Bytes, UpdateVersion, String) {
    let object = store.get(key, 1 << 20, None).await.unwrap().unwrap();
    (object.bytes.clone(), object.read(), object.tag.unwrap())
}

/// How many of 16 writers at once, who all know this version, are told that they wrote; one of them did. What they write is
/// new: on S3 the same content again is the same version.
async fn winners(store: &Store, key: &str, known: Option<UpdateVersion>) -> usize {
    let word = if known.is_none() { "creator" } else { "writer" };
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let (store, key, known) = (store.clone(), key.to_owned(), known.clone());
            tokio::spawn(async move {
                store.replace(&key, format!("{word} {n}").into(), known).await.unwrap().then_some(n)
            })
        })
        .collect();
    let mut won = Vec::new();
    for writer in writers {
        won.extend(writer.await.unwrap());
    }
    let (there, ..) = read(store, key).await;
    assert!(won.iter().any(|n| there == format!("{word} {n}")), "{there:?} is of none of {won:?}");
    won.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other tests, each with a store in its environment"]
async fn the_contract() {
    let url = std::env::var(STORE).unwrap();
    let store = Store::open(&url).unwrap();
    let is_folder = url.starts_with("file:");
    let code = async |key: &str, limit| store.get(key, limit, None).await.unwrap_err().code;

    // What is missing is told apart from a store that does not answer.
    assert_eq!(code("channels/prod.json", 9).await, Code::NotFound);
    assert!(store.names("releases").await.unwrap().is_empty());

    // Created once.
    assert!(store.replace("x/one", "first".into(), None).await.unwrap());
    assert!(!store.replace("x/one", "second".into(), None).await.unwrap());
    let (there, first, tag) = read(&store, "x/one").await;
    assert_eq!(there, "first");
    assert!(store.get("x/one", 9, Some(&tag)).await.unwrap().is_none(), "it is not sent again");
    assert_eq!(code("x/one", 4).await, Code::TooLarge);

    // Replaced on the condition that it is the version that was read, and sent again after that.
    assert!(store.replace("x/one", "second".into(), Some(first.clone())).await.unwrap());
    let changed = store.get("x/one", 9, Some(&tag)).await.unwrap().unwrap();
    assert_eq!(changed.bytes, "second");
    assert!(store.get("x/one", 9, changed.tag.as_deref()).await.unwrap().is_none());
    if !is_folder {
        assert!(!store.replace("x/one", "stale".into(), Some(first.clone())).await.unwrap());
        assert_eq!(read(&store, "x/one").await.0, "second");
        let gone = store.replace("x/none", "nothing to replace".into(), Some(first)).await;
        assert!(!gone.is_ok_and(|written| written), "what is not there is not replaced");
    }

    // Of many at once one wins. (A folder replaces without conditions: publishers there take turns by a lock.)
    for round in 0..3 {
        let key = format!("races/{round}");
        assert_eq!(winners(&store, &key, None).await, 1);
        if !is_folder {
            let (_, version, _) = read(&store, &key).await;
            assert_eq!(winners(&store, &key, Some(version)).await, 1);
        }
    }

    // Names in byte order, more than a page of them, folders as one, nothing of the neighbours.
    let mut names: Vec<_> = (0..25).map(|n| format!("{n:03}.json")).collect();
    for name in &names {
        assert!(store.replace(&format!("many/{name}"), "{}".into(), None).await.unwrap());
    }
    for key in ["many/folder/a", "many/folder/b", "many-others/c"] {
        assert!(store.replace(key, "{}".into(), None).await.unwrap());
    }
    names.push("folder".to_owned());
    assert_eq!(store.names("many").await.unwrap(), names);

    // Deleted; whether a second time is an error is the cloud's own.
    store.objects().delete(&store.path("x/one")).await.unwrap();
    assert_eq!(code("x/one", 9).await, Code::NotFound);
    let again = store.objects().delete(&store.path("x/one")).await;
    assert!(matches!(again, Ok(()) | Err(object_store::Error::NotFound { .. })), "{again:?}");
    assert!(store.replace("x/one", "third".into(), None).await.unwrap());
}
