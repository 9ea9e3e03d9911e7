//! Keeping the release fresh: load the last good one, then poll, verify, load beside it, swap.
//!
//! Each store is followed on its own, so that one that does not answer, or shows what is old or wrong, hides nothing that
//! another has: what they find is taken up one after the other, and of all that is valid the highest serial serves.

mod take;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use aecp_contract::{
    layout::Name,
    refusal::{Code, Refusal},
    release::ChannelPointer,
    trust::TrustRoot,
};
use futures_util::future::join_all;
use tokio::sync::{Notify, watch};

use self::take::Taker;
use crate::{
    decided::ReleaseId,
    enforcer::Enforcer,
    engine::Engine,
    source::ReleaseSource,
    state::{StateError, StateFolder},
    store::Store,
};

/// The longest interval between two polls.
const MAX_INTERVAL: Duration = Duration::from_hours(24);

/// The longest pause between two polls while the store does not answer.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The first pause of a store that does not answer, where the host has no timers ([`Refresher::poll`]).
const FIRST_REST: Duration = Duration::from_secs(1);

/// How long one poll of a store may take in all.
const POLL_TIMEOUT: Duration = Duration::from_secs(60);

/// Takes up releases for one enforcer.
pub struct Refresher {
    followed: Vec<Followed>,
    taker: Taker,
}

/// One of the stores, and what is known of it.
struct Followed {
    /// Its URL, without credentials.
    store: String,
    source: ReleaseSource<Store>,
    /// The pointer to a release that serves or served, with its entity tag. Never that of one that was refused, so that
    /// what was refused is looked at again.
    seen: Option<(ChannelPointer, String)>,
    /// How often it has not answered since it did.
    failures: u32,
    rests_until: Option<Instant>,
    /// The refusal that the last poll of it ended with.
    refused: Option<Refusal>,
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
    /// A cached release that is no longer good is refused, logged and counted; polling will replace it. Where the state
    /// folder remembers none, the release of `seed` serves: a copy of a store that nobody writes to any more.
    ///
    /// # Errors
    /// [`StateError`] if the highest serial or the roots cannot be trusted: that needs an operator.
    pub async fn start(
        stores: Vec<Store>,
        channel: &Name,
        pinned: &TrustRoot,
        state: Arc<StateFolder>,
        seed: Option<Store>,
        engine: Engine,
        enforcer: Arc<Enforcer>,
    ) -> Result<Self, StateError> {
        let seed = seed.map(|store| ReleaseSource::new(store, channel.clone()));
        let taker = Taker::start(pinned, state, seed, engine, enforcer).await?;
        let follow = |store: Store| Followed {
            store: store.name().to_owned(),
            source: ReleaseSource::new(store, channel.clone()),
            seen: None,
            failures: 0,
            rests_until: None,
            refused: None,
        };
        Ok(Self { followed: stores.into_iter().map(follow).collect(), taker })
    }

    /// Looks once whether a store has a newer release, and takes it up. Whatever is refused, the last good
    /// release keeps serving, and the refusal shows in [`Enforcer::status`] until the next good poll of any store.
    ///
    /// Of several stores, one that does not answer is asked less often.
    ///
    /// # Errors
    /// The [`Refusal`], if no store was good.
    pub async fn poll(&mut self) -> Result<Polled, Refusal> {
        let now = Instant::now();
        let awake = |followed: &&mut Followed| followed.rests_until.is_none_or(|until| until <= now);
        let all_rest = !self.followed.iter_mut().any(|followed| awake(&followed));
        let asked = self.followed.iter_mut().filter(|followed| all_rest || awake(followed));
        let results = join_all(asked.map(|followed| followed.look(&self.taker))).await;
        let (mut unchanged, mut swapped, mut refused) = (false, None, None);
        for result in results {
            match result {
                Ok(Polled::Unchanged) => unchanged = true,
                Ok(Polled::Swapped(id)) => {
                    swapped = swapped.filter(|other: &ReleaseId| other.serial > id.serial).or(Some(id));
                }
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        match (swapped, refused) {
            (Some(id), _) => Ok(Polled::Swapped(id)),
            (None, Some(refusal)) if !unchanged => Err(refusal),
            _ => Ok(Polled::Unchanged),
        }
    }

    /// Polls each store until `stop` is done, about every `interval`: with jitter, so that many enforcers do not ask at
    /// the same time, less often while the store does not answer, and right away when `trigger` is notified.
    pub async fn run(self, interval: Duration, trigger: Arc<Notify>, stop: impl Future<Output = ()>) {
        let at_once = watch::Sender::new(());
        let following = self.followed.into_iter();
        let following =
            join_all(following.map(|followed| followed.run(&self.taker, interval, at_once.subscribe())));
        let triggered = async {
            loop {
                trigger.notified().await;
                at_once.send_replace(());
            }
        };
        tokio::select! {
            _ = following => {}
            () = triggered => {}
            () = stop => {}
        }
    }
}

impl Followed {
    async fn run(mut self, taker: &Taker, interval: Duration, mut at_once: watch::Receiver<()>) {
        loop {
            // A refusal is logged where it is found.
            let _ = self.look(taker).await;
            tokio::select! {
                () = tokio::time::sleep(pause(interval, self.failures)) => {}
                _ = at_once.changed() => {}
            }
        }
    }

    /// Looks once.
    async fn look(&mut self, taker: &Taker) -> Result<Polled, Refusal> {
        let looked = taker.take_newest(&self.source, &mut self.seen);
        let result = match tokio::time::timeout(POLL_TIMEOUT, looked).await {
            Ok(result) => result,
            Err(_) => {
                let detail = format!("the poll took more than {} s", POLL_TIMEOUT.as_secs());
                Err(Refusal::new(Code::StoreUnavailable, detail))
            }
        };
        taker.save_again().await;
        self.failures = match &result {
            Err(refusal) if refusal.code == Code::StoreUnavailable => self.failures.saturating_add(1),
            _ => 0,
        };
        let rest = (self.failures > 0).then(|| pause(FIRST_REST, self.failures));
        self.rests_until = rest.and_then(|rest| Instant::now().checked_add(rest));
        let refused = result.as_ref().err();
        let is_news = refused != self.refused.as_ref();
        self.refused = refused.cloned();
        taker.note(&self.store, &result, is_news);
        result
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
