//! The hosted compiler: an upload comes, a release or a signed rejection follows.
//!
//! Events that tell of uploads come late, twice, in any order and at the same time, so nothing here believes more of them
//! than that there may be something to look at. What was said of an upload is in its report, whose key holds the digest of
//! its bytes: an upload that has one was dealt with. Every set takes the road that `aecp publish` takes
//! ([`crate::accept::examine`], [`Store::publish`]), and of a rejected one nothing is written but its report. What is in
//! force is then brought to the other stores ([`Store::replicate`]), whether or not one of them fails.

mod describe;
pub mod event;
mod inbox;
pub mod page;
pub mod sarif;
#[cfg(test)]
mod tests;

use std::time::Duration as Pause;

use aecp_contract::{
    layout::{self, Name},
    report::{Outcome, Report},
    value::{Duration, Timestamp},
};
use ed25519_dalek::SigningKey;

use self::{
    describe::{Timed, Told},
    inbox::Found,
};
use crate::{
    accept::{ExamineError, Examined, examine},
    lifecycle,
    publish::{Base, Publication, PublishError, Published, Replica, Roots, Store},
    upload::{Key, Upload},
};

/// How often an upload is tried again when somebody else publishes to its channel meanwhile.
const ATTEMPTS: u32 = 6;

/// How long the first of these waits; each waits twice as long as the one before.
const PAUSE: Pause = Pause::from_millis(200);

/// How long the other stores may take to get a release.
const REPLICATION: Pause = Pause::from_secs(20);

/// Tells the time.
pub type Clock = fn() -> Timestamp;

/// What the function works with.
#[derive(Debug, Clone)]
pub struct Hosted {
    /// Where uploads come and releases go.
    pub store: Store,
    /// Where releases go after that.
    pub replicas: Vec<Store>,
    /// The judicial keys.
    pub keys: Vec<SigningKey>,
    /// The trust root of the enforcers, as JSON.
    pub root: Vec<u8>,
    /// How long enforcers may take a release up.
    pub expires: Duration,
    /// How long after that an enforcer that has it goes on serving it.
    pub stale_after: Duration,
    /// The time.
    pub clock: Clock,
}

/// What came of an event.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Nothing is to be done for it, for the reason that is told.
    Ignored(String),
    /// There is a report.
    Reported(Box<Answered>),
}

/// A report, and where it is.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What it says.
    pub report: Report,
    /// Its key in the store, without its ending.
    pub key: String,
    /// Whether it was there before: the upload was dealt with already.
    pub again: bool,
    /// What came of the other stores, where the channel has a release.
    pub replicas: Vec<Replica>,
}

/// When what a channel has in force runs out.
#[derive(Debug)]
pub struct Expiry {
    /// The channel.
    pub channel: Name,
    /// The newest release's serial, and after when no enforcer takes it up; or why it cannot be trusted.
    pub newest: Result<(u64, Timestamp), PublishError>,
    /// Whether it is to be published anew: so soon it expires, or has expired.
    pub is_due: bool,
}

/// Why an event could not be dealt with. The upload is not at fault; whoever runs the function is to look, and the
/// event may come again.
#[derive(Debug, thiserror::Error)]
pub enum HostedError {
    /// The store, the keys or the trust root do not serve, or somebody else kept publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A fault of the compiler.
    #[error("the compiler failed, please report this: {0}")]
    Fault(String),
}

impl Hosted {
    /// Deals with the object at `key`, relative to the store, of which an event told.
    ///
    /// # Errors
    /// [`HostedError`]: the event should be delivered again.
    pub async fn on_upload(&self, key: &str) -> Result<Answer, HostedError> {
        let key = match Key::parse(key) {
            Ok(key) => key,
            Err(reason) => return Ok(Answer::Ignored(reason)),
        };
        let Some(found) = inbox::read(&self.store, &key).await? else {
            return Ok(Answer::Ignored(format!("`{}` is not there any more", key.object())));
        };
        let roots = self.store.roots(&self.root).await?;
        let name = inbox::report_name(&key, &found);
        let at = layout::report(&key.set, &name, "json");
        if let Some(report) = self.store.report(&at, &roots).await? {
            return self.answered(&key, name, report, true, &roots).await;
        }
        let report = self.decide(&key, found, &roots).await?;
        let keys: Vec<&SigningKey> = self.keys.iter().collect();
        if self.store.put_report(&at, report.sign(&keys).to_json()).await? {
            return self.answered(&key, name, report, false, &roots).await;
        }
        // The same event came twice at once, and the other was faster: what it said holds.
        let report = self.store.report(&at, &roots).await?.unwrap_or(report);
        self.answered(&key, name, report, true, &roots).await
    }

    /// What every channel of the store has in force, of which releases that expire within this time are due.
    ///
    /// # Errors
    /// [`HostedError`]: the store or the trust root does not serve.
    pub async fn expiries(&self, within: Duration) -> Result<Vec<Expiry>, HostedError> {
        let roots = self.store.roots(&self.root).await?;
        let soon = (self.clock)().seconds.saturating_add(within.0 / 1000);
        let mut expiries = Vec::new();
        for channel in self.store.channels().await? {
            let newest = self.store.expiry(&channel, &roots).await;
            let is_due = newest.as_ref().is_ok_and(|(_, expires)| expires.seconds <= soon);
            expiries.push(Expiry { channel, newest, is_due });
        }
        Ok(expiries)
    }

