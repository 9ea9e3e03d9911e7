//! Private keys: as PEM, or wrapped by the key management service of a cloud.
//!
//! A wrapped key is an Ed25519 key that only the service can unwrap, for whoever the service lets; it is unwrapped when it
//! is needed and lives in the memory of this process alone. The services do not sign themselves: Azure Key Vault has no
//! Ed25519, AWS KMS signs at most 4,096 bytes and Google Cloud KMS 64 KiB, while entries of the history and reports can be
//! longer.

mod aws;
mod azure;
mod google;
mod http;

use aecp_contract::dsse::parse_json;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use futures_util::future::BoxFuture;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use zeroize::Zeroizing;

/// The most bytes of a wrapped key's file.
const MAX_WRAPPED_BYTES: usize = 16 << 10;

/// How a private key in PEM ends.
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Bytes of the secret of an Ed25519 key.
const SECRET_BYTES: usize = 32;

/// What was unwrapped.
type Secret = Zeroizing<Vec<u8>>;

/// What a service answers.
type Asked<'a, T> = BoxFuture<'a, Result<T, KeyError>>;

/// A key management service, with the key in it that wraps others.
trait KeyService: Send + Sync {
    /// The service's key, as exactly as the service names it.
    fn reference(&self) -> String;

    /// Encrypts a secret; `context` is bound to it where the service can do that. Also says with which key it did.
    fn wrap<'a>(&'a self, secret: &'a [u8], context: &'a str) -> Asked<'a, (Vec<u8>, String)>;

    /// Decrypts what [`Self::wrap`] made.
    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a str) -> Asked<'a, Secret>;
}

/// A private key that a key management service has wrapped. It is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// The service's key: `awskms:///…`, `gcpkms://…` or `azurekms://…`.
    pub kms: String,
    /// What the service made of the secret, in base64.
    pub wrapped: String,
    /// The public key in base64.
    pub public: String,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key. It is never shown: it may be a damaged secret.
    #[error(
        "neither an Ed25519 private key in PKCS#8 PEM nor a wrapped key (make one with `aecp keygen`)"
    )]
    NotAKey,
    /// The reference names no key of a service.
    #[error("`{0}` is none of awskms:///KEY, gcpkms://projects/…/cryptoKeys/KEY, azurekms://VAULT/KEY")]
    NotAReference(String),
    /// The environment does not say who asks.
    #[error("{service} cannot be asked: {detail}")]
    Unconfigured {
        /// The service.
        service: &'static str,
        /// What is missing.
        detail: String,
    },
    /// The service did not do it.
    #[error("{service} refused or did not answer: {detail}")]
    Service {
        /// The service.
        service: &'static str,
        /// What it said.
        detail: String,
    },
    /// What was unwrapped is another key than the one that was wrapped.
    #[error("what {0} unwrapped is not the key that the file names")]
    OtherKey(String),
}

/// Reads a private key, unwrapping it if need be. From then on this process leaves no core dumps.
///
/// # Errors
/// [`KeyError`]; never the text itself.
pub async fn open(text: &str) -> Result<SigningKey, KeyError> {
    leave_no_core_dumps();
    if is_wrapped(text) {
        let wrapped = parse_json(text.as_bytes(), MAX_WRAPPED_BYTES, "the key");
        let wrapped: WrappedKey = wrapped.map_err(|_| KeyError::NotAKey)?;
        return wrapped.unwrap().await;
    }
    SigningKey::from_pkcs8_pem(text.trim()).map_err(|_| KeyError::NotAKey)
}

/// Reads several private keys, of one kind or both, that stand one after the other; at least one.
///
/// # Errors
/// As [`open`].
pub async fn open_all(text: &str) -> Result<Vec<SigningKey>, KeyError> {
    let mut keys = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = if is_wrapped(rest) {
            let mut wrapped = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
            wrapped.next().and_then(Result::ok).ok_or(KeyError::NotAKey)?;
            wrapped.byte_offset()
        } else {
            rest.find(PEM_END).ok_or(KeyError::NotAKey)? + PEM_END.len()
        };
        let (key, after) = rest.split_at(end);
        keys.push(open(key).await?);
        rest = after.trim_start();
    }
    if keys.is_empty() { Err(KeyError::NotAKey) } else { Ok(keys) }
}

/// Whether this is a wrapped key, or else PEM.
fn is_wrapped(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Wraps a key with the service's key of this reference.
///
/// # Errors
/// [`KeyError`].
pub async fn wrap(key: &SigningKey, kms: &str) -> Result<WrappedKey, KeyError> {
    let service = service(kms)?;
    let secret = Zeroizing::new(key.to_bytes());
    let (wrapped, kms) = service.wrap(&*secret, &context(key)).await?;
    let public = BASE64_STANDARD.encode(key.verifying_key());
    let wrapped = WrappedKey { kms, wrapped: BASE64_STANDARD.encode(wrapped), public };
    // A key that cannot be unwrapped again is found out now.
    wrapped.unwrap().await?;
    Ok(wrapped)
}

impl WrappedKey {
    async fn unwrap(&self) -> Result<SigningKey, KeyError> {
        let service = service(&self.kms)?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|_| KeyError::NotAKey);
        let (wrapped, public) = (decode(&self.wrapped)?, decode(&self.public)?);
        let context = hex(&public);
        let secret = service.unwrap(&wrapped, &context).await?;
        let other = || KeyError::OtherKey(service.reference());
        let secret: &[u8; SECRET_BYTES] = secret.as_slice().try_into().map_err(|_| other())?;
        let key = SigningKey::from_bytes(secret);
        if key.verifying_key().as_bytes() == public.as_slice() { Ok(key) } else { Err(other()) }
    }
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What is bound to a wrapped key: which key it is.
fn context(key: &SigningKey) -> String {
    hex(key.verifying_key().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The service that a reference names.
fn service(reference: &str) -> Result<Box<dyn KeyService>, KeyError> {
    let not_a_reference = || KeyError::NotAReference(reference.chars().take(200).collect());
    let (scheme, rest) = reference.split_once("://").ok_or_else(not_a_reference)?;
    // What stands in URLs of requests must not lead elsewhere.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if rest.is_empty() || rest.contains("..") || !rest.chars().all(plain) {
        return Err(not_a_reference());
    }
    match scheme {
        "awskms" => Ok(Box::new(aws::Kms::new(rest.strip_prefix('/').ok_or_else(not_a_reference)?)?)),
        "gcpkms" => Ok(Box::new(google::Kms::new(rest).ok_or_else(not_a_reference)??)),
        "azurekms" => Ok(Box::new(azure::Vault::new(rest).ok_or_else(not_a_reference)??)),
        _ => Err(not_a_reference()),
    }
}

/// The memory of a process that has a private key is nobody's to look at.
fn leave_no_core_dumps() {
    // Best effort: a system that knows neither has no such dumps.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
