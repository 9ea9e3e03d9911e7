//! `aecp diff`: what changes from one policy set to another.

mod report;

use std::path::{Path, PathBuf};

use aecp_compiler::{check::check, diff::compare, set::PolicySet, source::Sources};
use aecp_contract::release::SOURCES;
use aecp_enforcer::{Artifacts, VerifiedRelease};
use anyhow::{Context as _, bail};

use super::{Format, SetArgument, release::ReleaseArguments};
use crate::{Outcome, diagnostics};

/// Show what changes from one policy set to another, each change with a request that shows it
///
/// First each policy that means something else, is worded otherwise, was added or removed; then requests that are
/// decided otherwise, in both directions. A policy's meaning is compared, not its text: a new layout is no change.
/// OLD is a policy set, or with --store the newest release of a channel.
///
/// Exit codes: 0 no request changes its decision, which is proven; 1 some do, or it is not decided; 2 the sets could
/// not be compared.
///
/// Example: aecp diff policies/hipaa drafts/hipaa
/// Example: aecp diff --store s3://bucket --channel prod --root keys/root.json policies/hipaa
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[command(override_usage = "aecp diff [OPTIONS] OLD NEW\n       \
                            aecp diff [OPTIONS] --store URL --channel CHANNEL --root FILE NEW")]
pub(crate) struct Arguments {
    /// The policy sets: folders of `.aecp` files, or single such files
    #[arg(value_names = ["OLD", "NEW"], num_args = 1..=2, required = true)]
    sets: Vec<PathBuf>,
    #[command(flatten)]
    release: ReleaseArguments,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let (old, new) = match (arguments.sets.as_slice(), arguments.release.fetch(Artifacts::All)?) {
        ([old, new], None) => (read(old)?, new),
        ([new], Some(release)) => (sources(&release.context("the release is refused")?)?, new),
        _ => bail!("give OLD and NEW, or --store with --channel and --root in place of OLD"),
    };
    let new = read(new)?;
    let (old, new) = (checked(&old, "OLD")?, checked(&new, "NEW")?);
    let diff = compare(&old, &new)?;
    match arguments.format {
        Format::Text => report::print(&diff),
        Format::Json => report::print_json(&diff)?,
    }
    Ok(if diff.decides_alike() { Outcome::Good } else { Outcome::Bad })
}

fn read(set: &Path) -> anyhow::Result<Sources> {
    SetArgument { set: set.to_path_buf() }.sources()
}

/// The sources that a release carries.
fn sources(release: &VerifiedRelease) -> anyhow::Result<Sources> {
    let sources = Sources::from_archive(release.artifact(SOURCES)?)?;
    if sources.digest() != release.statement().release().source {
        bail!("`{SOURCES}` does not have the digest of the release's sources");
    }
    Ok(sources)
}

/// The set, or what is wrong with it.
fn checked(sources: &Sources, which: &str) -> anyhow::Result<PolicySet> {
    let checked = check(sources);
    checked.set.ok_or_else(|| {
        diagnostics::print(&checked.findings, sources);
        anyhow::anyhow!("{which} has errors, so that its policies mean nothing yet")
    })
}
