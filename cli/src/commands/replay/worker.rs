//! Decides recorded requests anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aecp_contract::{
    audit::{DecisionRecord, Entry, Event, Opening, PolicyRef, RecordedValue},
    manifest::{AttributeDeclaration, Enforcement, TIME_ATTRIBUTE},
    slots::SlotBuffer,
    tlog::tile::TILE_WIDTH,
    value::Type,
    verdict::{Decision, Verdict},
};
use aecp_enforcer::{PolicyInstance, PolicyPre};
use anyhow::anyhow;
use tokio::{runtime::Handle, sync::mpsc::Receiver};

use super::results::{Cause, Decided, Example, NotReplayed, Results};
use crate::audit::{Attributes, Bundle, LogReader, Manifests, Span};

/// Entries to replay.
pub(super) struct Job {
    pub(super) log: Arc<LogReader>,
    /// What the log's checkpoints call it.
    pub(super) origin: Arc<str>,
    pub(super) bundle: Bundle,
}

/// One thread of a replay.
pub(super) struct Worker {
    candidate: Arc<PolicyPre>,
    span: Span,
    manifests: Manifests,
    results: Results,
}

/// What one decision is replayed in, kept from one to the next.
struct Room {
    instance: PolicyInstance,
    slots: SlotBuffer,
    /// The attributes' names as JSON has them before their values.
    names: Vec<String>,
    /// The request in the plain form.
    json: String,
    /// The slots of attributes that are there but of no use.
    unusable: Vec<usize>,
}

impl Worker {
    pub(super) fn new(candidate: Arc<PolicyPre>, span: Span, manifests: Manifests) -> Self {
        Self { candidate, span, manifests, results: Results::default() }
    }

    /// Replays until there are no more jobs.
    pub(super) fn run(mut self, jobs: &Mutex<Receiver<Job>>) -> anyhow::Result<Results> {
        let attributes = self.candidate.manifest().attributes.iter();
        let name = |attribute: &AttributeDeclaration| {
            format!("{}:", serde_json::Value::from(attribute.path.as_str()))
        };
        let mut room = Room {
            instance: self.candidate.instantiate()?,
            slots: SlotBuffer::new(self.candidate.attributes().len()),
            names: attributes.map(name).collect(),
            json: String::new(),
            unusable: Vec::new(),
        };
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            let Some(job) = job else { break };
            self.bundle(&job, &mut room)?;
        }
        self.results.refused = self.manifests.refused;
        Ok(self.results)
    }

    fn bundle(&mut self, job: &Job, room: &mut Room) -> anyhow::Result<()> {
        // They are only asked for where something is to be opened.
        let mut openings = None;
        let name = &job.log.name;
        for (index, bytes) in job.bundle.entries()? {
            let entry = Entry::from_json(bytes)
                .map_err(|why| anyhow!("log `{name}`, entry {index} cannot be read: {why}"))?;
            let Event::Decision(record) = &entry.event else { continue };
            if !self.span.has(entry.time) {
                continue;
            }
            if openings.is_none() && self.needs_opening(record) {
                let bundle = index / TILE_WIDTH;
                openings = Some(Handle::current().block_on(job.log.openings(bundle))?);
            }
            let opening = openings.as_ref().and_then(|openings| openings.get(&index));
            self.results.decisions += 1;
            match self.replay(&job.origin, record, opening, room) {
                Ok(verdict) => {
                    self.results.replayed += 1;
                    self.compare((&name.to_string(), index), record, &verdict, &room.json);
                }
                Err(why) => *self.results.not_replayed.entry(why).or_default() += 1,
            }
        }
        Ok(())
    }

    fn needs_opening(&self, record: &DecisionRecord) -> bool {
        self.candidate.manifest().attributes.iter().any(|attribute| {
            matches!(record.attributes.get(&attribute.path), Some(RecordedValue::Commitment(_)))
        })
    }

    /// The candidate's verdict on the request that was recorded.
    fn replay(
        &mut self,
        origin: &str,
        record: &DecisionRecord,
        opening: Option<&Opening>,
        room: &mut Room,
    ) -> Result<Verdict, NotReplayed> {
        if let Some(reason) = &record.reason {
            return Err(NotReplayed::NoVerdict(reason.clone()));
        }
        if !record.excepted.is_empty() {
            return Err(NotReplayed::Excepted);
        }
        // Of what was left out on purpose, or for want of room, nobody knows what it was.
        let recorded = if record.omitted_attributes > 0 { None } else { self.recorded(origin, record) };
        let fits = opening.is_none_or(|opening| opening.opens(record));
        room.json.clear();
        room.unusable.clear();
        for (slot, attribute) in self.candidate.manifest().attributes.iter().enumerate() {
            match given(attribute, record, opening.filter(|_| fits), recorded.as_deref()) {
                Ok(Given::Nothing) => {}
                Ok(Given::Unusable) => room.unusable.push(slot),
                Ok(Given::Value(json)) => {
                    room.json.push(if room.json.is_empty() { '{' } else { ',' });
                    room.json.push_str(&room.names[slot]);
                    room.json.push_str(json);
                }
                Err(NotReplayed::Erased(path)) if !fits => return Err(NotReplayed::WrongOpening(path)),
                Err(why) => return Err(why),
            }
        }
        room.json.push_str(if room.json.is_empty() { "{}" } else { "}" });
        self.decide(room)
    }

    fn decide(&self, room: &mut Room) -> Result<Verdict, NotReplayed> {
        let read = self.candidate.attributes().read_json(room.json.as_bytes(), &mut room.slots);
        read.map_err(|error| NotReplayed::Failed(error.code().to_owned()))?;
        room.unusable.iter().for_each(|slot| room.slots.set_invalid(*slot));
        let verdict = room.instance.decide(&room.slots);
        verdict.map_err(|error| {
            // It must not be used again.
            if let Ok(fresh) = self.candidate.instantiate() {
                room.instance = fresh;
            }
            NotReplayed::Failed(error.to_string())
        })
    }

    /// The attributes that the release looked at which decided, if they are known.
    fn recorded(&mut self, origin: &str, record: &DecisionRecord) -> Option<Attributes> {
        let release = record.release?;
        self.manifests
            .known(release)
            .unwrap_or_else(|| Handle::current().block_on(self.manifests.read(origin, release)))
    }

    fn compare(&mut self, place: (&str, u64), record: &DecisionRecord, verdict: &Verdict, json: &str) {
        let (now, causes) = match (record.decision, verdict.decision) {
            (Decision::Allow, Decision::Deny) => (Decided::NowDenied, self.denying(verdict)),
            (Decision::Deny, Decision::Allow) => (Decided::NowAllowed, denied(record)),
            _ => return,
        };
        let example = || Example {
            log: place.0.to_owned(),
            entry: place.1,
            request_id: record.request_id.clone(),
            request: json.to_owned(),
        };
        self.results.flip(now, causes, place, example);
    }

    /// On account of whom the candidate denies.
    fn denying(&self, verdict: &Verdict) -> Vec<Cause> {
        let manifest = self.candidate.manifest();
        let policies = verdict.violated.iter().chain(&verdict.indeterminate);
        let policies = policies.filter_map(|index| manifest.policies.get(*index as usize));
        let blocking = policies.filter(|policy| policy.enforcement == Enforcement::Blocking);
        let modules = verdict.uncovered.iter().filter_map(|index| manifest.modules.get(*index as usize));
        blocking
            .map(|policy| Cause::Policy(policy.name.clone()))
            .chain(modules.map(|module| Cause::DefaultDeny(module.name.clone())))
            .collect()
    }
}

