//! Reading the logs of decisions that enforcers carry into a store, believing only what their keys signed.

mod coverage;
mod merge;
mod openings;
mod parquet;
mod prover;
mod releases;
mod select;
mod stream;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use aecp_contract::{
    audit::{
        Entry, ReleaseRef,
        check::{Counts, Fault, FaultKind, LogCheck},
    },
    layout::{self, Name},
    refusal::{Code, Refusal},
    release::Statement,
    tlog::{
        TlogError,
        checkpoint::Checkpoint,
        note::{self, VerifierKey},
        policy::{LogPolicy, Trusted},
        tile::{Tile, read_entries},
    },
    trust::TrustRoot,
};
use aecp_enforcer::{ReleaseSource, Store};
use anyhow::{Context as _, bail};
use bytes::Bytes;

use crate::terminal::progress;

pub(crate) use coverage::{Coverage, Place};
pub(crate) use merge::{Merge, Record};
pub(crate) use parquet::ParquetFile;
pub(crate) use prover::Prover;
pub(crate) use releases::{Attributes, Manifests};
pub(crate) use select::{Filter, Sources, Span};
pub(crate) use stream::{Bundle, LogStream};

/// The most bytes of one file of a log: a full bundle of the largest entries.
pub(crate) const MAX_FILE: u64 = 256 * (2 + 65_535);

/// The most bytes of what opens a bundle's entries.
pub(crate) const MAX_OPENINGS: u64 = 256 << 20;

/// Which logs a command believes.
#[derive(Debug, clap::Args)]
pub(crate) struct TrustArguments {
    /// Public key of a log, as its enforcer says when it starts and `audit/<log>/vkey` holds it
    #[arg(
        long = "key",
        value_name = "VKEY",
        required_unless_present = "log_policy",
        conflicts_with = "log_policy"
    )]
    keys: Vec<String>,
    /// File that names trusted logs and witnesses (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    log_policy: Option<PathBuf>,
}

impl TrustArguments {
    pub(crate) fn of(keys: &[String], log_policy: Option<&Path>) -> Self {
        Self { keys: keys.to_vec(), log_policy: log_policy.map(Path::to_path_buf) }
    }

    pub(crate) fn policy(&self) -> anyhow::Result<LogPolicy> {
        if let Some(path) = &self.log_policy {
            return read_policy(path);
        }
        let keys: Result<Vec<VerifierKey>, TlogError> =
            self.keys.iter().map(|key| key.parse()).collect();
        Ok(LogPolicy::of_logs(keys?))
    }
}

/// Reads a log policy (C2SP tlog-policy).
pub(crate) fn read_policy(path: &Path) -> anyhow::Result<LogPolicy> {
    let text = String::from_utf8(crate::commands::read(path)?)
        .with_context(|| format!("`{}` is not UTF-8", path.display()))?;
    text.parse().with_context(|| format!("`{}` is no log policy", path.display()))
}

/// One log in a store.
#[derive(Clone)]
pub(crate) struct LogReader {
    pub(crate) store: Store,
    /// Where what opens its commitments is.
    openings: Store,
    /// Where its older entries may have gone.
    archive: Option<Store>,
    pub(crate) name: Name,
}

/// What was found in a log.
pub(crate) struct Verified {
    pub(crate) trusted: Trusted,
    pub(crate) checkpoints: usize,
    pub(crate) counts: Counts,
    pub(crate) faults: Vec<Fault>,
}

impl LogReader {
    pub(crate) fn new(store: Store, name: Name) -> Self {
        Self { openings: store.clone(), store, archive: None, name }
    }

