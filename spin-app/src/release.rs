//! Which release serves: the last good one of the key-value store at first, then whatever newer one the store of releases
//! has and the trust root signed.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    refusal::{Code, Refusal},
    release::{CORE_MODULE, ChannelPointer, MANIFEST, Release},
    trust::TrustRoot,
};
use aecp_enforcer::{
    Artifacts, Engine, Objects, PolicyPre, Reason, ReleaseId, ReleaseSource, VerifiedRelease, now,
};

use crate::{
    key_value::{Failed, Kept, KeyValue},
    log,
    request::Wants,
    response::WantsOfAnswers,
};

/// What is kept of a release.
const ARTIFACTS: [&str; 2] = [MANIFEST, CORE_MODULE];

/// A verified release, loaded and ready.
pub(crate) struct Active {
    pub(crate) id: ReleaseId,
    pub(crate) release: Release,
    pub(crate) set: Arc<PolicyPre>,
    /// What its policies ask for.
    pub(crate) wants: Wants,
    pub(crate) wants_of_answers: WantsOfAnswers,
    /// The keys under which the key-value store has it.
    keys: Vec<String>,
}

/// What keeps the release fresh. One for an instance of the component.
pub(crate) struct Keeper {
    channel: Name,
    engine: Engine,
    state: RefCell<State>,
}

struct State {
    /// The newest root that was seen.
    root: TrustRoot,
    /// The highest serial that was taken up.
    highest: Option<ChannelPointer>,
    /// The entity tag of the pointer to the release that serves.
    tag: Option<String>,
    active: Option<Rc<Active>>,
}

impl Keeper {
    /// A keeper that has no release yet and trusts this root.
    ///
    /// # Errors
    /// In words, why policies cannot be run here.
    pub(crate) fn new(pinned: TrustRoot, channel: Name) -> Result<Self, String> {
        let engine = Engine::new().map_err(|error| error.to_string())?;
        let state = State { root: pinned, highest: None, tag: None, active: None };
        Ok(Self { channel, engine, state: RefCell::new(state) })
    }

    /// What decides now, or why nothing does.
    pub(crate) fn usable(&self) -> (Option<ReleaseId>, Result<Rc<Active>, Reason>) {
        match &self.state.borrow().active {
            None => (None, Err(Reason::NoRelease)),
            Some(active) if now() > active.release.stale => (Some(active.id), Err(Reason::ReleaseStale)),
            Some(active) => (Some(active.id), Ok(Rc::clone(active))),
        }
    }

    /// Takes up what the key-value store remembers, if that is newer than what serves: of the last instance, or of another
    /// one that was faster. Without a release in it nothing happens.
    ///
    /// # Errors
    /// The [`Refusal`] of what it remembers. The highest serial counts all the same.
    pub(crate) async fn recall(&self, kept: &Kept<'_, impl KeyValue>) -> Result<(), Refusal> {
        let source = ReleaseSource::new(kept, self.channel.clone());
        let pointer = match source.pointer(None).await {
            Ok(Some((pointer, _))) => pointer,
            Ok(None) => return Ok(()),
            Err(refusal) if refusal.code == Code::NotFound => return self.remind(kept),
            Err(refusal) => return Err(refusal),
        };
        let root = {
            let mut state = self.state.borrow_mut();
            match &state.highest {
                Some(highest) if highest.serial == pointer.serial && state.active.is_some() => {
                    return Ok(());
                }
                Some(highest) if highest.serial > pointer.serial => {
                    drop(state);
                    return self.remind(kept);
                }
                _ => {}
            }
            state.highest = Some(pointer.clone());
            state.root.clone()
        };
        let root = source.successions(&root).await?.pop().map_or(root, |newest| newest.root);
        let release = source.release(&pointer, &root, Artifacts::Needed).await?;
        let active = self.load(&release)?;
        let mut state = self.state.borrow_mut();
        state.root = root;
        state.active = Some(Rc::new(active));
        Ok(())
    }

    /// Takes up the release that the component was composed with, unless a newer one was here before.
    ///
    /// # Errors
    /// The [`Refusal`] of it, or of what the key-value store remembers.
    #[cfg(feature = "sealed")]
    pub(crate) fn seal(
        &self,
        load: impl FnOnce(&Engine, &TrustRoot) -> Result<(VerifiedRelease, PolicyPre), Refusal>,
        kept: &Kept<'_, impl KeyValue>,
    ) -> Result<(), Refusal> {
        let (release, set) = load(&self.engine, &self.state.borrow().root)?;
        let pointer = release.pointer().clone();
        let key = layout::channel(&self.channel);
        let refused = |Failed(why)| Refusal::new(Code::StoreUnavailable, why);
        let highest = kept.value(&key).map_err(refused)?;
        let highest = highest.map(|json| ChannelPointer::from_json(&json, &self.channel)).transpose()?;
        if let Some(highest) = &highest {
            pointer.check_after(highest)?;
        }
        // Once taken up it serves until it is stale, as everywhere.
        if highest.as_ref() != Some(&pointer) {
            release.statement().release().check_fresh(now())?;
        }
        kept.set(&key, &pointer.to_json()).map_err(refused)?;
        let mut state = self.state.borrow_mut();
        state.active = Some(Rc::new(self.active(&release, set)));
        state.highest = Some(pointer);
        Ok(())
    }

