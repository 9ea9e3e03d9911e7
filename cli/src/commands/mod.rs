//! One file per command: its arguments, and what it does with them.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod compile;
mod components;
pub(crate) mod compose;
pub(crate) mod coverage_map;
pub(crate) mod decide;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod history;
pub(crate) mod keygen;
mod local;
pub(crate) mod lsp;
pub(crate) mod publish;
mod release;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod root;
pub(crate) mod sign;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod test;
pub(crate) mod verify;
pub(crate) mod witness;

use std::path::{Path, PathBuf};

use aecp_compiler::{
    compile::{Compiled, compile_sources},
    source::Sources,
};
use aecp_contract::value::Timestamp;
use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::{diagnostics, profile::Profile};

/// The policy set that a command works on.
#[derive(Debug, Args)]
pub(crate) struct SetArgument {
    /// The policy set: a folder of `.aecp` files, or one such file
    #[arg(value_name = "SET")]
    pub(crate) set: PathBuf,
}

impl SetArgument {
    pub(crate) fn sources(&self) -> anyhow::Result<Sources> {
        Ok(Sources::read(&self.set)?)
    }
}

/// For whom a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// People
    Text,
    /// Machines
    Json,
}

/// Compiles and tests a set, showing every finding; `None` if an error keeps it from being compiled.
pub(crate) fn compile(sources: &Sources, profile: &mut Profile) -> anyhow::Result<Option<Compiled>> {
    let outcome = compile_sources(sources, &mut |phase| profile.phase(phase))?;
    profile.end();
    diagnostics::print(&outcome.findings, sources);
    Ok(outcome.compiled)
}

/// The system's time.
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .context("the system's clock stands before 1970")?;
    Ok(Timestamp { seconds: i64::try_from(since.as_secs())?, nanoseconds: since.subsec_nanos() })
}

/// Reads a file, naming it if it cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Runs asynchronous work to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}
