//! `aecp report`: what the hosted compiler said of an upload, checked offline.

use std::path::{Path, PathBuf};

use aecp_compiler::{
    compile::COMPILER,
    hosted::{page::page, sarif::sarif},
};
use aecp_contract::{
    refusal::{Code, Refusal},
    report::{Outcome as Said, Report, Severity},
    trust::TrustRoot,
};
use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;

use super::{Format, read, release::pinned_root};
use crate::{
    Outcome,
    terminal::{BAD, CARE, GOOD, PLAIN, count},
};

/// Check a report of the hosted compiler
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
}

/// Verify offline that a report is what the compiler signed, and that its pages say nothing else
///
/// Takes the signed report, `reports/<set>/<name>.json` of the store, and checks that the judicial keys of the trust root
/// signed it. The pages of the same name beside it, `.html` and `.sarif`, are made of the report: they are made again and
/// compared. Each is the `same`, or it `differs`, or is `not_compared`, where another version of the compiler made it.
///
/// Exit code 1 if the report is not signed so, or a page differs; of an upload that was rejected, too, a report verifies.
///
/// As JSON: {"verified","root","report":{…},"pages":[{"page","result"}]}, or {"verified":false,"code","detail"}.
///
/// Example: aecp report verify march.zip.1a2b3c4d5e6f7081.json --root root.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
struct Verify {
    /// The signed report
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// The trust root to believe; repeated, each succeeds the one before it
    #[arg(long, value_name = "FILE", required = true)]
    root: Vec<PathBuf>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A page beside a report.
#[derive(Debug, Serialize)]
struct Page {
    page: String,
    result: Agreement,
}

/// What comes of making a page again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Agreement {
    Same,
    Differs,
    NotCompared,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Command::Verify(arguments) = &arguments.command;
    let roots = succession(&arguments.root)?;
    let (newest, older) = roots.split_last().context("give a trust root (--root)")?;
    let (report, root) = match verified(&read(&arguments.report)?, newest, older) {
        Ok(verified) => verified,
        Err(refusal) => {
            match arguments.format {
                Format::Text => {
                    anstream::println!("{BAD}refused{PLAIN} {refusal}");
                    if matches!(refusal.code, Code::UnknownKey | Code::ThresholdNotMet) {
                        println!("  if its key was replaced since, give the trust root of its time");
                    }
                }
                Format::Json => println!(
                    "{}",
                    serde_json::json!({
                        "verified": false, "code": refusal.code.as_str(), "detail": refusal.detail,
                    })
                ),
            }
            return Ok(Outcome::Bad);
        }
    };
    let pages = pages(&arguments.report, &report)?;
    match arguments.format {
        Format::Text => print(&report, root, &pages),
        Format::Json => println!(
            "{}",
            serde_json::json!({ "verified": true, "root": root, "report": report, "pages": pages })
        ),
    }
    let differs = pages.iter().any(|page| page.result == Agreement::Differs);
    Ok(if differs { Outcome::Bad } else { Outcome::Good })
}

/// The trust roots of these files, the first of which is believed as it is.
fn succession(paths: &[PathBuf]) -> anyhow::Result<Vec<TrustRoot>> {
    let mut roots: Vec<TrustRoot> = Vec::new();
    for path in paths {
        let root = match roots.last() {
            None => pinned_root(path)?,
            Some(before) => before.successor(&read(path)?).with_context(|| {
                format!("`{}` does not succeed the trust root before it", path.display())
            })?,
        };
        roots.push(root);
    }
    Ok(roots)
}

/// The report, and the version of the root whose keys signed it; else what the newest root says.
fn verified(json: &[u8], newest: &TrustRoot, older: &[TrustRoot]) -> Result<(Report, u32), Refusal> {
    let by = |root: &TrustRoot| Ok((Report::verify(json, root)?, root.version()));
    by(newest).or_else(|refusal| older.iter().rev().find_map(|root| by(root).ok()).ok_or(refusal))
}

/// What becomes of the pages that lie beside the report.
fn pages(path: &Path, report: &Report) -> anyhow::Result<Vec<Page>> {
    let mut pages = Vec::new();
    for (ending, make) in [("html", page as fn(&Report) -> String), ("sarif", sarif)] {
        let path = path.with_extension(ending);
        if !path.is_file() {
            continue;
        }
        let result = if read(&path)? == make(report).into_bytes() {
            Agreement::Same
        } else if report.compiler == COMPILER {
            Agreement::Differs
        } else {
            Agreement::NotCompared
        };
        pages.push(Page { page: path.display().to_string(), result });
    }
    Ok(pages)
}

fn print(report: &Report, root: u32, pages: &[Page]) {
    anstream::println!("{GOOD}verified{PLAIN} report of {}", report.upload.key);
    match report.outcome {
        Said::Accepted { serial, release } => println!("  accepted  as release {serial} ({release})"),
        Said::Unchanged { serial } => println!("  unchanged release {serial} is of the same sources"),
        Said::Superseded { serial } => println!("  too late  release {serial} was in force"),
        Said::Rejected => anstream::println!("  {CARE}rejected{PLAIN}  nothing was changed"),
    }
    if let Some(channel) = &report.channel {
        println!("  channel   {channel}");
    }
    println!("  upload    {}, at {}", report.upload.digest, report.upload.uploaded);
    if let Some(author) = &report.author {
        println!("  author    {author}");
    }
    if let Some(justification) = &report.justification {
        println!("  because   {justification}");
    }
    if let Some(source) = &report.source {
        println!("  sources   {source}");
    }
    let of = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let errors = count(of(Severity::Error), "error", "errors");
    println!("  findings  {errors}, {}", count(of(Severity::Warning), "warning", "warnings"));
    println!("  made      at {} by {}, under trust root {root}", report.time, report.compiler);
    for Page { page, result } in pages {
        match result {
            Agreement::Same => anstream::println!("  {GOOD}same{PLAIN}      {page}"),
            Agreement::Differs => {
                anstream::println!(
                    "  {BAD}differs{PLAIN}   {page} says something else; do not rely on it"
                );
            }
            Agreement::NotCompared => anstream::println!(
                "  {CARE}unsure{PLAIN}    {page} is not what this version makes of the report; use `aecp` of {}",
                report.compiler
            ),
        }
    }
}
