//! Which signed release a command is about.

use std::path::{Path, PathBuf};

use aecp_contract::{layout::Name, refusal::Refusal, trust::TrustRoot};
use aecp_enforcer::{Artifacts, ReleaseSource, Store, VerifiedRelease, now};
use anyhow::Context as _;
use clap::Args;

use super::{block_on, read};
use crate::terminal::progress;

/// A channel of one store.
#[derive(Debug, Args)]
pub(crate) struct ChannelArguments {
    /// The store
    #[arg(long, value_name = "URL")]
    pub(crate) store: String,
    /// The channel
    #[arg(long)]
    pub(crate) channel: Name,
    /// The trust root to believe
    #[arg(long, value_name = "FILE")]
    pub(crate) root: PathBuf,
}

/// A channel's newest release, for commands that also do without one.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArguments {
    /// The store that has the release
    #[arg(long, value_name = "URL", requires_all = ["channel", "root"])]
    store: Option<String>,
    /// The channel whose newest release is taken
    #[arg(long, requires = "store")]
    channel: Option<Name>,
    /// The trust root to believe
    #[arg(long, value_name = "FILE", requires = "store")]
    root: Option<PathBuf>,
}

impl ReleaseArguments {
    /// Whether there is to be one.
    pub(crate) fn is_given(&self) -> bool {
        self.store.is_some()
    }

    /// The release, with these artifacts, verified as an enforcer would; `None` where none is asked for.
    pub(crate) fn fetch(
        &self,
        artifacts: Artifacts,
    ) -> anyhow::Result<Option<Result<VerifiedRelease, Refusal>>> {
        let Self { store: Some(store), channel: Some(channel), root: Some(root) } = self else {
            return Ok(None);
        };
        let root = pinned_root(root)?;
        let source = ReleaseSource::new(Store::open(store)?, channel.clone());
        progress("fetching the release …");
        block_on(async { Ok(Some(source.fetch_latest(&root, now(), artifacts).await)) })
    }
}

/// Reads the trust root that the user believes.
pub(crate) fn pinned_root(path: &Path) -> anyhow::Result<TrustRoot> {
    TrustRoot::pinned(&read(path)?).with_context(|| format!("`{}` is no trust root", path.display()))
}
