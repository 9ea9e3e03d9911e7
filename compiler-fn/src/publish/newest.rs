//! What a channel holds before something is published to it.

use std::collections::BTreeMap;

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    legislation::{Entry, States},
    manifest::{COMPONENT_PREFIX, ComponentPolicy, Manifest},
    refusal::{Code, Refusal},
    release::{ChannelPointer, MANIFEST, SOURCES, Statement},
    value::Timestamp,
};
use bytes::Bytes;
use object_store::UpdateVersion;

use super::{PublishError, Roots, Store};
use crate::source::Sources;

/// The most releases that may be written and not pointed at: each is one publisher that died.
const MAX_UNPOINTED: usize = 64;

/// What a channel holds, for a set that is to take its place.
#[derive(Debug, Clone, Default)]
pub struct Base {
    /// The serial of its newest release; 0 if it has none.
    pub serial: u64,
    /// What that was compiled from.
    pub sources: Option<Sources>,
    /// Its policies that are components, by name, with the digests of these.
    pub components: BTreeMap<String, (ComponentPolicy, Digest)>,
    /// Which policies are held back there.
    pub states: States,
    /// When what it holds was uploaded, or accepted if it came otherwise; `None` if nothing says so.
    pub submitted: Option<Timestamp>,
}

/// A channel's newest release.
pub(super) struct Newest {
    pub(super) statement: Statement,
    pub(super) pointer: ChannelPointer,
    /// Of the pointer that says so.
    pub(super) version: UpdateVersion,
}

impl Store {
    /// What the channel holds, every byte of it verified. A release that was written but not pointed at, because its
    /// publisher died in between, is pointed at first.
    ///
    /// # Errors
    /// [`PublishError::Store`], and [`PublishError::Damaged`] for what cannot be trusted.
    pub async fn base(&self, channel: &Name, roots: &Roots) -> Result<Base, PublishError> {
        let _lock = self.lock().await?;
        let Some(newest) = self.recover(channel, roots).await? else { return Ok(Base::default()) };
        let (key, archive) = self.artifact(&newest.statement, SOURCES).await?;
        let components = self.components(&newest.statement).await?;
        let sources = Sources::from_archive(&archive);
        let sources = sources.map_err(|error| gone(&key, &error.to_string()))?;
        let release = newest.statement.release();
        if sources.digest() != release.source {
            return Err(gone(&key, "does not have the digest of the release's sources"));
        }
        let entry = match &release.legislation {
            Some(named) => Some(self.named_entry(channel, *named).await?),
            None => None,
        };
        let (states, submitted) = match entry {
            Some(Entry { states, upload: Some(upload), .. }) => (states, Some(upload.uploaded)),
            Some(Entry { states, time, .. }) => (states, Some(time)),
            None => (States::new(), None),
        };
        Ok(Base { serial: release.serial, sources: Some(sources), components, states, submitted })
    }

    /// A release's policies that are components.
    async fn components(
        &self,
        statement: &Statement,
    ) -> Result<BTreeMap<String, (ComponentPolicy, Digest)>, PublishError> {
        if !statement.artifacts().any(|(name, _)| name.starts_with(COMPONENT_PREFIX)) {
            return Ok(BTreeMap::new());
        }
        let (key, json) = self.artifact(statement, MANIFEST).await?;
        let manifest: Manifest =
            serde_json::from_slice(&json).map_err(|error| gone(&key, &error.to_string()))?;
        let digested = manifest.components.into_iter().map(|policy| {
            let artifact = statement.artifact(&policy.artifact()).map_err(PublishError::Damaged)?;
            Ok((policy.name.clone(), (policy, artifact.digest)))
        });
        digested.collect()
    }

    /// An artifact of a release, checked, and where it lies.
    async fn artifact(
        &self,
        statement: &Statement,
        name: &str,
    ) -> Result<(String, Bytes), PublishError> {
        let artifact = statement.artifact(name).map_err(PublishError::Damaged)?;
        let key = layout::blob(artifact.digest);
        let (bytes, _) = self.get(&key).await?.ok_or_else(|| gone(&key, "is not there"))?;
        artifact.check(name, &bytes).map_err(PublishError::Damaged)?;
        Ok((key, bytes))
    }

    /// The channels that the store has, in byte order.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub async fn channels(&self) -> Result<Vec<Name>, PublishError> {
        Ok(self.names("channels").await?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The serial of the channel's newest release, and after when no enforcer takes it up any more.
    ///
    /// # Errors
    /// [`PublishError::Store`], and [`PublishError::Damaged`] for what cannot be trusted or is not there.
    pub async fn expiry(&self, channel: &Name, roots: &Roots) -> Result<(u64, Timestamp), PublishError> {
        let newest = self.newest(channel, roots).await?;
        let newest = newest.ok_or_else(|| gone(&layout::channel(channel), "is not there"))?;
        let release = newest.statement.release();
        Ok((release.serial, release.expires))
    }

    /// The channel's newest release, after pointing at what was written and not pointed at.
    pub(super) async fn recover(
        &self,
        channel: &Name,
        roots: &Roots,
    ) -> Result<Option<Newest>, PublishError> {
        for _ in 0..MAX_UNPOINTED {
            let newest = self.newest(channel, roots).await?;
            let serial = newest.as_ref().map_or(0, |newest| newest.pointer.serial).saturating_add(1);
            let Some((bytes, _)) = self.get(&layout::release(channel, serial)).await? else {
                return Ok(newest);
            };
            self.signed(channel, serial, &bytes, roots)?;
            let pointer =
                ChannelPointer { channel: channel.clone(), serial, release: Digest::of(&bytes) };
            // If it has moved meanwhile, its publisher is alive; the next round sees what it did.
            self.move_pointer(&pointer, newest.map(|newest| newest.version)).await?;
        }
        Err(gone(&layout::channel(channel), "is far behind the releases that are there"))
    }

    /// The channel's newest release, after checking that it is a signed release of this channel.
    pub(super) async fn newest(
        &self,
        channel: &Name,
        roots: &Roots,
    ) -> Result<Option<Newest>, PublishError> {
        let Some((bytes, version)) = self.get(&layout::channel(channel)).await? else {
            return Ok(None);
        };
        let pointer = ChannelPointer::from_json(&bytes, channel).map_err(PublishError::Damaged)?;
        let key = layout::release(channel, pointer.serial);
        let (envelope, _) = self.get(&key).await?.ok_or_else(|| gone(&key, "is not there"))?;
        let statement = self.signed(channel, pointer.serial, &envelope, roots)?;
        if Digest::of(&envelope) != pointer.release {
            return Err(gone(&key, "is not what the pointer names"));
        }
        Ok(Some(Newest { statement, pointer, version }))
    }

    /// The release of this serial, from its envelope.
    pub(super) fn signed(
        &self,
        channel: &Name,
        serial: u64,
        envelope: &[u8],
        roots: &Roots,
    ) -> Result<Statement, PublishError> {
        let statement = roots.any(|root| Statement::verify(envelope, root, channel));
        let statement = statement.map_err(PublishError::Damaged)?;
        if statement.release().serial != serial {
            return Err(gone(&layout::release(channel, serial), "is of another serial"));
        }
        Ok(statement)
    }
}

/// An object of the store is not what it should be.
pub(super) fn gone(key: &str, why: &str) -> PublishError {
    PublishError::Damaged(Refusal::new(Code::NotFound, format!("`{key}` {why}")))
}
