//! The whole road over three clouds: the compiler function as Lambda, Cloud Run and Azure Functions run it, each with stores
//! on S3, Google Cloud Storage and Azure Blob Storage. An upload to its first store becomes a release in all three, the same
//! bytes whichever platform compiled them, and an enforcer of each decides the same.
//!
//! S3 is moto, Azure is Azurite; Google is `aecp_integration_tests::gcs`, **a server of our own: it tests us, not Google**.
//! Lambda is `aecp_integration_tests::lambda`; Cloud Run's and Azure's front ends are this test, with their documented
//! events. The programs are those that `cargo test --workspace` or `cargo build --workspace` made.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aecp_contract::{digest::Digest, trust::TrustRoot};
use aecp_enforcer::{Artifacts, ReleaseSource, Store, now};
use aecp_integration_tests::{
    azure::Azure,
    gcs::Gcs,
    lambda::{Config, Emulator},
    published::{key, root},
    python::S3,
};
use ed25519_dalek::pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding};
use reqwest::Client;
use serde_json::{Value, json};

/// Of the bucket or container.
const BUCKET: &str = "policies";

/// How long what must happen may take on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

const POLICIES: &str = "POLICY residency {
  SCOPE: requests WHERE customer.region == \"EU\"
  CONSTRAINT: storage.region == \"EU\"
  ENFORCEMENT: BLOCKING
}
";

