//! Reading releases from a store: pointer, trust roots, signed statement, every artifact; each checked.

use std::collections::BTreeMap;

use aecp_contract::{
    digest::Digest,
    dsse::{Envelope, MAX_ENVELOPE_BYTES},
    layout::{self, Name},
    refusal::{Code, Refusal},
    release::{CORE_MODULE, ChannelPointer, MANIFEST, Statement},
    trust::TrustRoot,
    value::Timestamp,
};
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::{
    decided::ReleaseId,
    engine::Engine,
    policy::PolicyPre,
    store::{Object, Store},
};

/// The most bytes of a channel pointer.
const MAX_POINTER_BYTES: u64 = 1024;

/// The most bytes of all artifacts of one release together.
const MAX_RELEASE_BYTES: u64 = 256 << 20;

/// The most artifacts of one release.
const MAX_ARTIFACTS: usize = 64;

/// The most successions of the trust root that are followed at once.
const MAX_SUCCESSIONS: usize = 64;

/// One channel of one store.
#[derive(Debug, Clone)]
pub struct ReleaseSource {
    store: Store,
    channel: Name,
}

/// A release of which every byte was checked against the trust root.
#[derive(Debug, Clone)]
pub struct VerifiedRelease {
    /// What pointed at it.
    pub pointer: ChannelPointer,
    /// What it says of itself.
    pub statement: Statement,
    /// The signed envelope's bytes; their digest is the pointer's.
    pub envelope: Bytes,
    /// Every artifact that the statement names, by its name.
    pub artifacts: BTreeMap<String, Bytes>,
}

/// A trust root that succeeded another, with the bytes that say so.
#[derive(Debug, Clone)]
pub struct Succession {
    /// The newer root.
    pub root: TrustRoot,
    /// Its envelope.
    pub envelope: Bytes,
}

impl VerifiedRelease {
    /// Serial and digest.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        ReleaseId { serial: self.pointer.serial, digest: self.pointer.release }
    }

    /// The artifact of this name.
    ///
    /// # Errors
    /// [`Code::Malformed`] if the release has none.
    pub fn artifact(&self, name: &str) -> Result<&Bytes, Refusal> {
        self.artifacts
            .get(name)
            .ok_or_else(|| Refusal::new(Code::Malformed, format!("the release has no `{name}`")))
    }

    /// Compiles the release's policy set; takes milliseconds to seconds.
    ///
    /// # Errors
    /// [`PolicyPre::from_artifacts`]'s.
    pub fn compile(&self, engine: &Engine) -> Result<PolicyPre, Refusal> {
        PolicyPre::from_artifacts(engine, self.artifact(CORE_MODULE)?, self.artifact(MANIFEST)?)
    }
}

