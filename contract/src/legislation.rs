//! The history of a channel: one signed entry for every set that was accepted, each naming the one before it by its
//! digest, and each release naming its entry. What was accepted, from whom, when and why can be added to, not rewritten.
//!
//! ```json
//! {"channel":"prod","number":7,"previous":"…","root":1,"time":"2026-03-01T09:30:00Z","serial":5,"source":"…",
//!  "replaces":{"serial":4,"source":"…"},"author":"Jane Doe","justification":"…",
//!  "submission":{"envelope":"…","keys":["…"]},
//!  "changes":[{"policy":"export","change":"changed","version":3,"replaces":2}],
//!  "moves":[{"policy":"export","from":"blocking","to":"advisory"}],"states":{"export":"advisory"}}
//! ```
//!
//! Entries lie in DSSE envelopes that the judicial keys signed, at [`crate::layout::legislation`]. Order of writing: the
//! entry, the release that names it, the channel's pointer. Of entries with the same serial at most one is named by the
//! release of that serial; the others were never in force.

mod state;
mod submission;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

pub use self::{
    state::{Move, NotAState, State, States},
    submission::{MAX_AUTHOR_BYTES, MAX_JUSTIFICATION_BYTES, SUBMISSION_PAYLOAD_TYPE, Submission},
};
use crate::{
    digest::Digest,
    dsse::{Envelope, parse_json},
    layout::Name,
    refusal::{Code, Refusal},
    trust::{Role, TrustRoot},
    value::Timestamp,
};

/// The payload type of entries.
pub const ENTRY_PAYLOAD_TYPE: &str = "application/vnd.aecp.legislation+json";

/// The most bytes that an entry's envelope may have: an entry lists every policy that changed.
pub const MAX_ENTRY_BYTES: usize = 16 << 20;

/// One set that was accepted for a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The channel.
    pub channel: Name,
    /// Its place in the history, from 1 on.
    pub number: u64,
    /// SHA-256 of the envelope of the entry before it; `None` for the first.
    pub previous: Option<Digest>,
    /// The version of the trust root whose judicial keys signed it.
    pub root: u32,
    /// When it was accepted.
    pub time: Timestamp,
    /// The serial of the release that it was accepted for.
    pub serial: u64,
    /// The digest of the set's sources.
    pub source: Digest,
    /// The release that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaced>,
    /// Who submitted it, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The author's signature, where the trust root names authors. The release carries the envelope as
    /// [`crate::release::SUBMISSION`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Signed>,
    /// The upload that it came from, where the hosted compiler accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadRef>,
    /// The policies that say something else than in the release that it replaces, in byte order of their names.
    pub changes: Vec<PolicyChange>,
    /// The policies whose state changes, in byte order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// The states of all policies that are held back, with these moves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub states: States,
}

/// A release that another took the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// Its serial.
    pub serial: u64,
    /// The digest of its sources.
    pub source: Digest,
}

/// An upload to the hosted compiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadRef {
    /// Its key in the store.
    pub key: String,
    /// SHA-256 of its bytes; of a folder over one line per file, as of sources; of what is too large to be read, of none.
    pub digest: Digest,
    /// When the store got it, by the store's clock.
    pub uploaded: Timestamp,
}

/// What an author signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// SHA-256 of the signed [`Submission`].
    pub envelope: Digest,
    /// The ids of the author keys that signed it.
    pub keys: Vec<Digest>,
}

/// What became of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Its name.
    pub policy: String,
    /// What became of it.
    pub change: ChangeKind,
    /// Its VERSION; `None` if it states none, or is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The VERSION that it had; `None` if it stated none, or is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<i64>,
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It means something else.
    Changed,
    /// Whether it means the same could not be decided.
    NotDecided,
    /// It means the same in other words, or is described otherwise.
    Reworded,
    /// It is not there any more.
    Removed,
}

impl ChangeKind {
    /// The word that reports show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::NotDecided => "not decided",
            Self::Reworded => "reworded",
            Self::Removed => "removed",
        }
    }
}

/// Which entry of the history a release belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryRef {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its envelope.
    pub digest: Digest,
}

