//! A release: an in-toto statement that names the artifacts of one compiled set, signed for one channel.
//!
//! Source: in-toto attestation statement v1, <https://github.com/in-toto/attestation>.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    dsse::{Envelope, parse_json},
    layout::Name,
    legislation::EntryRef,
    refusal::{Code, Refusal},
    trust::{Role, TrustRoot},
    value::Timestamp,
};

/// The DSSE payload type of an in-toto statement.
pub const STATEMENT_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The in-toto statement version.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What the predicate of a release is.
const PREDICATE_TYPE: &str = "https://aecp.dev/attestations/release/v1";

/// The core module, run directly by our hosts.
pub const CORE_MODULE: &str = "policy.core.wasm";

/// The same module as a component of the world `aecp:policy/policy`.
pub const COMPONENT: &str = "policy.wasm";

/// The set's metadata ([`crate::manifest::Manifest`]).
pub const MANIFEST: &str = "manifest.json";

/// The policies' conditions as data, to explain decisions ([`crate::explain::Clauses`]).
pub const CLAUSES: &str = "clauses.json";

/// What the set was compiled from, to compile it again: `{"files": [{"path": …, "text": …}, …]}`.
pub const SOURCES: &str = "sources.json";

/// The artifact with what the author signed ([`crate::legislation::Submission`]), in a DSSE envelope; only where the
/// trust root names authors.
pub const SUBMISSION: &str = "submission.json";

/// The most bytes that one artifact may have.
pub const MAX_ARTIFACT_BYTES: u64 = 64 << 20;

/// The most bytes of all artifacts of one release together.
pub const MAX_RELEASE_BYTES: u64 = 256 << 20;

/// How far in the future a release may be issued, for clocks that differ: five minutes.
const CLOCK_SKEW_SECONDS: i64 = 300;

/// A signed release's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Release,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    name: String,
    digest: BTreeMap<String, Digest>,
    annotations: Annotations,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    size: u64,
}

/// When and for whom the release is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The channel it is for; another channel refuses it.
    pub channel: Name,
    /// Grows by one with each release of the channel.
    pub serial: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// After this a host does not take it up any more (its store may be frozen).
    pub expires: Timestamp,
    /// After this a host that still serves it denies everything.
    pub stale: Timestamp,
    /// The digest of the sources.
    pub source: Digest,
    /// The compiler and its version.
    pub compiler: String,
    /// Its entry in the channel's history; `None` for a release that was never on a channel of a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legislation: Option<EntryRef>,
}

/// One artifact as the release names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Artifact {
    /// Where it lies in the store, and what it must hash to.
    pub digest: Digest,
    /// Its exact size in bytes, at most [`MAX_ARTIFACT_BYTES`].
    pub size: u64,
}

impl Artifact {
    /// The artifact that `bytes` are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), size: bytes.len() as u64 }
    }

    /// Checks fetched bytes against the release.
    ///
    /// # Errors
    /// [`Code::Truncated`], [`Code::TooLarge`] or [`Code::DigestMismatch`], naming `name`.
    pub fn check(&self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let size = bytes.len() as u64;
        if size < self.size {
            let detail = format!("`{name}` ends after {size} of {} bytes", self.size);
            return Err(Refusal::new(Code::Truncated, detail));
        }
        if size > self.size {
            let detail = format!("`{name}` has {size} bytes where the release says {}", self.size);
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        if Digest::of(bytes) != self.digest {
            let detail = format!("`{name}` does not have the digest {}", self.digest);
            return Err(Refusal::new(Code::DigestMismatch, detail));
        }
        Ok(())
    }
}

/// Checks that a release may have artifacts of these sizes.
///
/// # Errors
/// [`Code::TooLarge`], naming the artifact if one alone is.
pub fn check_sizes<'a>(artifacts: impl IntoIterator<Item = (&'a str, Artifact)>) -> Result<(), Refusal> {
    let mut total = 0_u64;
    for (name, artifact) in artifacts {
        total = total.saturating_add(artifact.size);
        if artifact.size > MAX_ARTIFACT_BYTES {
            let detail = format!("`{name:.80}` is above {MAX_ARTIFACT_BYTES} bytes");
            return Err(Refusal::new(Code::TooLarge, detail));
        }
    }
    if total > MAX_RELEASE_BYTES {
        let detail = format!("the artifacts are above {MAX_RELEASE_BYTES} bytes together");
        return Err(Refusal::new(Code::TooLarge, detail));
    }
    Ok(())
}