    /// The same log, whose older entries are looked for in this store too.
    ///
    /// # Errors
    /// A URL that is no store's.
    pub(crate) fn archived(self, url: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self { archive: url.map(Store::open).transpose()?, ..self })
    }

    /// The same log, whose commitments are opened from this store.
    ///
    /// # Errors
    /// A URL that is no store's.
    pub(crate) fn opened_from(self, url: Option<&str>) -> anyhow::Result<Self> {
        Ok(match url {
            Some(url) => Self { openings: Store::open(url)?, ..self },
            None => self,
        })
    }

    /// The logs of a store: the one that is named, or all.
    pub(crate) async fn all(url: &str, only: Option<&Name>) -> anyhow::Result<Vec<Self>> {
        let store = Store::open(url)?;
        let names = match only {
            Some(name) => vec![name.clone()],
            None => {
                let names = store.names("audit").await?;
                names.into_iter().filter_map(|name| name.parse().ok()).collect()
            }
        };
        if names.is_empty() {
            bail!("`{url}` has no log of decisions (below `audit/`)");
        }
        Ok(names.into_iter().map(|name| Self::new(store.clone(), name)).collect())
    }

    pub(crate) async fn file(&self, path: &str) -> anyhow::Result<Bytes> {
        let key = layout::audit(&self.name, path);
        let object = match (self.store.get(&key, MAX_FILE, None).await, &self.archive) {
            (Err(refusal), Some(archive)) if refusal.code == Code::NotFound => {
                archive.get(&key, MAX_FILE, None).await
            }
            (object, _) => object,
        };
        Ok(object?.context("the store gave nothing")?.bytes)
    }

    /// A tile or bundle: as wide as the log's size asks for, or the full one that has come since.
    async fn tile(&self, tile: &Tile) -> anyhow::Result<Bytes> {
        match self.file(&tile.path()).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                let full = Tile { width: 256, ..*tile };
                let bytes = if full == *tile { None } else { self.file(&full.path()).await.ok() };
                bytes.and_then(|bytes| cut(&bytes, tile)).ok_or(error)
            }
        }
    }

    /// The newest checkpoint that the policy believes, and its note.
    pub(crate) async fn head(&self, policy: &LogPolicy) -> anyhow::Result<(Trusted, Bytes)> {
        let note = self.file("checkpoint").await?;
        let trusted = policy
            .trusted(&note)
            .with_context(|| format!("the checkpoint of log `{}` is not believed", self.name))?;
        Ok((trusted, note))
    }

    /// All checkpoints that the log kept, and which of them are not signed by it.
    async fn earlier(&self, policy: &LogPolicy) -> anyhow::Result<(Vec<Checkpoint>, Vec<Fault>)> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let names = self.store.names(&layout::audit(&self.name, "checkpoints")).await?;
        for (at, name) in names.iter().enumerate() {
            if at > 0 && at % 256 == 0 {
                progress(format_args!("{}: checkpoint {at} of {} …", self.name, names.len()));
            }
            let note = self.file(&format!("checkpoints/{name}")).await?;
            // Witnesses may come later, so of earlier checkpoints only the log's own signature is asked.
            match LogPolicy::of_logs(policy.logs().to_vec()).trusted(&note) {
                Ok(trusted) => good.push(trusted.checkpoint),
                Err(error) => bad.push(Fault {
                    index: name.parse().unwrap_or_default(),
                    kind: FaultKind::Forked,
                    detail: format!("the checkpoint `{name}` is not believed: {error}"),
                }),
            }
        }
        Ok((good, bad))
    }

    /// Checks the whole log. Each entry that can be read goes to `seen`.
    pub(crate) async fn verify(
        &self,
        policy: &LogPolicy,
        releases: Option<&mut Releases>,
        seen: &mut dyn FnMut(&Entry, &[u8]),
    ) -> anyhow::Result<Verified> {
        let (trusted, _) = self.head(policy).await?;
        let (earlier, unsigned) = self.earlier(policy).await?;
        let checkpoints = earlier.len();
        let mut check = LogCheck::new(trusted.checkpoint.clone(), earlier);
        let size = trusted.checkpoint.size;
        let mut first_by_release = std::collections::BTreeMap::<ReleaseRef, u64>::new();
        while let Some(bundle) = check.next() {
            if bundle.index.is_multiple_of(256) {
                progress(format_args!("{}: entry {} of {size} …", self.name, bundle.index * 256));
            }
            let tile = Tile { level: Some(0), ..bundle };
            let (entries, hashes) = tokio::join!(self.tile(&bundle), self.tile(&tile));
            let (entries, hashes) = (entries.ok(), hashes.ok());
            check.take(entries.as_deref(), hashes.as_deref(), &mut |entry, bytes| {
                if let aecp_contract::audit::Event::Decision(decision) = &entry.event
                    && let Some(release) = decision.release
                {
                    first_by_release.entry(release).or_insert(entry.seq);
                }
                seen(entry, bytes);
            });
        }
        let (counts, mut faults) = check.finish();
        faults.extend(unsigned);
        if let Some(releases) = releases {
            for (release, index) in first_by_release {
                if let Err(detail) = releases.check(&trusted.checkpoint.origin, release).await {
                    faults.push(Fault { index, kind: FaultKind::UnknownRelease, detail });
                }
            }
        }
        faults.sort_by_key(|fault| (fault.index, fault.kind));
        Ok(Verified { trusted, checkpoints, counts, faults })
    }
}

