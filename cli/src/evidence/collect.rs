//! Gathers a pack from the stores.

use std::collections::{BTreeMap, BTreeSet};

use aecp_compiler::{
    compile::COMPILER,
    publish::{Fate, Recorded, Store as PublishStore},
};
use aecp_contract::{
    audit::{Before, DecisionRecord, Entry, Event},
    digest::Digest,
    dsse::MAX_ENVELOPE_BYTES,
    layout::{self, Name},
    legislation::MAX_ENTRY_BYTES,
    manifest::Manifest,
    refusal::Code,
    release::{MANIFEST, SOURCES, Statement},
    tlog::policy::LogPolicy,
    trust::TrustRoot,
    value::Timestamp,
    verdict::Decision,
};
use aecp_enforcer::Store;
use anyhow::{Context as _, bail, ensure};

use super::{Pack, PackedLog, PackedRelease, Sums, report::Control};
use crate::{
    audit::{LogReader, LogStream, Prover},
    terminal::progress,
};

/// The most trust roots of a pack.
const MAX_ROOTS: u32 = 1024;

/// What is asked about.
pub(crate) struct Asked<'a> {
    pub(crate) control: &'a str,
    pub(crate) channel: &'a Name,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) now: Timestamp,
    /// The most decisions of one log that are proven.
    pub(crate) proofs: usize,
}

/// Gathers what the stores have: the releases' with what was in force, the logs with what was decided.
pub(crate) async fn collect(
    asked: &Asked<'_>,
    releases: &str,
    root: &[u8],
    (logs, policy): (Vec<LogReader>, LogPolicy),
) -> anyhow::Result<Pack> {
    let control = Control::of(asked.control)?;
    let store = Store::open(releases)?;
    let publisher = PublishStore::open(releases)?;
    progress("reading the history …");
    let known = publisher.roots(root).await?;
    let history = publisher.history(asked.channel, &known).await?;
    let mut pack = Pack {
        control: asked.control.to_owned(),
        channel: asked.channel.clone(),
        from: asked.from,
        to: asked.to,
        made: asked.now,
        compiler: COMPILER.to_owned(),
        roots: roots(&store, root).await?,
        history: Vec::new(),
        releases: BTreeMap::new(),
        sources: BTreeMap::new(),
        logs: BTreeMap::new(),
    };
    for recorded in &history {
        let key = layout::legislation(asked.channel, recorded.entry.number);
        pack.history.push(text(&store, &key, MAX_ENTRY_BYTES).await?);
    }
    let mut policies = BTreeSet::new();
    for (recorded, in_force) in in_force(&history, asked.from, asked.to) {
        let serial = recorded.entry.serial;
        let key = layout::release(asked.channel, serial);
        let envelope = text(&store, &key, MAX_ENVELOPE_BYTES).await?;
        let mut manifest = None;
        if in_force {
            let statement =
                known.any(|root| Statement::verify(envelope.as_bytes(), root, asked.channel))?;
            let json = artifact(&store, &statement, MANIFEST).await?.1;
            let parsed: Manifest = serde_json::from_str(&json)
                .with_context(|| format!("the manifest of release {serial} is of another version"))?;
            policies.extend(control.policies(&parsed).map(|info| info.name.clone()));
            let (digest, sources) = artifact(&store, &statement, SOURCES).await?;
            pack.sources.insert(digest, sources);
            manifest = Some(json);
        }
        pack.releases.insert(serial, PackedRelease { envelope, manifest });
    }
    for log in logs {
        let name = log.name.clone();
        let packed = log_of(asked, log, &policy, &policies).await?;
        ensure!(pack.logs.insert(name.clone(), packed).is_none(), "two stores have a log `{name}`");
    }
    Ok(pack)
}

/// The releases of a history, and whether each was in force at some time of the span.
pub(super) fn in_force(
    history: &[Recorded],
    from: Timestamp,
    to: Timestamp,
) -> impl Iterator<Item = (&Recorded, bool)> {
    let released = || history.iter().filter(|one| one.fate != Fate::NeverReleased);
    let ends = released().skip(1).map(|next| Some(next.entry.time)).chain([None]);
    released().zip(ends).map(move |(recorded, end)| {
        (recorded, recorded.entry.time < to && end.is_none_or(|end| end > from))
    })
}