impl Statement {
    /// A statement over named artifacts.
    #[must_use]
    pub fn new(artifacts: &BTreeMap<String, Artifact>, release: Release) -> Self {
        let subject = artifacts
            .iter()
            .map(|(name, artifact)| Subject {
                name: name.clone(),
                digest: BTreeMap::from([("sha256".to_owned(), artifact.digest)]),
                annotations: Annotations { size: artifact.size },
            })
            .collect();
        Self {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: release,
        }
    }

    /// The signed envelope.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Envelope {
        #[expect(clippy::expect_used, reason = "maps with text keys always serialise")]
        let payload = serde_json::to_vec(self).expect("a statement is plain data");
        Envelope::sign(STATEMENT_PAYLOAD_TYPE, &payload, keys)
    }

    /// Reads a release of `channel` that the root's judicial keys signed. Times are checked apart, by
    /// [`Release::check_fresh`], since this crate reads no clock.
    ///
    /// # Errors
    /// The envelope's refusals, [`Code::WrongChannel`], and [`Code::Malformed`] or [`Code::TooLarge`] for a
    /// statement whose artifacts cannot be used.
    pub fn verify(json: &[u8], root: &TrustRoot, channel: &Name) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json(json)?;
        let payload = root.verify(Role::Judicial, STATEMENT_PAYLOAD_TYPE, &envelope)?;
        let statement: Self = parse_json(&payload, crate::dsse::MAX_ENVELOPE_BYTES, "the release")?;
        if statement.statement_type != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
            return Err(Refusal::new(Code::Malformed, "the statement is not an AECP release"));
        }
        if statement.predicate.channel != *channel {
            let detail =
                format!("the release is for channel `{}`, not `{channel}`", statement.predicate.channel);
            return Err(Refusal::new(Code::WrongChannel, detail));
        }
        for subject in &statement.subject {
            if !subject.digest.contains_key("sha256") || subject.digest.len() != 1 {
                return Err(Refusal::new(Code::Malformed, "an artifact has no SHA-256 digest"));
            }
        }
        check_sizes(statement.artifacts())?;
        Ok(statement)
    }

    /// When and for whom the release is.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.predicate
    }

    /// The artifacts by name.
    pub fn artifacts(&self) -> impl Iterator<Item = (&str, Artifact)> {
        self.subject.iter().filter_map(|subject| {
            let digest = *subject.digest.get("sha256")?;
            Some((subject.name.as_str(), Artifact { digest, size: subject.annotations.size }))
        })
    }

    /// The artifact of this name.
    ///
    /// # Errors
    /// [`Code::Malformed`] if the release has none.
    pub fn artifact(&self, name: &str) -> Result<Artifact, Refusal> {
        self.artifacts()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, artifact)| artifact)
            .ok_or_else(|| Refusal::new(Code::Malformed, format!("the release has no `{name}`")))
    }
}

impl Release {
    /// Whether a host may take the release up at `now`.
    ///
    /// # Errors
    /// [`Code::Expired`] or [`Code::NotYetValid`].
    pub fn check_fresh(&self, now: Timestamp) -> Result<(), Refusal> {
        if now > self.expires {
            let detail = format!("release {} expired at {}", self.serial, self.expires);
            return Err(Refusal::new(Code::Expired, detail));
        }
        if self.issued.seconds > now.seconds.saturating_add(CLOCK_SKEW_SECONDS) {
            let detail = format!("release {} was issued at {}, after now", self.serial, self.issued);
            return Err(Refusal::new(Code::NotYetValid, detail));
        }
        Ok(())
    }
}

/// What `channels/<channel>.json` holds: which release is the newest, by serial and by the digest of its bytes.
/// It is not signed: it can only point at a signed release of this very channel and serial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelPointer {
    /// The channel itself.
    pub channel: Name,
    /// The serial of the newest release.
    pub serial: u64,
    /// SHA-256 of `releases/<channel>/<serial>.json`.
    pub release: Digest,
}

