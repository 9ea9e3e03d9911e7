//! `aecp coverage-map`: which controls of a framework have policies and tests.

mod text;

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use aecp_compiler::{
    check::check,
    compliance::{CoverageMap, Framework, coverage_map, page},
    generate,
    interpret::Loaded,
    testing,
};
use anyhow::Context as _;
use clap::ValueEnum;

use super::SetArgument;
use crate::{
    Outcome, diagnostics,
    terminal::{BAD, PLAIN, count},
};

/// Show which controls of a compliance framework have policies and tests
///
/// Example: aecp coverage-map policies/hipaa --format html --out hipaa.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// The frameworks to show; may repeat. Without it, those that the set's COMPLIANCE fields name
    #[arg(long, value_enum, value_name = "NAME")]
    framework: Vec<FrameworkName>,
    /// For people, for machines, or a page for auditors
    #[arg(long, value_enum, default_value = "text")]
    format: MapFormat,
    /// The file to write, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FrameworkName {
    /// GDPR
    Gdpr,
    /// HIPAA, 45 CFR Part 164
    Hipaa,
    /// PCI DSS 4.0.1
    PciDss,
    /// SOC 2, the Trust Services Criteria
    Soc2,
}

impl From<FrameworkName> for Framework {
    fn from(name: FrameworkName) -> Self {
        match name {
            FrameworkName::Gdpr => Self::Gdpr,
            FrameworkName::Hipaa => Self::Hipaa,
            FrameworkName::PciDss => Self::PciDss,
            FrameworkName::Soc2 => Self::Soc2,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MapFormat {
    /// People
    Text,
    /// Machines
    Json,
    /// One page without scripts, to read or print
    Html,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = arguments.set.sources()?;
    let checked = check(&sources);
    let Some(set) = checked.set else {
        diagnostics::print(&checked.findings, &sources);
        return Ok(Outcome::Bad);
    };
    let core = generate::core_module(&set)?;
    let results = testing::run(&set, &Loaded::new(&set, &core)?)?;
    let frameworks: Vec<_> = arguments.framework.iter().map(|name| (*name).into()).collect();
    let map = coverage_map(&sources, &set, &results, &frameworks)?;
    write(arguments, &map)?;
    if map.failed_tests == 0 {
        return Ok(Outcome::Good);
    }
    let failed = count(map.failed_tests, "test fails and counts", "tests fail and count");
    anstream::eprintln!("{BAD}{failed} for nothing{PLAIN}; `aecp test` shows how");
    Ok(Outcome::Bad)
}

fn write(arguments: &Arguments, map: &CoverageMap<'_>) -> anyhow::Result<()> {
    let set = arguments.set.set.display().to_string();
    let written = match arguments.format {
        MapFormat::Text => text::text(map, &set),
        MapFormat::Json => serde_json::to_string(map)? + "\n",
        MapFormat::Html => page(map, &set),
    };
    match (&arguments.out, arguments.format) {
        (Some(file), format) => {
            let plain = anstream::adapter::strip_str(&written).to_string();
            let bytes = if format == MapFormat::Text { &plain } else { &written };
            fs::write(file, bytes).with_context(|| format!("cannot write `{}`", file.display()))
        }
        (None, MapFormat::Text) => Ok(anstream::stdout().lock().write_all(written.as_bytes())?),
        (None, _) => Ok(io::stdout().lock().write_all(written.as_bytes())?),
    }
}
