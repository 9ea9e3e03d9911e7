//! The history of a channel as the store has it.

use std::collections::BTreeMap;

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    legislation::{Entry, EntryRef},
    refusal::{Code, Refusal},
};
use bytes::Bytes;

use super::{PublishError, Roots, Store, newest::gone};

/// The most entries that are read of one history.
const MAX_ENTRIES: u64 = 1_000_000;

/// What became of what an entry accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was the channel's release until another replaced it.
    Replaced,
    /// It is the channel's release.
    InForce,
    /// Its publisher wrote no release after it: it never was in force.
    NeverReleased,
}

/// An entry of a verified history.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Recorded {
    /// What it says.
    pub entry: Entry,
    /// SHA-256 of its envelope.
    pub digest: Digest,
    /// What became of it.
    pub fate: Fate,
}

impl Store {
    /// The whole history of a channel, oldest first: one chain of signed entries, up to and with the one that the
    /// channel's newest release names. An entry from before the given trust root is vouched for by those after it, which
    /// name its digest.
    ///
    /// # Errors
    /// [`PublishError::Damaged`], saying which entry does not hold; [`PublishError::Store`].
    pub async fn history(&self, channel: &Name, roots: &Roots) -> Result<Vec<Recorded>, PublishError> {
        let newest = self.newest(channel, roots).await?;
        let mut chain: Vec<(Entry, Digest, bool)> = Vec::new();
        while let Some(bytes) = self.entry(channel, chain.len() as u64 + 1).await? {
            let previous = chain.last().map(|(entry, digest, _)| (entry, *digest));
            let (entry, signed) = read(chain.len() as u64 + 1, &bytes, channel, roots)?;
            entry.follows(previous).map_err(PublishError::Damaged)?;
            chain.push((entry, Digest::of(&bytes), signed));
            if chain.len() as u64 >= MAX_ENTRIES {
                return Err(broken(format!("the history has more than {MAX_ENTRIES} entries")));
            }
        }
        let named = newest.as_ref().and_then(|newest| newest.statement.release().legislation);
        if let Some(named) = named {
            let at = usize::try_from(named.number.saturating_sub(1)).unwrap_or(usize::MAX);
            if chain.get(at).is_none_or(|(_, digest, _)| *digest != named.digest) {
                let detail = format!(
                    "the newest release names entry {} of the history, which is not there or is another",
                    named.number
                );
                return Err(broken(detail));
            }
        }
        // What nothing that is trusted names must be signed itself.
        let vouched = chain.iter().rposition(|(.., signed)| *signed).map_or(0, |at| at as u64 + 1);
        let vouched = vouched.max(named.map_or(0, |named| named.number));
        if vouched < chain.len() as u64 {
            return Err(broken(format!("nobody who is trusted signed entry {}", vouched + 1)));
        }
        let serial = newest.as_ref().map_or(0, |newest| newest.pointer.serial);
        self.fates(channel, chain, serial, roots).await
    }

    async fn fates(
        &self,
        channel: &Name,
        chain: Vec<(Entry, Digest, bool)>,
        newest: u64,
        roots: &Roots,
    ) -> Result<Vec<Recorded>, PublishError> {
        let mut entries_of: BTreeMap<u64, usize> = BTreeMap::new();
        for (entry, ..) in &chain {
            *entries_of.entry(entry.serial).or_default() += 1;
        }
        let mut recorded = Vec::with_capacity(chain.len());
        for (entry, digest, _) in chain {
            // Where several were accepted for one serial, its release says which one it is.
            let released = match entries_of.get(&entry.serial) {
                _ if entry.serial > newest => false,
                Some(1) => true,
                _ => {
                    let key = layout::release(channel, entry.serial);
                    let (envelope, _) =
                        self.get(&key).await?.ok_or_else(|| gone(&key, "is not there"))?;
                    let statement = self.signed(channel, entry.serial, &envelope, roots)?;
                    statement.release().legislation.is_some_and(|named| named.digest == digest)
                }
            };
            let fate = match released {
                false => Fate::NeverReleased,
                true if entry.serial == newest => Fate::InForce,
                true => Fate::Replaced,
            };
            recorded.push(Recorded { entry, digest, fate });
        }
        Ok(recorded)
    }

    /// The entry that a release names.
    pub(super) async fn named_entry(
        &self,
        channel: &Name,
        named: EntryRef,
    ) -> Result<Entry, PublishError> {
        let bytes = self.entry_bytes(channel, named).await?;
        Entry::unverified(&bytes, channel).map_err(PublishError::Damaged)
    }

    /// Its envelope.
    pub(super) async fn entry_bytes(
        &self,
        channel: &Name,
        named: EntryRef,
    ) -> Result<Bytes, PublishError> {
        let key = layout::legislation(channel, named.number);
        let bytes = self.entry(channel, named.number).await?;
        let bytes = bytes.ok_or_else(|| gone(&key, "is not there, and the release names it"))?;
        if Digest::of(&bytes) != named.digest {
            return Err(broken(format!("`{key}` is not the entry that the release names")));
        }
        Ok(bytes)
    }

    /// The last entry of the history, of which the newest release names `known`.
    pub(super) async fn head(
        &self,
        channel: &Name,
        known: Option<EntryRef>,
        roots: &Roots,
    ) -> Result<Option<(Entry, Digest)>, PublishError> {
        let mut head = match known {
            Some(named) => Some((self.named_entry(channel, named).await?, named.digest)),
            None => None,
        };
        loop {
            let number = head.as_ref().map_or(1, |(entry, _)| entry.number.saturating_add(1));
            let Some(bytes) = self.entry(channel, number).await? else { return Ok(head) };
            let (entry, signed) = read(number, &bytes, channel, roots)?;
            if !signed {
                return Err(broken(format!("nobody who is trusted signed entry {number}")));
            }
            let previous = head.as_ref().map(|(entry, digest)| (entry, *digest));
            entry.follows(previous).map_err(PublishError::Damaged)?;
            head = Some((entry, Digest::of(&bytes)));
        }
    }

    async fn entry(&self, channel: &Name, number: u64) -> Result<Option<Bytes>, PublishError> {
        Ok(self.get(&layout::legislation(channel, number)).await?.map(|(bytes, _)| bytes))
    }
}

/// An entry, and whether a root that is known says that it is signed. One that such a root refuses is an error.
fn read(
    number: u64,
    bytes: &[u8],
    channel: &Name,
    roots: &Roots,
) -> Result<(Entry, bool), PublishError> {
    let read = || {
        let entry = Entry::unverified(bytes, channel)?;
        match roots.version(entry.root) {
            Some(root) => Ok((Entry::verify(bytes, root, channel)?, true)),
            None => Ok((entry, false)),
        }
    };
    read().map_err(|refusal: Refusal| {
        let detail = format!("entry {number} of the history: {}", refusal.detail);
        PublishError::Damaged(Refusal { detail, ..refusal })
    })
}

fn broken(detail: String) -> PublishError {
    PublishError::Damaged(Refusal::new(Code::HistoryBroken, detail))
}
