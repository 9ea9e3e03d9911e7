//! Keys that a key management service has wrapped: AWS KMS by the emulator that the stores are tested against, Google's and
//! Azure's by a server of our own, which follows their documentation and so tests us, not them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Output},
    time::{Duration, Instant},
};

use aecp_integration_tests::python::S3;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    routing::post,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a set, and the environment that a service is asked with.
struct Place {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Place {
    fn new(environment: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("set")).unwrap();
        let policy =
            "POLICY a {\n  SCOPE: requests\n  CONSTRAINT: a == \"1\"\n  ENFORCEMENT: BLOCKING\n}\n";
        fs::write(folder.path().join("set/set.aecp"), policy).unwrap();
        Self { folder, environment }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aecp"));
        let environment = self.environment.iter().map(|(name, value)| (*name, value.as_str()));
        command.current_dir(self.folder.path()).args(arguments).envs(environment).output().unwrap()
    }

    fn keygen(&self, kms: &str, out: &str) {
        let made = self.run(&["keygen", "--kms", kms, "--out", out]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let files = fs::read_dir(self.folder.path().join(out)).unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        assert!(!files.iter().any(|name| name == "private.pem"), "no key in clear: {files:?}");
    }

    fn publish(&self, more: &[&str]) -> Output {
        let store = format!("file://{}/store", self.folder.path().display());
        self.run(&[&["publish", "set", "--store", &store, "--channel", "prod"], more].concat())
    }

    fn published(&self, more: &[&str]) {
        let published = self.publish(more);
        assert!(published.status.success(), "{}", text(&published.stderr));
    }

    fn refused(&self, more: &[&str], why: &str) {
        let refused = self.publish(more);
        assert!(!refused.status.success(), "{more:?}");
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
    }

    fn edit(&self, file: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.folder.path().join(file);
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }

    /// The whole life of wrapped keys: publish, take another in, publish with that, and what is not to work.
    fn life(&self, kms: &str, of_another_key: &str) {
        self.keygen(kms, "first");
        let first = ["--key", "first/private.json"];
        self.published(&first);
        self.keygen(kms, "second");
        let second = ["--key", "second/private.json", "--root", "first/root.json"];
        self.refused(&second, "no enforcer with this trust root would accept the release");
        let succession = ["root", "add", "first/root.json", "--role", "judicial", "--public"];
        let files = ["second/public.pem", "--key", "first/private.json", "--out", "root-2.json"];
        let added = self.run(&[&succession[..], &files].concat());
        assert!(added.status.success(), "{}", text(&added.stderr));
        self.published(&["--key", "second/private.json", "--root", "root-2.json"]);
        let store = format!("file://{}/store", self.folder.path().display());
        let by_first = ["verify", "--store", &store, "--channel", "prod", "--root", "first/root.json"];
        assert!(self.run(&by_first).status.success(), "who pinned the first root follows");
        // A file that says it holds another key than it does.
        let other: Value =
            serde_json::from_slice(&fs::read(self.folder.path().join("second/private.json")).unwrap())
                .unwrap();
        self.edit("first/private.json", |json| json["public"] = other["public"].clone());
        self.refused(&["--key", "first/private.json"], of_another_key);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_key_wrapped_by_aws_kms_signs_and_is_followed_by_another() {
    let emulator = S3::start(env!("CARGO_TARGET_TMPDIR"));
    let key = aws_key(&emulator.url);
    let place = Place::new(vec![
        ("AWS_ENDPOINT_URL_KMS", emulator.url.clone()),
        ("AWS_ACCESS_KEY_ID", "key".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]);
    // The service binds what it wraps to the public key.
    place.life(&format!("awskms:///{key}"), "InvalidCiphertext");
    let unknown = "awskms:///00000000-0000-0000-0000-000000000000";
    let refused = place.run(&["keygen", "--kms", unknown, "--out", "third"]);
    assert!(text(&refused.stderr).contains("AWS KMS refused"), "{}", text(&refused.stderr));
    assert!(!place.folder.path().join("third/private.json").exists());
}

/// Makes a key in the emulator.
fn aws_key(url: &str) -> String {
    let ready = Instant::now();
    let client = reqwest::blocking::Client::new();
    loop {
        let asked = client
            .post(url)
            .header("x-amz-target", "TrentService.CreateKey")
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/kms/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .body("{}")
            .send();
        if let Ok(answer) = asked {
            let answer: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
            return answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        }
        assert!(ready.elapsed() < Duration::from_secs(60), "the emulator does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_key_wrapped_by_google_cloud_kms_signs_and_is_followed_by_another() {
    let server = Server::start();
    let account = json!({
        "gcs_base_url": server.url, "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "",
    });
    let place = Place::new(vec![
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", format!("{}/", server.url)),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", account.to_string()),
    ]);
    let key = "projects/p/locations/eu/keyRings/aecp/cryptoKeys/judicial";
    place.life(&format!("gcpkms://{key}"), "Google Cloud KMS refused or did not answer: 400");
}

#[test]
fn a_key_wrapped_by_azure_key_vault_signs_and_is_followed_by_another() {
    let server = Server::start();
    let mut environment = vec![
        ("AZURE_KEYVAULT_ENDPOINT", server.url.clone()),
        ("IDENTITY_ENDPOINT", format!("{}/identity", server.url)),
        ("IDENTITY_HEADER", "function".to_owned()),
    ];
    let place = Place::new(environment.clone());
    place.life("azurekms://v.vault.azure.net/judicial", "is not the key that the file names");
    // The same vault, by a service principal.
    environment.truncate(1);
    environment.extend([
        ("AZURE_AUTHORITY_HOST", server.url.clone()),
        ("AZURE_TENANT_ID", "tenant".to_owned()),
        ("AZURE_CLIENT_ID", "client".to_owned()),
        ("AZURE_CLIENT_SECRET", "secret+/=".to_owned()),
    ]);
    Place::new(environment.clone()).keygen("azurekms://v.vault.azure.net/judicial", "keys");
    environment.truncate(1);
    let nobody = Place::new(environment);
    let refused =
        nobody.run(&["keygen", "--kms", "azurekms://v.vault.azure.net/judicial", "--out", "keys"]);
    assert!(text(&refused.stderr).contains("there is no managed identity"), "{}", text(&refused.stderr));
}

#[test]
fn what_names_no_key_of_a_service_is_refused() {
    let place = Place::new(Vec::new());
    for kms in [
        "",
        "awskms://",
        "awskms://alias/a",
        "gcpkms://projects/p",
        "azurekms://v",
        "x:///y",
        "azurekms://v/../x",
    ] {
        let refused = place.run(&["keygen", "--kms", kms, "--out", "keys"]);
        let told = text(&refused.stderr);
        assert!(!refused.status.success() && told.contains("is none of awskms:///KEY"), "{kms}: {told}");
        assert!(!place.folder.path().join("keys/public.pem").exists(), "nothing half-made");
    }
    fs::write(place.folder.path().join("bad.json"), "{\"wrapped\":\"c2VjcmV0\"}").unwrap();
    place.refused(&["--key", "bad.json", "--root", "bad.json"], "neither an Ed25519 private key");
}

/// The services of Google and Azure, as far as keys are wrapped by them.
struct Server {
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v1/projects/p/locations/eu/keyRings/aecp/cryptoKeys/{call}", post(google))
            .route("/keys/judicial/wrapkey", post(azure))
            .route("/keys/judicial/v1/unwrapkey", post(azure))
            .route("/identity", axum::routing::get(identity))
            .route("/tenant/oauth2/v2.0/token", post(login))
            .with_state(url.clone());
        runtime.spawn(async { axum::serve(listener, router).await });
        Self { url, _runtime: runtime }
    }
}

type Answered = Result<String, (StatusCode, String)>;

fn refuse<T>(status: StatusCode, why: &str) -> Result<T, (StatusCode, String)> {
    Err((status, why.to_owned()))
}

/// `encrypt` puts the bound data before the text and turns every character; `decrypt` asks for the same data.
async fn google(uri: Uri, headers: HeaderMap, body: String) -> Answered {
    if headers.get("authorization").is_none_or(|value| !value.as_bytes().starts_with(b"Bearer")) {
        return refuse(StatusCode::UNAUTHORIZED, "no token");
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let data = body["additionalAuthenticatedData"].as_str().unwrap();
    let turned = |text: &str| -> String { text.chars().rev().collect() };
    if uri.path().ends_with("judicial:encrypt") {
        let plain = body["plaintext"].as_str().unwrap();
        return Ok(json!({ "ciphertext": base64(&format!("{data} {}", turned(plain))) }).to_string());
    }
    let cipher = unbase64(body["ciphertext"].as_str().unwrap());
    match cipher.split_once(' ') {
        Some((bound, turned_text)) if bound == data => {
            Ok(json!({ "plaintext": turned(turned_text) }).to_string())
        }
        _ => refuse(StatusCode::BAD_REQUEST, "Decryption failed"),
    }
}

/// `wrapkey` says which version wrapped; only that one unwraps.
async fn azure(State(url): State<String>, uri: Uri, headers: HeaderMap, body: String) -> Answered {
    if headers.get("authorization").is_none_or(|value| value != "Bearer vault-token") {
        return refuse(StatusCode::UNAUTHORIZED, "no token");
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    if uri.query() != Some("api-version=7.4") || body["alg"] != "RSA-OAEP-256" {
        return refuse(StatusCode::BAD_REQUEST, "another request");
    }
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let mut value = BASE64_URL_SAFE_NO_PAD.decode(body["value"].as_str().unwrap()).unwrap();
    value.reverse();
    let value = BASE64_URL_SAFE_NO_PAD.encode(value);
    Ok(json!({ "kid": format!("{url}/keys/judicial/v1"), "value": value }).to_string())
}

async fn identity(uri: Uri, headers: HeaderMap) -> Answered {
    let asked = uri.query() == Some("resource=https%3A%2F%2Fvault.azure.net&api-version=2019-08-01");
    if !asked || headers.get("x-identity-header").is_none_or(|value| value != "function") {
        return refuse(StatusCode::BAD_REQUEST, "another request");
    }
    Ok(json!({ "access_token": "vault-token" }).to_string())
}

async fn login(body: String) -> Answered {
    let expected = "grant_type=client_credentials&client_id=client&client_secret=secret%2B%2F%3D\
                    &scope=https%3A%2F%2Fvault.azure.net%2F.default";
    if body != expected {
        return refuse(StatusCode::BAD_REQUEST, "another request");
    }
    Ok(json!({ "access_token": "vault-token" }).to_string())
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

fn unbase64(text: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::prelude::BASE64_STANDARD.decode(text).unwrap()).unwrap()
}