impl ChannelPointer {
    /// The pointer's one JSON form.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "text and numbers always serialise")]
        serde_json::to_vec(self).expect("a pointer is plain data")
    }

    /// Reads the pointer of `channel`.
    ///
    /// # Errors
    /// [`Code::TooLarge`], [`Code::Truncated`], [`Code::Malformed`] or [`Code::WrongChannel`].
    pub fn from_json(bytes: &[u8], channel: &Name) -> Result<Self, Refusal> {
        let pointer: Self = parse_json(bytes, 1024, "the channel pointer")?;
        if pointer.channel != *channel {
            let detail = format!("the pointer is of channel `{}`, not `{channel}`", pointer.channel);
            return Err(Refusal::new(Code::WrongChannel, detail));
        }
        Ok(pointer)
    }

    /// Checks that it may be followed by who has taken up the release that `highest` points at.
    ///
    /// # Errors
    /// [`Code::SerialReplayed`] if it points at an older release, or at another one of the same serial.
    pub fn check_after(&self, highest: &Self) -> Result<(), Refusal> {
        let detail = if self.serial < highest.serial {
            format!("the store shows release {} after release {}", self.serial, highest.serial)
        } else if self.serial == highest.serial && self.release != highest.release {
            format!("release {} was {} before and is {} now", self.serial, highest.release, self.release)
        } else {
            return Ok(());
        };
        Err(Refusal::new(Code::SerialReplayed, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::RootPayload;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn statement() -> Statement {
        let artifacts = BTreeMap::from([(CORE_MODULE.to_owned(), Artifact::of(b"wasm"))]);
        Statement::new(
            &artifacts,
            Release {
                channel: "prod".parse().unwrap(),
                serial: 7,
                issued: at("2026-01-01T00:00:00Z"),
                expires: at("2026-02-01T00:00:00Z"),
                stale: at("2026-02-08T00:00:00Z"),
                source: Digest::of(b"source"),
                compiler: "aecp 0.1.0".to_owned(),
                legislation: None,
            },
        )
    }

    #[test]
    fn a_release_is_read_only_for_its_channel_and_only_while_fresh() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let root = RootPayload::first(&key.verifying_key(), &[Role::Root, Role::Judicial]);
        let root = TrustRoot::pinned(&root.sign(&[&key]).to_json()).unwrap();
        let json = statement().sign(&[&key]).to_json();
        let read = Statement::verify(&json, &root, &"prod".parse().unwrap()).unwrap();
        assert_eq!(read, statement());
        let other = Statement::verify(&json, &root, &"staging".parse().unwrap()).unwrap_err();
        assert_eq!(other.code, Code::WrongChannel);
        let fresh = |now| read.release().check_fresh(at(now)).map_err(|refusal| refusal.code);
        assert_eq!(fresh("2026-01-15T00:00:00Z"), Ok(()));
        assert_eq!(fresh("2026-02-01T00:00:01Z"), Err(Code::Expired));
        assert_eq!(fresh("2025-12-31T23:50:00Z"), Err(Code::NotYetValid));
        assert_eq!(fresh("2025-12-31T23:56:00Z"), Ok(()), "five minutes of skew are allowed");
    }

    #[test]
    fn a_release_has_limits_of_size_for_each_artifact_and_for_all() {
        let of = |size| Artifact { digest: Digest::of(b""), size };
        let check = |sizes: &[u64]| {
            check_sizes(sizes.iter().map(|size| ("a", of(*size)))).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(&[MAX_ARTIFACT_BYTES; 4]), Ok(()));
        assert_eq!(check(&[MAX_ARTIFACT_BYTES + 1]), Err(Code::TooLarge));
        assert_eq!(check(&[MAX_ARTIFACT_BYTES, MAX_ARTIFACT_BYTES, 1, MAX_ARTIFACT_BYTES]), Ok(()));
        assert_eq!(check(&[60 << 20; 5]), Err(Code::TooLarge));
        assert_eq!(check(&[u64::MAX, u64::MAX]), Err(Code::TooLarge));
    }

    #[test]
    fn artifacts_are_checked_by_size_and_digest() {
        let artifact = statement().artifact(CORE_MODULE).unwrap();
        let check = |bytes| artifact.check(CORE_MODULE, bytes).map_err(|refusal| refusal.code);
        assert_eq!(check(b"wasm"), Ok(()));
        assert_eq!(check(b"wa"), Err(Code::Truncated));
        assert_eq!(check(b"wasm!"), Err(Code::TooLarge));
        assert_eq!(check(b"WASM"), Err(Code::DigestMismatch));
    }
}
