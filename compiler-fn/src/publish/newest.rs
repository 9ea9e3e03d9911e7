//! What a channel holds before something is published to it.

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    refusal::{Code, Refusal},
    release::{ChannelPointer, SOURCES, Statement},
    trust::TrustRoot,
};
use object_store::UpdateVersion;

use super::{PublishError, Store};
use crate::source::Sources;

/// A channel's newest release.
pub(super) struct Newest {
    pub(super) statement: Statement,
    /// Of the pointer that says so.
    pub(super) version: UpdateVersion,
}

impl Store {
    /// The serial of the channel's newest release and what it was compiled from, every byte of it verified; `None` if the
    /// channel has no release.
    ///
    /// # Errors
    /// [`PublishError::Store`], and [`PublishError::Damaged`] for what cannot be trusted.
    pub async fn newest_sources(
        &self,
        channel: &Name,
        root: &TrustRoot,
    ) -> Result<Option<(u64, Sources)>, PublishError> {
        let Some(Newest { statement, .. }) = self.newest(channel, root).await? else { return Ok(None) };
        let damaged = PublishError::Damaged;
        let artifact = statement.artifact(SOURCES).map_err(damaged)?;
        let key = layout::blob(artifact.digest);
        let (archive, _) = self.get(&key).await?.ok_or_else(|| gone(&key, "is not there"))?;
        artifact.check(SOURCES, &archive).map_err(damaged)?;
        let sources = Sources::from_archive(&archive);
        let sources = sources.map_err(|error| gone(&key, &error.to_string()))?;
        let release = statement.release();
        if sources.digest() != release.source {
            return Err(gone(&key, "does not have the digest of the release's sources"));
        }
        Ok(Some((release.serial, sources)))
    }

    pub(super) async fn newest_serial(
        &self,
        channel: &Name,
        root: &TrustRoot,
    ) -> Result<u64, PublishError> {
        Ok(self.newest(channel, root).await?.map_or(0, |newest| newest.statement.release().serial))
    }

    /// The channel's newest release, after checking that it is a signed release of this channel.
    pub(super) async fn newest(
        &self,
        channel: &Name,
        root: &TrustRoot,
    ) -> Result<Option<Newest>, PublishError> {
        let Some((bytes, version)) = self.get(&layout::channel(channel)).await? else {
            return Ok(None);
        };
        let damaged = PublishError::Damaged;
        let pointer = ChannelPointer::from_json(&bytes, channel).map_err(damaged)?;
        let key = layout::release(channel, pointer.serial);
        let (envelope, _) = self.get(&key).await?.ok_or_else(|| gone(&key, "is not there"))?;
        let statement = Statement::verify(&envelope, root, channel).map_err(damaged)?;
        if Digest::of(&envelope) != pointer.release || statement.release().serial != pointer.serial {
            return Err(gone(&key, "is not what the pointer names"));
        }
        Ok(Some(Newest { statement, version }))
    }
}

/// An object of the store is not what it should be.
fn gone(key: &str, why: &str) -> PublishError {
    PublishError::Damaged(Refusal::new(Code::NotFound, format!("`{key}` {why}")))
}
