//! Reading releases from a store: pointer, trust roots, signed statement, artifacts; each checked.

use std::collections::BTreeMap;
#[cfg(feature = "host")]
use std::env;

use aecp_contract::{
    digest::Digest,
    dsse::{Envelope, MAX_ENVELOPE_BYTES},
    layout::{self, Name},
    manifest::COMPONENT_PREFIX,
    native,
    refusal::{Code, Refusal},
    release::{CLAUSES, CORE_MODULE, ChannelPointer, MANIFEST, Statement},
    trust::TrustRoot,
    value::Timestamp,
};
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::{
    decided::ReleaseId,
    objects::{Object, Objects},
};

/// The most bytes of a channel pointer.
const MAX_POINTER_BYTES: u64 = 1024;

/// The most artifacts of one release.
const MAX_ARTIFACTS: usize = 64;

/// The most successions of the trust root that are followed at once.
const MAX_SUCCESSIONS: usize = 64;

/// One channel of one store.
#[derive(Debug, Clone)]
pub struct ReleaseSource<S> {
    store: S,
    channel: Name,
}

/// A release of which every byte was checked against the trust root: there is no other way to make one.
#[derive(Debug, Clone)]
pub struct VerifiedRelease {
    pointer: ChannelPointer,
    statement: Statement,
    envelope: Bytes,
    artifacts: BTreeMap<String, Bytes>,
}

/// Machine code out of a [`VerifiedRelease`], made for this machine.
#[cfg(feature = "host")]
pub(crate) struct SignedCode<'a>(&'a [u8]);

#[cfg(feature = "host")]
impl SignedCode<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0
    }
}

/// Which artifacts of a release are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artifacts {
    /// What an enforcer on this machine runs or falls back to.
    Needed,
    /// The same, and what explains its decisions.
    Explained,
    /// All, to look at them.
    All,
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
    /// Verifies a release that is at hand: its envelope and the artifacts that are needed of it, by name. Its
    /// times are for whoever has a clock ([`aecp_contract::release::Release::check_fresh`]).
    ///
    /// # Errors
    /// [`Statement::verify`]'s, [`aecp_contract::release::Artifact::check`]'s, and [`Code::Malformed`] for an
    /// artifact that the statement does not name.
    pub fn verify(
        envelope: Bytes,
        artifacts: BTreeMap<String, Bytes>,
        root: &TrustRoot,
        channel: &Name,
    ) -> Result<Self, Refusal> {
        let statement = Statement::verify(&envelope, root, channel)?;
        for (name, bytes) in &artifacts {
            statement.artifact(name)?.check(name, bytes)?;
        }
        let serial = statement.release().serial;
        let pointer =
            ChannelPointer { channel: channel.clone(), serial, release: Digest::of(&envelope) };
        Ok(Self { pointer, statement, envelope, artifacts })
    }

    /// Serial and digest.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        ReleaseId { serial: self.pointer.serial, digest: self.pointer.release }
    }

    /// What points at it.
    #[must_use]
    pub fn pointer(&self) -> &ChannelPointer {
        &self.pointer
    }

    /// What it says of itself.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The signed envelope's bytes; their digest is the pointer's.
    #[must_use]
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// The artifact of this name.
    ///
    /// # Errors
    /// [`Code::Malformed`] if the release has none, or none was fetched.
    pub fn artifact(&self, name: &str) -> Result<&Bytes, Refusal> {
        self.artifacts
            .get(name)
            .ok_or_else(|| Refusal::new(Code::Malformed, format!("the release has no `{name}`")))
    }

    /// The artifacts that were fetched, by name.
    #[cfg(feature = "host")]
    pub(crate) fn artifacts(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.artifacts.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// The machine code for this machine, or why there is none.
    #[cfg(feature = "host")]
    pub(crate) fn code_for_this_machine(&self) -> Result<SignedCode<'_>, String> {
        let target = native::this_machine()
            .ok_or_else(|| format!("there is no code for {} {}", env::consts::OS, env::consts::ARCH))?;
        let code = self.artifacts.get(target.artifact);
        let code = code.ok_or_else(|| format!("the release came without `{}`", target.artifact))?;
        Ok(SignedCode(code))
    }
}

impl Artifacts {
    /// Whether the artifact of this name is fetched. An enforcer keeps the core module beside its machine code, so that
    /// an enforcer of another version can start from the same state folder.
    #[must_use]
    pub fn wants(self, name: &str) -> bool {
        // An enforcer that cannot run them refuses the release by its manifest alone.
        let beside = cfg!(feature = "components") && name.starts_with(COMPONENT_PREFIX);
        let needed = name == MANIFEST || name == CORE_MODULE || is_code(name) || beside;
        match self {
            Self::Needed => needed,
            Self::Explained => needed || name == CLAUSES,
            Self::All => true,
        }
    }
}

