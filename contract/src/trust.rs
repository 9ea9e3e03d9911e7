//! The trust root: which keys may speak in which role, and how one root succeeds another.
//!
//! Modelled on The Update Framework's root role (<https://theupdateframework.github.io/specification/>):
//! an enforcer pins one root; root *n + 1* is believed when the root keys of *n* signed it and so did its own.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    dsse::{Envelope, key_id, parse_json},
    refusal::{Code, Refusal},
};

/// The DSSE payload type of a trust root.
pub const ROOT_PAYLOAD_TYPE: &str = "application/vnd.aecp.root+json";

/// The most bytes that a root's payload may have.
const MAX_ROOT_BYTES: usize = 256 << 10;

/// What a key may speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Signs trust roots.
    Root,
    /// Signs releases.
    Judicial,
    /// Signs submissions of policies.
    Author,
    /// Signs break-glass tokens.
    BreakGlass,
}

/// The keys of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleKeys {
    /// Ids of keys in [`RootPayload::keys`].
    pub keyids: BTreeSet<Digest>,
    /// How many distinct ones must sign; at least 1.
    pub threshold: u32,
}

/// What a root says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootPayload {
    /// 1 for the first root, one more for each successor.
    pub version: u32,
    /// Public Ed25519 keys in base64, by their ids.
    pub keys: BTreeMap<Digest, String>,
    /// Which key may do what.
    pub roles: BTreeMap<Role, RoleKeys>,
}

/// A trust root whose signatures were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRoot {
    payload: RootPayload,
    keys: BTreeMap<Digest, VerifyingKey>,
}

impl RootPayload {
    /// A first root in which one key holds the given roles.
    #[must_use]
    pub fn first(key: &VerifyingKey, roles: &[Role]) -> Self {
        let keyids = BTreeSet::from([key_id(key)]);
        Self {
            version: 1,
            keys: BTreeMap::from([(key_id(key), STANDARD.encode(key.as_bytes()))]),
            roles: roles
                .iter()
                .map(|role| (*role, RoleKeys { keyids: keyids.clone(), threshold: 1 }))
                .collect(),
        }
    }

    /// Gives `key` this role too. A role that nobody had has a threshold of one.
    pub fn add(&mut self, role: Role, key: &VerifyingKey) {
        self.keys.insert(key_id(key), STANDARD.encode(key.as_bytes()));
        let holders =
            self.roles.entry(role).or_insert_with(|| RoleKeys { keyids: BTreeSet::new(), threshold: 1 });
        holders.keyids.insert(key_id(key));
    }

    /// Takes this role from the key, and the key out of the root if it has no other. A role without keys is nobody's.
    /// `false` if the key did not have it.
    pub fn remove(&mut self, role: Role, key: Digest) -> bool {
        let Some(holders) = self.roles.get_mut(&role) else { return false };
        let had = holders.keyids.remove(&key);
        if holders.keyids.is_empty() {
            self.roles.remove(&role);
        }
        if !self.roles.values().any(|holders| holders.keyids.contains(&key)) {
            self.keys.remove(&key);
        }
        had
    }

    /// The signed envelope, as `root.json` holds it.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Envelope {
        #[expect(clippy::expect_used, reason = "maps with text keys always serialise")]
        let payload = serde_json::to_vec(self).expect("a root is plain data");
        Envelope::sign(ROOT_PAYLOAD_TYPE, &payload, keys)
    }
}

