//! The same channel in other stores.
//!
//! One store, the first, gives the serials: it is the one place of conditional writes. A replica gets what the first has,
//! every byte of it verified by the trust root before it is written and read back after. First what is in force, in the
//! order in which publishers write, so that whoever reads a replica finds the old release or the new one, whole; then what
//! it lacks of the past, so that a hole there keeps no release from being in force, and the reports of the store's uploads.
//!
//! A replica that holds anything else is refused and never overwritten: another release under the same serial, or a newer
//! one.

mod reports;

use std::{collections::BTreeSet, time::Duration};

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    legislation::EntryRef,
    refusal::{Code, Refusal},
    release::{Artifact, ChannelPointer, Statement},
    trust::TrustRoot,
};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use object_store::UpdateVersion;

use super::{
    PublishError, Roots, Store,
    newest::{Newest, gone},
};

/// How often a replica is looked at again when another publisher writes to it meanwhile.
const ATTEMPTS: u32 = 5;

/// The most characters of a replica's own error that are told.
const MAX_DETAIL: usize = 400;

/// What came of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The store's URL, without credentials.
    pub store: String,
    /// What it holds now, or why it does not hold what the first store has.
    pub result: Result<Replicated, Refusal>,
}

/// A replica that holds all that the first store has of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicated {
    /// The serial of the newest release.
    pub serial: u64,
    /// How many objects it lacked.
    pub copied: usize,
}

impl Store {
    /// Brings replicas of this store up to its newest release of a channel, all at once, each within this time. What does
    /// not come to its end is taken up again the next time; a replica that fails holds no other one up.
    ///
    /// Releases that were signed before the given trust root's predecessor cannot be verified by it, and are copied only
    /// where an older root is given.
    ///
    /// # Errors
    /// [`PublishError`], if this store itself cannot be read or trusted, or has no release on the channel.
    pub async fn replicate(
        &self,
        replicas: &[Self],
        channel: &Name,
        roots: &Roots,
        within: Duration,
    ) -> Result<Vec<Replica>, PublishError> {
        if replicas.is_empty() {
            return Ok(Vec::new());
        }
        let newest = {
            let _lock = self.lock().await?;
            self.recover(channel, roots).await?
        };
        let newest =
            newest.ok_or_else(|| gone(&layout::channel(channel), "is not in the first store"))?;
        let each = replicas.iter().map(async |replica| {
            let copy = Copying { first: self, replica, channel, roots };
            let result = match tokio::time::timeout(within, copy.all(&newest)).await {
                Ok(result) => result.map_err(refusal),
                Err(_) => {
                    let detail = format!("it took more than {} s", within.as_secs());
                    Err(Refusal::new(Code::StoreUnavailable, detail))
                }
            };
            Replica { store: replica.name().to_owned(), result }
        });
        Ok(join_all(each).await)
    }
}

/// One channel on its way from one store to another.
struct Copying<'a> {
    first: &'a Store,
    replica: &'a Store,
    channel: &'a Name,
    roots: &'a Roots,
}

