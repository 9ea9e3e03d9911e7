//! Whether the authors of what is published say so.

use aecp_contract::{
    digest::Digest,
    dsse::Envelope,
    legislation::{ChangeKind, PolicyChange, Signed, State, Submission},
    manifest::COMPONENT_PREFIX,
    refusal::{Code, Refusal},
    release::Statement,
    trust::{Role, TrustRoot},
};

use super::{Publication, PublishError, Reason};
use crate::accept::Accepted;

/// How far an author's clock may be ahead, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 300;

/// No policy that is a component vanishes unsaid, as it would from a publisher that knows nothing of it.
pub(super) fn check_components(
    before: Option<&Statement>,
    accepted: &Accepted,
) -> Result<(), PublishError> {
    let names = before.into_iter().flat_map(|before| before.artifacts().map(|(name, _)| name));
    let vanished = names
        .filter(|name| !accepted.compiled.components.contains_key(*name))
        .filter_map(|name| name.strip_prefix(COMPONENT_PREFIX)?.strip_suffix(".wasm"))
        .find(|name| {
            let said =
                |change: &PolicyChange| change.policy == **name && change.change == ChangeKind::Removed;
            !accepted.changes.iter().any(said)
        });
    let Some(name) = vanished else { return Ok(()) };
    let detail = format!(
        "the channel's release has policy `{name:.64}`, a component, which this leaves out; \
         use `aecp publish` with --component, or with --drop-component to end it"
    );
    Err(PublishError::Submission(Refusal::new(Code::Malformed, detail)))
}

/// The submission, checked against what is published. Where the trust root names authors there must be one, and where it
/// does not there is nobody who could sign one.
pub(super) fn check(
    root: &TrustRoot,
    accepted: &Accepted,
    publication: &Publication,
    reason: &Reason,
) -> Result<Option<(Submission, Signed)>, PublishError> {
    let refused = |code, detail: String| PublishError::Submission(Refusal::new(code, detail));
    let authors = root.payload().roles.get(&Role::Author);
    let (authors, json) = match (authors, &reason.submission) {
        (Some(authors), Some(json)) => (authors, json),
        (None, None) => return Ok(None),
        (Some(_), None) => {
            let detail = "the trust root names authors, and none has signed it (see `aecp sign`)";
            return Err(refused(Code::UnknownKey, detail.to_owned()));
        }
        (None, Some(_)) => {
            let detail = "the trust root names no author (see `aecp root add`)";
            return Err(refused(Code::UnknownKey, detail.to_owned()));
        }
    };
    if !accepted.compiled.components.is_empty() {
        let detail =
            "what authors sign says nothing of components; publish them under a root without authors";
        return Err(refused(Code::Malformed, detail.to_owned()));
    }
    let submission = Submission::verify(json, root).map_err(PublishError::Submission)?;
    if submission.channel != publication.channel {
        let detail =
            format!("it is for channel `{}`, not `{}`", submission.channel, publication.channel);
        return Err(refused(Code::WrongChannel, detail));
    }
    if submission.source != accepted.compiled.manifest.source {
        let detail = "other sources were signed than these: the set was changed since".to_owned();
        return Err(refused(Code::DigestMismatch, detail));
    }
    if submission.issued.seconds > publication.issued.seconds.saturating_add(CLOCK_SKEW_SECONDS) {
        let detail = format!("it was signed at {}, after now", submission.issued);
        return Err(refused(Code::NotYetValid, detail));
    }
    let now = |policy: &String| accepted.states.get(policy).copied().unwrap_or(State::Blocking);
    if let Some((policy, state)) = submission.states.iter().find(|(name, state)| now(name) != **state) {
        let detail = format!("it moves policy `{policy}` to {state}, and the release does not");
        return Err(refused(Code::Malformed, detail));
    }
    if let Some(moved) =
        accepted.moves.iter().find(|moved| !submission.states.contains_key(&moved.policy))
    {
        let detail = format!("it does not move policy `{}` to {}", moved.policy, moved.to);
        return Err(refused(Code::Malformed, detail));
    }
    let envelope = Envelope::from_json(json).map_err(PublishError::Submission)?;
    // Enough of them were checked above, and one by a known key that does not fit would have been refused there.
    let keys = envelope.claimed_keys().filter(|key| authors.keyids.contains(key)).collect();
    Ok(Some((submission, Signed { envelope: Digest::of(json), keys })))
}
