//! What the enforcer counts of its own work, so that its log can say whether all of it is on record.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use aecp_contract::{
    audit::{PointTally, ReleaseRef, Tally},
    manifest::AuditLevel,
};

/// Points and releases that one entry of the log tells of, so that it is not too long for one.
const POINTS: usize = 128;

/// Counts since they were last taken. Requests are counted where they are decided, decisions where they are handed to the
/// record: what is decided and never gets to the record shows.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    seen: AtomicU64,
    decided: Mutex<BTreeMap<Place, Decisions>>,
}

/// A point, and the release that decides there.
type Place = (Cow<'static, str>, Option<ReleaseRef>);

#[derive(Debug, Default)]
struct Decisions {
    decided: u64,
    unrecorded: u64,
}

impl Coverage {
    /// A request is to be decided.
    pub(crate) fn seen(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }

    /// A decision is handed to the record.
    pub(crate) fn decided(&self, point: &'static str, release: Option<ReleaseRef>, audit: AuditLevel) {
        self.add((point.into(), release), 1, u64::from(audit == AuditLevel::None));
    }

    fn add(&self, place: Place, decided: u64, unrecorded: u64) {
        let mut all = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all.entry(place).or_default();
        counts.decided += decided;
        counts.unrecorded += unrecorded;
    }

    /// Takes the counts for the log; `last` if the enforcer stops. Nothing if there is nothing to tell.
    pub(crate) fn take(&self, last: bool) -> Vec<Tally> {
        // In this order no request is decided that was not seen.
        let all = std::mem::take(&mut *self.decided.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = self.seen.swap(0, Ordering::Relaxed);
        let decided: Vec<_> = all
            .into_iter()
            .map(|((point, release), Decisions { decided, unrecorded })| PointTally {
                point: point.into_owned(),
                release,
                decided,
                unrecorded,
            })
            .collect();
        let mut tallies: Vec<_> = decided
            .chunks(POINTS)
            .map(|decided| Tally { seen: 0, decided: decided.to_vec(), last: false })
            .collect();
        if tallies.is_empty() && (seen > 0 || last) {
            tallies.push(Tally::default());
        }
        if let Some(tally) = tallies.last_mut() {
            (tally.seen, tally.last) = (seen, last);
        }
        tallies
    }

    /// Gives counts back that could not be written.
    pub(crate) fn give_back(&self, tallies: Vec<Tally>) {
        for tally in tallies {
            self.seen.fetch_add(tally.seen, Ordering::Relaxed);
            for PointTally { point, release, decided, unrecorded } in tally.decided {
                self.add((point.into(), release), decided, unrecorded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_taken_once_in_entries_that_fit_and_can_be_given_back() {
        let coverage = Coverage::default();
        assert_eq!(coverage.take(false), []);
        for serial in 0..300 {
            let release = Some(ReleaseRef { serial, digest: [0; 32].into() });
            coverage.seen();
            coverage.decided("v1/decision", release, AuditLevel::Required);
            coverage.seen();
            coverage.decided("v1/decision", release, AuditLevel::None);
        }
        let tallies = coverage.take(true);
        assert_eq!(coverage.take(false), []);
        assert_eq!(tallies.iter().map(|tally| tally.decided.len()).collect::<Vec<_>>(), [128, 128, 44]);
        assert_eq!(tallies.iter().map(|tally| tally.seen).sum::<u64>(), 600);
        assert_eq!(tallies.iter().map(|tally| tally.last).collect::<Vec<_>>(), [false, false, true]);
        let one = &tallies[0].decided[0];
        assert_eq!((one.decided, one.unrecorded), (2, 1));
        coverage.give_back(tallies.clone());
        assert_eq!(coverage.take(true), tallies);
        assert_eq!(coverage.take(true), [Tally { last: true, ..Tally::default() }]);
    }
}
