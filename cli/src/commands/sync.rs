//! `aecp sync`: brings stores up to what the first of them has.

use std::{path::PathBuf, time::Duration};

use aecp_compiler::publish::Store;
use aecp_contract::layout::Name;
use anyhow::bail;

use super::{publish::print_replicas, read};
use crate::Outcome;

/// How long each store may take; what does not come to its end is taken up again by the next run.
const REPLICATION: Duration = Duration::from_mins(30);

/// Copy a channel from the first store to the others
///
/// The newest release with all that it names, trust roots, history and earlier releases: whatever a store lacks is verified
/// by the trust root, written, and read back. Nothing is signed, so no private key is needed. A store that holds a newer
/// release, or another one under the same serial, is refused and left as it is.
///
/// Releases that were signed before the given trust root's predecessor are copied only with an older root: give the oldest
/// that there is.
///
/// Example: aecp sync --store s3://bucket --store gs://bucket --channel prod --root keys/root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The stores, first the one that gives the serials
    #[arg(long, value_name = "URL", required = true)]
    store: Vec<String>,
    /// The channel
    #[arg(long)]
    channel: Name,
    /// The trust root to believe
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let root = read(&arguments.root)?;
    let (store, replicas) = Store::open_all(&arguments.store)?;
    if replicas.is_empty() {
        bail!(
            "there is nothing to bring up to date: give --store again for each store that gets a copy"
        );
    }
    let replicas = super::block_on(async {
        let roots = store.roots(&root).await?;
        Ok(store.replicate(&replicas, &arguments.channel, &roots, REPLICATION).await?)
    })?;
    Ok(if print_replicas(&replicas) { Outcome::Good } else { Outcome::Bad })
}