impl ReleaseSource {
    /// The releases of `channel` in `store`.
    #[must_use]
    pub fn new(store: Store, channel: Name) -> Self {
        Self { store, channel }
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &Name {
        &self.channel
    }

    /// The newest release, if it may be taken up at `now` by who pinned `pinned`.
    ///
    /// # Errors
    /// Any [`Refusal`]: see [`Self::pointer`], [`Self::successions`], [`Self::release`] and
    /// [`aecp_contract::release::Release::check_fresh`].
    pub async fn fetch_latest(
        &self,
        pinned: &TrustRoot,
        now: Timestamp,
    ) -> Result<VerifiedRelease, Refusal> {
        let no_tag = None;
        let Some((pointer, _)) = self.pointer(no_tag).await? else {
            return Err(Refusal::new(Code::StoreUnavailable, "the store sent no channel pointer"));
        };
        let successions = self.successions(pinned).await?;
        let root = successions.last().map_or(pinned, |succession| &succession.root);
        let release = self.release(&pointer, root).await?;
        release.statement.release().check_fresh(now)?;
        Ok(release)
    }

    /// The channel's pointer and its entity tag; `None` if it still has the tag `unless`.
    ///
    /// # Errors
    /// [`Store::get`]'s and [`ChannelPointer::from_json`]'s.
    pub async fn pointer(
        &self,
        unless: Option<&str>,
    ) -> Result<Option<(ChannelPointer, Option<String>)>, Refusal> {
        let key = layout::channel(&self.channel);
        let Some(Object { bytes, tag }) = self.store.get(&key, MAX_POINTER_BYTES, unless).await? else {
            return Ok(None);
        };
        Ok(Some((ChannelPointer::from_json(&bytes, &self.channel)?, tag)))
    }

    /// The roots that succeeded `root`, oldest first; none if it is still the newest.
    ///
    /// # Errors
    /// [`Code::RootMismatch`] if the store's root of the same version is another one, or if the successions
    /// have no end; [`Store::get`]'s; [`TrustRoot::successor`]'s.
    pub async fn successions(&self, root: &TrustRoot) -> Result<Vec<Succession>, Refusal> {
        if let Some(bytes) = self.root(root.version()).await?
            && TrustRoot::pinned(&bytes)? != *root
        {
            let detail = format!("the store's root {} is not the trusted one", root.version());
            return Err(Refusal::new(Code::RootMismatch, detail));
        }
        let mut successions: Vec<Succession> = Vec::new();
        for _ in 0..MAX_SUCCESSIONS {
            let newest = successions.last().map_or(root, |succession| &succession.root);
            let Some(envelope) = self.root(newest.version().saturating_add(1)).await? else {
                return Ok(successions);
            };
            let root = newest.successor(&envelope)?;
            successions.push(Succession { root, envelope });
        }
        let detail =
            format!("more than {MAX_SUCCESSIONS} roots succeed the trusted one; pin a newer one");
        Err(Refusal::new(Code::RootMismatch, detail))
    }

    async fn root(&self, version: u32) -> Result<Option<Bytes>, Refusal> {
        match self.store.get(&layout::root(version), MAX_ENVELOPE_BYTES as u64, None).await {
            Ok(object) => Ok(object.map(|object| object.bytes)),
            Err(refusal) if refusal.code == Code::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// The release that `pointer` points at, whole and checked, but for its times: those are for whoever has
    /// a clock.
    ///
    /// # Errors
    /// [`Store::get`]'s, [`Statement::verify`]'s and [`aecp_contract::release::Artifact::check`]'s;
    /// [`Code::SerialReplayed`] if another release lies in the place of this one.
    pub async fn release(
        &self,
        pointer: &ChannelPointer,
        root: &TrustRoot,
    ) -> Result<VerifiedRelease, Refusal> {
        let key = layout::release(&self.channel, pointer.serial);
        let envelope = self.whole(&key, MAX_ENVELOPE_BYTES as u64).await?;
        if Digest::of(&envelope) != pointer.release {
            // A cut-off object is the commoner cause, and another one for the operator to look for.
            return Err(match Envelope::from_json(&envelope) {
                Err(refusal) if refusal.code == Code::Truncated => refusal,
                _ => {
                    let detail = format!("`{key}` does not have the digest {}", pointer.release);
                    Refusal::new(Code::DigestMismatch, detail)
                }
            });
        }
        let statement = Statement::verify(&envelope, root, &self.channel)?;
        let serial = statement.release().serial;
        if serial != pointer.serial {
            let detail = format!("`{key}` is the release of serial {serial}");
            return Err(Refusal::new(Code::SerialReplayed, detail));
        }
        let artifacts = self.artifacts(&statement).await?;
        Ok(VerifiedRelease { pointer: pointer.clone(), statement, envelope, artifacts })
    }

    async fn artifacts(&self, statement: &Statement) -> Result<BTreeMap<String, Bytes>, Refusal> {
        let total =
            statement.artifacts().fold(0u64, |sum, (_, artifact)| sum.saturating_add(artifact.size));
        if total > MAX_RELEASE_BYTES || statement.artifacts().count() > MAX_ARTIFACTS {
            let detail = format!(
                "the release has more than {MAX_ARTIFACTS} artifacts or {MAX_RELEASE_BYTES} bytes of them"
            );
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        let fetches = statement.artifacts().map(async |(name, artifact)| {
            let bytes = self.whole(&layout::blob(artifact.digest), artifact.size).await?;
            artifact.check(name, &bytes)?;
            Ok((name.to_owned(), bytes))
        });
        Ok(try_join_all(fetches).await?.into_iter().collect())
    }

    async fn whole(&self, key: &str, limit: u64) -> Result<Bytes, Refusal> {
        match self.store.get(key, limit, None).await? {
            Some(object) => Ok(object.bytes),
            None => Err(Refusal::new(Code::StoreUnavailable, format!("the store sent no `{key}`"))),
        }
    }
}
