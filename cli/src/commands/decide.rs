//! `aecp decide`: decisions for a file of requests, one line in, one line out.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use aecp_contract::manifest::Point;
use aecp_enforcer::{Artifacts, Decided, Engine, PolicyPre, Reason};
use anyhow::{Context as _, bail};
use clap::Args;

use super::{SetArgument, local, release::ReleaseArguments};
use crate::{Outcome, profile::Profile};

/// The most bytes that one request may have.
pub(super) const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Decide requests, one JSON object a line, as an enforcer would
///
/// Nested objects and dotted keys are the same attribute. Each answer is one line, in the order of the
/// requests; a line that is no request is answered with DENY and its reason.
///
/// Example: aecp decide --set policies/gdpr_residency --requests requests.jsonl
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Compile this policy set
    #[arg(long, value_name = "SET", conflicts_with_all = ["store", "channel", "root"])]
    set: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseArguments,
    /// The point of enforcement to decide at, for policies that say AT: ingress, mesh, data or egress
    #[arg(long)]
    point: Option<Point>,
    /// The requests; `-` for standard input
    #[arg(long, value_name = "FILE.jsonl")]
    requests: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let set =
        policy_set(arguments.set.as_deref(), &arguments.release, arguments.point, Artifacts::Needed)?;
    let Some(set) = set else { return Ok(Outcome::Bad) };
    let mut requests = open(&arguments.requests)?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut line = Vec::new();
    while next_line(&mut requests, &mut line)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let decided = if line.len() > MAX_REQUEST_BYTES {
            Decided::denied(Reason::RequestTooLarge)
        } else {
            set.decide_json(&line)
        };
        serde_json::to_writer(&mut out, &decided).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(Outcome::Good)
}

/// The set at a path, compiled, or a release out of a store, with these artifacts; `None` if it does not compile.
pub(crate) fn policy_set(
    set: Option<&Path>,
    release: &ReleaseArguments,
    point: Option<Point>,
    artifacts: Artifacts,
) -> anyhow::Result<Option<Arc<PolicyPre>>> {
    let engine = Engine::new()?;
    if let Some(set) = set {
        let sources = SetArgument { set: set.to_owned() }.sources()?;
        let Some(compiled) = super::compile(&sources, &mut Profile::start())? else { return Ok(None) };
        return Ok(Some(Arc::new(local::load(local::sign(&compiled)?, &engine, artifacts)?.at(point))));
    }
    let Some(release) = release.fetch(artifacts)? else {
        bail!("give a set, or --store with --channel and --root");
    };
    let release = release.context("the release is refused")?;
    Ok(Some(Arc::new(PolicyPre::load(&engine, &release).context("the release is refused")?.at(point))))
}

pub(crate) type Requests = BufReader<Box<dyn Read>>;

/// Opens a file of requests, or standard input.
pub(crate) fn open(path: &Path) -> anyhow::Result<Requests> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?)
    };
    Ok(BufReader::with_capacity(1 << 16, input))
}

/// Reads the next line without its end; `false` at the end of the input. Of a line longer than a request may
/// be, only so much is kept that it shows.
pub(crate) fn next_line(requests: &mut Requests, line: &mut Vec<u8>) -> anyhow::Result<bool> {
    line.clear();
    let limit = MAX_REQUEST_BYTES as u64 + 2;
    let mut read = requests.by_ref().take(limit).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(false);
    }
    let mut rest = Vec::new();
    while read as u64 == limit && line.last() != Some(&b'\n') && rest.last() != Some(&b'\n') {
        rest.clear();
        read = requests.by_ref().take(limit).read_until(b'\n', &mut rest)?;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(true)
}
