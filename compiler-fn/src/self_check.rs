//! The self-check before signing: the generated module against the reference evaluator on boundary requests.
//!
//! For every policy, requests are made from its own atoms (`boundaries`): each atom goes through the values at
//! which its answer turns, missing and unusable among them, while the other atoms are such that the policy's
//! outcome depends on it; and scope and constraint meet in each of their three truths (`subject`, `search`).
//! Requests of several policies that do not contradict each other are made in one (`packing`). The module decides
//! each (`compare`); for every policy that the request is about, its verdict must be what the reference evaluator says. On a
//! sample of the requests (all, in small sets) and on those of the set's TESTs the whole verdicts are compared.
//!
//! A difference refuses the signature: it is a fault of the code generator, never of the set's author. The result
//! depends on set and module alone, not on how many threads worked on it. At most [`MAX_REQUESTS`] requests are
//! about one policy.

mod boundaries;
mod compare;
#[cfg(test)]
mod mutants;
mod packing;
mod search;
mod subject;
#[cfg(test)]
mod tests;
mod texts;
mod witness;

use aecp_contract::manifest::SelfCheckSummary;

pub use self::witness::Difference;
use self::{compare::Checker, packing::Batch, search::Cases, subject::Subject};
use crate::{
    interpret::{InterpretError, Loaded},
    parallel::{self, in_parallel},
    set::PolicySet,
};

/// The most requests that are about one policy.
pub const MAX_REQUESTS: usize = 2048;

/// Policies that one thread prepares in one go.
const POLICIES: usize = 32;

/// What takes the longer the more policies the set has is done so often that about so many policies are evaluated
/// for it, or [`MIN_SAMPLE`] times where that is more: comparing whole verdicts, and trying a policy's atoms also
/// with the attributes missing by which the module indexes its policies, so that it looks at all of them.
const SAMPLED: usize = 8192;
const MIN_SAMPLE: usize = 4;

/// Why a module did not pass.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// It decides otherwise than the reference evaluator.
    #[error("{0}")]
    Difference(Box<Difference>),
    /// It cannot be instantiated.
    #[error(transparent)]
    Module(#[from] InterpretError),
}

/// Checks the module of `set` against the reference evaluator.
///
/// # Errors
/// [`SelfCheckError`]; of several differences the one of the first policy.
pub fn self_check(set: &PolicySet, module: &Loaded) -> Result<SelfCheckSummary, SelfCheckError> {
    check_with(set, module, parallel::threads())
}

fn check_with(
    set: &PolicySet,
    module: &Loaded,
    threads: usize,
) -> Result<SelfCheckSummary, SelfCheckError> {
    let constants = boundaries::constants(set);
    let sample = (SAMPLED / set.policies.len().max(1)).max(MIN_SAMPLE);
    let every = set.policies.len().div_ceil(sample).max(1);
    let all: Vec<usize> = (0..set.policies.len()).collect();
    let chunks: Vec<&[usize]> = all.chunks(POLICIES).collect();
    let prepared = in_parallel(&chunks, threads, |policies| {
        let prepare = |policy: &usize| {
            let subject = Subject::new(set, &constants, *policy);
            let cases = search::cases(&subject, policy.is_multiple_of(every));
            (subject, cases)
        };
        policies.iter().map(prepare).collect::<Vec<_>>()
    });
    let (subjects, found): (Vec<Subject<'_>>, Vec<Cases>) = prepared.into_iter().flatten().unzip();
    let mut summary = SelfCheckSummary {
        requests: set.tests.len() as u32,
        atoms: found.iter().map(|cases| cases.atoms).sum(),
        decisive: found.iter().map(|cases| cases.decisive).sum(),
    };
    let batches = packing::batches(set, &subjects, &found);
    let checker = Checker { set, module, subjects: &subjects };
    // Spread evenly: of so many batches some requests each, or of some batches one.
    let stride = batches.len().div_ceil(sample).max(1);
    let each = sample.div_ceil(batches.len().max(1));
    let jobs: Vec<(&Batch<'_>, usize)> = (0..)
        .zip(&batches)
        .map(|(number, batch): (usize, _)| (batch, if number.is_multiple_of(stride) { each } else { 0 }))
        .collect();
    let checked = in_parallel(&jobs, threads, |(batch, whole)| checker.check(batch, *whole));
    let mut first: Option<Difference> = None;
    let tests = checker.check_tests()?;
    for result in checked.into_iter().chain([Ok((0, tests))]) {
        let (requests, difference) = result?;
        summary.requests += requests;
        if let Some(difference) = difference
            && first.as_ref().is_none_or(|first| difference.place() < first.place())
        {
            first = Some(difference);
        }
    }
    first.map_or(Ok(summary), |difference| Err(SelfCheckError::Difference(Box::new(difference))))
}
