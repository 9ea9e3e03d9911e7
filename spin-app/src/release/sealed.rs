//! The release that the component was composed with.

use std::rc::Rc;

use aecp_contract::{
    layout,
    refusal::{Code, Refusal},
    release::ChannelPointer,
    trust::TrustRoot,
};
use aecp_enforcer::{Engine, PolicyPre, VerifiedRelease, now};

use super::{Active, Keeper};
use crate::key_value::{Failed, Kept, KeyValue};

impl Keeper {
    /// Takes up the release that the component was composed with, unless a newer one was here before.
    ///
    /// # Errors
    /// The [`Refusal`] of it, or of what the key-value store remembers.
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
        state.active = Some(Rc::new(Active::new(&release, set)));
        state.highest = Some(pointer);
        Ok(())
    }
}
