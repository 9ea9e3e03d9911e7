//! `aecp diff`: what changes from one policy set to another.

mod report;

use std::path::{Path, PathBuf};

use aecp_compiler::{check::check, diff::compare, set::PolicySet, source::Sources};
use aecp_contract::{layout::Name, release::SOURCES};
use aecp_enforcer::{Artifacts, ReleaseSource, Store, now};
use anyhow::{Context as _, bail};

use super::{Format, SetArgument, decide::pinned_root};
use crate::{Outcome, diagnostics, terminal::progress};

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
    /// The store whose release takes the place of OLD
    #[arg(long, value_name = "URL", requires_all = ["channel", "root"])]
    store: Option<String>,
    /// The channel whose newest release is taken
    #[arg(long, requires = "store")]
    channel: Option<Name>,
    /// The trust root to believe
    #[arg(long, value_name = "FILE", requires = "store")]
    root: Option<PathBuf>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let (old, new) = match (arguments.sets.as_slice(), &arguments.store) {
        ([old, new], None) => (read(old)?, new),
        ([new], Some(store)) => (released(store, arguments)?, new),
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

/// The sources of a channel's newest release, verified as an enforcer would.
fn released(store: &str, arguments: &Arguments) -> anyhow::Result<Sources> {
    let Arguments { channel: Some(channel), root: Some(root), .. } = arguments else {
        bail!("--store needs --channel and --root");
    };
    let root = pinned_root(root)?;
    let source = ReleaseSource::new(Store::open(store)?, channel.clone());
    progress("fetching the release …");
    let release = super::block_on(async {
        source.fetch_latest(&root, now(), Artifacts::All).await.context("the release is refused")
    })?;
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
