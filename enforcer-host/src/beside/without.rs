//! Without the feature `components` there is nothing to run policies that are components: a release that has any is refused,
//! never enforced in part.

use aecp_contract::{manifest::Manifest, refusal::Refusal, slots::SlotBuffer, verdict::Verdict};

use crate::policy::DecisionError;

/// None.
pub(crate) struct Beside;

impl Beside {
    /// # Errors
    /// [`Manifest::refuse_components`].
    pub(crate) fn none(manifest: &Manifest) -> Result<Self, Refusal> {
        manifest.refuse_components()?;
        Ok(Self)
    }

    #[cfg(feature = "interpreter")]
    pub(crate) fn load(
        _: &crate::source::VerifiedRelease,
        manifest: &Manifest,
    ) -> Result<Self, Refusal> {
        Self::none(manifest)
    }

    pub(crate) fn join(&self, _: &mut Manifest) {}

    pub(crate) fn decide(&self, _: &SlotBuffer, verdict: Verdict) -> Result<Verdict, DecisionError> {
        Ok(verdict)
    }
}
