//! `aecp publish`: compile, sign and write a release.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time,
};

use aecp_compiler::{
    accept::{Accepted, Examined, examine},
    keys,
    publish::{Base, Publication, Reason, Replica, Replicated, Store},
    source::Sources,
};
use aecp_contract::{
    dsse::Envelope,
    layout::Name,
    legislation::{ChangeKind, Move, NotAState, PolicyChange, State, Submission},
    manifest::{Manifest, ProofKind, ProofStatus},
    value::{Duration, Timestamp},
};
use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use super::{
    SetArgument,
    components::{self, Components},
    keygen::TRUST_ROOT,
    now, read,
};
use crate::{
    Outcome, diagnostics,
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN, count, progress},
};

/// How long each of the other stores may take to get the release.
const REPLICATION: time::Duration = time::Duration::from_secs(60);

/// Compile, test and sign a policy set, and make it the newest release of a channel
///
/// What changes against the channel's newest release is told in a line. A policy that means something else and states the
/// VERSION that it had is refused (E070), and so is a VERSION that shrinks or vanishes (E071). What is accepted becomes a
/// signed entry of the channel's history (`aecp history`), with who submitted it and why.
///
/// Where the trust root names authors, one of them must have signed the set with `aecp sign`: give that as --submission.
///
/// --state holds policies back on this channel: a draft is compiled and tested but not released, an audit-only or
/// advisory policy enforces no more than that, a blocking one what it says itself, a retired one is gone for good. A state
/// stays until it is moved again.
///
/// --component adds policies that are written as components of the world `aecp:policy/policy`; only enforcers that can run
/// them take the release up. One that the channel's release has is given again, or ended with --drop-component.
///
/// Stores are file:///…, s3://…, gs://… and az://…, configured by the clouds' usual environment variables. Of several the
/// first gives the serials, and the others get a copy. One that fails does not keep the release from being published: it is
/// named, and `aecp sync` or the next publication brings it up to date.
///
/// Example: aecp publish policies/hipaa --store s3://bucket --channel prod --key keys/private.pem
/// Example: aecp publish policies/hipaa --store s3://bucket --channel prod --key keys/private.pem
///          --author "Jane Doe" --justification "CR-1234" --state phi_export=advisory
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// Where to publish; may repeat
    #[arg(long, value_name = "URL", required = true)]
    store: Vec<String>,
    /// Which channel gets the release
    #[arg(long)]
    channel: Name,
    /// The private key that signs; several, where the trust root asks for more than one
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The trust root of the enforcers [default: root.json beside the first key]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Who submits the set, for the history
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    justification: Option<String>,
    /// Moves a policy to a state: draft, audit-only, advisory, blocking or retired
    #[arg(long, value_name = "POLICY=STATE", value_parser = state, requires = "justification")]
    state: Vec<(String, State)>,
    /// What the author signed (`aecp sign`); it says author, justification and states
    #[arg(long, value_name = "FILE", conflicts_with_all = ["author", "justification", "state"])]
    submission: Option<PathBuf>,
    #[command(flatten)]
    components: Components,
    /// Ends a policy of the channel's release that is a component; may repeat
    #[arg(long, value_name = "POLICY")]
    drop_component: Vec<String>,
    /// How long enforcers may take the release up
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    expires: Duration,
    /// How long after its expiry an enforcer that has it goes on serving it
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    stale_after: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let keys = arguments.key.iter().map(|path| read_key(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let beside = || arguments.key.first().and_then(|key| key.parent()).unwrap_or(Path::new(""));
    let root_path = arguments.root.clone().unwrap_or_else(|| beside().join(TRUST_ROOT));
    let root_json = read(&root_path).context("publishing needs the enforcers' trust root (--root)")?;
    let publication =
        publication(arguments.channel.clone(), now()?, arguments.expires, arguments.stale_after)?;
    let (reason, wanted) = reason(arguments)?;
    let sources = arguments.set.sources()?;
    let (store, replicas) = Store::open_all(&arguments.store)?;
    let (roots, base) = super::block_on(async {
        let roots = store.roots(&root_json).await?;
        let base = store.base(&arguments.channel, &roots).await?;
        Ok((roots, base))
    })?;
    progress("compiling and testing …");
    let mut examined = examine(&sources, &base, &wanted, &mut |_| ())?;
    diagnostics::print(&examined.findings, &sources);
    if let Some(accepted) = &mut examined.accepted {
        let components = arguments.components.read()?;
        components::check_dropped(&base, &components, &arguments.drop_component)?;
        accepted.add_components(&base, components);
        components::try_out(&accepted.compiled)?;
    }
    let Some(accepted) = &examined.accepted else { return Ok(Outcome::Bad) };
    print_since(&base, &examined, &sources);
    if !examined.versions.is_empty() {
        return Ok(Outcome::Bad);
    }
    progress("publishing …");
    let keys: Vec<&SigningKey> = keys.iter().collect();
    let published = super::block_on(async {
        Ok(store.publish(accepted, &publication, &reason, &keys, &roots).await?)
    })?;
    anstream::println!(
        "{GOOD}published{PLAIN} release {} of channel {} ({})",
        published.serial,
        arguments.channel,
        published.release
    );
    let manifest = &accepted.compiled.manifest;
    anstream::println!(
        "  {} policies, {} tests passed, {}, expires {}",
        manifest.policies.len(),
        manifest.tests.passed,
        proofs(manifest),
        publication.expires
    );
    for policy in &manifest.components {
        let name = &policy.name;
        let is = |change: &&PolicyChange| change.policy == *name && change.change != ChangeKind::Removed;
        let change = accepted.changes.iter().find(is).map_or("as it was", |one| one.change.as_str());
        println!("  {} {name}, a component, {change}", policy.enforcement.as_str());
    }
    for policy in &arguments.drop_component {
        anstream::println!("  {CARE}dropped{PLAIN} {policy}, a component");
    }
    for Move { policy, from, to } in &accepted.moves {
        anstream::println!("  {CARE}{to}{PLAIN} {policy}, which was {from}");
    }
    let copied = super::block_on(async {
        Ok(store.replicate(&replicas, &arguments.channel, &roots, REPLICATION).await?)
    })?;
    if !print_replicas(&copied) {
        anstream::eprintln!(
            "{CARE}published, but not in every store{PLAIN}: try again with `aecp sync`"
        );
    }
    Ok(Outcome::Good)
}

/// What came of the other stores; whether all of them have the release.
pub(crate) fn print_replicas(replicas: &[Replica]) -> bool {
    for Replica { store, result } in replicas {
        match result {
            Ok(Replicated { serial, copied: 0 }) => {
                anstream::println!("  {GOOD}has{PLAIN} release {serial}: {store}");
            }
            Ok(Replicated { serial, copied }) => anstream::println!(
                "  {GOOD}has{PLAIN} release {serial}, {} copied: {store}",
                count(*copied, "object", "objects")
            ),
            Err(refusal) => anstream::println!("  {BAD}failed{PLAIN} {store}: {refusal}"),
        }
    }
    replicas.iter().all(|replica| replica.result.is_ok())
}

/// POLICY=STATE.
pub(crate) fn state(text: &str) -> Result<(String, State), String> {
    let (policy, state) = text.split_once('=').ok_or("expected POLICY=STATE")?;
    Ok((policy.to_owned(), state.parse().map_err(|error: NotAState| error.to_string())?))
}

/// Each policy once.
pub(crate) fn states(given: &[(String, State)]) -> anyhow::Result<BTreeMap<String, State>> {
    let mut states = BTreeMap::new();
    for (policy, state) in given {
        if states.insert(policy.clone(), *state).is_some() {
            bail!("--state moves policy `{policy}` twice");
        }
    }
    Ok(states)
}

/// Who publishes and why, and which states policies are to have.
fn reason(arguments: &Arguments) -> anyhow::Result<(Reason, BTreeMap<String, State>)> {
    let Some(path) = &arguments.submission else {
        let (author, justification) = (arguments.author.clone(), arguments.justification.clone());
        let reason = Reason { author, justification, ..Reason::default() };
        return Ok((reason, states(&arguments.state)?));
    };
    let json = read(path)?;
    let none = || format!("`{}` is no submission", path.display());
    let envelope = Envelope::from_json(&json).with_context(none)?;
    // Publishing looks at the signatures.
    let submission = Submission::unverified(&envelope).with_context(none)?;
    Ok((Reason { submission: Some(json), ..Reason::default() }, submission.states))
}

/// What changes since the release that the channel has, and which VERSIONs are not in order.
fn print_since(base: &Base, examined: &Examined, sources: &Sources) {
    diagnostics::print(&examined.versions, sources);
    let serial = base.serial;
    let held_back = examined.accepted.as_ref().is_some_and(|accepted| !accepted.states.is_empty());
    // Versions and changes are about the set as it is written, whatever is held back of it.
    let written = if held_back { ", as it is written" } else { "" };
    let has = |accepted: &Accepted| !accepted.compiled.components.is_empty();
    let beside = !base.components.is_empty() || examined.accepted.as_ref().is_some_and(has);
    let compiled = if beside { ", without components" } else { "" };
    match &examined.diff {
        Some(diff) => {
            anstream::println!(
                "{FAINT}since serial {serial}{written}{compiled}{PLAIN}: {}",
                diff.summary()
            );
        }
        None if serial > 0 => anstream::eprintln!(
            "{CARE}not compared{PLAIN}: this version does not compile the sources of release {serial}"
        ),
        None => {}
    }
}

/// A release from now on, for these spans of time.
pub(crate) fn publication(
    channel: Name,
    now: Timestamp,
    expires: Duration,
    stale_after: Duration,
) -> anyhow::Result<Publication> {
    if expires.0 <= 0 || stale_after.0 < 0 {
        bail!("--expires must be above zero and --stale-after not below it");
    }
    let later = |from: Timestamp, span: Duration| {
        let seconds = from.seconds.saturating_add(span.0 / 1000);
        Timestamp { seconds, nanoseconds: 0 }
    };
    let expires = later(now, expires);
    let stale = later(expires, stale_after);
    Ok(Publication { channel, issued: now, expires, stale })
}

/// Reads a private key, unwrapping it if need be.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<SigningKey> {
    let text = Zeroizing::new(String::from_utf8(read(path)?).unwrap_or_default());
    let key = super::block_on(async { Ok(keys::open(&text).await?) });
    key.with_context(|| format!("`{}` gives no key", path.display()))
}

/// How many invariants are proven, and how many assumed.
fn proofs(manifest: &Manifest) -> String {
    let of = |status| {
        let invariants = manifest.proofs.iter().filter(|proof| proof.kind == ProofKind::Invariant);
        invariants.filter(|proof| proof.status == status).count()
    };
    let mut told = count(of(ProofStatus::Proven), "invariant proven", "invariants proven");
    for (status, word) in [(ProofStatus::Assumed, "assumed"), (ProofStatus::Suspended, "suspended")] {
        match of(status) {
            0 => {}
            n => told.push_str(&format!(", {n} {word}")),
        }
    }
    told
}
