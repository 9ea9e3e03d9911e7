//! What a channel asks of a set that is to take the place of the one that it has: that it compiles, that its VERSIONs are
//! in order, and what the history is to say of it.

use std::collections::{BTreeMap, BTreeSet};

use aecp_contract::{
    digest::Digest,
    legislation::{ChangeKind, Move, PolicyChange, State, States},
    manifest::ComponentPolicy,
};

use crate::{
    check,
    compile::{CompileError, Compiled, Outcome, Phase, compile_sources_under},
    diff::{self, Change, Diff},
    findings::Finding,
    lifecycle::{self, MoveError},
    publish::Base,
    set::PolicySet,
    source::Sources,
};

/// A set that compiles, and what changes with it.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its artifacts.
    pub compiled: Compiled,
    /// The serial of the release that it was compared with; 0 for none.
    pub base: u64,
    /// The policies that say something else than there.
    pub changes: Vec<PolicyChange>,
    /// The policies whose state changes.
    pub moves: Vec<Move>,
    /// The states of all policies that are held back.
    pub states: States,
}

/// What became of a set.
#[derive(Debug)]
pub struct Examined {
    /// The set as it is written, unless it has errors.
    pub set: Option<PolicySet>,
    /// What may be published, unless a finding is an error. Whether `versions` are in order is for the caller.
    pub accepted: Option<Accepted>,
    /// Everything there is to say about the sources.
    pub findings: Vec<Finding>,
    /// What is wrong with the VERSIONs of policies; their places are in the sources.
    pub versions: Vec<Finding>,
    /// What changes; `None` if there was nothing to compare with, or it does not compile with this version.
    pub diff: Option<Diff>,
}

/// Why a set could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// Policies are to be moved that cannot.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// Compiles a set that is to take the place of `base`, with policies moved to the states that are `wanted`.
///
/// # Errors
/// [`ExamineError`].
pub fn examine(
    sources: &Sources,
    base: &Base,
    wanted: &BTreeMap<String, State>,
    started: &mut dyn FnMut(Phase),
) -> Result<Examined, ExamineError> {
    let (moves, states) = lifecycle::moved(&base.states, wanted)?;
    let Outcome { set, compiled, findings } = compile_sources_under(sources, &states, started)?;
    let (set, compiled) = match (set, compiled) {
        (Some(set), Some(compiled)) => (set, compiled),
        (set, _) => {
            let versions = Vec::new();
            return Ok(Examined { set, accepted: None, findings, versions, diff: None });
        }
    };
    lifecycle::known(&moves, &set)?;
    // Older versions of the language may have allowed what this one does not; that must not stop a mended set.
    let before = base.sources.as_ref().and_then(|sources| check::check(sources).set);
    let (diff, versions, changes) = match &before {
        Some(before) => {
            let diff = diff::compare(before, &set)?;
            let versions = diff::versions(before, &set, &diff);
            let changes = changes(before, &set, &diff);
            (Some(diff), versions, changes)
        }
        None => (None, Vec::new(), uncompared(&set, base)),
    };
    let accepted = Accepted { compiled, base: base.serial, changes, moves, states };
    Ok(Examined { set: Some(set), accepted: Some(accepted), findings, versions, diff })
}

impl Accepted {
    /// Puts policies that are components beside the compiled ones, in the place of those that `base` has; the history says
    /// what changes, those that are no more included.
    pub fn add_components(&mut self, base: &Base, components: Vec<(ComponentPolicy, Vec<u8>)>) {
        let of = |(policy, bytes): &(ComponentPolicy, Vec<u8>)| {
            (policy.name.clone(), (policy.clone(), Digest::of(bytes)))
        };
        let now: BTreeMap<_, _> = components.iter().map(of).collect();
        let names: BTreeSet<_> = now.keys().chain(base.components.keys()).collect();
        for name in names {
            let change = match (base.components.get(name), now.get(name)) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Removed,
                (before, after) if before == after => continue,
                _ => ChangeKind::Changed,
            };
            let policy = name.clone();
            self.changes.push(PolicyChange { policy, change, version: None, replaces: None });
        }
        self.changes.sort_by(|a, b| a.policy.cmp(&b.policy));
        self.compiled.add_components(components);
    }
}

/// The policies of a set that there is nothing to compare with.
fn uncompared(set: &PolicySet, base: &Base) -> Vec<PolicyChange> {
    let change = if base.serial == 0 { ChangeKind::Added } else { ChangeKind::NotDecided };
    let changed = set.policies.iter().map(|policy| PolicyChange {
        policy: policy.info.name.clone(),
        change,
        version: policy.info.version,
        replaces: None,
    });
    changed.collect()
}

fn changes(before: &PolicySet, after: &PolicySet, diff: &Diff) -> Vec<PolicyChange> {
    let version = |set: &PolicySet, name: &str| set.policies[set.policy(name)?].info.version;
    let changed = diff.policies.iter().filter_map(|policy| {
        let change = match policy.change {
            Change::Changed => ChangeKind::Changed,
            Change::NotDecided => ChangeKind::NotDecided,
            Change::Added => ChangeKind::Added,
            Change::Removed => ChangeKind::Removed,
            Change::Reworded => ChangeKind::Reworded,
            Change::Same => return None,
        };
        Some(PolicyChange {
            policy: policy.policy.clone(),
            change,
            version: version(after, &policy.policy),
            replaces: version(before, &policy.policy),
        })
    });
    changed.collect()
}
