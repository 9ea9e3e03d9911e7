//! A report as one HTML page, for people who read no code: no scripts, nothing fetched, fit for paper.

use std::fmt::{Result as FmtResult, Write as _};

use aecp_compiler::compliance::{Html, STYLE};
use aecp_contract::{
    audit::{DecisionRecord, Event},
    value::Timestamp,
};

use super::report::{InForce, PolicyReport, Report, Shown};
use crate::audit::word;

/// What a pack says and what it does not.
const MEANING: &str = "Releases, history and the entries that are shown are proven by signatures and inclusion proofs, \
                       which `aecp evidence verify` checks offline. The sums over the logs are the word of whoever signed \
                       this pack; whoever has the logs can count again up to the checkpoints that are named. Nothing here \
                       says that a control is met: that is for people to judge.";

/// The page.
pub(crate) fn page(report: &Report, signer: &str) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_page(&mut out, report, signer);
    out
}

fn write_page(out: &mut String, report: &Report, signer: &str) -> FmtResult {
    let control = Html(&report.control);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>Evidence for {control}</title>\n<style>\n\
         {STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Evidence for {control}</h1>\n"
    )?;
    if let Some(title) = &report.title {
        writeln!(out, "<p>{}</p>", Html(title))?;
    }
    writeln!(
        out,
        "<p>{MEANING}</p>\n<dl>\n<dt>Channel</dt><dd>{}</dd>\n<dt>From</dt><dd>{}</dd>\n<dt>To</dt><dd>{}</dd>\n\
         <dt>Made</dt><dd>{} by {}</dd>\n<dt>Signed by key</dt><dd><code>{}</code></dd>\n</dl>",
        Html(&report.channel.to_string()),
        report.from,
        report.to,
        seconds(report.made),
        Html(&report.compiler),
        Html(signer),
    )?;
    summary(out, report)?;
    releases(out, &report.releases)?;
    writeln!(out, "<section aria-labelledby=\"policies\">\n<h2 id=\"policies\">Policies</h2>")?;
    if report.policies.is_empty() {
        writeln!(out, "<p class=\"care\">No policy that was in force names this control.</p>")?;
    }
    for one in &report.policies {
        policy(out, one)?;
    }
    writeln!(out, "</section>")?;
    let of: u64 = report.logs.iter().map(|log| log.sums.shown_of).sum();
    entries(out, "decisions", "Denials and lifted denials", &report.decisions, of)?;
    let of: u64 = report.logs.iter().map(|log| log.sums.gaps).sum();
    entries(out, "gaps", "Gaps in the record", &report.gaps, of)?;
    writeln!(out, "</main>\n</body>\n</html>")
}

/// A time as people read it.
fn seconds(time: Timestamp) -> String {
    Timestamp { nanoseconds: 0, ..time }.to_string()
}

