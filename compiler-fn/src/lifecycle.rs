//! Policies that are held back: a set as a release enforces it, which may be less than its policies say.
//!
//! Tests and versions are about the set as it is written. What is generated, compared with the reference evaluator and
//! released is the set as it is held back, and so is what the release says to be proven: an INVARIANT that rests on a
//! policy that is held back is shown as suspended, not as proven.

use std::collections::BTreeMap;

use aecp_contract::{
    legislation::{Move, State, States},
    manifest::{Proof, ProofKind, ProofStatus},
};

use crate::{analyse, set::PolicySet};

/// Why policies cannot be moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// It has retired.
    #[error("policy `{0}` has retired, and that is for good; write a policy of another name")]
    Retired(String),
    /// There is no such policy.
    #[error("there is no policy `{0}` in the set; a state is given as POLICY=STATE")]
    Unknown(String),
}

/// The moves from the states `before` to those that are `wanted`, and the states after them.
///
/// # Errors
/// [`MoveError::Retired`].
pub fn moved(
    before: &States,
    wanted: &BTreeMap<String, State>,
) -> Result<(Vec<Move>, States), MoveError> {
    let (mut states, mut moves) = (before.clone(), Vec::new());
    for (policy, &to) in wanted {
        let from = states.get(policy).copied().unwrap_or(State::Blocking);
        if from == to {
            continue;
        }
        if !from.may_become(to) {
            return Err(MoveError::Retired(policy.clone()));
        }
        moves.push(Move { policy: policy.clone(), from, to });
        match to {
            State::Blocking => states.remove(policy),
            held_back => states.insert(policy.clone(), held_back),
        };
    }
    Ok((moves, states))
}

/// Whether all policies that move are in the set. One that retires may be gone from it already.
///
/// # Errors
/// [`MoveError::Unknown`].
pub fn known(moves: &[Move], set: &PolicySet) -> Result<(), MoveError> {
    let unknown = |moved: &&Move| moved.to != State::Retired && set.policy(&moved.policy).is_none();
    match moves.iter().find(unknown) {
        Some(moved) => Err(MoveError::Unknown(moved.policy.clone())),
        None => Ok(()),
    }
}

/// The states of those policies of the set that are held back.
#[must_use]
pub fn of_set(set: &PolicySet, states: &States) -> States {
    let held =
        |(policy, state): &(&String, &State)| **state != State::Blocking && set.policy(policy).is_some();
    states.iter().filter(held).map(|(policy, state)| (policy.clone(), *state)).collect()
}

/// The set as these states let it be enforced: policies without those that are drafts or have retired, each with the
/// ENFORCEMENT that is left of its own. Its attributes stay as they are. Nothing is proven of it yet.
#[must_use]
pub fn held_back(set: &PolicySet, states: &States) -> PolicySet {
    let mut held = set.clone();
    held.policies.retain_mut(|policy| {
        let state = states.get(&policy.info.name).copied().unwrap_or(State::Blocking);
        let left = state.cap(policy.info.enforcement);
        policy.info.enforcement = left.unwrap_or(policy.info.enforcement);
        left.is_some()
    });
    held.proofs = Vec::new();
    held
}

/// What is proven of a set that is held back, given what was proven of it as it is written.
///
/// # Errors
/// A fault of the compiler, in words.
pub fn proofs(held: &PolicySet, written: &[Proof], states: &States) -> Result<Vec<Proof>, String> {
    let (mut proofs, _) = analyse::proofs(held).map_err(|finding| finding.message.clone())?;
    for proof in written {
        if !proofs.iter().any(|left| left.kind == proof.kind && left.name == proof.name) {
            proofs.push(suspended(proof, states));
        }
    }
    Ok(proofs)
}

fn suspended(proof: &Proof, states: &States) -> Proof {
    let part = |policy: &&String| proof.because_of.is_empty() || proof.because_of.contains(policy);
    let held: Vec<String> = states
        .iter()
        .filter(|(policy, _)| part(policy))
        .map(|(policy, state)| format!("`{policy}` is {state}"))
        .collect();
    Proof {
        status: ProofStatus::Suspended,
        kind: ProofKind::Invariant,
        method: format!("holds of the set as it is written, not of this release: {}", held.join(", ")),
        ..proof.clone()
    }
}

#[cfg(test)]
mod tests;
