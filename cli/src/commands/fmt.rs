//! `aecp fmt`: one layout for everybody.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use aecp_compiler::{findings::Finding, language::format::format, source::Source};
use anyhow::Context as _;

use super::SetArgument;
use crate::{Outcome, diagnostics, terminal::count};

/// Put the files of a policy set into the standard layout, keeping comments
///
/// Example: aecp fmt policies/gdpr_residency --check
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// Change nothing; name the files that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = arguments.set.sources()?;
    let root = &arguments.set.set;
    let (mut changed, mut findings) = (0, Vec::new());
    for (index, source) in (0..).zip(sources.files()) {
        match format(&source.text) {
            Err(errors) => findings.extend(errors.into_iter().map(|error| in_file(error, index))),
            Ok(text) if text == source.text => {}
            Ok(text) => {
                changed += 1;
                let path = place(root, source);
                if arguments.check {
                    anstream::println!("would change {}", path.display());
                } else {
                    replace(&path, &text)?;
                    anstream::println!("formatted {}", path.display());
                }
            }
        }
    }
    // A file that cannot be parsed is left alone; the others are formatted all the same.
    diagnostics::print(&findings, &sources);
    if changed == 0 && findings.is_empty() {
        anstream::println!("{} already formatted", count(sources.files().len(), "file", "files"));
    }
    let bad = !findings.is_empty() || (arguments.check && changed > 0);
    Ok(if bad { Outcome::Bad } else { Outcome::Good })
}

/// A finding of a file that was parsed by itself, as number `index` of the set.
fn in_file(mut finding: Finding, index: u32) -> Finding {
    finding.labels.iter_mut().for_each(|label| label.span.file = index);
    finding
}

fn place(root: &Path, source: &Source) -> PathBuf {
    if root.is_file() { root.to_owned() } else { root.join(&source.path) }
}

/// Writes beside the file and renames, so that no crash leaves half a file.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        let beside = path.with_extension("aecp.tmp");
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::set_permissions(&beside, fs::metadata(path)?.permissions())?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}
