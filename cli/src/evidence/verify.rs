//! Checks a pack offline: everything in it that somebody signed, against whom the auditor trusts.

use std::collections::BTreeMap;

use aecp_compiler::{
    publish::{Fate, Recorded},
    source::Sources,
};
use aecp_contract::{
    audit::Entry as LogEntry,
    digest::Digest,
    layout::Name,
    legislation::Entry,
    manifest::Manifest,
    release::{MANIFEST, SOURCES, Statement},
    tlog::{policy::LogPolicy, proof::EntryProof},
    trust::TrustRoot,
};
use anyhow::{Context as _, ensure};

use super::{Pack, PackedLog, PackedRelease, Sums};

/// What a pack proves.
pub(crate) struct Verified {
    pub(crate) history: Vec<Recorded>,
    pub(crate) releases: BTreeMap<u64, Release>,
    pub(crate) logs: BTreeMap<Name, Log>,
}

/// A release of the pack.
pub(crate) struct Release {
    pub(crate) digest: Digest,
    pub(crate) statement: Statement,
    /// What was in force in the time that was asked about.
    pub(crate) contents: Option<(Manifest, Sources)>,
}

/// A log of the pack.
pub(crate) struct Log {
    pub(crate) origin: String,
    pub(crate) size: u64,
    /// Entries that are proven to be in it.
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) sums: Sums,
}

/// Checks all of a pack. `root` and `logs` are whom the auditor trusts beyond the signer of the pack, if anybody.
///
/// # Errors
/// What does not hold, in words.
pub(crate) fn verify(
    pack: &Pack,
    root: Option<&TrustRoot>,
    logs: Option<&LogPolicy>,
) -> anyhow::Result<Verified> {
    let roots = roots(pack, root)?;
    let chain = chain(pack, &roots)?;
    let mut releases = BTreeMap::new();
    for (serial, packed) in &pack.releases {
        let release = release(pack, packed, &roots).with_context(|| format!("release {serial}"))?;
        let about = release.statement.release();
        ensure!(about.serial == *serial, "release {serial} says that it is {}", about.serial);
        releases.insert(*serial, release);
    }
    let history = recorded(chain, &releases)?;
    let mut read = BTreeMap::new();
    for (name, packed) in &pack.logs {
        read.insert(name.clone(), log(packed, logs).with_context(|| format!("log `{name}`"))?);
    }
    Ok(Verified { history, releases, logs: read })
}

fn roots(pack: &Pack, trusted: Option<&TrustRoot>) -> anyhow::Result<Vec<TrustRoot>> {
    let mut roots: Vec<TrustRoot> = Vec::with_capacity(pack.roots.len());
    for json in &pack.roots {
        roots.push(match roots.last() {
            None => TrustRoot::pinned(json.as_bytes())?,
            Some(before) => before.successor(json.as_bytes())?,
        });
    }
    ensure!(!roots.is_empty(), "the pack holds no trust root");
    if let Some(trusted) = trusted {
        ensure!(roots.contains(trusted), "the pack is of another trust root than the one given");
    }
    Ok(roots)
}

/// The history, as one chain.
fn chain(pack: &Pack, roots: &[TrustRoot]) -> anyhow::Result<Vec<(Entry, Digest)>> {
    let mut chain: Vec<(Entry, Digest)> = Vec::with_capacity(pack.history.len());
    for json in &pack.history {
        let unverified = Entry::unverified(json.as_bytes(), &pack.channel)?;
        let root = roots.iter().find(|root| root.version() == unverified.root);
        // An older one is vouched for by those after it.
        let entry = match root {
            Some(root) => Entry::verify(json.as_bytes(), root, &pack.channel)?,
            None => unverified,
        };
        entry.follows(chain.last().map(|(entry, digest)| (entry, *digest)))?;
        chain.push((entry, Digest::of(json.as_bytes())));
    }
    let signed =
        chain.last().is_none_or(|(last, _)| roots.iter().any(|root| root.version() == last.root));
    ensure!(signed, "nobody who is trusted signed the last entry of the history");
    Ok(chain)
}

/// What became of each entry, by the releases.
fn recorded(
    chain: Vec<(Entry, Digest)>,
    releases: &BTreeMap<u64, Release>,
) -> anyhow::Result<Vec<Recorded>> {
    for (serial, release) in releases {
        if let Some(named) = release.statement.release().legislation {
            let there = chain.iter().any(|(entry, digest)| {
                entry.number == named.number && *digest == named.digest && entry.serial == *serial
            });
            ensure!(there, "release {serial} names an entry that is not in the history");
        }
    }
    let newest = releases.keys().last().copied().unwrap_or_default();
    let fate = |entry: &Entry, digest: Digest| {
        let named = releases.get(&entry.serial)?.statement.release().legislation?;
        (named.digest == digest).then_some(())
    };
    let recorded = chain.into_iter().map(|(entry, digest)| {
        let fate = match fate(&entry, digest) {
            None => Fate::NeverReleased,
            Some(()) if entry.serial == newest => Fate::InForce,
            Some(()) => Fate::Replaced,
        };
        Recorded { entry, digest, fate }
    });
    Ok(recorded.collect())
}

fn release(pack: &Pack, packed: &PackedRelease, roots: &[TrustRoot]) -> anyhow::Result<Release> {
    let json = packed.envelope.as_bytes();
    let statement = roots
        .iter()
        .rev()
        .find_map(|root| Statement::verify(json, root, &pack.channel).ok())
        .context("no trust root of the pack accepts it")?;
    let contents = match &packed.manifest {
        None => None,
        Some(manifest) => {
            statement.artifact(MANIFEST)?.check(MANIFEST, manifest.as_bytes())?;
            let artifact = statement.artifact(SOURCES)?;
            let sources = pack.sources.get(&artifact.digest).context("its sources are not there")?;
            artifact.check(SOURCES, sources.as_bytes())?;
            let sources = Sources::from_archive(sources.as_bytes())?;
            ensure!(sources.digest() == statement.release().source, "its sources are others");
            Some((serde_json::from_str(manifest)?, sources))
        }
    };
    Ok(Release { digest: Digest::of(json), statement, contents })
}

fn log(packed: &PackedLog, trusted: Option<&LogPolicy>) -> anyhow::Result<Log> {
    let own = LogPolicy::of_logs(vec![packed.key.parse()?]);
    let policy = trusted.unwrap_or(&own);
    let head = policy.trusted(packed.checkpoint.as_bytes())?.checkpoint;
    let mut entries = Vec::with_capacity(packed.proofs.len());
    for proof in &packed.proofs {
        let proof = EntryProof::from_text(proof)?;
        let proven = proof.verify(policy).with_context(|| format!("entry {}", proof.index))?;
        ensure!(proven.checkpoint == head, "entry {} is of another checkpoint", proof.index);
        let entry = LogEntry::from_json(&proof.entry).map_err(anyhow::Error::msg)?;
        ensure!(entry.seq == proof.index, "entry {} says that it is {}", proof.index, entry.seq);
        entries.push(entry);
    }
    Ok(Log { origin: head.origin, size: head.size, entries, sums: packed.sums.clone() })
}