/// On account of whom it was denied when it was recorded.
fn denied(record: &DecisionRecord) -> Vec<Cause> {
    let policies = record.violated.iter().chain(&record.indeterminate);
    let blocking = policies.filter(|policy| policy.enforcement == Enforcement::Blocking);
    let mut causes: Vec<_> = blocking
        .map(|PolicyRef { policy, .. }| Cause::Policy(policy.clone()))
        .chain(record.default_deny.iter().cloned().map(Cause::DefaultDeny))
        .collect();
    if causes.is_empty() {
        causes.push(Cause::Omitted);
    }
    causes
}

/// What a request had for an attribute.
enum Given<'a> {
    Nothing,
    Unusable,
    Value(&'a str),
}

fn given<'a>(
    attribute: &AttributeDeclaration,
    record: &'a DecisionRecord,
    opening: Option<&'a Opening>,
    recorded: Option<&BTreeMap<String, Type>>,
) -> Result<Given<'a>, NotReplayed> {
    let path = &attribute.path;
    let looked_at = recorded.and_then(|recorded| recorded.get(path));
    Ok(match record.attributes.get(path) {
        // Only whether it is there is asked for.
        Some(_) if attribute.ty == Type::Any => Given::Unusable,
        Some(RecordedValue::Clear(value)) => Given::Value(value.get()),
        Some(RecordedValue::Commitment(_)) => {
            let value = opening.and_then(|opening| opening.values.get(path));
            Given::Value(value.ok_or_else(|| NotReplayed::Erased(path.clone()))?.value.get())
        }
        Some(RecordedValue::Masked(_)) => return Err(NotReplayed::Masked(path.clone())),
        // What was no value of one type may be one of another.
        Some(RecordedValue::Unusable) if looked_at == Some(&attribute.ty) => Given::Unusable,
        Some(RecordedValue::Unusable) => return Err(NotReplayed::Unusable(path.clone())),
        // A request has a time in any case.
        None if looked_at.is_some() && path != TIME_ATTRIBUTE => Given::Nothing,
        None => return Err(NotReplayed::Unknown(path.clone())),
    })
}
