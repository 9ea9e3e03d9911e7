//! What a verified pack says of its control: from the control to its policies, their versions, tests and proofs, the
//! releases that enforced them, and what was decided.

use std::collections::{BTreeMap, BTreeSet};

use aecp_compiler::{
    check,
    compliance::{Framework, Reference, coverage_map, resolve},
    generate,
    interpret::Loaded,
    publish::{Fate, Recorded},
    source::Sources,
    testing,
};
use aecp_contract::{
    audit::{Entry as LogEntry, Event},
    digest::Digest,
    layout::Name,
    legislation::{Entry, State},
    manifest::{Enforcement, Manifest, PolicyInfo, Proof},
    value::Timestamp,
};
use anyhow::bail;
use serde::Serialize;

use super::{Pack, PolicySums, Sums, Verified, collect::in_force};

/// A control of a framework, or a reference to a framework without a catalogue.
pub(crate) enum Control {
    Listed { framework: Framework, id: &'static str, canonical: String },
    Other(String),
}

/// Everything there is to say. Its JSON is what `aecp evidence verify --format json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) control: String,
    /// What the catalogue calls it.
    pub(crate) title: Option<String>,
    pub(crate) channel: Name,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) made: Timestamp,
    pub(crate) compiler: String,
    pub(crate) releases: Vec<InForce>,
    pub(crate) policies: Vec<PolicyReport>,
    pub(crate) logs: Vec<LogReport>,
    /// Denials and lifted denials by policies of the control, each proven to be in its log.
    pub(crate) decisions: Vec<Shown>,
    /// Gaps of the logs, each proven to be in its log.
    pub(crate) gaps: Vec<Shown>,
}

/// A release that was in force.
#[derive(Debug, Serialize)]
pub(crate) struct InForce {
    pub(crate) serial: u64,
    pub(crate) digest: Digest,
    pub(crate) entry: u64,
    pub(crate) from: Timestamp,
    /// When the next one was accepted; `None` if none was.
    pub(crate) to: Option<Timestamp>,
    pub(crate) author: Option<String>,
    pub(crate) justification: Option<String>,
    /// The keys with which the author signed.
    pub(crate) signed_by: Vec<Digest>,
    pub(crate) tests: u32,
    pub(crate) decisions: u64,
}

/// A policy that names the control.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyReport {
    pub(crate) policy: String,
    pub(crate) description: Option<String>,
    pub(crate) references: Vec<String>,
    /// What it was over the releases, a stint for each change.
    pub(crate) stints: Vec<Stint>,
    /// What the history says of it, before and in the time that was asked about.
    pub(crate) changes: Vec<Change>,
    /// Tests of its newest release that satisfy it; `None` if this version cannot run them, or the control is of no catalogue.
    pub(crate) satisfied: Option<Vec<String>>,
    /// Those that violate it.
    pub(crate) violated: Option<Vec<String>>,
    /// What is proven with it, in its newest release.
    pub(crate) proofs: Vec<Proof>,
    pub(crate) sums: PolicySums,
}

/// Releases in which a policy stayed the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stint {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) version: Option<i64>,
    pub(crate) enforcement: Enforcement,
    pub(crate) state: State,
    pub(crate) author: Option<String>,
    pub(crate) justification: Option<String>,
}

/// An entry of the history about a policy.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    pub(crate) entry: u64,
    pub(crate) time: Timestamp,
    pub(crate) serial: u64,
    /// In words.
    pub(crate) what: String,
    pub(crate) author: Option<String>,
    pub(crate) signed: bool,
    pub(crate) justification: Option<String>,
}

/// One log.
#[derive(Debug, Serialize)]
pub(crate) struct LogReport {
    pub(crate) log: Name,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) sums: Sums,
}

/// An entry of a log.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) log: Name,
    pub(crate) entry: LogEntry,
}

impl Control {
    /// The control that a reference names.
    pub(crate) fn of(text: &str) -> anyhow::Result<Self> {
        Ok(match resolve(text) {
            Reference::Control { framework, control, canonical } => {
                Self::Listed { framework, id: control, canonical }
            }
            Reference::Other => Self::Other(text.to_owned()),
            Reference::Part { canonical, .. } => bail!("`{canonical}` is many controls; name one"),
            Reference::Unknown { framework, .. } => {
                bail!("`{text}` names no control of {}", framework.catalogue().title)
            }
        })
    }

