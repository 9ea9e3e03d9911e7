//! Taking up what a store has: one release after the other, whichever stores they come from.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use aecp_contract::{
    refusal::{Code, Refusal},
    release::{ChannelPointer, Statement},
    trust::TrustRoot,
};
use tokio::sync::Mutex;

use super::Polled;
use crate::{
    clock::now,
    enforcer::{Active, Enforcer},
    engine::Engine,
    module::Execution,
    policy::PolicyPre,
    source::{Artifacts, ReleaseSource, Succession, VerifiedRelease},
    state::{StateError, StateFolder},
    store::Store,
};

/// How long a store may take to tell its pointer, which is a few hundred bytes.
const POINTER_TIMEOUT: Duration = Duration::from_secs(4);

/// What the stores of one enforcer have in common.
pub(super) struct Taker {
    state: Arc<StateFolder>,
    engine: Engine,
    enforcer: Arc<Enforcer>,
    taken: Mutex<Taken>,
    /// The stores whose last poll was good.
    good: std::sync::Mutex<BTreeSet<String>>,
}

/// What was taken up so far.
struct Taken {
    /// The newest root that was seen.
    root: TrustRoot,
    /// The highest serial that was taken up.
    highest: Option<ChannelPointer>,
    /// A release that serves but could not be remembered; tried again with each poll.
    unsaved: Option<Arc<VerifiedRelease>>,
}

impl Taker {
    pub(super) async fn start(
        pinned: &TrustRoot,
        state: Arc<StateFolder>,
        seed: Option<ReleaseSource<Store>>,
        engine: Engine,
        enforcer: Arc<Enforcer>,
    ) -> Result<Self, StateError> {
        let root = state.newest_root(pinned).await?;
        let highest = state.highest()?;
        let cache = state.source()?;
        let taken = Mutex::new(Taken { root: root.clone(), highest: highest.clone(), unsaved: None });
        let taker = Self { state, engine, enforcer, taken, good: std::sync::Mutex::default() };
        let (loaded, whose) = match (highest, seed) {
            (Some(pointer), _) => {
                let loaded = taker.load(&cache, &pointer, &root).await;
                (loaded.map(|()| Some(pointer.serial)), "of the last run")
            }
            (None, Some(seed)) => (taker.load_seed(&seed, &root).await, "that was there from the start"),
            (None, None) => return Ok(taker),
        };
        match loaded {
            Ok(Some(serial)) => tracing::info!(serial, "serving the release {whose}"),
            Ok(None) => {}
            Err(refusal) => {
                taker.enforcer.metrics().refused(refusal.code);
                taker.enforcer.note_poll(Some(&refusal));
                let (code, detail) = (refusal.code.as_str(), refusal.detail.as_str());
                tracing::warn!(code, detail, "the release {whose} is refused");
            }
        }
        Ok(taker)
    }

