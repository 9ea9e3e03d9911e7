//! Signs a compiled set and writes it to a store, so that two publishers cannot overwrite each other unseen.
//!
//! Order of writing: artifacts, the entry of the channel's history, the release under the next serial, which names the
//! entry (each created, never overwritten), then the channel's pointer, on the condition that it is still the one that
//! was read. Whatever fails before the release is written leaves the channel as it was; an entry without a release was
//! never in force. Once the release is written, the next publisher points at it, if its own publisher did not come to
//! that: serials have no holes. A local folder cannot write conditionally, so a lock file keeps publishers there one after
//! the other.
//!
//! Of several stores one gives the serials, and [`Store::replicate`] copies what it has into the others.

mod history;
mod inbox;
mod newest;
mod replicate;
mod roots;
mod store;
mod submission;

use std::{collections::BTreeMap, path::PathBuf};

use aecp_contract::{
    digest::Digest,
    dsse::Envelope,
    layout::{self, Name},
    legislation::{Entry, EntryRef, MAX_ENTRY_BYTES, Replaced, Signed, Submission, UploadRef},
    refusal::{Code, Refusal},
    release::{Artifact, ChannelPointer, Release, SUBMISSION, Statement, check_sizes},
    trust::{Role, TrustRoot},
    value::Timestamp,
};
use ed25519_dalek::SigningKey;

pub use self::{
    history::{Fate, Recorded},
    inbox::Object,
    newest::Base,
    replicate::{Replica, Replicated},
    roots::Roots,
    store::Store,
};
use crate::{accept::Accepted, compile::COMPILER};

/// What a release is to say beyond its artifacts.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The channel.
    pub channel: Name,
    /// Now.
    pub issued: Timestamp,
    /// After this no enforcer takes the release up any more.
    pub expires: Timestamp,
    /// After this an enforcer that still serves it denies everything.
    pub stale: Timestamp,
}

/// Why a set is published: what the channel's history says of it.
#[derive(Debug, Clone, Default)]
pub struct Reason {
    /// Who submits it; of a signed submission what that says.
    pub author: Option<String>,
    /// Why; of a signed submission what that says.
    pub justification: Option<String>,
    /// The submission that authors signed ([`Submission`]), where the trust root names authors.
    pub submission: Option<Vec<u8>>,
    /// The upload that it came from, if it came by one.
    pub upload: Option<UploadRef>,
}

/// A release as it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its serial.
    pub serial: u64,
    /// The digest of its envelope.
    pub release: Digest,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The URL is of no store.
    #[error("`{url}` is no store: {reason}; use file:///…, s3://…, gs://… or az://…")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store does not answer as it should.
    #[error("the store failed while {doing}: {error}")]
    Store {
        /// What was being done.
        doing: String,
        /// The store's own error.
        error: object_store::Error,
    },
    /// The local folder cannot be made or locked.
    #[error("the folder `{folder}` cannot be written: {error}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The keys may not sign releases, or too few of them signed.
    #[error("no enforcer with this trust root would accept the release: {0}")]
    NotTrusted(Refusal),
    /// The store has trust roots, but neither the given one nor those next to it.
    #[error(
        "the store has trust root {newest} and nothing that leads from it to trust root {given}, so its enforcers could not \
         follow; publish by each successor in turn (`--root`), one after the other"
    )]
    RootGap {
        /// The version that was given.
        given: u32,
        /// The newest that the store has.
        newest: u64,
    },
    /// Enforcers take no release that is so large.
    #[error("the set is too large for one release: {0}; make several sets")]
    TooLarge(Refusal),
    /// What the channel holds now cannot be trusted, so nothing can take its place.
    #[error("what the channel has cannot be trusted ({0}); repair the store first")]
    Damaged(Refusal),
    /// Nothing says who submits it, or what says so does not fit.
    #[error("the submission is refused: {0}")]
    Submission(Refusal),
    /// Another publisher is about to publish.
    #[error("somebody else is publishing to this channel; look at release {serial} and publish again")]
    Busy {
        /// The serial that theirs will have.
        serial: u64,
    },
    /// Another publisher was faster.
    #[error("release {serial} was published by somebody else meanwhile; look at it and publish again")]
    Conflict {
        /// The serial that the channel points at now.
        serial: u64,
    },
}

