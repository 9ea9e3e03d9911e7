//! A release that is fetched: the last good one of the key-value store, then whatever newer one the store of releases has.

use std::rc::Rc;

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    refusal::{Code, Refusal},
    release::{CORE_MODULE, MANIFEST},
};
use aecp_enforcer::{Artifacts, Objects, PolicyPre, ReleaseSource, VerifiedRelease, now};

use super::{Active, Keeper, State};
use crate::{
    key_value::{Failed, Kept, KeyValue},
    log,
};

/// What is kept of a release.
const ARTIFACTS: [&str; 2] = [MANIFEST, CORE_MODULE];

impl Keeper {
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
        state.keys = keys(&self.channel, &release);
        state.active = Some(Rc::new(active));
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
        let before = self.state.borrow().keys.clone();
        let keys = keys(&self.channel, &release);
        if let Err(Failed(why)) = keep(kept, &self.channel, &release, (&before, &keys)) {
            log::warn("release_not_kept", &why);
        }
        log::info("serving", &format!("release {}", pointer.serial));
        let mut state = self.state.borrow_mut();
        state.active = Some(Rc::new(active));
        state.highest = Some(pointer);
        state.tag = tag;
        state.keys = keys;
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
        Ok(Active::new(release, PolicyPre::load(&self.engine, release)?))
    }
}

/// The keys under which a release is kept.
fn keys(channel: &Name, release: &VerifiedRelease) -> Vec<String> {
    let blobs = ARTIFACTS.iter().filter_map(|name| release.artifact(name).ok());
    let blobs = blobs.map(|bytes| layout::blob(Digest::of(bytes)));
    blobs.chain([layout::release(channel, release.id().serial)]).collect()
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
