//! `aecp status`: which release each store shows on each channel, and whether they agree.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use aecp_compiler::publish;
use aecp_contract::{
    digest::Digest,
    layout::Name,
    refusal::{Code, Refusal},
    trust::TrustRoot,
    value::{Duration as Span, Timestamp},
};
use aecp_enforcer::{Artifacts, ReleaseSource, Store, now};
use anyhow::bail;
use futures_util::future::join_all;
use serde::Serialize;

use super::{Format, release::pinned_root};
use crate::{
    Outcome,
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN},
};

/// How long one store may take to give a whole release.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The state of a release of which every byte verifies.
const VALID: &str = "valid";

/// Show which release each store has, and whether the stores agree
///
/// Reads the newest release of each channel from every store, as enforcers do, down to the last byte, and says its
/// serial, when it was issued and when it expires. A release that enforcers would refuse is shown with the code of the
/// refusal, a store that is behind the others with how far, and one that expires soon as to be renewed. Exit code 1 if there
/// is any of these.
///
/// As JSON: {"in_order","channels":[{"channel","serial","stores":[{"store","state","detail","serial","release","issued",
/// "expires","behind","renew"}]}]}, serial the highest valid one, state `valid` or the code of the refusal.
///
/// Example: aecp status --store s3://bucket --store gs://bucket --channel prod --root keys/root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// A store; may repeat
    #[arg(long, value_name = "URL", required = true)]
    store: Vec<String>,
    /// A channel; may repeat [default: all that a store has]
    #[arg(long)]
    channel: Vec<Name>,
    /// The trust root to believe
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// How long before it expires a release is to be renewed
    #[arg(long, value_name = "DURATION", default_value = "14d")]
    renew_within: Span,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What the stores have of one channel.
#[derive(Debug, Serialize)]
struct Channel {
    channel: Name,
    /// The highest serial that verifies.
    serial: Option<u64>,
    stores: Vec<Shown>,
}

/// What one store shows.
#[derive(Debug, Serialize)]
struct Shown {
    store: String,
    state: &'static str,
    /// What is wrong.
    detail: Option<String>,
    serial: Option<u64>,
    /// The digest of the release's envelope.
    release: Option<Digest>,
    issued: Option<Timestamp>,
    expires: Option<Timestamp>,
    /// How many serials it is behind the highest.
    behind: Option<u64>,
    /// Whether it is valid and expires soon.
    renew: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let root = pinned_root(&arguments.root)?;
    let stores = Store::open_all(&arguments.store)?;
    if arguments.renew_within.0 < 0 {
        bail!("--renew-within must not be below zero");
    }
    let of = channels(arguments)?;
    let now = now();
    let soon = now.seconds.saturating_add(arguments.renew_within.0 / 1000);
    let mut channels = super::block_on(async {
        let channels = of.iter().map(async |channel| {
            let shown = join_all(stores.iter().map(|store| Shown::of(store, channel, &root))).await;
            Channel::of(channel.clone(), shown)
        });
        Ok(join_all(channels).await)
    })?;
    for shown in channels.iter_mut().flat_map(|channel| &mut channel.stores) {
        let expires = shown.expires.filter(|_| shown.state == VALID);
        shown.renew = expires.is_some_and(|expires| expires.seconds <= soon);
    }
    let in_order = channels.iter().flat_map(|channel| &channel.stores).all(Shown::is_in_order);
    match arguments.format {
        Format::Json => {
            println!("{}", serde_json::json!({ "in_order": in_order, "channels": channels }));
        }
        Format::Text => print(&channels, now),
    }
    Ok(if in_order { Outcome::Good } else { Outcome::Bad })
}

/// The channels to look at, in byte order unless they are given.
fn channels(arguments: &Arguments) -> anyhow::Result<Vec<Name>> {
    if !arguments.channel.is_empty() {
        return Ok(arguments.channel.clone());
    }
    let (first, others) = publish::Store::open_all(&arguments.store)?;
    let found = super::block_on(async {
        let listed = std::iter::once(&first).chain(&others).map(async |store| {
            // One that does not answer is shown as such, of the channels that the others have.
            tokio::time::timeout(TIMEOUT, store.channels()).await.map(Result::unwrap_or_default)
        });
        Ok(join_all(listed).await)
    })?;
    let found: BTreeSet<Name> = found.into_iter().flat_map(Result::unwrap_or_default).collect();
    if found.is_empty() {
        bail!("no store has a channel, or none answers; say with --channel which there should be");
    }
    Ok(found.into_iter().collect())
}