/// A full tile or bundle as it was when it was narrower.
fn cut(bytes: &Bytes, tile: &Tile) -> Option<Bytes> {
    let end = match tile.level {
        Some(_) => tile.width as usize * 32,
        None => {
            let entries = read_entries(bytes, 256).ok()?;
            entries.iter().take(tile.width as usize).map(|entry| entry.len() + 2).sum()
        }
    };
    (end <= bytes.len()).then(|| bytes.slice(..end))
}

/// The signed releases of a store, against which decisions are checked.
#[derive(Clone)]
pub(crate) struct Releases {
    store: Store,
    root: TrustRoot,
    /// The roots that succeeded it in the store, once they were looked for.
    successors: Option<Vec<TrustRoot>>,
    known: BTreeSet<ReleaseRef>,
}

impl Releases {
    pub(crate) fn new(store: Store, root: TrustRoot) -> Self {
        Self { store, root, successors: None, known: BTreeSet::new() }
    }

    /// What the release's envelope says, if the root or one of its successors signed it. A release of the past stays good
    /// under the root of its time.
    async fn verified(&mut self, bytes: &[u8], channel: &Name) -> Result<Statement, Refusal> {
        let refusal = match Statement::verify(bytes, &self.root, channel) {
            Ok(statement) => return Ok(statement),
            Err(refusal) => refusal,
        };
        let successors = match &mut self.successors {
            Some(successors) => successors,
            unknown => {
                let source = ReleaseSource::new(self.store.clone(), channel.clone());
                let found = source.successions(&self.root).await?;
                unknown.insert(found.into_iter().map(|found| found.root).collect())
            }
        };
        let mut verified = successors.iter().map(|root| Statement::verify(bytes, root, channel));
        verified.find_map(Result::ok).ok_or(refusal)
    }

    /// Whether the release is in the store, signed by the root's judicial keys, and for the log's channel.
    async fn check(&mut self, origin: &str, release: ReleaseRef) -> Result<(), String> {
        if !self.known.contains(&release) {
            self.statement(origin, release).await?;
            self.known.insert(release);
        }
        Ok(())
    }

    async fn statement(&mut self, origin: &str, release: ReleaseRef) -> Result<Statement, String> {
        let channel: Name = origin
            .split('/')
            .nth(1)
            .and_then(|channel| channel.parse().ok())
            .ok_or("the log's origin names no channel")?;
        let key = layout::release(&channel, release.serial);
        let limit = aecp_contract::dsse::MAX_ENVELOPE_BYTES as u64;
        let object = self.store.get(&key, limit, None).await.map_err(|refusal| refusal.to_string())?;
        let bytes = object.ok_or("the store gave nothing")?.bytes;
        if aecp_contract::digest::Digest::of(&bytes) != release.digest {
            return Err(format!("the store's release {} is not the one that decided", release.serial));
        }
        let statement = self.verified(&bytes, &channel).await;
        let statement = statement.map_err(|refusal| format!("release {}: {refusal}", release.serial))?;
        if statement.release().serial != release.serial {
            return Err(format!("release {} says that it is another", release.serial));
        }
        Ok(statement)
    }
}

/// The word that JSON has for a variant without fields.
pub(crate) fn word(variant: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(variant).unwrap_or_default();
    json.trim_matches('"').to_owned()
}

/// How often to look for new entries while following.
pub(crate) const FOLLOW_EVERY: Duration = Duration::from_secs(2);

/// The most bytes of a proof file that is read.
pub(crate) const MAX_PROOF_BYTES: usize = note::MAX_NOTE_BYTES + (128 << 10);