async fn roots(store: &Store, given: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut roots = vec![String::from_utf8(given.to_vec())?];
    let first = TrustRoot::pinned(given)?.version();
    for version in first + 1..first.saturating_add(MAX_ROOTS) {
        match store.get(&layout::root(version), MAX_ENVELOPE_BYTES as u64, None).await {
            Ok(Some(root)) => roots.push(String::from_utf8(root.bytes.to_vec())?),
            Ok(None) => break,
            Err(refusal) if refusal.code == Code::NotFound => break,
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Ok(roots)
}

async fn text(store: &Store, key: &str, limit: usize) -> anyhow::Result<String> {
    let object = store.get(key, limit as u64, None).await?;
    let bytes = object.with_context(|| format!("the store gave no `{key}`"))?.bytes;
    String::from_utf8(bytes.to_vec()).with_context(|| format!("`{key}` is not UTF-8"))
}

async fn artifact(store: &Store, statement: &Statement, name: &str) -> anyhow::Result<(Digest, String)> {
    let artifact = statement.artifact(name)?;
    let text = text(store, &layout::blob(artifact.digest), artifact.size as usize).await?;
    artifact.check(name, text.as_bytes())?;
    Ok((artifact.digest, text))
}

/// Reads a whole log, every entry of it proven, and proves what is to be shown.
async fn log_of(
    asked: &Asked<'_>,
    log: LogReader,
    policy: &LogPolicy,
    policies: &BTreeSet<String>,
) -> anyhow::Result<PackedLog> {
    let mut prover = Prover::new(log.clone(), policy).await?;
    let (size, origin) = (prover.trusted().checkpoint.size, prover.trusted().checkpoint.origin.clone());
    let channel = origin.split('/').nth(1).unwrap_or_default();
    if channel != asked.channel.to_string() {
        bail!("log `{origin}` is of another channel; choose logs with --log");
    }
    let key =
        policy.logs().iter().find(|key| key.name() == origin).context("a trusted log has a key")?;
    let mut tally = Tally { sums: Sums { entries: size, ..Sums::default() }, shown: Vec::new() };
    let mut stream = LogStream::open(log, policy).await?;
    while let Some(bundle) = stream.next().await? {
        progress(format_args!("{origin}: entry {} of {size} …", bundle.first));
        // What came after the checkpoint under which it is proven is for another pack.
        for (_, bytes) in bundle.entries()?.into_iter().take_while(|(seq, _)| *seq < size) {
            let entry = Entry::from_json(bytes).map_err(anyhow::Error::msg)?;
            if entry.time >= asked.from && entry.time < asked.to {
                tally.take(&entry, policies, asked.proofs);
            }
        }
    }
    let mut proofs = Vec::with_capacity(tally.shown.len());
    for index in tally.shown {
        progress(format_args!("{origin}: proving entry {index} …"));
        proofs.push(prover.prove(index).await?.to_text());
    }
    let checkpoint = prover.checkpoint().to_owned();
    Ok(PackedLog { key: key.to_string(), checkpoint, sums: tally.sums, proofs })
}

/// What is counted while a log is read.
struct Tally {
    sums: Sums,
    /// The entries to prove, in order.
    shown: Vec<u64>,
}

impl Tally {
    fn take(&mut self, entry: &Entry, policies: &BTreeSet<String>, most: usize) {
        match &entry.event {
            Event::Decision(decided) => {
                let shown = self.decision(decided, policies);
                if shown && self.sums.shown_of <= most as u64 {
                    self.shown.push(entry.seq);
                }
            }
            Event::Gap(gap) => {
                self.sums.gaps += 1;
                self.sums.lost = self.sums.lost.saturating_add(gap.lost);
                if self.sums.gaps <= most as u64 {
                    self.shown.push(entry.seq);
                }
            }
            Event::Start(start) => self.sums.crashes += u64::from(start.after == Before::Crash),
            _ => {}
        }
    }

    /// Counts a decision; whether it is one to show.
    fn decision(&mut self, decided: &DecisionRecord, policies: &BTreeSet<String>) -> bool {
        let denied = decided.decision == Decision::Deny;
        self.sums.decisions += 1;
        self.sums.denials += u64::from(denied);
        let serial = decided.release.map_or(0, |release| release.serial);
        *self.sums.by_release.entry(serial).or_default() += 1;
        let mut shown = false;
        for (list, violated) in [(&decided.violated, true), (&decided.indeterminate, false)] {
            for part in list.iter().filter(|part| policies.contains(&part.policy)) {
                let sums = self.sums.by_policy.entry(part.policy.clone()).or_default();
                *if violated { &mut sums.violated } else { &mut sums.indeterminate } += 1;
                sums.denied += u64::from(denied);
                shown |= denied;
            }
        }
        for name in decided.excepted.iter().filter(|name| policies.contains(*name)) {
            self.sums.by_policy.entry(name.clone()).or_default().excepted += 1;
            shown = true;
        }
        self.sums.shown_of += u64::from(shown);
        shown
    }
}