/// The machine code for this machine.
fn is_code(name: &str) -> bool {
    native::this_machine().is_some_and(|target| target.artifact == name)
}

impl<S: Objects> ReleaseSource<S> {
    /// The releases of `channel` in `store`.
    #[must_use]
    pub fn new(store: S, channel: Name) -> Self {
        Self { store, channel }
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &Name {
        &self.channel
    }

    /// The newest release, if it may be taken up at `now` by who pinned `pinned`; with every artifact, or only
    /// with what an enforcer on this machine needs.
    ///
    /// # Errors
    /// Any [`Refusal`]: see [`Self::pointer`], [`Self::successions`], [`Self::release`] and
    /// [`aecp_contract::release::Release::check_fresh`].
    pub async fn fetch_latest(
        &self,
        pinned: &TrustRoot,
        now: Timestamp,
        artifacts: Artifacts,
    ) -> Result<VerifiedRelease, Refusal> {
        let no_tag = None;
        let Some((pointer, _)) = self.pointer(no_tag).await? else {
            return Err(Refusal::new(Code::StoreUnavailable, "the store sent no channel pointer"));
        };
        let successions = self.successions(pinned).await?;
        let root = successions.last().map_or(pinned, |succession| &succession.root);
        let release = self.release(&pointer, root, artifacts).await?;
        release.statement.release().check_fresh(now)?;
        Ok(release)
    }

    /// The channel's pointer and its entity tag; `None` if it still has the tag `unless`.
    ///
    /// # Errors
    /// [`Objects::get`]'s and [`ChannelPointer::from_json`]'s.
    pub async fn pointer(
        &self,
        unless: Option<&str>,
    ) -> Result<Option<(ChannelPointer, Option<String>)>, Refusal> {
        let key = layout::channel(&self.channel);
        let Some(Object { bytes, tag, .. }) = self.store.get(&key, MAX_POINTER_BYTES, unless).await?
        else {
            return Ok(None);
        };
        Ok(Some((ChannelPointer::from_json(&bytes, &self.channel)?, tag)))
    }

    /// The roots that succeeded `root`, oldest first; none if it is still the newest.
    ///
    /// # Errors
    /// [`Code::RootMismatch`] if the store's root of the same version is another one, or if the successions
    /// have no end; [`Objects::get`]'s; [`TrustRoot::successor`]'s.
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

    /// The release that `pointer` points at, checked, but for its times: those are for whoever has a clock.
    ///
    /// # Errors
    /// [`Objects::get`]'s, [`Statement::verify`]'s and [`aecp_contract::release::Artifact::check`]'s;
    /// [`Code::SerialReplayed`] if another release lies in the place of this one.
    pub async fn release(
        &self,
        pointer: &ChannelPointer,
        root: &TrustRoot,
        artifacts: Artifacts,
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
        let artifacts = self.artifacts(&statement, artifacts).await?;
        Ok(VerifiedRelease { pointer: pointer.clone(), statement, envelope, artifacts })
    }

    async fn artifacts(
        &self,
        statement: &Statement,
        wanted: Artifacts,
    ) -> Result<BTreeMap<String, Bytes>, Refusal> {
        // Their sizes, each and together, were checked with the statement.
        if statement.artifacts().count() > MAX_ARTIFACTS {
            let detail = format!("the release has more than {MAX_ARTIFACTS} artifacts");
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        let wanted_too = |(name, _): &(&str, _)| wanted.wants(name);
        let fetches = statement.artifacts().filter(wanted_too).map(async |(name, artifact)| {
            match self.whole(&layout::blob(artifact.digest), artifact.size).await {
                Ok(bytes) => {
                    artifact.check(name, &bytes)?;
                    Ok(Some((name.to_owned(), bytes)))
                }
                // A state folder that moved here from another kind of machine, or from an enforcer that explained
                // nothing. What is decided stays the same.
                Err(refusal)
                    if refusal.code == Code::NotFound
                        && wanted != Artifacts::All
                        && (is_code(name) || name == CLAUSES) =>
                {
                    Ok(None)
                }
                Err(refusal) => Err(refusal),
            }
        });
        Ok(try_join_all(fetches).await?.into_iter().flatten().collect())
    }

    async fn whole(&self, key: &str, limit: u64) -> Result<Bytes, Refusal> {
        match self.store.get(key, limit, None).await? {
            Some(object) => Ok(object.bytes),
            None => Err(Refusal::new(Code::StoreUnavailable, format!("the store sent no `{key}`"))),
        }
    }
}
