//! Keeping the release fresh: load the last good one, then poll, verify, load beside it, swap.

use std::{future::Future, sync::Arc, time::Duration};

use aecp_contract::{
    refusal::{Code, Refusal},
    release::ChannelPointer,
    trust::TrustRoot,
};
use tokio::sync::Notify;

use crate::{
    clock::now,
    decided::ReleaseId,
    enforcer::{Active, Enforcer},
    engine::Engine,
    module::Execution,
    policy::PolicyPre,
    source::{Artifacts, ReleaseSource, VerifiedRelease},
    state::{StateError, StateFolder},
    store::Store,
};

/// The longest interval between two polls.
const MAX_INTERVAL: Duration = Duration::from_hours(24);

/// The longest pause between two polls while the store does not answer.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// How long one poll may take in all.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);

/// Takes up releases for one enforcer.
pub struct Refresher {
    source: ReleaseSource<Store>,
    state: Arc<StateFolder>,
    engine: Engine,
    enforcer: Arc<Enforcer>,
    /// The newest root that was seen.
    root: TrustRoot,
    /// The highest serial that was taken up.
    highest: Option<ChannelPointer>,
    /// The entity tag of the pointer to the release that serves. Never that of one that was refused, so that
    /// what was refused is looked at again.
    tag: Option<String>,
    /// A release that serves but could not be remembered; tried again with each poll.
    unsaved: Option<Arc<VerifiedRelease>>,
}

/// What a poll that was not refused found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// The release that serves is still the newest.
    Unchanged,
    /// This one serves now.
    Swapped(ReleaseId),
}

impl Refresher {
    /// Opens what the state folder remembers and, if it is good, serves it at once, without any network.
    /// A cached release that is no longer good is refused, logged and counted; polling will replace it.
    ///
    /// # Errors
    /// [`StateError`] if the highest serial or the roots cannot be trusted: that needs an operator.
    pub async fn start(
        source: ReleaseSource<Store>,
        pinned: &TrustRoot,
        state: Arc<StateFolder>,
        engine: Engine,
        enforcer: Arc<Enforcer>,
    ) -> Result<Self, StateError> {
        let root = state.newest_root(pinned).await?;
        let highest = state.highest()?;
        let cache = state.source()?;
        let refresher =
            Self { source, state, engine, enforcer, root, highest, tag: None, unsaved: None };
        if let Some(pointer) = refresher.highest.clone() {
            match refresher.load(&cache, &pointer).await {
                Ok(()) => tracing::info!(serial = pointer.serial, "serving the release of the last run"),
                Err(refusal) => refresher.refused(&refusal),
            }
        }
        Ok(refresher)
    }

    fn artifacts(&self) -> Artifacts {
        if self.enforcer.explains() { Artifacts::Explained } else { Artifacts::Needed }
    }

    /// Whether the release was kept by an enforcer that explained nothing, and this one is to explain.
    fn lacks_clauses(&self, active: &Active) -> bool {
        self.enforcer.explains() && active.set.clauses().were_left_behind()
    }

    async fn load(&self, cache: &ReleaseSource<Store>, pointer: &ChannelPointer) -> Result<(), Refusal> {
        let release = Arc::new(cache.release(pointer, &self.root, self.artifacts()).await?);
        self.enforcer.swap(self.prepare(release).await?);
        Ok(())
    }