impl TrustRoot {
    /// Reads a root that the operator pinned, which its own root keys must have signed.
    ///
    /// # Errors
    /// Any of the envelope's refusals, or [`Code::Malformed`] for keys and roles that do not fit together.
    pub fn pinned(json: &[u8]) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json(json)?;
        let root = Self::unverified(&envelope)?;
        root.verify(Role::Root, ROOT_PAYLOAD_TYPE, &envelope)?;
        Ok(root)
    }

    /// The next root, if this root's keys and its own keys signed it.
    ///
    /// # Errors
    /// Any of the envelope's refusals, or [`Code::RootMismatch`] if it is not the next version.
    pub fn successor(&self, json: &[u8]) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json(json)?;
        self.verify(Role::Root, ROOT_PAYLOAD_TYPE, &envelope)?;
        let next = Self::pinned(json)?;
        if next.version() != self.version().saturating_add(1) {
            return Err(Refusal::new(
                Code::RootMismatch,
                format!("root {} cannot succeed root {}", next.version(), self.version()),
            ));
        }
        Ok(next)
    }

    /// The root's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.payload.version
    }

    /// What the root says.
    #[must_use]
    pub fn payload(&self) -> &RootPayload {
        &self.payload
    }

    /// The envelope's payload, if enough keys of `role` signed it.
    ///
    /// # Errors
    /// [`Envelope::verify`]'s, and [`Code::UnknownKey`] for a role without keys.
    pub fn verify(
        &self,
        role: Role,
        payload_type: &str,
        envelope: &Envelope,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(holders) = self.payload.roles.get(&role) else {
            return Err(Refusal::new(Code::UnknownKey, "the trust root gives this role to no key"));
        };
        let keys = self
            .keys
            .iter()
            .filter(|(id, _)| holders.keyids.contains(id))
            .map(|(id, key)| (*id, *key))
            .collect();
        envelope.verify(payload_type, &keys, holders.threshold as usize)
    }

    /// Whether `key` holds `role`.
    #[must_use]
    pub fn allows(&self, role: Role, key: &VerifyingKey) -> bool {
        self.payload.roles.get(&role).is_some_and(|holders| holders.keyids.contains(&key_id(key)))
    }

    /// The root that the envelope claims to be. Its keys decide whether its own signatures hold, so it must
    /// be read before they can be checked; only [`Self::pinned`] lets it out.
    fn unverified(envelope: &Envelope) -> Result<Self, Refusal> {
        let malformed = |detail: &str| Refusal::new(Code::Malformed, detail);
        let payload: RootPayload =
            parse_json(&envelope.unverified_payload()?, MAX_ROOT_BYTES, "the trust root")?;
        let mut keys = BTreeMap::new();
        for (id, text) in &payload.keys {
            let key = STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok())
                .ok_or_else(|| malformed("a key of the trust root is not an Ed25519 public key"))?;
            // The id is the key's digest, so distinct ids are distinct keys.
            if key_id(&key) != *id {
                return Err(malformed("a key of the trust root stands under another key's id"));
            }
            keys.insert(*id, key);
        }
        for holders in payload.roles.values() {
            if holders.threshold == 0 || (holders.threshold as usize) > holders.keyids.len() {
                return Err(malformed("a role's threshold is zero or above the number of its keys"));
            }
            if !holders.keyids.iter().all(|id| keys.contains_key(id)) {
                return Err(malformed("a role names a key that the trust root does not hold"));
            }
        }
        Ok(Self { payload, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn first(key: &SigningKey) -> RootPayload {
        RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial])
    }

    #[test]
    fn a_root_is_believed_only_with_its_own_signature() {
        let (a, b) = (key(1), key(2));
        assert!(TrustRoot::pinned(&first(&a).sign(&[&a]).to_json()).is_ok());
        let forged = first(&a).sign(&[&b]).to_json();
        assert_eq!(TrustRoot::pinned(&forged).unwrap_err().code, Code::UnknownKey);
    }

    #[test]
    fn a_successor_needs_the_old_roots_signature_and_the_next_version() {
        let (a, b) = (key(1), key(2));
        let old = TrustRoot::pinned(&first(&a).sign(&[&a]).to_json()).unwrap();
        let mut next = first(&b);
        next.version = 2;
        assert_eq!(old.successor(&next.sign(&[&a, &b]).to_json()).unwrap().version(), 2);
        assert_eq!(
            old.successor(&next.sign(&[&b]).to_json()).unwrap_err().code,
            Code::UnknownKey,
            "a root that only its own keys signed"
        );
        next.version = 3;
        assert_eq!(old.successor(&next.sign(&[&a, &b]).to_json()).unwrap_err().code, Code::RootMismatch);
    }

    #[test]
    fn thresholds_and_ids_must_fit_the_keys() {
        let a = key(1);
        let mut root = first(&a);
        root.roles.get_mut(&Role::Judicial).unwrap().threshold = 2;
        assert_eq!(TrustRoot::pinned(&root.sign(&[&a]).to_json()).unwrap_err().code, Code::Malformed);
        let mut root = first(&a);
        let public = root.keys.values().next().unwrap().clone();
        root.keys.insert(Digest::of(b"another id"), public);
        assert_eq!(
            TrustRoot::pinned(&root.sign(&[&a]).to_json()).unwrap_err().code,
            Code::Malformed,
            "one key under two ids would count twice"
        );
    }
}
