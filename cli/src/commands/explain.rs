//! `aecp explain`: why one request is decided as it is.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use aecp_contract::{
    explain::{Paint, Select},
    manifest::Point,
};
use aecp_enforcer::Artifacts;
use anyhow::Context as _;

use super::{
    Format,
    decide::{MAX_REQUEST_BYTES, policy_set},
    release::ReleaseArguments,
};
use crate::{
    Outcome,
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN},
};

/// Explain the decision on one request: policies in scope, clauses that decide, values
///
/// For each policy in scope it shows every clause with its truth (TRUE, FALSE, or UNKNOWN where an
/// attribute is missing or unusable), the value that it looked at, and its line. ▸ marks the clauses
/// that decide: with another truth, that clause alone would change what the policy says; or, where
/// no clause does so alone, those that do together. Whether the request is allowed or denied, the
/// exit code is 0.
///
/// Example: aecp explain policies/gdpr_residency --request request.json
///          aecp explain --store s3://bucket --channel prod --root keys/root.json --request -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The policy set: a folder of `.aecp` files, or one such file
    #[arg(value_name = "SET", conflicts_with_all = ["store", "channel", "root"])]
    set: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseArguments,
    /// The request, one JSON object; `-` for standard input
    #[arg(long, value_name = "FILE.json")]
    request: PathBuf,
    /// The point of enforcement to decide at, for policies that say AT: ingress, mesh, data or egress
    #[arg(long)]
    point: Option<Point>,
    /// This policy alone, whether it is in scope or not
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let request = read_request(&arguments.request)?;
    let set =
        policy_set(arguments.set.as_deref(), &arguments.release, arguments.point, Artifacts::Explained)?;
    let Some(set) = set else { return Ok(Outcome::Bad) };
    let select = match &arguments.policy {
        None => Select::Auditor,
        Some(name) => {
            let policies = &set.manifest().policies;
            let index = policies.binary_search_by(|policy| policy.name.as_str().cmp(name));
            Select::Policy(index.ok().with_context(|| format!("the set has no policy `{name}`"))?)
        }
    };
    let decided = set.decide_json(&request);
    if let Some(reason) = decided.reason() {
        anyhow::bail!("{}: {}", reason.as_str(), decided.detail().unwrap_or("no policies decided"));
    }
    let explanation = decided.explain_json(&request, select)?;
    match arguments.format {
        Format::Text => {
            let text = explanation.text(&painted);
            anstream::stdout().write_all(text.as_bytes())?;
        }
        Format::Json => {
            let mut out = std::io::stdout().lock();
            serde_json::to_writer(&mut out, &explanation).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(Outcome::Good)
}

/// On terminals; elsewhere the colours are left out again.
pub(super) fn painted(paint: Paint, text: &str) -> String {
    let colour = match paint {
        Paint::Good => GOOD,
        Paint::Bad => BAD,
        Paint::Care => CARE,
        Paint::Faint => FAINT,
    };
    format!("{colour}{text}{PLAIN}")
}

/// Reads the request, no more of it than a request may have.
fn read_request(path: &Path) -> anyhow::Result<Vec<u8>> {
    let named = || format!("cannot read `{}`", path.display());
    let input: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).with_context(named)?)
    };
    let mut request = Vec::new();
    input.take(MAX_REQUEST_BYTES as u64 + 1).read_to_end(&mut request).with_context(named)?;
    anyhow::ensure!(
        request.len() <= MAX_REQUEST_BYTES,
        "the request is larger than {MAX_REQUEST_BYTES} bytes"
    );
    Ok(request)
}