    /// Serves the release of a folder that nobody writes to any more, in an enforcer that remembers none, and says its
    /// serial; `None` if it has none. It is not remembered: where it is read again, it is the same one.
    async fn load_seed(
        &self,
        seed: &ReleaseSource<Store>,
        root: &TrustRoot,
    ) -> Result<Option<u64>, Refusal> {
        let pointer = match seed.pointer(None).await {
            Ok(Some((pointer, _))) => pointer,
            Ok(None) => return Ok(None),
            Err(refusal) if refusal.code == Code::NotFound => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let successions = seed.successions(root).await?;
        let root = successions.last().map_or(root, |newest| &newest.root);
        self.follow(&successions).await?;
        self.load(seed, &pointer, root).await?;
        let serial = pointer.serial;
        self.taken.lock().await.highest = Some(pointer);
        Ok(Some(serial))
    }

    fn artifacts(&self) -> Artifacts {
        if self.enforcer.explains() { Artifacts::Explained } else { Artifacts::Needed }
    }

    /// Whether the release was kept by an enforcer that explained nothing, and this one is to explain.
    fn lacks_clauses(&self, active: &Active) -> bool {
        self.enforcer.explains() && active.set.clauses().were_left_behind()
    }

    async fn load(
        &self,
        cache: &ReleaseSource<Store>,
        pointer: &ChannelPointer,
        root: &TrustRoot,
    ) -> Result<(), Refusal> {
        let release = Arc::new(cache.release(pointer, root, self.artifacts()).await?);
        self.enforcer.swap(self.prepare(release).await?);
        Ok(())
    }

    /// Takes up the newest release of a store, of which `seen` was seen before, unless it serves already.
    pub(super) async fn take_newest(
        &self,
        source: &ReleaseSource<Store>,
        seen: &mut Option<(ChannelPointer, String)>,
    ) -> Result<Polled, Refusal> {
        let (root, highest) = {
            let taken = self.taken.lock().await;
            (taken.root.clone(), taken.highest.clone())
        };
        // That the store still has what another has followed since is no news that is good.
        let tag = seen.as_ref().filter(|(pointer, _)| Some(pointer) == highest.as_ref());
        let tag = tag.map(|(_, tag)| tag.as_str());
        let told = tokio::time::timeout(POINTER_TIMEOUT, source.pointer(tag)).await;
        let told = told.unwrap_or_else(|_| {
            let detail = format!("its pointer took more than {} s", POINTER_TIMEOUT.as_secs());
            Err(Refusal::new(Code::StoreUnavailable, detail))
        });
        let Some((pointer, tag)) = told? else { return self.still_newest() };
        if let Some(highest) = &highest {
            pointer.check_after(highest)?;
        }
        if self.serves(&pointer) {
            *seen = tag.map(|tag| (pointer, tag));
            return self.still_newest();
        }
        // New releases are the time to look for new roots: a key that was withdrawn signs no more of them.
        let successions = source.successions(&root).await?;
        let root = successions.last().map_or(root, |newest| newest.root.clone());
        self.follow(&successions).await?;
        let release = Arc::new(source.release(&pointer, &root, self.artifacts()).await?);
        release.statement().release().check_fresh(now())?;
        let active = self.prepare(Arc::clone(&release)).await?;
        let id = active.id;
        let mut taken = self.taken.lock().await;
        // Another store may have been faster, with a release or with a root that withdraws a key.
        if let Some(highest) = &taken.highest {
            pointer.check_after(highest)?;
        }
        if taken.root != root {
            Statement::verify(release.envelope(), &taken.root, source.channel())?;
        }
        *seen = tag.map(|tag| (pointer.clone(), tag));
        if self.serves(&pointer) {
            return self.still_newest();
        }
        // Remembered before it serves, so that no crash can lead back to an older one.
        taken.unsaved = Some(release);
        self.save(&mut taken).await;
        self.enforcer.swap(active);
        taken.highest = Some(pointer);
        Ok(Polled::Swapped(id))
    }

    /// Whether this is the release that serves, with all that is wanted of it.
    fn serves(&self, pointer: &ChannelPointer) -> bool {
        let active = self.enforcer.active();
        active.is_some_and(|active| active.id.digest == pointer.release && !self.lacks_clauses(&active))
    }

    /// Follows the trust root's succession, which holds whatever store it comes from.
    async fn follow(&self, successions: &[Succession]) -> Result<(), Refusal> {
        if successions.is_empty() {
            return Ok(());
        }
        let mut taken = self.taken.lock().await;
        for succession in successions {
            let version = succession.root.version();
            if version <= taken.root.version() {
                continue;
            }
            taken.root = taken.root.successor(&succession.envelope)?;
            tracing::info!(version, "following the trust root's succession");
            if let Err(error) = self.state.save_root(version, &succession.envelope) {
                tracing::error!(%error, version, "the new trust root cannot be remembered");
            }
        }
        Ok(())
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

    /// Remembers the newest release, if that is still to be done.
    pub(super) async fn save_again(&self) {
        self.save(&mut *self.taken.lock().await).await;
    }

    /// A full disk does not keep a new release from serving: the serial is still remembered while the process lives, and the
    /// failure is logged.
    async fn save(&self, taken: &mut Taken) {
        let Some(release) = taken.unsaved.clone() else { return };
        let state = Arc::clone(&self.state);
        let saved = tokio::task::spawn_blocking(move || state.save(&release)).await;
        match saved.map_err(std::io::Error::other).flatten() {
            Ok(()) => taken.unsaved = None,
            Err(error) => {
                self.enforcer.metrics().state_write_failed();
                tracing::error!(%error, "the release cannot be remembered for the next start");
            }
        }
    }

    /// Counts, logs and shows how a poll of a store ended.
    pub(super) fn note(&self, store: &str, result: &Result<Polled, Refusal>, is_news: bool) {
        let metrics = self.enforcer.metrics();
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(polled) => {
                let outcome = match polled {
                    Polled::Unchanged => "unchanged",
                    Polled::Swapped(id) => {
                        tracing::info!(store, serial = id.serial, release = %id.digest, "serving a new release");
                        "swapped"
                    }
                };
                metrics.polled(outcome);
                metrics.store_polled(store, outcome);
                good.insert(store.to_owned());
                self.enforcer.note_poll(None);
            }
            Err(refusal) => {
                metrics.polled("refused");
                metrics.refused(refusal.code);
                metrics.store_polled(store, refusal.code.as_str());
                good.remove(store);
                // What one store refuses is no fault of the release that another shows.
                if good.is_empty() {
                    self.enforcer.note_poll(Some(refusal));
                }
                let (code, detail) = (refusal.code.as_str(), refusal.detail.as_str());
                if is_news {
                    tracing::warn!(store, code, detail, "refused; the last good release keeps serving");
                } else {
                    tracing::debug!(store, code, detail, "refused again");
                }
            }
        }
    }
}
