//! What an author submits and signs: these sources, for this channel, for this reason.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::State;
use crate::{
    digest::Digest,
    dsse::{Envelope, MAX_ENVELOPE_BYTES, parse_json},
    layout::Name,
    refusal::{Code, Refusal},
    trust::{Role, TrustRoot},
    value::Timestamp,
};

/// The payload type of submissions.
pub const SUBMISSION_PAYLOAD_TYPE: &str = "application/vnd.aecp.submission+json";

/// The most bytes of an author's name.
pub const MAX_AUTHOR_BYTES: usize = 256;

/// The most bytes of a justification.
pub const MAX_JUSTIFICATION_BYTES: usize = 4096;

/// A submission. With the author's signature it proves to everybody who submitted what, and when (paper: non-repudiation
/// of authorship).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The channel that it is for.
    pub channel: Name,
    /// The digest of the sources.
    pub source: Digest,
    /// Who submits it.
    pub author: String,
    /// Why.
    pub justification: String,
    /// When it was made. Nothing may have been accepted for the channel since then.
    pub issued: Timestamp,
    /// The states that policies are to have, by their names.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub states: std::collections::BTreeMap<String, State>,
}

impl Submission {
    /// Signs it with author keys.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Envelope {
        Envelope::sign(SUBMISSION_PAYLOAD_TYPE, &self.to_json(), keys)
    }

    fn to_json(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "maps with text keys always serialise")]
        serde_json::to_vec(self).expect("a submission is plain data")
    }

    /// Reads a submission that enough authors of `root` signed.
    ///
    /// # Errors
    /// [`TrustRoot::verify`]'s, and [`Code::Malformed`] for texts that are empty, too long or not printable.
    pub fn verify(json: &[u8], root: &TrustRoot) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json(json)?;
        let payload = root.verify(Role::Author, SUBMISSION_PAYLOAD_TYPE, &envelope)?;
        Self::parse(&payload)
    }

    /// Reads a submission whatever its signatures are, to add another.
    ///
    /// # Errors
    /// [`Code::Malformed`], [`Code::TooLarge`].
    pub fn unverified(envelope: &Envelope) -> Result<Self, Refusal> {
        Self::parse(&envelope.unverified_payload()?)
    }

    fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let submission: Self = parse_json(payload, MAX_ENVELOPE_BYTES, "the submission")?;
        submission.check()?;
        Ok(submission)
    }

    /// Whether its texts are such as reports can show.
    ///
    /// # Errors
    /// [`Code::Malformed`].
    pub fn check(&self) -> Result<(), Refusal> {
        text("author", &self.author, MAX_AUTHOR_BYTES)?;
        text("justification", &self.justification, MAX_JUSTIFICATION_BYTES)
    }
}

fn text(what: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    let printable = text.chars().all(|c| !c.is_control() || c == '\n');
    if text.trim().is_empty() || text.len() > limit || !printable {
        let detail = format!("the {what} must be 1 to {limit} bytes of printable text");
        return Err(Refusal::new(Code::Malformed, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        dsse::key_id,
        trust::{RoleKeys, RootPayload},
    };

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn submission() -> Submission {
        Submission {
            channel: "prod".parse().unwrap(),
            source: Digest::of(b"source"),
            author: "Jane Doe".into(),
            justification: "Art. 44 asks for it".into(),
            issued: "2026-01-01T00:00:00Z".parse().unwrap(),
            states: BTreeMap::from([("p".to_owned(), State::Advisory)]),
        }
    }

    /// Key 1 is root and judge, keys 2 and 3 are authors and must both sign.
    fn root() -> TrustRoot {
        let mut payload = RootPayload::first(&key(1).verifying_key(), &[Role::Root, Role::Judicial]);
        for author in [key(2), key(3)] {
            payload.add(Role::Author, &author.verifying_key());
        }
        let keyids = [key(2), key(3)].map(|key| key_id(&key.verifying_key())).into();
        payload.roles.insert(Role::Author, RoleKeys { keyids, threshold: 2 });
        TrustRoot::pinned(&payload.sign(&[&key(1)]).to_json()).unwrap()
    }

    #[test]
    fn only_enough_authors_speak_for_a_submission() {
        let code = |keys: &[&SigningKey]| {
            Submission::verify(&submission().sign(keys).to_json(), &root()).map_err(|r| r.code)
        };
        assert_eq!(code(&[&key(2), &key(3)]), Ok(submission()));
        assert_eq!(code(&[&key(2)]), Err(Code::ThresholdNotMet));
        assert_eq!(code(&[&key(1)]), Err(Code::UnknownKey), "the judge is no author");
        let one = submission().sign(&[&key(2)]);
        let both = one.cosigned(&key(3)).unwrap().to_json();
        assert_eq!(Submission::verify(&both, &root()), Ok(submission()));
    }

    #[test]
    fn texts_that_reports_cannot_show_are_refused() {
        let with = |author: &str| Submission { author: author.to_owned(), ..submission() }.check();
        assert_eq!(with("Zoë"), Ok(()));
        for bad in ["", "  ", "a\u{1b}[2J", &"x".repeat(MAX_AUTHOR_BYTES + 1)] {
            assert_eq!(with(bad).unwrap_err().code, Code::Malformed, "{bad:?}");
        }
    }
}
