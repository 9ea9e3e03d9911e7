//! A store, the function beside it, and what an enforcer would make of what is in it.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aecp_compiler::source::Sources;
use aecp_contract::{
    layout,
    release::{ChannelPointer, SOURCES, Statement},
    trust::{Role, RootPayload, TrustRoot},
};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use flate2::{Compression, write::GzEncoder};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::lambda::RuntimeApi;

/// The emulator wants objects' requests signed, but does not check by whom.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=0";

pub(crate) struct Place {
    folder: TempDir,
    /// The URL of the bucket, of a store that is no folder.
    bucket_url: Option<(String, String)>,
}

/// A running function, stopped when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn root() -> Vec<u8> {
    let payload = RootPayload::first(&key().verifying_key(), &[Role::Root, Role::Judicial]);
    payload.sign(&[&key()]).to_json()
}

/// A set of one policy that asks for this value.
pub(crate) fn policy(value: &str) -> String {
    format!(
        "POLICY region {{\n  SCOPE: requests\n  CONSTRAINT: region == \"{value}\"\n  ENFORCEMENT: BLOCKING\n}}\n"
    )
}

/// An upload of one file.
pub(crate) fn archive(text: &str) -> Vec<u8> {
    let request = r#"{"channel":"prod","author":"Jane Doe","justification":"CR-1"}"#;
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (path, text) in [("set/aecp.json", request), ("set/a.aecp", text)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

impl Place {
    pub(crate) fn folder() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), bucket_url: None }
    }

    pub(crate) async fn s3(url: &str, bucket: &str) -> Self {
        let (client, started) = (Client::new(), Instant::now());
        while client.get(format!("{url}/moto-api/data.json")).send().await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the S3 emulator does not start");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let made = client.put(format!("{url}/{bucket}")).send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.status());
        let bucket_url = Some((url.to_owned(), bucket.to_owned()));
        Self { folder: tempfile::tempdir().unwrap(), bucket_url }
    }

    /// What events call the store.
    pub(crate) fn bucket(&self) -> String {
        match &self.bucket_url {
            Some((_, bucket)) => bucket.clone(),
            None => self.folder.path().file_name().unwrap().to_str().unwrap().to_owned(),
        }
    }

    /// The store's URL.
    pub(crate) fn url(&self) -> String {
        match &self.bucket_url {
            Some((_, bucket)) => format!("s3://{bucket}"),
            None => format!("file://{}", self.folder.path().display()),
        }
    }

    fn object(&self, key: &str) -> Option<String> {
        self.bucket_url.as_ref().map(|(url, bucket)| format!("{url}/{bucket}/{key}"))
    }

    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        self.put_with(key, bytes, &[]).await;
    }

    pub(crate) async fn put_with(&self, key: &str, bytes: &[u8], metadata: &[(&str, &str)]) {
        let Some(url) = self.object(key) else {
            let path = self.folder.path().join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            return std::fs::write(path, bytes).unwrap();
        };
        let mut request = Client::new().put(url).header("authorization", SIGNED).body(bytes.to_vec());
        for (name, value) in metadata {
            request = request.header(format!("x-amz-meta-{name}"), *value);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let Some(url) = self.object(key) else {
            return std::fs::read(self.folder.path().join(key)).ok();
        };
        let answer = Client::new().get(url).header("authorization", SIGNED).send().await.unwrap();
        if answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        assert!(answer.status().is_success(), "{}", answer.status());
        Some(answer.bytes().await.unwrap().to_vec())
    }

    /// The serial and the one source file of the newest release of `prod`, after checking all that leads to it.
    pub(crate) async fn verified(&self) -> (u64, String) {
        let channel = "prod".parse().unwrap();
        let trusted = TrustRoot::pinned(&root()).unwrap();
        let pointer = self.get(&layout::channel(&channel)).await.unwrap();
        let pointer = ChannelPointer::from_json(&pointer, &channel).unwrap();
        let envelope = self.get(&layout::release(&channel, pointer.serial)).await.unwrap();
        assert_eq!(aecp_contract::digest::Digest::of(&envelope), pointer.release);
        let statement = Statement::verify(&envelope, &trusted, &channel).unwrap();
        let artifact = statement.artifact(SOURCES).unwrap();
        let archive = self.get(&layout::blob(artifact.digest)).await.unwrap();
        artifact.check(SOURCES, &archive).unwrap();
        let sources = Sources::from_archive(&archive).unwrap();
        (pointer.serial, sources.files()[0].text.clone())
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.folder.path().join("function.log")
    }

    /// What the functions here have logged.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log_path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aecp-compiler-fn"));
        let pem = key().to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF).unwrap();
        // The key in the variable, the root in a file.
        let root_path = self.folder.path().join("root.pinned");
        std::fs::write(&root_path, root()).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        command.env("AECP_KEY", pem.as_str()).env("AECP_ROOT", root_path).stdout(Stdio::from(log));
        command.env("AECP_STORE", self.url());
        match &self.bucket_url {
            Some((url, _)) => command
                .env("AWS_ENDPOINT", url)
                .env("AWS_ALLOW_HTTP", "true")
                .env("AWS_ACCESS_KEY_ID", "key")
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .env("AWS_DEFAULT_REGION", "us-east-1"),
            None => &mut command,
        };
        command
    }

    /// The function as a platform starts it that speaks HTTP, with its port in this variable.
    pub(crate) async fn http(&self, variables: &[(&str, &str)], port: &str) -> Running {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = free.local_addr().unwrap().port();
        drop(free);
        let mut command = self.command();
        command.env(port, number.to_string()).envs(variables.iter().copied());
        let running =
            Running { child: command.spawn().unwrap(), url: format!("http://127.0.0.1:{number}") };
        let started = Instant::now();
        while Client::new().get(&running.url).send().await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "the function does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        running
    }

    /// The function as Lambda starts it.
    pub(crate) fn lambda(&self, runtime: &RuntimeApi) -> Running {
        let mut command = self.command();
        command
            .env("AWS_LAMBDA_RUNTIME_API", &runtime.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "compiler")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream");
        Running { child: command.spawn().unwrap(), url: String::new() }
    }
}
