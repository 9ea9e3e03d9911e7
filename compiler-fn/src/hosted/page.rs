//! A report as one HTML page, for people who read no code: no scripts, nothing fetched, fit for paper.

use std::fmt::{Result as FmtResult, Write as _};

use aecp_contract::{
    manifest::{ProofKind, ProofStatus},
    report::{Outcome, Report, Reported, Severity, Since},
};

use crate::compliance::{Html, STYLE};

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_page(&mut out, report);
    out
}

fn write_page(out: &mut String, report: &Report) -> FmtResult {
    let (title, meaning) = verdict(report);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{0}: {1}</title>\n<style>\n{STYLE}\
         </style>\n</head>\n<body>\n<main>\n<h1>{0}: <code>{1}</code></h1>\n<p class=\"{2}\">{3}</p>\n",
        Html(title),
        Html(&report.upload.key),
        if report.outcome == Outcome::Rejected { "care" } else { "" },
        Html(&meaning)
    )?;
    write_facts(out, report)?;
    write_findings(out, report)?;
    if let Some(since) = &report.since {
        write_since(out, since)?;
    }
    write_results(out, report)?;
    writeln!(
        out,
        "<p>This page is made of the signed report that lies beside it, and says nothing else. Who wants proof verifies \
         that one.</p>\n</main>\n</body>\n</html>"
    )
}

/// What became of it, in two words and in a sentence.
fn verdict(report: &Report) -> (&'static str, String) {
    let channel = report.channel.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    match report.outcome {
        Outcome::Accepted { serial, .. } => (
            "Accepted",
            format!(
                "The set compiled, its tests passed, and it is release {serial} of channel {channel}. Enforcers take it \
                 up within seconds."
            ),
        ),
        Outcome::Unchanged { serial } => (
            "Nothing to do",
            format!("Release {serial} of channel {channel} says exactly the same already; it stays in force."),
        ),
        Outcome::Superseded { serial } => (
            "Too late",
            format!(
                "Release {serial} of channel {channel} came after this was uploaded, and stays in force. If this is to \
                 replace it, upload it again under another name."
            ),
        ),
        Outcome::Rejected => (
            "Rejected",
            "Nothing was changed: whatever was in force stays in force. What is wrong is listed below; mend it and \
             upload the set again."
                .to_owned(),
        ),
    }
}

fn write_facts(out: &mut String, report: &Report) -> FmtResult {
    out.push_str("<dl>\n");
    let mut fact = |name: &str, value: &str| writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Html(value));
    fact("Set", &report.set.to_string())?;
    for (name, value) in [
        ("Channel", report.channel.as_ref().map(ToString::to_string)),
        ("Submitted by", report.author.clone()),
        ("Because", report.justification.clone()),
        ("Sources (SHA-256)", report.source.map(|digest| digest.to_string())),
    ] {
        if let Some(value) = value {
            fact(name, &value)?;
        }
    }
    fact("Uploaded", &report.upload.uploaded.to_string())?;
    fact("Upload (SHA-256)", &report.upload.digest.to_string())?;
    fact("Looked at", &report.time.to_string())?;
    fact("Made by", &report.compiler)?;
    writeln!(out, "</dl>")
}

fn write_findings(out: &mut String, report: &Report) -> FmtResult {
    for (severity, id, title, none) in [
        (Severity::Error, "errors", "What is wrong", "Nothing is wrong."),
        (Severity::Warning, "warnings", "What to look at", "Nothing else was noticed."),
    ] {
        writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>")?;
        let mut findings = report.findings.iter().filter(|one| one.severity == severity).peekable();
        if findings.peek().is_none() {
            writeln!(out, "<p>{none}</p>")?;
        }
        for finding in findings {
            write_finding(out, finding)?;
        }
        writeln!(out, "</section>")?;
    }
    Ok(())
}

fn write_finding(out: &mut String, finding: &Reported) -> FmtResult {
    writeln!(out, "<article>\n<h3>{}</h3>", Html(&finding.message))?;
    write!(out, "<p><small>{}", Html(&finding.code))?;
    if let Some(file) = &finding.file {
        write!(out, ", {}, line {}", Html(file), finding.line)?;
    }
    if !finding.policies.is_empty() {
        write!(out, ", about {}", Html(&finding.policies.join(", ")))?;
    }
    writeln!(out, "</small></p>")?;
    if let Some(cause) = &finding.cause {
        writeln!(out, "<p>Why: {}</p>", Html(cause))?;
    }
    if let Some(suggestion) = &finding.suggestion {
        writeln!(out, "<p>Try: {}</p>", Html(suggestion))?;
    }
    if let Some(witness) = &finding.witness {
        writeln!(out, "<p>A request that shows it: <code>{}</code></p>", Html(witness.get()))?;
    }
    writeln!(out, "</article>")
}

fn write_since(out: &mut String, since: &Since) -> FmtResult {
    let heading = match since.serial {
        0 => "What comes into force".to_owned(),
        serial => format!("What changes against release {serial}"),
    };
    writeln!(out, "<section aria-labelledby=\"changes\">\n<h2 id=\"changes\">{heading}</h2>")?;
    if let Some(summary) = &since.summary {
        writeln!(out, "<p>{}</p>", Html(summary))?;
    }
    writeln!(out, "<ul>")?;
    for change in &since.changes {
        writeln!(out, "<li>{}: {}</li>", Html(&change.policy), change.change.as_str())?;
    }
    for moved in &since.moves {
        writeln!(out, "<li>{}: {}, which was {}</li>", Html(&moved.policy), moved.to, moved.from)?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn write_results(out: &mut String, report: &Report) -> FmtResult {
    let Some(tests) = &report.tests else { return Ok(()) };
    writeln!(
        out,
        "<section aria-labelledby=\"results\">\n<h2 id=\"results\">Tests and proofs</h2>\n<p>{} tests passed, {} \
         failed.</p>\n<ul>",
        tests.passed, tests.failed
    )?;
    for proof in report.proofs.iter().filter(|proof| proof.kind == ProofKind::Invariant) {
        let status = match proof.status {
            ProofStatus::Proven => "holds of every request, proven",
            ProofStatus::Assumed => "not proven; its author vouches for it",
            ProofStatus::Suspended => "does not hold of this release, in which policies are held back",
        };
        writeln!(out, "<li>{}: {status}</li>", Html(&proof.name))?;
    }
    writeln!(out, "</ul>\n</section>")
}
