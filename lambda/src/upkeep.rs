//! What is done between invocations: looking for a newer release, and carrying the log of decisions.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aecp_enforcer::Driven;
use tokio::sync::Mutex;

use crate::gate::Gate;

/// The most time that upkeep takes of one invocation.
const MAX_TIME: Duration = Duration::from_secs(5);

/// What is left of an invocation's time when upkeep is given up.
const MARGIN: Duration = Duration::from_millis(300);

/// How old the last time may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intervals {
    /// That a newer release was looked for.
    pub(crate) refresh: Duration,
    /// That the log was carried.
    pub(crate) ship: Duration,
}

/// The enforcer, and when it was last looked after. One at a time may do that.
pub(crate) struct Upkeep {
    intervals: Intervals,
    driven: Mutex<State>,
}

struct State {
    driven: Driven,
    refreshed: Option<Instant>,
    shipped: Option<Instant>,
    /// How many entries of the log waited here for their store when that was looked at last, if it was known.
    waiting: Option<u64>,
}

/// The time that is left until `deadline`, in milliseconds since 1970, as Lambda gives deadlines.
pub(crate) fn until(deadline: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(deadline).saturating_sub(now)
}

impl Upkeep {
    pub(crate) fn new(driven: Driven, intervals: Intervals) -> Self {
        let state = State { driven, refreshed: None, shipped: None, waiting: None };
        Self { intervals, driven: Mutex::new(state) }
    }

    /// Does what is due, in as much of the `left` time of an invocation as is well spent. What is not finished then is done
    /// again the next time.
    pub(crate) async fn due(&self, left: Duration) {
        self.now(left.saturating_sub(MARGIN).min(MAX_TIME)).await;
    }

    /// Does what is due within this time.
    pub(crate) async fn now(&self, within: Duration) {
        let done = async {
            let mut state = self.driven.lock().await;
            // The log first: what was decided is of more worth than what will be.
            if is_due(state.shipped, self.intervals.ship) {
                match state.driven.ship().await {
                    Ok(()) => (state.shipped, state.waiting) = (Some(Instant::now()), Some(0)),
                    Err(error) => {
                        tracing::warn!(%error, "the log could not be carried to the store");
                        state.waiting = state.driven.flush().await;
                    }
                }
            } else {
                state.waiting = state.driven.flush().await;
            }
            if is_due(state.refreshed, self.intervals.refresh) {
                // A refusal is logged where it is found.
                let _ = state.driven.refresh().await;
                state.refreshed = Some(Instant::now());
            }
        };
        if tokio::time::timeout(within, done).await.is_err() {
            tracing::warn!(within = ?within, "the store is slow; the rest is left for the next invocation");
        }
    }

    /// Writes the metrics of what was done since the last time.
    pub(crate) async fn report(&self, gate: &Gate) {
        if !gate.telemetry.is_on() {
            return;
        }
        let waiting = self.driven.lock().await.waiting;
        gate.telemetry.write(&gate.enforcer, waiting);
    }

    /// Ends the log and carries it, within this time.
    pub(crate) async fn stop(&self, within: Duration) {
        let stopped = async { self.driven.lock().await.driven.stop().await };
        match tokio::time::timeout(within, stopped).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the end of the log is lost with this environment")
            }
            Err(_) => {
                tracing::error!("the end of the log is lost with this environment: the store is slow")
            }
        }
    }
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}
