//! Publishing to an S3 store that is not ours, and from two publishers at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aecp_integration_tests::python::S3;
use tempfile::TempDir;

const BUCKET: &str = "policies";

struct Publisher<'a> {
    folder: &'a Path,
    store: String,
    s3: Option<&'a S3>,
}

impl Publisher<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aecp"));
        command.current_dir(self.folder).args(arguments).args([
            "--store",
            &self.store,
            "--channel",
            "prod",
        ]);
        if let Some(s3) = self.s3 {
            command
                .env("AWS_ENDPOINT", &s3.url)
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_ACCESS_KEY_ID", "key")
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .env("AWS_DEFAULT_REGION", "us-east-1");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn publish(&self, set: &str) -> Child {
        self.command(&["publish", set, "--key", "keys/private.pem"]).spawn().unwrap()
    }

    fn verify(&self) -> Output {
        self.command(&["verify", "--root", "keys/root.json", "--format", "json"]).output().unwrap()
    }
}

/// A folder with keys and two sets, whose policies are called as their folders.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        let text = format!(
            "POLICY {name} {{\n  SCOPE: requests\n  CONSTRAINT: a == \"{name}\"\n  ENFORCEMENT: BLOCKING\n}}\n"
        );
        fs::write(folder.path().join(name).join("set.aecp"), text).unwrap();
    }
    let keygen = Command::new(env!("CARGO_BIN_EXE_aecp"))
        .current_dir(folder.path())
        .args(["keygen", "--out", "keys"])
        .output()
        .unwrap();
    assert!(keygen.status.success());
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Publishes from two processes at once, several times: every success has a serial of its own, what is not
/// published says that another was faster, and the channel ends at the highest serial that was reported.
fn race(publisher: &Publisher<'_>) {
    let mut serials = BTreeSet::new();
    for _ in 0..4 {
        let children = [publisher.publish("one"), publisher.publish("two")];
        for child in children {
            let output = child.wait_with_output().unwrap();
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            if output.status.success() {
                let serial = out.split("release ").nth(1).and_then(|rest| rest.split(' ').next());
                let serial: u64 = serial.unwrap().parse().unwrap();
                assert!(serials.insert(serial), "two releases say that they are {serial}");
            } else {
                let told = ["was published by somebody else meanwhile", "somebody else is publishing"];
                assert!(told.iter().any(|told| err.contains(told)), "{out}{err}");
            }
        }
    }
    assert!(serials.len() >= 4, "at least one of each pair is published: {serials:?}");
    let verified = publisher.verify();
    let report: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["release"]["serial"].as_u64(), serials.last().copied(), "{report}");
    assert_eq!(serials.last().copied(), Some(serials.len() as u64), "serials have no holes");
    let history = publisher.command(&["history", "--root", "keys/root.json"]).output().unwrap();
    assert!(history.status.success(), "{}", text(&history.stderr));
}

#[test]
fn two_publishers_in_a_folder_do_not_overwrite_each_other_unseen() {
    let folder = folder();
    let store = format!("file://{}/store", folder.path().display());
    race(&Publisher { folder: folder.path(), store, s3: None });
}

#[test]
fn releases_are_published_to_and_verified_from_s3() {
    let s3 = S3::start(env!("CARGO_TARGET_TMPDIR"));
    let client = reqwest::blocking::Client::new();
    let started = Instant::now();
    while client.get(format!("{}/moto-api/data.json", s3.url)).send().is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "the S3 emulator does not start");
        std::thread::sleep(Duration::from_millis(200));
    }
    let bucket = format!("{}/{BUCKET}", s3.url);
    assert!(client.put(&bucket).send().unwrap().status().is_success());
    let folder = folder();
    let store = format!("s3://{BUCKET}/a/prefix");
    let publisher = Publisher { folder: folder.path(), store, s3: Some(&s3) };
    race(&publisher);

    // A changed object is refused, and its repair is seen. (The emulator wants objects' requests signed, but
    // does not check by whom.)
    let signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, \
                  SignedHeaders=host, Signature=0";
    let put = |url: &str, body: Vec<u8>| {
        let answer = client.put(url).header("authorization", signed).body(body).send().unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    };
    let pointer = format!("{bucket}/a/prefix/channels/prod.json");
    let good = client.get(&pointer).header("authorization", signed).send().unwrap().bytes().unwrap();
    let changed = text(&good).replace("\"serial\":", "\"serial\":1");
    assert_ne!(changed, text(&good));
    put(&pointer, changed.into_bytes());
    assert_eq!(publisher.verify().status.code(), Some(1));
    let damaged = publisher.publish("one").wait_with_output().unwrap();
    assert!(text(&damaged.stderr).contains("cannot be trusted"), "{}", text(&damaged.stderr));
    put(&pointer, good.to_vec());
    assert!(publisher.verify().status.success());
}

#[test]
fn a_first_store_that_is_down_is_given_up_after_a_few_attempts() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            count.fetch_add(1, Ordering::Relaxed);
            let answer = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer);
        }
    });
    let folder = folder();
    let store = format!("s3://{BUCKET}");
    let mut publisher = Publisher { folder: folder.path(), store, s3: None };
    let told = publisher
        .command(&["publish", "one", "--key", "keys/private.pem"])
        .envs([("AWS_ENDPOINT", &*url), ("AWS_ALLOW_HTTP", "true"), ("AWS_DEFAULT_REGION", "us-east-1")])
        .envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")])
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(2), "{}", text(&told.stdout));
    assert!(text(&told.stderr).contains("the store failed while reading"), "{}", text(&told.stderr));
    // The first of its objects, which it asks for once and then a few times more.
    assert_eq!(asked.load(Ordering::Relaxed), 5);
    // What is no store is told at once.
    publisher.store = "memory:///x".to_owned();
    let told = publisher.publish("one").wait_with_output().unwrap();
    assert!(text(&told.stderr).contains("is no store"), "{}", text(&told.stderr));
}
