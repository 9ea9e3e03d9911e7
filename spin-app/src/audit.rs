//! Which logs are written, and where they go.

use std::{fmt, time::Duration};

use aecp_contract::{
    layout::Name,
    tlog::note::{KeyKind, NoteKey},
};
use aecp_enforcer::record::AttributeRules;
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};

/// The most characters of `aecp_instance`, so that there is room for what makes each log's name its own.
const MAX_INSTANCE: usize = 40;

/// The settings of the record of decisions.
#[derive(Default)]
pub(crate) struct Audit {
    /// Where logs are carried; without it they stay in the key-value store.
    pub(crate) place: Option<crate::settings::Place>,
    /// What signs them.
    pub(crate) key: Option<SigningKey>,
    /// How the names of logs begin.
    pub(crate) instance: Option<Name>,
    /// About how often they are carried.
    pub(crate) every: Duration,
    /// What is kept of requests.
    pub(crate) rules: AttributeRules,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Audit {
    /// A key as `aecp keygen` writes it.
    pub(crate) fn read_key(text: &str) -> Result<SigningKey, String> {
        SigningKey::from_pkcs8_pem(text)
            .map_err(|_| "is no Ed25519 private key in PKCS#8 PEM".to_owned())
    }

    /// What names of logs begin with.
    pub(crate) fn read_instance(text: &str) -> Result<Name, String> {
        let name: Name = text.parse().map_err(|error| format!("cannot be used: {error}"))?;
        if text.len() > MAX_INSTANCE {
            return Err(format!("is longer than {MAX_INSTANCE} characters"));
        }
        Ok(name)
    }

    /// The same, if they hold together.
    pub(crate) fn checked(self) -> Result<Self, String> {
        if self.place.is_some() && self.key.is_none() {
            return Err("is missing: the logs in `aecp_audit_store` are signed".to_owned());
        }
        Ok(self)
    }

    /// The name of a new log: no two are the same, whoever writes them.
    pub(crate) fn new_log(&self, random: u64) -> Option<Name> {
        let instance = self.instance.as_ref().map_or_else(|| "edge".to_owned(), ToString::to_string);
        format!("{instance}-{random:016x}").parse().ok()
    }

    /// What signs the log of this name: its origin is `aecp/<channel>/<log>`.
    pub(crate) fn signer(&self, channel: &Name, log: &Name) -> Option<NoteKey> {
        NoteKey::new(&format!("aecp/{channel}/{log}"), KeyKind::Signer, self.key.clone()?)
    }
}