    fn is_named_by(&self, reference: &str) -> bool {
        match (self, resolve(reference)) {
            (Self::Listed { framework, id, .. }, Reference::Control { framework: of, control, .. }) => {
                *framework == of && *id == control
            }
            (Self::Other(text), Reference::Other) => text == reference,
            _ => false,
        }
    }

    /// The policies of a release that name it.
    pub(crate) fn policies<'a>(
        &'a self,
        manifest: &'a Manifest,
    ) -> impl Iterator<Item = &'a PolicyInfo> {
        let names = |info: &&PolicyInfo| info.compliance.iter().any(|one| self.is_named_by(one));
        manifest.policies.iter().filter(names)
    }

    fn title(&self) -> Option<String> {
        let Self::Listed { framework, id, .. } = self else { return None };
        let sections = framework.catalogue().sections.iter();
        let control = sections.flat_map(|section| &section.controls).find(|one| one.id == *id)?;
        Some(control.title.clone())
    }
}

/// What a verified pack says.
pub(crate) fn report(pack: &Pack, verified: &Verified) -> anyhow::Result<Report> {
    let control = Control::of(&pack.control)?;
    let name = match &control {
        Control::Listed { canonical, .. } => canonical.clone(),
        Control::Other(text) => text.clone(),
    };
    let (mut decisions, mut gaps) = (Vec::new(), Vec::new());
    for (log, read) in &verified.logs {
        for entry in &read.entries {
            let shown = Shown { log: log.clone(), entry: entry.clone() };
            match entry.event {
                Event::Gap(_) => gaps.push(shown),
                _ => decisions.push(shown),
            }
        }
    }
    let logs = verified.logs.iter().map(|(log, read)| LogReport {
        log: log.clone(),
        origin: read.origin.clone(),
        size: read.size,
        sums: read.sums.clone(),
    });
    Ok(Report {
        title: control.title(),
        control: name,
        channel: pack.channel.clone(),
        from: pack.from,
        to: pack.to,
        made: pack.made,
        compiler: pack.compiler.clone(),
        releases: releases(pack, verified),
        policies: policies(pack, verified, &control),
        logs: logs.collect(),
        decisions,
        gaps,
    })
}

fn releases(pack: &Pack, verified: &Verified) -> Vec<InForce> {
    let released: Vec<_> = in_force(&verified.history, pack.from, pack.to).collect();
    let decided =
        |serial| verified.logs.values().filter_map(|log| log.sums.by_release.get(&serial)).sum::<u64>();
    let mut releases = Vec::new();
    for (at, (recorded, in_force)) in released.iter().enumerate() {
        let entry = &recorded.entry;
        let Some(release) = verified.releases.get(&entry.serial).filter(|_| *in_force) else { continue };
        releases.push(InForce {
            serial: entry.serial,
            digest: release.digest,
            entry: entry.number,
            from: entry.time,
            to: released.get(at + 1).map(|(next, _)| next.entry.time),
            author: entry.author.clone(),
            justification: entry.justification.clone(),
            signed_by: entry.submission.iter().flat_map(|signed| signed.keys.clone()).collect(),
            tests: release.contents.as_ref().map_or(0, |(manifest, _)| manifest.tests.passed),
            decisions: decided(entry.serial),
        });
    }
    releases
}