impl Channel {
    fn of(channel: Name, mut stores: Vec<Shown>) -> Self {
        let valid = stores.iter().filter(|shown| shown.state == VALID);
        let highest = valid.max_by_key(|shown| shown.serial);
        let (serial, release) = highest.map_or((None, None), |shown| (shown.serial, shown.release));
        for shown in &mut stores {
            shown.behind = serial.zip(shown.serial).map(|(highest, own)| highest.saturating_sub(own));
            if shown.state == VALID && shown.serial == serial && shown.release != release {
                shown.state = Code::SerialReplayed.as_str();
                shown.detail = Some("another store has another release of this serial".to_owned());
            }
        }
        Self { channel, serial, stores }
    }
}

impl Shown {
    async fn of(store: &Store, channel: &Name, root: &TrustRoot) -> Self {
        let mut shown = Self {
            store: store.name().to_owned(),
            state: VALID,
            detail: None,
            serial: None,
            release: None,
            issued: None,
            expires: None,
            behind: None,
            renew: false,
        };
        let read = tokio::time::timeout(TIMEOUT, shown.read(store, channel, root)).await;
        let read = read.unwrap_or_else(|_| {
            let detail = format!("it took more than {} s", TIMEOUT.as_secs());
            Err(Refusal::new(Code::StoreUnavailable, detail))
        });
        if let Err(refusal) = read {
            shown.state = refusal.code.as_str();
            shown.detail = Some(refusal.detail);
        }
        shown
    }

    /// What can be believed is told, also of a release that is refused in the end.
    async fn read(&mut self, store: &Store, channel: &Name, root: &TrustRoot) -> Result<(), Refusal> {
        let source = ReleaseSource::new(store, channel.clone());
        let no_tag = None;
        let Some((pointer, _)) = source.pointer(no_tag).await? else {
            return Err(Refusal::new(Code::StoreUnavailable, "the store sent no channel pointer"));
        };
        let successions = source.successions(root).await?;
        let root = successions.last().map_or(root, |newest| &newest.root);
        let release = source.release(&pointer, root, Artifacts::All).await?;
        let about = release.statement().release();
        self.serial = Some(about.serial);
        self.release = Some(release.id().digest);
        self.issued = Some(about.issued);
        self.expires = Some(about.expires);
        about.check_fresh(now())
    }

    fn is_in_order(&self) -> bool {
        self.state == VALID && self.behind == Some(0) && !self.renew
    }
}

/// One line for each store of each channel, in columns.
fn print(channels: &[Channel], now: Timestamp) {
    for Channel { channel, serial, stores } in channels {
        let serial = serial.map_or_else(|| "no valid release".to_owned(), |it| format!("release {it}"));
        anstream::println!("{channel} {FAINT}{serial}{PLAIN}");
        let width = stores.iter().map(|shown| shown.store.chars().count()).max().unwrap_or_default();
        for shown in stores {
            let (colour, state) = match shown.behind {
                _ if shown.state != VALID => (BAD, shown.state.to_owned()),
                Some(behind @ 1..) => (CARE, format!("{behind} behind")),
                _ if shown.renew => (CARE, "renew".to_owned()),
                _ => (GOOD, VALID.to_owned()),
            };
            let serial = shown.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string());
            let mut line = format!("  {colour}{state:<18}{PLAIN} {serial:>6}  {:<width$}", shown.store);
            if let (Some(issued), Some(expires)) = (shown.issued, shown.expires) {
                let left = expires.seconds.saturating_sub(now.seconds);
                let expiry = if left > 0 {
                    format!("expires in {}", span(left))
                } else {
                    format!("expired {} ago", span(left.saturating_neg()))
                };
                let age = span(now.seconds.saturating_sub(issued.seconds));
                line += &format!("  {:<18} {expiry}", format!("issued {age} ago"));
            }
            anstream::println!("{}", line.trim_end());
            if let Some(detail) = &shown.detail {
                anstream::println!("    {FAINT}{detail}{PLAIN}");
            }
        }
    }
}

/// A span of seconds in the largest unit that it fills.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_largest_unit_that_they_fill() {
        let told = [0, 119, 120, 7_199, 7_200, 172_799, 172_800, 7_776_000].map(span);
        let wanted = ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days", "90 days"];
        assert_eq!(told, wanted);
    }
}