impl Store {
    /// Signs what was accepted with `keys` and makes it the channel's newest release.
    ///
    /// # Errors
    /// [`PublishError`]; the channel is then as it was.
    pub async fn publish(
        &self,
        accepted: &Accepted,
        publication: &Publication,
        reason: &Reason,
        keys: &[&SigningKey],
        roots: &Roots,
    ) -> Result<Published, PublishError> {
        let (root, channel) = (roots.newest(), &publication.channel);
        // A probe, so that a wrong key is told before anything is written.
        let probe = Envelope::sign("probe", b"", keys);
        root.verify(Role::Judicial, "probe", &probe).map_err(PublishError::NotTrusted)?;
        let submission = submission::check(root, accepted, publication, reason)?;
        let mut blobs = accepted.compiled.artifacts();
        if let Some(signed) = &reason.submission {
            blobs.insert(SUBMISSION.to_owned(), signed.clone());
        }
        let artifacts: BTreeMap<_, _> =
            blobs.iter().map(|(name, bytes)| (name.clone(), Artifact::of(bytes))).collect();
        let named = artifacts.iter().map(|(name, artifact)| (name.as_str(), *artifact));
        check_sizes(named).map_err(PublishError::TooLarge)?;
        let _lock = self.lock().await?;
        self.put_root(roots).await?;
        let newest = self.recover(channel, roots).await?;
        let before = newest.as_ref().map(|newest| newest.statement.release());
        let replaced = before.map_or(0, |release| release.serial);
        if replaced != accepted.base {
            return Err(PublishError::Conflict { serial: replaced });
        }
        let before_it = newest.as_ref().map(|newest| &newest.statement);
        submission::check_components(before_it, accepted)?;
        let head = self.head(channel, before.and_then(|release| release.legislation), roots).await?;
        let entry = entry(accepted, publication, reason, submission, (root, before, head.as_ref()))?;
        let serial = entry.serial;
        for bytes in blobs.values() {
            self.put_blob(bytes).await?;
        }
        let (number, envelope) = (entry.number, entry.sign(keys).to_json());
        if envelope.len() > MAX_ENTRY_BYTES {
            let detail = "its changes are more than an entry of the history holds";
            return Err(PublishError::TooLarge(Refusal::new(Code::TooLarge, detail)));
        }
        let legislation = EntryRef { number, digest: Digest::of(&envelope) };
        if !self.create(&layout::legislation(channel, number), envelope.into()).await? {
            return Err(PublishError::Busy { serial });
        }
        let release = Release {
            channel: channel.clone(),
            serial,
            issued: Timestamp { nanoseconds: 0, ..publication.issued },
            expires: publication.expires,
            stale: publication.stale,
            source: accepted.compiled.manifest.source,
            compiler: COMPILER.to_owned(),
            legislation: Some(legislation),
        };
        let envelope = Statement::new(&artifacts, release).sign(keys).to_json();
        let release = Digest::of(&envelope);
        // From here on the release is published: whoever comes next points at it, if this does not come to it.
        if !self.create(&layout::release(channel, serial), envelope.into()).await? {
            return Err(PublishError::Conflict { serial });
        }
        let pointer = ChannelPointer { channel: channel.clone(), serial, release };
        if !self.move_pointer(&pointer, newest.map(|newest| newest.version)).await? {
            let now = self.newest(channel, roots).await?.map_or(0, |newest| newest.pointer.serial);
            if now < serial {
                return Err(PublishError::Conflict { serial: now });
            }
        }
        Ok(Published { serial, release })
    }
}

/// What the history is to say.
fn entry(
    accepted: &Accepted,
    publication: &Publication,
    reason: &Reason,
    submission: Option<(Submission, Signed)>,
    (root, before, head): (&TrustRoot, Option<&Release>, Option<&(Entry, Digest)>),
) -> Result<Entry, PublishError> {
    if let (Some((submission, _)), Some((head, _))) = (&submission, head)
        && submission.issued <= head.time
    {
        let detail = format!(
            "it was signed at {}, before entry {} of the history was accepted at {}; look at that, and sign again",
            submission.issued, head.number, head.time
        );
        return Err(PublishError::Submission(Refusal::new(Code::SerialReplayed, detail)));
    }
    let (said, signed) = submission.unzip();
    let (author, justification) = match said {
        Some(said) => (Some(said.author), Some(said.justification)),
        None => (reason.author.clone(), reason.justification.clone()),
    };
    Ok(Entry {
        channel: publication.channel.clone(),
        number: head.map_or(1, |(entry, _)| entry.number + 1),
        previous: head.map(|(_, digest)| *digest),
        root: root.version(),
        time: publication.issued,
        serial: accepted.base + 1,
        source: accepted.compiled.manifest.source,
        replaces: before.map(|old| Replaced { serial: old.serial, source: old.source }),
        author,
        justification,
        submission: signed,
        upload: reason.upload.clone(),
        changes: accepted.changes.clone(),
        moves: accepted.moves.clone(),
        states: accepted.states.clone(),
    })
}
