//! Whether all that an enforcer decided is on record, by what its log signed.

use std::collections::BTreeMap;

use aecp_contract::audit::{Before, Entry, Event, ReleaseRef, Tally};

use super::word;

/// What a log accounts for, summed over the enforcer's runs: each from a start to the next.
#[derive(Default)]
pub(crate) struct Coverage {
    /// Requests that were to be decided.
    pub(crate) seen: u64,
    /// By point and release.
    pub(crate) places: BTreeMap<(String, Option<ReleaseRef>), Place>,
    /// Decisions that gaps count, by reason.
    pub(crate) lost: BTreeMap<String, u64>,
    /// Runs that ended in a crash. What they saw after they last counted is not known.
    pub(crate) crashes: u64,
    /// Seen by runs that ended, and neither on record nor in a gap, though their policies wanted it.
    pub(crate) unaccounted: u64,
    /// On record in runs that ended in order, without having been counted.
    pub(crate) uncounted: u64,
    /// Seen by a run that goes on, and not on record when it last counted.
    pub(crate) in_flight: u64,
    /// On record in a run that goes on, since it last counted.
    pub(crate) since: u64,
    run: Run,
}

/// Decisions at one point by one release.
#[derive(Default)]
pub(crate) struct Place {
    pub(crate) decided: u64,
    pub(crate) recorded: u64,
    /// That policies say `AUDIT: NONE` of.
    pub(crate) unrecorded: u64,
}

/// The sums of the run that is being read.
#[derive(Default)]
struct Run {
    seen: u64,
    accounted: u64,
    /// Whether it counted for the last time.
    stopped: bool,
}

impl Coverage {
    pub(crate) fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Start(start) => self.end_run(start.after),
            Event::Clock(_) => {}
            Event::Decision(decided) => {
                self.place(&decided.point, decided.release).recorded += 1;
                self.run.accounted += 1;
            }
            Event::Gap(gap) => {
                let lost = self.lost.entry(word(&gap.reason)).or_default();
                *lost = lost.saturating_add(gap.lost);
                self.run.accounted = self.run.accounted.saturating_add(gap.lost);
            }
            Event::Counts(Tally { seen, decided, last }) => {
                self.seen = self.seen.saturating_add(*seen);
                self.run.seen = self.run.seen.saturating_add(*seen);
                self.run.stopped |= last;
                for part in decided {
                    let place = self.place(&part.point, part.release);
                    place.decided = place.decided.saturating_add(part.decided);
                    place.unrecorded = place.unrecorded.saturating_add(part.unrecorded);
                    self.run.accounted = self.run.accounted.saturating_add(part.unrecorded);
                }
            }
        }
    }

    /// At the end of what was read.
    pub(crate) fn finish(&mut self) {
        if self.run.stopped {
            self.end_run(Before::Stop);
        } else {
            self.in_flight = self.run.seen.saturating_sub(self.run.accounted);
            self.since = self.run.accounted.saturating_sub(self.run.seen);
        }
    }

    /// Whether nothing is unaccounted for.
    pub(crate) fn is_whole(&self) -> bool {
        self.unaccounted == 0 && self.uncounted == 0
    }

    /// The part of what was seen that is accounted for; `None` if nothing was seen.
    pub(crate) fn share(&self) -> Option<f64> {
        let accounted = self.seen.saturating_sub(self.unaccounted);
        (self.seen > 0).then(|| accounted as f64 / self.seen as f64)
    }

    fn end_run(&mut self, how: Before) {
        let Run { seen, accounted, .. } = std::mem::take(&mut self.run);
        self.unaccounted = self.unaccounted.saturating_add(seen.saturating_sub(accounted));
        match how {
            Before::Nothing => {}
            Before::Crash => self.crashes += 1,
            Before::Stop => {
                self.uncounted = self.uncounted.saturating_add(accounted.saturating_sub(seen));
            }
        }
    }

    fn place(&mut self, point: &str, release: Option<ReleaseRef>) -> &mut Place {
        self.places.entry((point.to_owned(), release)).or_default()
    }
}

#[cfg(test)]
mod tests {
    use aecp_contract::audit::{Gap, GapReason, PointTally, Start};

    use super::*;

    fn start(after: Before) -> Event {
        Event::Start(Start { enforcer: "e".into(), after })
    }

    fn gap(lost: u64) -> Event {
        Event::Gap(Gap { lost, reason: GapReason::Queue })
    }

    fn counts(seen: u64, unrecorded: u64, last: bool) -> Event {
        let point = "v1/decision".to_owned();
        let decided = vec![PointTally { point, release: None, decided: seen, unrecorded }];
        Event::Counts(Tally { seen, decided, last })
    }

    fn coverage(events: Vec<Event>) -> Coverage {
        let mut coverage = Coverage::default();
        for event in events {
            let time = "2026-03-01T00:00:00Z".parse().unwrap();
            coverage.take(&Entry { seq: 0, time, event });
        }
        coverage.finish();
        coverage
    }

    #[test]
    fn what_was_seen_and_is_nowhere_shows_once_a_run_has_ended() {
        let first = start(Before::Nothing);
        let whole = coverage(vec![first.clone(), gap(3), counts(4, 1, false), counts(2, 2, true)]);
        assert!(whole.is_whole() && whole.seen == 6 && whole.lost["queue"] == 3);
        let missing = coverage(vec![first.clone(), gap(3), counts(4, 0, true)]);
        assert_eq!((missing.unaccounted, missing.share()), (1, Some(0.75)));
        // The runs do not make up for each other.
        let second = start(Before::Stop);
        let both = coverage(vec![
            first.clone(),
            gap(3),
            counts(4, 0, true),
            second,
            gap(2),
            counts(1, 0, true),
        ]);
        assert_eq!((both.unaccounted, both.uncounted), (1, 1));
        // A run that goes on may have requests in flight; one that crashed has none.
        let open = coverage(vec![first.clone(), gap(3), counts(4, 0, false)]);
        assert!(open.is_whole() && (open.in_flight, open.since) == (1, 0));
        let young = coverage(vec![first.clone(), gap(3)]);
        assert_eq!((young.share(), young.in_flight, young.since), (None, 0, 3));
        let crash = start(Before::Crash);
        let crashed = coverage(vec![first.clone(), gap(3), counts(4, 0, false), crash.clone()]);
        assert_eq!((crashed.unaccounted, crashed.crashes, crashed.in_flight), (1, 1, 0));
        let unknown = coverage(vec![first.clone(), counts(4, 4, false), gap(3), crash]);
        assert!(unknown.is_whole(), "what is on record after the last count is no fault of a crash");
        // A run that never counted is not believed to be whole.
        let silent = coverage(vec![first, gap(3), start(Before::Stop)]);
        assert_eq!((silent.uncounted, silent.is_whole()), (3, false));
    }
}
