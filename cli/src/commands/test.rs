//! `aecp test`: a set's TESTs against its WebAssembly.

use std::io::Write as _;

use aecp_compiler::{
    check::check,
    generate,
    interpret::Loaded,
    source::Sources,
    testing::{self, TestResult},
};
use clap::ValueEnum;

use super::SetArgument;
use crate::{
    Outcome, diagnostics,
    terminal::{BAD, FAINT, GOOD, PLAIN},
};

/// Run the tests of a policy set against its compiled WebAssembly
///
/// Example: aecp test policies/hipaa --format junit > report.xml
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// For people, for machines, or for CI servers
    #[arg(long, value_enum, default_value = "text")]
    format: TestFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// People
    Text,
    /// Machines
    Json,
    /// JUnit XML, as CI servers read it
    Junit,
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
    let summary = testing::summary(&results);
    match arguments.format {
        TestFormat::Text => text(&results, &sources),
        TestFormat::Json => json(&results, &sources)?,
        TestFormat::Junit => junit(&results, &sources, &arguments.set.set.display().to_string())?,
    }
    Ok(if summary.failed == 0 { Outcome::Good } else { Outcome::Bad })
}

fn text(results: &[TestResult<'_>], sources: &Sources) {
    for result in results {
        match &result.failure {
            None => anstream::println!("{GOOD}pass{PLAIN}  {}", result.test.name),
            Some(failure) => {
                anstream::println!("{BAD}FAIL{PLAIN}  {}", result.test.name);
                anstream::println!("      {failure}");
                anstream::println!("      {FAINT}given {}{PLAIN}", result.test.request);
            }
        }
    }
    diagnostics::print(&testing::findings(results), sources);
    let summary = testing::summary(results);
    if summary == Default::default() {
        anstream::println!("the set has no tests");
    } else {
        anstream::println!("{} passed, {} failed", summary.passed, summary.failed);
    }
}

fn place(result: &TestResult<'_>, sources: &Sources) -> (String, usize) {
    let span = result.test.span;
    let file = sources.files().get(span.file as usize).map_or("", |file| file.path.as_str());
    (file.to_owned(), sources.position(span.file, span.start).line)
}

fn json(results: &[TestResult<'_>], sources: &Sources) -> anyhow::Result<()> {
    let tests: Vec<_> = results
        .iter()
        .map(|result| {
            let (file, line) = place(result, sources);
            serde_json::json!({
                "name": result.test.name,
                "file": file,
                "line": line,
                "passed": result.failure.is_none(),
                "failure": result.failure,
            })
        })
        .collect();
    let summary = testing::summary(results);
    let report = serde_json::json!({
        "passed": summary.passed, "failed": summary.failed, "tests": tests,
    });
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &report)?;
    writeln!(out)?;
    Ok(())
}

fn junit(results: &[TestResult<'_>], sources: &Sources, set: &str) -> anyhow::Result<()> {
    let summary = testing::summary(results);
    let total = summary.passed + summary.failed;
    let mut out = std::io::stdout().lock();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let failed = summary.failed;
    writeln!(out, r#"<testsuite name="{}" tests="{total}" failures="{failed}">"#, xml(set))?;
    for result in results {
        let (file, line) = place(result, sources);
        let (name, file) = (xml(&result.test.name), xml(&file));
        write!(out, r#"  <testcase name="{name}" classname="{file}" file="{file}" line="{line}""#)?;
        match &result.failure {
            None => writeln!(out, "/>")?,
            Some(failure) => writeln!(out, r#"><failure message="{}"/></testcase>"#, xml(failure))?,
        }
    }
    writeln!(out, "</testsuite>")?;
    Ok(())
}

fn xml(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write these.
            c if c < ' ' && !"\t\n\r".contains(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