const REQUESTS: &str = r#"[{"customer.region":"EU","storage.region":"EU"},{"customer.region":"EU","storage.region":"US"},{}]"#;

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of the workspace, beside this test's own.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join(name);
    assert!(path.is_file(), "`{}` is missing: `cargo build --workspace` makes it", path.display());
    path
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn until_it_answers(url: &str) {
    let started = Instant::now();
    while Client::new().get(url).send().await.is_err() {
        assert!(started.elapsed() < PATIENCE, "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One platform, and the prefix of its stores.
struct Adapter {
    platform: &'static str,
    /// Its own cloud's store comes first.
    stores: [String; 3],
    variables: Vec<(String, String)>,
}

impl Adapter {
    fn new(platform: &'static str, schemes: [&str; 3], folder: &Path) -> Self {
        let stores = schemes.map(|scheme| format!("{scheme}://{BUCKET}/{platform}"));
        let pem = key().to_pkcs8_pem(LineEnding::LF).unwrap();
        let root_path = folder.join("root.json");
        fs::write(&root_path, root()).unwrap();
        let variables = [
            ("AECP_STORE", stores.join(",")),
            ("AECP_KEY", pem.to_string()),
            ("AECP_ROOT", root_path.display().to_string()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { platform, stores, variables }
    }

    /// Puts a set into the inbox; the key of the object that completes it, as events tell it.
    async fn upload(&self) -> String {
        let store = Store::open(&self.stores[0]).unwrap();
        let request = r#"{"channel":"prod","author":"Jane Doe","justification":"CR-1"}"#;
        for (name, text) in [("set.aecp", POLICIES), ("aecp.json", request)] {
            let key = format!("inbox/eu/march/{name}");
            assert!(store.replace(&key, text.into(), None).await.unwrap());
        }
        format!("{}/inbox/eu/march/aecp.json", self.platform)
    }

    /// What the function says of the upload, on its platform and in its platform's words.
    async fn compile(&self, key: &str) -> Value {
        let binary = program("aecp-compiler-fn");
        if self.platform == "lambda" {
            let mut config = Config::new([binary]);
            config.env.extend(self.variables.iter().map(|(name, value)| (name.clone(), value.into())));
            config.timeout = PATIENCE;
            let mut emulator = Emulator::new(config).await.unwrap();
            let record = json!({ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": { "bucket": { "name": BUCKET }, "object": { "key": key } } });
            let invocation = emulator.invoke(json!({ "Records": [record] }).to_string()).await;
            assert_eq!(invocation.failure, None);
            let told: Value = serde_json::from_slice(&invocation.answer.unwrap().body).unwrap();
            emulator.shutdown().await;
            return told["uploads"][0].clone();
        }
        let port = free_port().to_string();
        let mut command = Command::new(binary);
        command.envs(self.variables.iter().cloned()).stdout(Stdio::null());
        match self.platform {
            "cloud-run" => command.env("K_SERVICE", "compiler").env("PORT", &port),
            _ => command.env("FUNCTIONS_CUSTOMHANDLER_PORT", &port),
        };
        let _function = Running(command.spawn().unwrap());
        let url = format!("http://127.0.0.1:{port}");
        until_it_answers(&url).await;
        if self.platform == "cloud-run" {
            let finalized = "google.cloud.storage.object.v1.finalized";
            let data = json!({ "bucket": BUCKET, "name": key, "generation": "1" });
            let posted = Client::new().post(&url).header("ce-type", finalized).json(&data);
            let told: Value = posted.send().await.unwrap().json().await.unwrap();
            return told["uploads"][0].clone();
        }
        let blob = format!("https://account.blob.core.windows.net/{BUCKET}/{key}");
        let event = json!({ "eventType": "Microsoft.Storage.BlobCreated", "data": { "url": blob } });
        let event = json!({ "Data": { "eventGridEvent": event }, "Metadata": {} });
        let posted = Client::new().post(format!("{url}/Compile")).json(&event);
        let told: Value = posted.send().await.unwrap().json().await.unwrap();
        let log = told["Logs"][0].as_str().unwrap_or_else(|| panic!("{told}"));
        serde_json::from_str(log).unwrap()
    }
}

/// The artifacts of the release that an enforcer of this store takes up.
async fn artifacts(url: &str) -> BTreeMap<String, Digest> {
    let source = ReleaseSource::new(Store::open(url).unwrap(), "prod".parse().unwrap());
    let pinned = TrustRoot::pinned(&root()).unwrap();
    let release = source.fetch_latest(&pinned, now(), Artifacts::All).await;
    let release = release.unwrap_or_else(|refusal| panic!("{url}: {refusal}"));
    let artifacts = release.statement().artifacts();
    artifacts.map(|(name, artifact)| (name.to_owned(), artifact.digest)).collect()
}

/// What an enforcer process that follows this store alone decides.
async fn decisions(url: &str, folder: &Path) -> Vec<Value> {
    let port = free_port();
    let state = tempfile::tempdir_in(folder).unwrap();
    let mut command = Command::new(program("aecp-enforcer"));
    command.args(["--store", url, "--channel", "prod", "--poll", "200ms"]);
    command.arg("--root").arg(folder.join("root.json")).arg("--state").arg(state.path());
    command.args(["--listen", &format!("127.0.0.1:{port}")]).stderr(Stdio::null());
    let _enforcer = Running(command.spawn().unwrap());
    let base = format!("http://127.0.0.1:{port}");
    until_it_answers(&format!("{base}/healthz")).await;
    let started = Instant::now();
    loop {
        let health = Client::new().get(format!("{base}/healthz")).send().await.unwrap();
        let health: Value = health.json().await.unwrap();
        if health["serial"] == 1 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{url}: {health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let requests: Value = serde_json::from_str(REQUESTS).unwrap();
    let answer = Client::new().post(format!("{base}/v1/decisions")).json(&requests).send().await;
    let decided: Vec<Value> = answer.unwrap().json().await.unwrap();
    let what =
        |one: &Value| json!([one["decision"], one["violated"], one["indeterminate"], one["release"]]);
    decided.iter().map(what).collect()
}

#[test]
fn an_upload_on_any_platform_is_the_same_release_in_three_clouds_and_decides_the_same() {
    let Some(azure) = Azure::start(env!("CARGO_TARGET_TMPDIR"), BUCKET) else { return };
    let (s3, gcs) = (S3::start(env!("CARGO_TARGET_TMPDIR")), Gcs::start());
    let (started, client) = (Instant::now(), Client::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bucket = format!("{}/{BUCKET}", s3.url);
    while !runtime.block_on(client.put(&bucket).send()).is_ok_and(|answer| answer.status().is_success())
    {
        assert!(started.elapsed() < PATIENCE, "the S3 emulator does not start");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Stores are configured by their process's environment.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "from_upload_to_decision", "--ignored", "--nocapture"])
        .env("AWS_ENDPOINT", &s3.url)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("GOOGLE_SERVICE_ACCOUNT_KEY", gcs.account_key())
        .env("AZURE_STORAGE_USE_EMULATOR", "true")
        .env("AZURITE_BLOB_STORAGE_URL", &azure.url)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.contains("1 passed"), "{words}{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other test, with three stores in its environment"]
async fn from_upload_to_decision() {
    let folder = tempfile::tempdir().unwrap();
    let adapters = [
        Adapter::new("lambda", ["s3", "gs", "az"], folder.path()),
        Adapter::new("cloud-run", ["gs", "az", "s3"], folder.path()),
        Adapter::new("azure", ["az", "s3", "gs"], folder.path()),
    ];
    let (mut bytes, mut decided) = (Vec::new(), Vec::new());
    for adapter in &adapters {
        let key = adapter.upload().await;
        let told = adapter.compile(&key).await;
        assert_eq!((&told["result"], &told["serial"]), (&json!("accepted"), &json!(1)), "{told}");
        let replicas = told["replicas"].as_array().unwrap();
        let serials: Vec<_> =
            replicas.iter().map(|replica| (&replica["store"], &replica["serial"])).collect();
        let [_, second, third] = adapter.stores.each_ref().map(|url| json!(url));
        assert_eq!(serials, [(&second, &json!(1)), (&third, &json!(1))], "{told}");
        for url in &adapter.stores {
            bytes.push(artifacts(url).await);
            decided.push(decisions(url, folder.path()).await);
        }
    }
    assert!(bytes[0].len() >= 5, "{bytes:?}");
    assert!(bytes.iter().all(|one| *one == bytes[0]), "{bytes:?}");
    let words: Vec<_> = decided[0].iter().map(|one| one[0].clone()).collect();
    assert_eq!(words, ["ALLOW", "DENY", "DENY"]);
    assert!(decided.iter().all(|one| *one == decided[0]), "{decided:?}");
    assert_eq!((bytes.len(), decided.len()), (9, 9));
}