impl Copying<'_> {
    async fn all(&self, newest: &Newest) -> Result<Replicated, PublishError> {
        let (mut pointer, mut statement) = (newest.pointer.clone(), newest.statement.clone());
        for _ in 0..ATTEMPTS {
            let error = match self.attempt(&pointer, &statement).await {
                Ok(copied) => return Ok(Replicated { serial: pointer.serial, copied }),
                Err(error) => error,
            };
            // Another publisher may have brought a release to both stores since the first was read.
            let another = match &error {
                PublishError::Conflict { .. } => true,
                PublishError::Damaged(refusal) => refusal.code == Code::SerialReplayed,
                _ => false,
            };
            let now = if another { self.first.newest(self.channel, self.roots).await? } else { None };
            match now {
                Some(now) if now.pointer != pointer => {
                    (pointer, statement) = (now.pointer, now.statement);
                }
                Some(_) if matches!(error, PublishError::Conflict { .. }) => {}
                _ => return Err(error),
            }
        }
        Err(PublishError::Conflict { serial: pointer.serial })
    }

    async fn attempt(
        &self,
        pointer: &ChannelPointer,
        statement: &Statement,
    ) -> Result<usize, PublishError> {
        let _lock = self.replica.lock().await?;
        let releases = self.replica.numbers(&format!("releases/{}", self.channel)).await?;
        let held = self.held(pointer, statement, releases.last().copied()).await?;
        let mut copied = self.copy_roots().await?;
        copied += self.release(pointer.serial, Some(pointer.release), statement).await?;
        if !held.points {
            if !self.replica.move_pointer(pointer, held.version).await? {
                return Err(PublishError::Conflict { serial: pointer.serial });
            }
            let key = layout::channel(self.channel);
            let written = self.needed(self.replica, &key).await?;
            if written != pointer.to_json() {
                return Err(PublishError::Conflict { serial: pointer.serial });
            }
            copied += 1;
        }
        if let Some(head) = statement.release().legislation {
            copied += self.past_entries(head, held.entries).await?;
        }
        copied += self.past_releases(pointer.serial, &releases).await?;
        Ok(copied + self.reports().await?)
    }

    /// What the replica holds. All of it must be the first store's, up to this release.
    async fn held(
        &self,
        pointer: &ChannelPointer,
        statement: &Statement,
        last: Option<u64>,
    ) -> Result<Held, PublishError> {
        let there = self.replica.get(&layout::channel(self.channel)).await?;
        let there = there.map(|(bytes, version)| {
            ChannelPointer::from_json(&bytes, self.channel).map(|there| (there, version))
        });
        let there = there.transpose().map_err(PublishError::Damaged)?;
        // The one that it points at, and the last one, which a publisher that died may not have come to point at.
        let mut releases: Vec<_> = there.iter().map(|(it, _)| (it.serial, it.release)).collect();
        if let Some(serial) = last {
            let envelope = self.needed(self.replica, &layout::release(self.channel, serial)).await?;
            releases.push((serial, Digest::of(&envelope)));
        }
        let mut entries = 0;
        for (serial, release) in releases {
            let (ours, entry) = if serial == pointer.serial {
                (Some(pointer.release), statement.release().legislation)
            } else if serial > pointer.serial {
                (None, None)
            } else {
                let envelope = self.first.get(&layout::release(self.channel, serial)).await?;
                let signed = |envelope: &Bytes| {
                    self.first.signed(self.channel, serial, envelope, self.roots).ok()
                };
                let statement = envelope.as_ref().and_then(|(envelope, _)| signed(envelope));
                let entry = statement.and_then(|statement| statement.release().legislation);
                (envelope.map(|(envelope, _)| Digest::of(&envelope)), entry)
            };
            if ours != Some(release) {
                let detail = format!(
                    "it holds a release {serial} of channel {} that the first store has not, whose newest is {}",
                    self.channel, pointer.serial
                );
                return Err(PublishError::Damaged(Refusal::new(Code::SerialReplayed, detail)));
            }
            entries = entries.max(entry.map_or(0, |entry| entry.number));
        }
        let points = there.as_ref().is_some_and(|(there, _)| there == pointer);
        Ok(Held { points, version: there.map(|(_, version)| version), entries })
    }

    /// The trust roots, each vouched for by those that are known or by the one that succeeds it.
    async fn copy_roots(&self) -> Result<usize, PublishError> {
        let mut found = Vec::new();
        let mut successor: Option<Bytes> = None;
        for version in (1..=self.roots.newest().version()).rev() {
            let key = layout::root(version);
            let Some((bytes, _)) = self.first.get(&key).await? else {
                successor = None;
                continue;
            };
            let root = TrustRoot::pinned(&bytes).map_err(PublishError::Damaged)?;
            let vouched = match (self.roots.version(version), &successor) {
                (Some(known), _) => *known == root,
                (None, Some(next)) => root.successor(next).is_ok(),
                (None, None) => break,
            };
            if !vouched {
                let detail = format!("`{key}` of the first store is not the trusted one");
                return Err(PublishError::Damaged(Refusal::new(Code::RootMismatch, detail)));
            }
            found.push((key, bytes.clone()));
            successor = Some(bytes);
        }
        let mut copied = 0;
        for (key, bytes) in found.iter().rev() {
            copied += self.once(key, bytes, Code::RootMismatch).await?;
        }
        Ok(copied)
    }

    /// A verified release with all that it names: artifacts, its entry of the history, then the release itself.
    async fn release(
        &self,
        serial: u64,
        digest: Option<Digest>,
        statement: &Statement,
    ) -> Result<usize, PublishError> {
        let blobs = statement.artifacts().map(|(name, artifact)| self.blob(name, artifact));
        let mut copied: usize = try_join_all(blobs).await?.into_iter().sum();
        if let Some(named) = statement.release().legislation {
            copied += self.entry(named).await?;
        }
        let key = layout::release(self.channel, serial);
        let envelope = self.needed(self.first, &key).await?;
        // It was verified when it was read before.
        if digest.is_some_and(|digest| Digest::of(&envelope) != digest) {
            return Err(gone(&key, "of the first store is not what its pointer names"));
        }
        Ok(copied + self.once(&key, &envelope, Code::SerialReplayed).await?)
    }

    /// An artifact. One that is there is kept if it is sound, else mended: its key says what it must be.
    async fn blob(&self, name: &str, artifact: Artifact) -> Result<usize, PublishError> {
        let key = layout::blob(artifact.digest);
        if let Some((there, _)) = self.replica.get(&key).await?
            && artifact.check(name, &there).is_ok()
        {
            return Ok(0);
        }
        let bytes = self.needed(self.first, &key).await?;
        artifact.check(name, &bytes).map_err(PublishError::Damaged)?;
        self.replica.put_blob(&bytes).await?;
        let written = self.needed(self.replica, &key).await?;
        artifact.check(name, &written).map_err(PublishError::Damaged)?;
        Ok(1)
    }

    async fn entry(&self, named: EntryRef) -> Result<usize, PublishError> {
        let bytes = self.first.entry_bytes(self.channel, named).await?;
        let key = layout::legislation(self.channel, named.number);
        self.once(&key, &bytes, Code::HistoryBroken).await
    }

    /// The entries before `head` that the replica lacks, oldest first; each is named by the one after it. The first `same`
    /// of them are the first store's, if they are there.
    async fn past_entries(&self, head: EntryRef, same: u64) -> Result<usize, PublishError> {
        let there = self.replica.numbers(&format!("legislation/{}", self.channel)).await?;
        let known = |number: u64| number <= same && there.contains(&number);
        let Some(lowest) = (1..head.number).find(|number| !known(*number)) else {
            return Ok(0);
        };
        let (mut unknown, mut named) = (Vec::new(), Some(head));
        while let Some(reference) = named.filter(|reference| reference.number >= lowest) {
            if !known(reference.number) {
                unknown.push(reference);
            }
            let entry = self.first.named_entry(self.channel, reference).await?;
            let number = reference.number.saturating_sub(1);
            named = entry.previous.map(|digest| EntryRef { number, digest });
        }
        let mut copied = 0;
        for reference in unknown.into_iter().rev() {
            copied += self.entry(reference).await?;
        }
        Ok(copied)
    }

    /// The releases before `newest` that the replica lacks, with what they name, as far back as known roots signed them.
    async fn past_releases(&self, newest: u64, there: &BTreeSet<u64>) -> Result<usize, PublishError> {
        let mut copied = 0;
        for serial in (1..newest).rev().filter(|serial| !there.contains(serial)) {
            let envelope = self.needed(self.first, &layout::release(self.channel, serial)).await?;
            let statement = match self.first.signed(self.channel, serial, &envelope, self.roots) {
                Err(PublishError::Damaged(refusal))
                    if matches!(refusal.code, Code::UnknownKey | Code::ThresholdNotMet) =>
                {
                    break;
                }
                statement => statement?,
            };
            copied += self.release(serial, Some(Digest::of(&envelope)), &statement).await?;
        }
        Ok(copied)
    }

    /// Writes what is never changed, if it is not there, and reads it back.
    async fn once(&self, key: &str, bytes: &Bytes, code: Code) -> Result<usize, PublishError> {
        let (there, copied) = match self.replica.get(key).await? {
            Some((there, _)) => (there, 0),
            None => {
                let created = self.replica.create(key, bytes.clone()).await?;
                (self.needed(self.replica, key).await?, usize::from(created))
            }
        };
        if there == *bytes {
            return Ok(copied);
        }
        let detail = format!("its `{key}` is another one than the first store's");
        Err(PublishError::Damaged(Refusal::new(code, detail)))
    }

    async fn needed(&self, store: &Store, key: &str) -> Result<Bytes, PublishError> {
        let there = store.get(key).await?;
        there.map(|(bytes, _)| bytes).ok_or_else(|| gone(key, &format!("is not in {}", store.name())))
    }
}

/// What a replica has of a channel.
struct Held {
    /// Whether it points at the release already.
    points: bool,
    /// The version of its pointer, if it has one.
    version: Option<UpdateVersion>,
    /// Up to which number entries of its history are the first store's, since its releases are.
    entries: u64,
}

/// The reason in the words that logs and scripts know.
fn refusal(error: PublishError) -> Refusal {
    match error {
        PublishError::NotTrusted(refusal) | PublishError::Damaged(refusal) => refusal,
        error => {
            let detail = error.to_string().chars().take(MAX_DETAIL).collect::<String>();
            Refusal::new(Code::StoreUnavailable, detail)
        }
    }
}