    /// The pages are made again of a report that is there: its function may have died before it made them.
    async fn answered(
        &self,
        key: &Key,
        name: String,
        report: Report,
        again: bool,
        roots: &Roots,
    ) -> Result<Answer, HostedError> {
        let page = |ending| layout::report(&key.set, &name, ending);
        self.store.put_page(&page("html"), page::page(&report)).await?;
        self.store.put_page(&page("sarif"), sarif::sarif(&report)).await?;
        let key = page("").trim_end_matches('.').to_owned();
        let replicas = match (&report.channel, report.outcome) {
            (None, _) | (_, Outcome::Rejected) => Vec::new(),
            (Some(channel), _) => {
                self.store.replicate(&self.replicas, channel, roots, REPLICATION).await?
            }
        };
        Ok(Answer::Reported(Box::new(Answered { report, key, again, replicas })))
    }

    /// Compiles and publishes; what comes of it is in the report.
    async fn decide(&self, key: &Key, found: Found, roots: &Roots) -> Result<Report, HostedError> {
        let mut told = Told::new(key, found.reference, (self.clock)());
        let upload = match found.upload {
            Ok(upload) => upload,
            Err(refused) => return Ok(told.refused(&refused)),
        };
        told.asked(&upload);
        for attempt in 0.. {
            let again = match self.attempt(&upload, roots, &mut told).await {
                Err(HostedError::Publish(
                    error @ (PublishError::Busy { .. } | PublishError::Conflict { .. }),
                )) => error,
                other => return other.map(|outcome| told.ended(outcome)),
            };
            if attempt + 1 == ATTEMPTS {
                return Err(again.into());
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
        }
        Err(HostedError::Fault("no attempt was made".to_owned()))
    }

    async fn attempt(
        &self,
        upload: &Upload,
        roots: &Roots,
        told: &mut Told,
    ) -> Result<Outcome, HostedError> {
        let request = &upload.request;
        let base = self.store.base(&request.channel, roots).await?;
        told.begin();
        // Its function died before it wrote the report, or deals with the same event right now.
        let released = self.store.release_of(&request.channel, &told.reference(), roots).await?;
        if let Some(Published { serial, release }) = released {
            return Ok(Outcome::Accepted { serial, release });
        }
        if is_in_force(upload, &base) {
            return Ok(Outcome::Unchanged { serial: base.serial });
        }
        if base.submitted.is_some_and(|there| there > told.uploaded()) {
            return Ok(Outcome::Superseded { serial: base.serial });
        }
        let base_serial = base.serial;
        let (examined, times) = self.examine(upload.clone(), base).await?;
        told.took(times);
        let examined = match examined {
            Ok(examined) => examined,
            Err(error) => return Ok(told.fault(&error)),
        };
        told.examined(&examined, &upload.sources, base_serial);
        let Some(accepted) = examined.accepted.as_ref().filter(|_| examined.versions.is_empty()) else {
            return Ok(Outcome::Rejected);
        };
        let reason = crate::publish::Reason { upload: Some(told.reference()), ..request.reason() };
        let keys: Vec<&SigningKey> = self.keys.iter().collect();
        let publication = self.publication(upload);
        match self.store.publish(accepted, &publication, &reason, &keys, roots).await {
            Ok(Published { serial, release }) => Ok(Outcome::Accepted { serial, release }),
            Err(error @ (PublishError::Submission(_) | PublishError::TooLarge(_))) => {
                Ok(told.unpublishable(&error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Compiles beside what else the function does.
    async fn examine(
        &self,
        upload: Upload,
        base: Base,
    ) -> Result<(Result<Examined, ExamineError>, Timed), HostedError> {
        let clock = self.clock;
        let compile = move || {
            let mut times = Timed::new(clock);
            let states = &upload.request.states;
            let examined = examine(&upload.sources, &base, states, &mut |phase| times.begin(phase));
            times.end();
            (examined, times)
        };
        let compiled = tokio::task::spawn_blocking(compile).await;
        compiled.map_err(|error| HostedError::Fault(error.to_string()))
    }

    fn publication(&self, upload: &Upload) -> Publication {
        let issued = (self.clock)();
        let later = |from: Timestamp, span: Duration| Timestamp {
            seconds: from.seconds.saturating_add(span.0 / 1000),
            nanoseconds: 0,
        };
        let expires = later(issued, self.expires);
        let stale = later(expires, self.stale_after);
        Publication { channel: upload.request.channel.clone(), issued, expires, stale }
    }
}

/// Whether the channel's release is of these sources, and of the states that are asked for.
fn is_in_force(upload: &Upload, base: &Base) -> bool {
    let same = base.sources.as_ref().is_some_and(|there| there.digest() == upload.sources.digest());
    same && lifecycle::moved(&base.states, &upload.request.states)
        .is_ok_and(|(moves, _)| moves.is_empty())
}