    /// The key-value store forgot what this instance knows: it is told again.
    fn remind(&self, kept: &Kept<'_, impl KeyValue>) -> Result<(), Refusal> {
        let state = self.state.borrow();
        let Some(highest) = &state.highest else { return Ok(()) };
        log::warn("key_value_forgot", &format!("release {} had been taken up", highest.serial));
        let told = kept.set(&layout::channel(&self.channel), &highest.to_json());
        told.map_err(|Failed(why)| Refusal::new(Code::StoreUnavailable, why))
    }

    /// Looks once for a newer release. Whatever is refused, the last good one keeps serving.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub(crate) async fn poll(
        &self,
        store: &impl Objects,
        kept: &Kept<'_, impl KeyValue>,
    ) -> Result<(), Refusal> {
        if let Err(refusal) = self.recall(kept).await {
            // Without the highest serial no release can be told from an older one. What else cannot be read must not keep
            // newer policies away.
            if self.state.borrow().highest.is_none() {
                return Err(refusal);
            }
            log::refused(&refusal);
        }
        let source = ReleaseSource::new(store, self.channel.clone());
        let (root, tag) = {
            let state = self.state.borrow();
            (state.root.clone(), state.tag.clone())
        };
        let Some((pointer, tag)) = source.pointer(tag.as_deref()).await? else {
            return self.still_newest();
        };
        if let Some(highest) = &self.state.borrow().highest {
            pointer.check_after(highest)?;
        }
        let serves = |state: &State| {
            state.active.as_ref().is_some_and(|active| active.id.digest == pointer.release)
        };
        if serves(&self.state.borrow()) {
            self.state.borrow_mut().tag = tag;
            return self.still_newest();
        }
        // New releases are the time to look for new roots: a key that was withdrawn signs no more of them.
        let successions = source.successions(&root).await?;
        for succession in &successions {
            let key = layout::root(succession.root.version());
            if let Err(Failed(why)) = kept.set(&key, &succession.envelope) {
                log::warn("root_not_kept", &why);
            }
        }
        let root = successions.into_iter().next_back().map_or(root, |newest| newest.root);
        self.state.borrow_mut().root = root.clone();
        let release = source.release(&pointer, &root, Artifacts::Needed).await?;
        release.statement().release().check_fresh(now())?;
        let active = self.load(&release)?;
        // Remembered before it serves. A store that takes nothing does not keep a new release from serving: the serial is
        // still known while this instance lives.
        let before = self.state.borrow().active.clone();
        let before = before.as_ref().map_or(&[][..], |before| &before.keys);
        if let Err(Failed(why)) = keep(kept, &self.channel, &release, (before, &active.keys)) {
            log::warn("release_not_kept", &why);
        }
        log::info("serving", &format!("release {}", pointer.serial));
        let mut state = self.state.borrow_mut();
        state.active = Some(Rc::new(active));
        state.highest = Some(pointer);
        state.tag = tag;
        Ok(())
    }

    /// A store that shows an expired release as its newest may be frozen by an attacker.
    fn still_newest(&self) -> Result<(), Refusal> {
        match &self.state.borrow().active {
            Some(active) => active.release.check_fresh(now()),
            None => Ok(()),
        }
    }

    fn load(&self, release: &VerifiedRelease) -> Result<Active, Refusal> {
        Ok(self.active(release, PolicyPre::load(&self.engine, release)?))
    }

    fn active(&self, release: &VerifiedRelease, set: PolicyPre) -> Active {
        let (wants, wants_of_answers) = (Wants::of(&set), WantsOfAnswers::of(&set));
        let id = release.id();
        let blobs = ARTIFACTS.iter().filter_map(|name| release.artifact(name).ok());
        let mut keys: Vec<String> = blobs.map(|bytes| layout::blob(Digest::of(bytes))).collect();
        keys.push(layout::release(&self.channel, id.serial));
        let (release, set) = (release.statement().release().clone(), Arc::new(set));
        Active { id, release, set, wants, wants_of_answers, keys }
    }
}

/// Remembers a release as the last good one, and its serial as the highest. Whenever this stops, the store holds either
/// the old one or the new one whole: the pointer is written last.
fn keep(
    kept: &Kept<'_, impl KeyValue>,
    channel: &Name,
    release: &VerifiedRelease,
    (before, now): (&[String], &[String]),
) -> Result<(), Failed> {
    for bytes in ARTIFACTS.iter().filter_map(|name| release.artifact(name).ok()) {
        kept.set(&layout::blob(Digest::of(bytes)), bytes)?;
    }
    kept.set(&layout::release(channel, release.id().serial), release.envelope())?;
    kept.set(&layout::channel(channel), &release.pointer().to_json())?;
    // What is left of an older release only takes space.
    for key in before.iter().filter(|key| !now.contains(key)) {
        let _ = kept.delete(key);
    }
    Ok(())
}