fn summary(out: &mut String, report: &Report) -> FmtResult {
    writeln!(
        out,
        "<table>\n<caption>What was decided in this time, by log</caption>\n<thead><tr><th scope=\"col\">Log</th>\
         <th scope=\"col\" class=\"number\">Entries in all</th><th scope=\"col\" class=\"number\">Decisions</th>\
         <th scope=\"col\" class=\"number\">Denials</th><th scope=\"col\" class=\"number\">By this control</th>\
         <th scope=\"col\" class=\"number\">Not recorded</th><th scope=\"col\" class=\"number\">Crashes</th></tr></thead>\n\
         <tbody>"
    )?;
    for log in &report.logs {
        let sums = &log.sums;
        write!(out, "<tr><th scope=\"row\">{}</th>", Html(&log.origin))?;
        for number in [log.size, sums.decisions, sums.denials, sums.shown_of, sums.lost, sums.crashes] {
            write!(out, "<td class=\"number\">{number}</td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table>")
}

fn releases(out: &mut String, releases: &[InForce]) -> FmtResult {
    writeln!(
        out,
        "<section aria-labelledby=\"releases\">\n<h2 id=\"releases\">Releases in force</h2>\n<table>\n<thead><tr>\
         <th scope=\"col\">Release</th><th scope=\"col\">In force</th><th scope=\"col\">Author</th>\
         <th scope=\"col\">Why</th><th scope=\"col\" class=\"number\">Tests</th>\
         <th scope=\"col\" class=\"number\">Decisions</th></tr></thead>\n<tbody>"
    )?;
    for release in releases {
        let to = release.to.map_or_else(|| "now".to_owned(), seconds);
        let digest: String = release.digest.to_string().chars().take(16).collect();
        writeln!(
            out,
            "<tr><th scope=\"row\">{}<br><small><code>{digest}…</code></small></th><td>{}<br>to {to}</td><td>{}{}</td>\
             <td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            release.serial,
            seconds(release.from),
            Html(release.author.as_deref().unwrap_or("not said")),
            if release.signed_by.is_empty() { "" } else { ", who signed it" },
            Html(release.justification.as_deref().unwrap_or("not said")),
            release.tests,
            release.decisions,
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn policy(out: &mut String, policy: &PolicyReport) -> FmtResult {
    let sums = &policy.sums;
    writeln!(
        out,
        "<article>\n<h3>{}</h3>\n<p>{}</p>\n<p><small>{}</small></p>\n<p>Violated {} times, undecided {} times; {} of \
         these requests were denied. Lifted by a token {} times.</p>",
        Html(&policy.policy),
        Html(policy.description.as_deref().unwrap_or_default()),
        Html(&policy.references.join(" · ")),
        sums.violated,
        sums.indeterminate,
        sums.denied,
        sums.excepted
    )?;
    for stint in &policy.stints {
        let version = stint.version.map_or_else(String::new, |version| format!(", version {version}"));
        writeln!(
            out,
            "<p>Releases {} to {}: {}{version}, in state {}</p>",
            stint.first,
            stint.last,
            stint.enforcement.as_str(),
            stint.state
        )?;
    }
    if !policy.changes.is_empty() {
        writeln!(out, "<p>History:</p>\n<ul>")?;
        for change in &policy.changes {
            writeln!(
                out,
                "<li>{}, release {}: {}. {}{}: {}</li>",
                seconds(change.time),
                change.serial,
                Html(&change.what),
                Html(change.author.as_deref().unwrap_or("author not said")),
                if change.signed { " (signed)" } else { "" },
                Html(change.justification.as_deref().unwrap_or("no reason given")),
            )?;
        }
        writeln!(out, "</ul>")?;
    }
    for (what, tests) in [("satisfy", &policy.satisfied), ("violate", &policy.violated)] {
        match tests {
            None => writeln!(out, "<p class=\"care\">Its tests are not known here.</p>")?,
            Some(tests) if tests.is_empty() => {
                writeln!(out, "<p class=\"care\">No test of it {what}s it.</p>")?;
            }
            Some(tests) => {
                writeln!(out, "<p>Tests that {what} it:</p>\n<ul>")?;
                for test in tests {
                    writeln!(out, "<li>{}</li>", Html(test))?;
                }
                writeln!(out, "</ul>")?;
            }
        }
    }
    for proof in &policy.proofs {
        writeln!(
            out,
            "<p>Invariant {}: {}, {}</p>",
            Html(&proof.name),
            word(&proof.status),
            Html(&proof.method)
        )?;
    }
    writeln!(out, "</article>")
}

fn entries(out: &mut String, id: &str, title: &str, shown: &[Shown], of: u64) -> FmtResult {
    writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>")?;
    if shown.is_empty() {
        return writeln!(out, "<p>There are none.</p>\n</section>");
    }
    writeln!(
        out,
        "<p>{} of {of}, each proven to be in its log.</p>\n<table>\n<thead><tr><th scope=\"col\">Log and entry</th>\
         <th scope=\"col\">Time</th><th scope=\"col\">What</th></tr></thead>\n<tbody>",
        shown.len()
    )?;
    for Shown { log, entry } in shown {
        let what = match &entry.event {
            Event::Gap(gap) => format!("{} decisions not recorded ({})", gap.lost, word(&gap.reason)),
            Event::Decision(decided) => decision(decided),
            _ => String::new(),
        };
        writeln!(
            out,
            "<tr><th scope=\"row\">{}#{}</th><td>{}</td><td>{}</td></tr>",
            Html(&log.to_string()),
            entry.seq,
            seconds(entry.time),
            Html(&what)
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn decision(decided: &DecisionRecord) -> String {
    let mut words = vec![decided.decision.as_str().to_owned()];
    for (what, list) in [("violated", &decided.violated), ("undecided", &decided.indeterminate)] {
        let names: Vec<&str> = list.iter().map(|one| one.policy.as_str()).collect();
        if !names.is_empty() {
            words.push(format!("{what}: {}", names.join(", ")));
        }
    }
    if !decided.excepted.is_empty() {
        words.push(format!("lifted by a token: {}", decided.excepted.join(", ")));
    }
    words.push(format!("request {}", decided.request_id));
    words.join("; ")
}
