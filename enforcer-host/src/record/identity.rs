//! Which log an enforcer writes: its name, its origin and its key.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use aecp_contract::{
    dsse::key_id,
    layout::Name,
    tlog::note::{KeyKind, NoteKey, VerifierKey},
};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};

use super::LogError;

/// A log's identity.
#[derive(Debug, Clone)]
pub struct LogIdentity {
    /// The folder of the log in a store, below `audit/`.
    pub instance: Name,
    /// What the log's checkpoints call it: `aecp/<channel>/<instance>`.
    pub origin: String,
    key: NoteKey,
}

impl LogIdentity {
    /// The identity whose key lies in the state folder. The first time a key is made; what it signs is one log, for
    /// ever. Unless `instance` is given, the log is named after the machine and the key, so that no two share a name.
    ///
    /// # Errors
    /// [`LogError::Key`] for a key that is there and cannot be read: it is never replaced.
    pub fn open(state: &Path, channel: &Name, instance: Option<Name>) -> Result<Self, LogError> {
        let path = state.join("audit.pem");
        let wrong = |reason: String| LogError::Key { path: path.clone(), reason };
        let key = open_key(&path)?;
        let id = key_id(&key.verifying_key()).to_string();
        let own = || format!("{}-{}", machine(), &id[..8]).parse();
        let instance = match instance {
            Some(instance) => instance,
            None => own().map_err(|_| wrong("the machine's name is none".to_owned()))?,
        };
        let origin = format!("aecp/{channel}/{instance}");
        let key = NoteKey::new(&origin, KeyKind::Signer, key)
            .ok_or_else(|| wrong("the origin cannot be a key's name".to_owned()))?;
        Ok(Self { instance, origin, key })
    }

    /// The public key, as auditors are given it.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        self.key.verifier()
    }

    pub(super) fn sign(&self, text: &str) -> String {
        self.key.sign(text, 0)
    }
}

/// The private key in a file (PKCS#8 PEM), which is made the first time.
///
/// # Errors
/// [`LogError::Key`] for a key that is there and cannot be read: it is never replaced.
pub fn open_key(path: &Path) -> Result<SigningKey, LogError> {
    let wrong = |reason: String| LogError::Key { path: path.to_owned(), reason };
    match fs::read_to_string(path) {
        Ok(pem) => SigningKey::from_pkcs8_pem(&pem)
            .map_err(|_| wrong("it is no Ed25519 private key in PKCS#8 PEM".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(|error| wrong(error.to_string()))
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn make(path: &Path) -> io::Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let key = SigningKey::from_bytes(&seed);
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Whole or not at all, so that a crash leaves no half of a key.
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = options.open(&new)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    Ok(key)
}

/// The machine's name as far as it can be part of a [`Name`].
fn machine() -> String {
    let name = std::env::var("HOSTNAME").or_else(|_| fs::read_to_string("/etc/hostname"));
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.unwrap_or_default().trim().chars().take(40).map(plain).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "enforcer".to_owned() } else { name.to_owned() }
}
