//! Where a release stands in its channel's history, and who submitted it, by their own signature.

use aecp_contract::{
    digest::Digest,
    layout,
    legislation::{Entry, MAX_ENTRY_BYTES, Submission},
    refusal::{Code, Refusal},
    release::SUBMISSION,
    trust::TrustRoot,
};
use aecp_enforcer::{Store, VerifiedRelease};

/// The entry of the history that the release names; `None` if it names none.
pub(super) async fn entry(store: &Store, release: &VerifiedRelease) -> Result<Option<Entry>, Refusal> {
    let about = release.statement().release();
    let Some(named) = about.legislation else { return Ok(None) };
    let key = layout::legislation(&about.channel, named.number);
    let broken = |why: &str| Refusal::new(Code::HistoryBroken, format!("`{key}` {why}"));
    let object = store.get(&key, MAX_ENTRY_BYTES as u64, None).await?;
    let object = object.ok_or_else(|| broken("was not sent"))?;
    if Digest::of(&object.bytes) != named.digest {
        return Err(broken("is not the entry that the release names"));
    }
    Entry::unverified(&object.bytes, &about.channel).map(Some)
}

/// The submission that the release carries, signed by authors of one of these roots, newest first; `None` if it carries
/// none.
pub(super) fn submission(
    release: &VerifiedRelease,
    roots: &[TrustRoot],
) -> Result<Option<Submission>, Refusal> {
    if release.statement().artifact(SUBMISSION).is_err() {
        return Ok(None);
    }
    let json = release.artifact(SUBMISSION)?;
    let mut refusal = Refusal::new(Code::UnknownKey, "there is no trust root");
    for root in roots.iter().rev() {
        match Submission::verify(json, root) {
            Ok(submission) => return fits(submission, release).map(Some),
            Err(error) => refusal = error,
        }
    }
    Err(Refusal { detail: format!("`{SUBMISSION}`: {}", refusal.detail), ..refusal })
}

fn fits(submission: Submission, release: &VerifiedRelease) -> Result<Submission, Refusal> {
    let about = release.statement().release();
    if submission.channel != about.channel {
        let detail = format!("`{SUBMISSION}` is for channel `{}`", submission.channel);
        return Err(Refusal::new(Code::WrongChannel, detail));
    }
    if submission.source != about.source {
        let detail = format!("`{SUBMISSION}` is of other sources than the release");
        return Err(Refusal::new(Code::DigestMismatch, detail));
    }
    Ok(submission)
}