fn policies(pack: &Pack, verified: &Verified, control: &Control) -> Vec<PolicyReport> {
    let contents = || {
        let releases = verified.releases.iter();
        releases.filter_map(|(serial, release)| Some((*serial, release.contents.as_ref()?)))
    };
    let names: BTreeSet<&str> = contents()
        .flat_map(|(_, (manifest, _))| control.policies(manifest).map(|info| info.name.as_str()))
        .collect();
    let mut tests_of: BTreeMap<u64, Tests> = BTreeMap::new();
    let mut reports = Vec::with_capacity(names.len());
    for name in names {
        let of = |manifest: &Manifest| manifest.policies.iter().find(|info| info.name == name).cloned();
        let held: Vec<(u64, PolicyInfo, State)> = contents()
            .filter_map(|(serial, (manifest, _))| {
                let state = manifest.states.get(name).copied().unwrap_or(State::Blocking);
                Some((serial, of(manifest)?, state))
            })
            .collect();
        let Some((newest, info, _)) = held.last().cloned() else { continue };
        let because = |proof: &&Proof| proof.because_of.iter().any(|one| one == name);
        let release = verified.releases.get(&newest).and_then(|release| release.contents.as_ref());
        let Some((manifest, sources)) = release else { continue };
        let proofs = manifest.proofs.iter().filter(because);
        let run = tests_of.entry(newest).or_insert_with(|| tests(sources, control));
        let outcomes = run.as_ref().and_then(|outcomes| outcomes.get(name));
        let mut sums = PolicySums::default();
        for one in verified.logs.values().filter_map(|log| log.sums.by_policy.get(name)) {
            sums.violated += one.violated;
            sums.indeterminate += one.indeterminate;
            sums.denied += one.denied;
            sums.excepted += one.excepted;
        }
        reports.push(PolicyReport {
            policy: name.to_owned(),
            description: info.description,
            references: info.compliance,
            stints: stints(&held),
            changes: changes(&verified.history, name, pack.to),
            satisfied: outcomes.map(|(satisfied, _)| satisfied.clone()),
            violated: outcomes.map(|(_, violated)| violated.clone()),
            proofs: proofs.cloned().collect(),
            sums,
        });
    }
    reports
}

fn stints(held: &[(u64, PolicyInfo, State)]) -> Vec<Stint> {
    let mut stints: Vec<Stint> = Vec::new();
    for (serial, info, state) in held {
        let stint = Stint {
            first: *serial,
            last: *serial,
            version: info.version,
            enforcement: info.enforcement,
            state: *state,
            author: info.author.clone(),
            justification: info.justification.clone(),
        };
        match stints.last_mut() {
            Some(last) if (Stint { first: last.first, last: last.last, ..stint.clone() }) == *last => {
                last.last = *serial;
            }
            _ => stints.push(stint),
        }
    }
    stints
}

fn changes(history: &[Recorded], policy: &str, to: Timestamp) -> Vec<Change> {
    let in_time = |one: &&Recorded| one.fate != Fate::NeverReleased && one.entry.time < to;
    let about = |entry: &Entry| {
        let changed =
            entry.changes.iter().filter(|change| change.policy == policy).map(|change| {
                match (change.replaces, change.version) {
                    (Some(old), Some(new)) if old != new => {
                        format!("{}, version {old} to {new}", change.change.as_str())
                    }
                    (_, Some(version)) => format!("{}, version {version}", change.change.as_str()),
                    _ => change.change.as_str().to_owned(),
                }
            });
        let moved = entry.moves.iter().filter(|moved| moved.policy == policy);
        let moved = moved.map(|moved| format!("{}, which was {}", moved.to, moved.from));
        changed.chain(moved).collect::<Vec<_>>().join("; ")
    };
    let told = history.iter().filter(in_time).filter_map(|Recorded { entry, .. }| {
        let what = about(entry);
        (!what.is_empty()).then(|| Change {
            entry: entry.number,
            time: entry.time,
            serial: entry.serial,
            what,
            author: entry.author.clone(),
            signed: entry.submission.is_some(),
            justification: entry.justification.clone(),
        })
    });
    told.collect()
}

/// The tests that satisfy and that violate each policy; `None` if they cannot be run.
type Tests = Option<BTreeMap<String, (Vec<String>, Vec<String>)>>;

fn tests(sources: &Sources, control: &Control) -> Tests {
    let Control::Listed { framework, .. } = control else { return None };
    let set = check::check(sources).set?;
    let core = generate::core_module(&set).ok()?;
    let results = testing::run(&set, &Loaded::new(&set, &core).ok()?).ok()?;
    let map = coverage_map(sources, &set, &results, &[*framework]).ok()?;
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let of = |policy: &aecp_compiler::compliance::PolicyCoverage<'_>| {
        (policy.name.to_owned(), (owned(&policy.satisfied.tests), owned(&policy.violated.tests)))
    };
    Some(map.policies.iter().map(of).collect())
}
