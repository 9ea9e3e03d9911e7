//! Measuring: every engine in turn, round after round, in one process, so that what else the machine does
//! meets all of them alike.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::Serialize;

use crate::engine::{Engine, Outcome, check};

/// Requests on which an engine must agree with the others, however long that takes.
const MIN_CHECKED: usize = 50;

/// Nanoseconds of one decision.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Times {
    /// The median over the rounds of a round's mean.
    pub(crate) mean: f64,
    /// Percentiles over single decisions, each with one reading of the clock in it.
    pub(crate) p50: u32,
    pub(crate) p99: u32,
}

/// An engine of any kind on its way through the rounds.
pub(crate) trait Subject<'a> {
    /// Time from the rules' text to an engine that can decide.
    fn ready(&self) -> Duration;

    /// Fails unless the engine says what is expected of the requests. Ends early when `limit` is
    /// over, but not before [`MIN_CHECKED`]; returns how many requests it came to.
    fn check(
        &mut self,
        requests: &'a [Vec<u8>],
        expected: &[Outcome],
        limit: Duration,
    ) -> anyhow::Result<usize>;

    /// Reads the requests that will be measured, and finds how many of them one pass takes in `budget`.
    fn warm_up(&mut self, requests: &'a [Vec<u8>], budget: Duration) -> anyhow::Result<()>;

    /// Measures the next requests, prepared and from JSON.
    fn round(&mut self) -> anyhow::Result<()>;

    /// Of decisions on prepared requests, and from JSON.
    fn times(&self) -> [Times; 2];
}

/// The engine that `make` makes of the rules' text.
pub(crate) fn subject<'a, T, E: Engine<'a> + 'a>(
    text: T,
    make: impl FnOnce(T) -> anyhow::Result<E>,
) -> anyhow::Result<Box<dyn Subject<'a> + 'a>> {
    let start = Instant::now();
    let engine = make(text)?;
    let ready = start.elapsed();
    Ok(Box::new(Measured {
        engine,
        ready,
        requests: &[],
        prepared: Vec::new(),
        from_prepared: Samples::default(),
        from_json: Samples::default(),
    }))
}

struct Measured<'a, E: Engine<'a>> {
    engine: E,
    ready: Duration,
    requests: &'a [Vec<u8>],
    prepared: Vec<E::Prepared>,
    from_prepared: Samples,
    from_json: Samples,
}

impl<'a, E: Engine<'a>> Subject<'a> for Measured<'a, E> {
    fn ready(&self) -> Duration {
        self.ready
    }

    fn check(
        &mut self,
        requests: &'a [Vec<u8>],
        expected: &[Outcome],
        limit: Duration,
    ) -> anyhow::Result<usize> {
        let start = Instant::now();
        let mut checked = 0;
        for (request, expected) in requests.iter().zip(expected) {
            check(&mut self.engine, request, expected)?;
            checked += 1;
            if checked >= MIN_CHECKED && start.elapsed() > limit {
                break;
            }
        }
        Ok(checked)
    }

    fn warm_up(&mut self, requests: &'a [Vec<u8>], budget: Duration) -> anyhow::Result<()> {
        self.requests = requests;
        self.prepared = requests
            .iter()
            .map(|request| self.engine.prepare(request))
            .collect::<anyhow::Result<_>>()?;
        self.from_prepared.size = pass_size(&self.prepared, budget, |item| self.engine.decide(item))?;
        self.from_json.size = pass_size(requests, budget, |item| self.engine.decide_json(item))?;
        Ok(())
    }

    fn round(&mut self) -> anyhow::Result<()> {
        self.from_prepared.measure(&self.prepared, |item| self.engine.decide(item))?;
        self.from_json.measure(self.requests, |item| self.engine.decide_json(item))
    }

    fn times(&self) -> [Times; 2] {
        [self.from_prepared.times(), self.from_json.times()]
    }
}

/// How many of the items are decided within the budget; at least one.
fn pass_size<'i, T>(
    items: &'i [T],
    budget: Duration,
    mut decide: impl FnMut(&'i T) -> anyhow::Result<bool>,
) -> anyhow::Result<usize> {
    let start = Instant::now();
    for (count, item) in items.iter().enumerate() {
        black_box(decide(item)?);
        if start.elapsed() >= budget {
            return Ok(count + 1);
        }
    }
    Ok(items.len())
}

#[derive(Default)]
struct Samples {
    /// Items of one pass.
    size: usize,
    /// Mean nanoseconds, one a round.
    means: Vec<f64>,
    /// Nanoseconds of single decisions, of all rounds.
    singles: Vec<u32>,
}

impl Samples {
    /// Two passes over the same items: one as a whole, then one with the clock read after each decision.
    fn measure<'i, T>(
        &mut self,
        items: &'i [T],
        mut decide: impl FnMut(&'i T) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let first = self.means.len() * self.size % (items.len() - self.size + 1);
        let items = items.get(first..first + self.size).context("nothing to measure")?;
        let start = Instant::now();
        for item in items {
            black_box(decide(item)?);
        }
        self.means.push(start.elapsed().as_nanos() as f64 / items.len() as f64);
        self.singles.reserve(items.len());
        let mut before = Instant::now();
        for item in items {
            black_box(decide(item)?);
            let after = Instant::now();
            self.singles.push((after - before).as_nanos().try_into().unwrap_or(u32::MAX));
            before = after;
        }
        Ok(())
    }

    fn times(&self) -> Times {
        let mut means = self.means.clone();
        means.sort_unstable_by(f64::total_cmp);
        let mut singles = self.singles.clone();
        singles.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (singles.len() * percent).div_ceil(100);
            singles.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        let mean = means.get(means.len() / 2).copied().unwrap_or(f64::NAN);
        Times { mean: (mean * 10.0).round() / 10.0, p50: percentile(50), p99: percentile(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_the_median_round_and_percentiles_are_of_single_decisions() {
        let samples =
            Samples { size: 1, means: vec![9.0, 1.0, 2.0], singles: (1..=200).rev().collect() };
        let Times { mean, p50, p99 } = samples.times();
        assert_eq!((mean, p50, p99), (2.0, 100, 198));
    }
}
