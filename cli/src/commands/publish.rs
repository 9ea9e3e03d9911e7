//! `aecp publish`: compile, sign and write a release.

use std::path::{Path, PathBuf};

use aecp_compiler::publish::{Publication, Store, read_signing_key};
use aecp_contract::{
    layout::Name,
    manifest::{Manifest, ProofKind, ProofStatus},
    trust::TrustRoot,
    value::{Duration, Timestamp},
};
use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;

use super::{SetArgument, diff, keygen::TRUST_ROOT, now, read};
use crate::{
    Outcome,
    profile::Profile,
    terminal::{GOOD, PLAIN, count, progress},
};

/// Compile, test and sign a policy set, and make it the newest release of a channel
///
/// What changes against the channel's newest release is told in a line. A policy that means something else and states the
/// VERSION that it had is refused (E070), and so is a VERSION that shrinks or vanishes (E071).
///
/// Stores are file:///…, s3://…, gs://… and az://…, configured by the clouds' usual environment variables.
///
/// Example: aecp publish policies/hipaa --store s3://bucket --channel prod --key keys/private.pem
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// Where to publish
    #[arg(long, value_name = "URL")]
    store: String,
    /// Which channel gets the release
    #[arg(long)]
    channel: Name,
    /// The private key that signs; several, where the trust root asks for more than one
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The trust root of the enforcers [default: root.json beside the first key]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
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
    let root = TrustRoot::pinned(&root_json)
        .with_context(|| format!("`{}` is no trust root", root_path.display()))?;
    let store = Store::open(&arguments.store)?;
    let mut publication =
        publication(arguments.channel.clone(), now()?, arguments.expires, arguments.stale_after)?;
    progress("compiling and testing …");
    let sources = arguments.set.sources()?;
    let Some(compiled) = super::compile(&sources, &mut Profile::start())? else {
        return Ok(Outcome::Bad);
    };
    let replaced =
        super::block_on(async { Ok(store.newest_sources(&arguments.channel, &root).await?) })?;
    publication.replaces = Some(replaced.as_ref().map_or(0, |(serial, _)| *serial));
    if let Some((serial, old)) = &replaced
        && !diff::may_follow(*serial, old, &sources)?
    {
        return Ok(Outcome::Bad);
    }
    progress("publishing …");
    let keys: Vec<&SigningKey> = keys.iter().collect();
    let published = super::block_on(async {
        Ok(store.publish(&compiled, &publication, &keys, (&root, &root_json)).await?)
    })?;
    anstream::println!(
        "{GOOD}published{PLAIN} release {} of channel {} ({})",
        published.serial,
        arguments.channel,
        published.release
    );
    anstream::println!(
        "  {} policies, {} tests passed, {}, expires {}",
        compiled.manifest.policies.len(),
        compiled.manifest.tests.passed,
        proofs(&compiled.manifest),
        publication.expires
    );
    Ok(Outcome::Good)
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
    let issued = Timestamp { nanoseconds: 0, ..now };
    let expires = later(issued, expires);
    let stale = later(expires, stale_after);
    Ok(Publication { channel, issued, expires, stale, replaces: None })
}

pub(crate) fn read_key(path: &Path) -> anyhow::Result<SigningKey> {
    let pem = String::from_utf8(read(path)?).unwrap_or_default();
    read_signing_key(&pem).map_err(|reason| anyhow::anyhow!("`{}` is {reason}", path.display()))
}

/// How many invariants are proven, and how many assumed.
fn proofs(manifest: &Manifest) -> String {
    let of = |status| {
        let invariants = manifest.proofs.iter().filter(|proof| proof.kind == ProofKind::Invariant);
        invariants.filter(|proof| proof.status == status).count()
    };
    let proven = count(of(ProofStatus::Proven), "invariant proven", "invariants proven");
    match of(ProofStatus::Assumed) {
        0 => proven,
        assumed => format!("{proven}, {assumed} assumed"),
    }
}
