//! What an upload asks for: which channel gets the set, from whom and why.

use std::collections::BTreeMap;

use aecp_contract::{
    digest::Digest,
    dsse::{Envelope, parse_json},
    layout::Name,
    legislation::{State, Submission},
    refusal::Refusal,
    value::Timestamp,
};
use serde::Deserialize;

use super::{Code, Refused};
use crate::publish::Reason;

/// The file that says what is asked for:
/// `{"channel":"prod","author":"Jane Doe","justification":"CR-1234","states":{"export":"advisory"}}`.
pub const MANIFEST: &str = "aecp.json";

/// The same, signed by authors: what `aecp sign` writes.
pub const SUBMISSION: &str = "submission.json";

/// The metadata of a single file's object that say the same: channel, author, justification. Azure allows no `-` in them.
pub const METADATA: [&str; 3] = ["aecp_channel", "aecp_author", "aecp_justification"];

/// The most bytes of either file.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The channel that is to get the set.
    pub channel: Name,
    /// Who asks for it.
    pub author: String,
    /// Why.
    pub justification: String,
    /// The states that policies are to have.
    pub states: BTreeMap<String, State>,
    /// The submission that says all this, if authors signed it. Publishing looks at the signatures.
    pub submission: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    channel: Name,
    author: String,
    justification: String,
    #[serde(default)]
    states: BTreeMap<String, State>,
}

impl Request {
    /// What a [`MANIFEST`] asks for.
    ///
    /// # Errors
    /// [`Code::BadRequest`].
    pub fn of_manifest(json: &[u8]) -> Result<Self, Refused> {
        let manifest = parse_json(json, MAX_REQUEST_BYTES, MANIFEST).map_err(bad)?;
        let Manifest { channel, author, justification, states } = manifest;
        Self { channel, author, justification, states, submission: None }.checked()
    }

    /// What a [`SUBMISSION`] asks for.
    ///
    /// # Errors
    /// [`Code::BadRequest`].
    pub fn of_submission(json: Vec<u8>) -> Result<Self, Refused> {
        let read = || Submission::unverified(&Envelope::from_json_within(&json, MAX_REQUEST_BYTES)?);
        let named = |refusal: Refusal| {
            bad(Refusal { detail: format!("{SUBMISSION}: {}", refusal.detail), ..refusal })
        };
        let Submission { channel, author, justification, states, .. } = read().map_err(named)?;
        Ok(Self { channel, author, justification, states, submission: Some(json) })
    }

    /// What the metadata of a single file ask for, by their names in lower case.
    ///
    /// # Errors
    /// [`Code::NoRequest`] and [`Code::BadRequest`].
    pub fn of_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, Refused> {
        let [channel, author, justification] = METADATA.map(|name| metadata.get(name).cloned());
        let (Some(channel), Some(author), Some(justification)) = (channel, author, justification) else {
            let detail = format!(
                "a single file needs the metadata {} on its object; or upload an archive or folder with {MANIFEST}",
                METADATA.join(", ")
            );
            return Err(Refused::new(Code::NoRequest, detail));
        };
        let wrong = |error| Refused::new(Code::BadRequest, format!("{}: {error}", METADATA[0]));
        let channel = channel.parse().map_err(wrong)?;
        Self { channel, author, justification, states: BTreeMap::new(), submission: None }.checked()
    }

    /// What the channel's history is to say.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.submission {
            Some(json) => Reason { submission: Some(json.clone()), ..Reason::default() },
            None => Reason {
                author: Some(self.author.clone()),
                justification: Some(self.justification.clone()),
                ..Reason::default()
            },
        }
    }

    /// Refuses texts that no submission could carry either.
    fn checked(self) -> Result<Self, Refused> {
        let as_submitted = Submission {
            channel: self.channel.clone(),
            source: Digest::of(b""),
            author: self.author.clone(),
            justification: self.justification.clone(),
            issued: Timestamp { seconds: 0, nanoseconds: 0 },
            states: BTreeMap::new(),
        };
        as_submitted.check().map_err(bad)?;
        Ok(self)
    }
}

fn bad(refusal: Refusal) -> Refused {
    Refused::new(Code::BadRequest, refusal.detail)
}