    /// Looks once whether the store has a newer release, and takes it up. Whatever is refused, the last good
    /// release keeps serving, and the refusal shows in [`Enforcer::status`] until the next good poll.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub async fn poll(&mut self) -> Result<Polled, Refusal> {
        let result = match tokio::time::timeout(POLL_TIMEOUT, self.take_newest()).await {
            Ok(result) => result,
            Err(_) => {
                let detail = format!("the poll took more than {} s", POLL_TIMEOUT.as_secs());
                Err(Refusal::new(Code::StoreUnavailable, detail))
            }
        };
        self.save_again().await;
        let metrics = self.enforcer.metrics();
        match &result {
            Ok(polled) => {
                self.enforcer.note_poll(None);
                match polled {
                    Polled::Unchanged => metrics.polled("unchanged"),
                    Polled::Swapped(id) => {
                        metrics.polled("swapped");
                        tracing::info!(serial = id.serial, release = %id.digest, "serving a new release");
                    }
                }
            }
            Err(refusal) => {
                metrics.polled("refused");
                self.refused(refusal);
            }
        }
        result
    }

    fn refused(&self, refusal: &Refusal) {
        self.enforcer.metrics().refused(refusal.code);
        let (code, detail) = (refusal.code.as_str(), refusal.detail.as_str());
        if self.enforcer.note_poll(Some(refusal)) {
            tracing::warn!(code, detail, "refused; the last good release keeps serving");
        } else {
            tracing::debug!(code, detail, "refused again");
        }
    }

    async fn take_newest(&mut self) -> Result<Polled, Refusal> {
        let Some((pointer, tag)) = self.source.pointer(self.tag.as_deref()).await? else {
            return self.still_newest();
        };
        if let Some(highest) = &self.highest {
            pointer.check_after(highest)?;
        }
        let active = self.enforcer.active();
        if active
            .is_some_and(|active| active.id.digest == pointer.release && !self.lacks_clauses(&active))
        {
            self.tag = tag;
            return self.still_newest();
        }
        // New releases are the time to look for new roots: a key that was withdrawn signs no more of them.
        for succession in self.source.successions(&self.root).await? {
            let version = succession.root.version();
            tracing::info!(version, "following the trust root's succession");
            if let Err(error) = self.state.save_root(version, &succession.envelope) {
                tracing::error!(%error, version, "the new trust root cannot be remembered");
            }
            self.root = succession.root;
        }
        let release = Arc::new(self.source.release(&pointer, &self.root, self.artifacts()).await?);
        release.statement().release().check_fresh(now())?;
        let active = self.prepare(Arc::clone(&release)).await?;
        let id = active.id;
        // Remembered before it serves, so that no crash can lead back to an older one.
        self.unsaved = Some(release);
        self.save_again().await;
        self.enforcer.swap(active);
        self.highest = Some(pointer);
        self.tag = tag;
        Ok(Polled::Swapped(id))
    }

    /// A store that shows an expired release as its newest may be frozen by an attacker.
    fn still_newest(&self) -> Result<Polled, Refusal> {
        if let Some(active) = self.enforcer.active() {
            active.release.check_fresh(now())?;
        }
        Ok(Polled::Unchanged)
    }

    /// Loads on another thread, so that requests in flight do not wait for it.
    async fn prepare(&self, release: Arc<VerifiedRelease>) -> Result<Active, Refusal> {
        let (engine, point) = (self.engine.clone(), self.enforcer.point());
        let load = move || {
            let set = Arc::new(PolicyPre::load(&engine, &release)?.at(point));
            if set.lacks_point() {
                tracing::warn!(
                    serial = release.id().serial,
                    "policies of the release say AT, and this enforcer does not know its point: where a request does \
                     not say it either, they are in doubt and deny; give it --point"
                );
            }
            if let Execution::Interpreted(reason) = set.execution() {
                tracing::warn!(
                    serial = release.id().serial,
                    reason,
                    "the release is interpreted, some ten times slower than its machine code"
                );
            }
            Ok(Active { id: release.id(), release: release.statement().release().clone(), set })
        };
        tokio::task::spawn_blocking(load).await.unwrap_or_else(|error| {
            Err(Refusal::new(Code::InvalidModule, format!("loading gave up: {error}")))
        })
    }

    /// Remembers the newest release, if that is still to be done. A full disk does not keep a new release from
    /// serving: the serial is still remembered while the process lives, and the failure is logged.
    async fn save_again(&mut self) {
        let Some(release) = self.unsaved.clone() else { return };
        let state = Arc::clone(&self.state);
        let saved = tokio::task::spawn_blocking(move || state.save(&release)).await;
        match saved.map_err(std::io::Error::other).flatten() {
            Ok(()) => self.unsaved = None,
            Err(error) => {
                self.enforcer.metrics().state_write_failed();
                tracing::error!(%error, "the release cannot be remembered for the next start");
            }
        }
    }

    /// Polls until `stop` is done, about every `interval`: with jitter, so that many enforcers do not ask at
    /// the same time, less often while the store does not answer, and right away when `trigger` is notified.
    pub async fn run(
        mut self,
        interval: Duration,
        trigger: Arc<Notify>,
        stop: impl Future<Output = ()>,
    ) {
        tokio::pin!(stop);
        let mut failures = 0u32;
        loop {
            let result = tokio::select! {
                result = self.poll() => result,
                () = &mut stop => return,
            };
            failures = match result {
                Err(refusal) if refusal.code == Code::StoreUnavailable => failures.saturating_add(1),
                _ => 0,
            };
            tokio::select! {
                () = tokio::time::sleep(pause(interval, failures)) => {}
                () = trigger.notified() => {}
                () = &mut stop => return,
            }
        }
    }
}

/// The pause before the next poll: uniform within ± 50 %, doubled with each failure up to [`MAX_BACKOFF`].
fn pause(interval: Duration, failures: u32) -> Duration {
    let interval = interval.min(MAX_INTERVAL);
    let longer = interval.saturating_mul(1 << failures.min(10)).min(MAX_BACKOFF.max(interval));
    // Without randomness the polls are merely less spread.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    longer.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_have_jitter_and_grow_to_a_bound() {
        let second = Duration::from_secs(1);
        for failures in [0, 1, 3, 6, 40, u32::MAX] {
            let pause = pause(second, failures);
            let middle = second.mul_f64(2f64.powi(failures.min(10) as i32)).min(MAX_BACKOFF);
            assert!(pause >= middle / 2 && pause <= middle.mul_f64(1.5), "{failures}: {pause:?}");
        }
        assert!(pause(Duration::MAX, 40) >= MAX_INTERVAL / 2, "a longer interval stays, within reason");
    }
}
