//! Which release serves: one that is fetched, or the one that the component was composed with.

#[cfg(not(feature = "sealed"))]
mod fetched;
#[cfg(feature = "sealed")]
mod sealed;

use std::{cell::RefCell, rc::Rc, sync::Arc};

use aecp_contract::{
    layout::Name,
    release::{ChannelPointer, Release},
    trust::TrustRoot,
};
use aecp_enforcer::{Engine, PolicyPre, Reason, ReleaseId, VerifiedRelease, now};

use crate::{request::Wants, response::WantsOfAnswers};

/// A verified release, loaded and ready.
pub(crate) struct Active {
    pub(crate) id: ReleaseId,
    pub(crate) release: Release,
    pub(crate) set: Arc<PolicyPre>,
    /// What its policies ask for.
    pub(crate) wants: Wants,
    pub(crate) wants_of_answers: WantsOfAnswers,
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
    /// The entity tag of the pointer to the release that serves, in the store of releases.
    #[cfg(not(feature = "sealed"))]
    tag: Option<String>,
    /// The keys under which the key-value store has the release that serves.
    #[cfg(not(feature = "sealed"))]
    keys: Vec<String>,
    active: Option<Rc<Active>>,
}

impl Keeper {
    /// A keeper that has no release yet and trusts this root.
    ///
    /// # Errors
    /// In words, why policies cannot be run here.
    pub(crate) fn new(pinned: TrustRoot, channel: Name) -> Result<Self, String> {
        let engine = Engine::new().map_err(|error| error.to_string())?;
        let state = State {
            root: pinned,
            highest: None,
            #[cfg(not(feature = "sealed"))]
            tag: None,
            #[cfg(not(feature = "sealed"))]
            keys: Vec::new(),
            active: None,
        };
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
}

impl Active {
    fn new(release: &VerifiedRelease, set: PolicyPre) -> Self {
        let (wants, wants_of_answers) = (Wants::of(&set), WantsOfAnswers::of(&set));
        let (id, release) = (release.id(), release.statement().release().clone());
        Self { id, release, set: Arc::new(set), wants, wants_of_answers }
    }
}
