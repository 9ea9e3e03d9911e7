//! `aecp check`: every diagnostic of a set.

use std::{collections::BTreeMap, io::Write as _};

use aecp_compiler::{analyse::check, findings::has_errors};

use super::{Format, SetArgument};
use crate::{
    Outcome, diagnostics,
    terminal::{GOOD, PLAIN, count},
};

/// Check a policy set and show everything that is wrong with it
///
/// Example: aecp check policies/gdpr_residency
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = arguments.set.sources()?;
    let checked = check(&sources);
    match arguments.format {
        Format::Json => {
            let findings: Vec<_> =
                checked.findings.iter().map(|finding| finding.to_json(&sources)).collect();
            let mut out = std::io::stdout().lock();
            serde_json::to_writer(&mut out, &BTreeMap::from([("findings", findings)]))?;
            writeln!(out)?;
        }
        Format::Text => {
            diagnostics::print(&checked.findings, &sources);
            if let Some(set) = &checked.set {
                anstream::println!(
                    "{GOOD}ok{PLAIN}: {}, {}, {}",
                    count(set.policies.len(), "policy", "policies"),
                    count(set.tests.len(), "test", "tests"),
                    count(set.attributes.len(), "attribute", "attributes"),
                );
            }
        }
    }
    Ok(if has_errors(&checked.findings) { Outcome::Bad } else { Outcome::Good })
}