impl Entry {
    /// Signs the entry with judicial keys.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Envelope {
        #[expect(clippy::expect_used, reason = "maps with text keys always serialise")]
        let payload = serde_json::to_vec(self).expect("an entry is plain data");
        Envelope::sign(ENTRY_PAYLOAD_TYPE, &payload, keys)
    }

    /// Reads an entry of `channel` from its envelope, signed by the judicial keys of `root`.
    ///
    /// # Errors
    /// [`TrustRoot::verify`]'s, [`Code::WrongChannel`], and [`Code::Malformed`] if it names another root than `root`.
    pub fn verify(json: &[u8], root: &TrustRoot, channel: &Name) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json_within(json, MAX_ENTRY_BYTES)?;
        let payload = root.verify(Role::Judicial, ENTRY_PAYLOAD_TYPE, &envelope)?;
        let entry = Self::parse(&payload, channel)?;
        if entry.root != root.version() {
            let detail = format!("the entry says root {}, not {}", entry.root, root.version());
            return Err(Refusal::new(Code::Malformed, detail));
        }
        Ok(entry)
    }

    /// Reads an entry without looking at its signatures: only for one whose digest somebody trusted names, such as a
    /// release or the entry after it, and to learn under which root it was signed.
    ///
    /// # Errors
    /// [`Code::Malformed`], [`Code::TooLarge`] and [`Code::WrongChannel`].
    pub fn unverified(json: &[u8], channel: &Name) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json_within(json, MAX_ENTRY_BYTES)?;
        Self::parse(&envelope.unverified_payload()?, channel)
    }

    fn parse(payload: &[u8], channel: &Name) -> Result<Self, Refusal> {
        let entry: Self = parse_json(payload, MAX_ENTRY_BYTES, "the entry of the history")?;
        if entry.channel != *channel {
            let detail = format!("the entry is of channel `{}`, not `{channel}`", entry.channel);
            return Err(Refusal::new(Code::WrongChannel, detail));
        }
        Ok(entry)
    }

    /// Whether it may stand after `previous`, whose envelope has this digest; at the beginning if there is none.
    ///
    /// # Errors
    /// [`Code::HistoryBroken`].
    pub fn follows(&self, previous: Option<(&Self, Digest)>) -> Result<(), Refusal> {
        let broken = |detail: String| Err(Refusal::new(Code::HistoryBroken, detail));
        let number = previous.map_or(1, |(before, _)| before.number.saturating_add(1));
        if self.number != number {
            return broken(format!("entry {number} of the history says that it is {}", self.number));
        }
        if self.previous != previous.map(|(_, digest)| digest) {
            return broken(format!("entry {number} of the history does not name the one before it"));
        }
        if let Some((before, _)) = previous
            && (self.root < before.root || self.serial < before.serial)
        {
            return broken(format!(
                "entry {number} of the history goes back to an older root or serial"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::RootPayload;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn root() -> TrustRoot {
        let payload = RootPayload::first(&key().verifying_key(), &[Role::Root, Role::Judicial]);
        TrustRoot::pinned(&payload.sign(&[&key()]).to_json()).unwrap()
    }

    fn entry(number: u64, previous: Option<Digest>) -> Entry {
        Entry {
            channel: "prod".parse().unwrap(),
            number,
            previous,
            root: 1,
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            serial: number,
            source: Digest::of(b"source"),
            replaces: None,
            author: None,
            justification: None,
            submission: None,
            upload: None,
            changes: Vec::new(),
            moves: Vec::new(),
            states: States::new(),
        }
    }

    #[test]
    fn an_entry_is_believed_with_its_signature_its_channel_and_its_root() {
        let prod = "prod".parse().unwrap();
        let code = |json: &[u8], channel: &str| {
            Entry::verify(json, &root(), &channel.parse().unwrap()).map_err(|refusal| refusal.code)
        };
        let signed = entry(1, None).sign(&[&key()]).to_json();
        assert_eq!(Entry::verify(&signed, &root(), &prod).unwrap(), entry(1, None));
        assert_eq!(code(&signed, "other"), Err(Code::WrongChannel));
        let stranger = entry(1, None).sign(&[&SigningKey::from_bytes(&[2; 32])]).to_json();
        assert_eq!(code(&stranger, "prod"), Err(Code::UnknownKey));
        let other_root = Entry { root: 2, ..entry(1, None) }.sign(&[&key()]).to_json();
        assert_eq!(code(&other_root, "prod"), Err(Code::Malformed));
        // Nothing else that the same keys sign passes for an entry.
        let release = Envelope::sign(crate::release::STATEMENT_PAYLOAD_TYPE, b"{}", &[&key()]).to_json();
        assert_eq!(code(&release, "prod"), Err(Code::Malformed));
    }

    #[test]
    fn a_history_neither_drops_nor_swaps_nor_turns_back() {
        let first = entry(1, None);
        let digest = Digest::of(&first.sign(&[&key()]).to_json());
        let second = entry(2, Some(digest));
        assert_eq!(first.follows(None), Ok(()));
        assert_eq!(second.follows(Some((&first, digest))), Ok(()));
        for (broken, previous) in [
            (entry(2, None), None),
            (entry(1, Some(digest)), None),
            (entry(3, Some(digest)), Some((&first, digest))),
            (entry(2, Some(Digest::of(b"other"))), Some((&first, digest))),
            (Entry { serial: 0, ..entry(2, Some(digest)) }, Some((&first, digest))),
            (Entry { root: 0, ..entry(2, Some(digest)) }, Some((&first, digest))),
        ] {
            assert_eq!(broken.follows(previous).unwrap_err().code, Code::HistoryBroken, "{broken:?}");
        }
    }
}
