//! A coverage map as one HTML page, for people who read no code: no scripts, nothing fetched, fit for paper.
//!
//! Everything of the set's own text is escaped; states are words, never colour alone.

use std::fmt::{Display, Formatter, Result as FmtResult, Write as _};

use super::coverage::{
    ControlCoverage, CoverageMap, FrameworkCoverage, Outcomes, PolicyCoverage, State,
};

/// What a map says and what it does not; every form of it carries this.
pub const MEANING: &str = "This map says which policies name which control, and which of their tests passed. It does \
                           not say that a control is met: a policy that names one is no proof of compliance, many \
                           controls ask for more than software can enforce, and whether a policy says what its control \
                           asks for is for people to judge.";

/// A text without what could change how its surroundings are shown: control characters and marks of direction.
#[must_use]
pub fn plain(text: &str) -> String {
    let harmless = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

/// The style of pages for auditors.
pub const STYLE: &str = include_str!("page.css");

/// A text as HTML.
pub struct Html<'a>(pub &'a str);

impl Display for Html<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        for c in plain(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The page for a set of this name.
#[must_use]
pub fn page(map: &CoverageMap<'_>, set: &str) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_page(&mut out, map, set);
    out
}

fn write_page(out: &mut String, map: &CoverageMap<'_>, set: &str) -> FmtResult {
    let set = Html(set);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>Coverage map of {set}</title>\n<style>\n{}\
         </style>\n</head>\n<body>\n<main>\n<h1>Coverage map of <code>{set}</code></h1>\n<p>{MEANING}</p>\n",
        STYLE
    )?;
    writeln!(
        out,
        "<dl>\n<dt>Policies in the set</dt><dd>{}</dd>\n<dt>Tests</dt><dd>{} passed, {} failed</dd>\n<dt>Sources \
         (SHA-256)</dt><dd><code>{}</code></dd>\n<dt>Made by</dt><dd>{}</dd>\n</dl>",
        map.policies_in_set, map.passed_tests, map.failed_tests, map.source, map.compiler
    )?;
    if map.failed_tests > 0 {
        writeln!(
            out,
            "<p class=\"care\"><strong>Tests fail.</strong> They count for nothing here, and no release can be made \
             of this set until they pass.</p>"
        )?;
    }
    summary(out, map)?;
    for framework in &map.frameworks {
        write_framework(out, framework, map)?;
    }
    references(out, "unknown", "References that name no control", &map.unknown)?;
    references(out, "other", "References to frameworks without a catalogue", &map.other)?;
    if !map.policies.is_empty() {
        writeln!(
            out,
            "<section aria-labelledby=\"policies\">\n<h2 id=\"policies\">The policies and their tests</h2>"
        )?;
        for policy in &map.policies {
            write_policy(out, policy)?;
        }
        writeln!(out, "</section>")?;
    }
    writeln!(out, "</main>\n</body>\n</html>")
}

fn summary(out: &mut String, map: &CoverageMap<'_>) -> FmtResult {
    if map.frameworks.is_empty() {
        return writeln!(out, "<p>The set refers to no framework that has a catalogue.</p>");
    }
    write!(
        out,
        "<table>\n<caption>Controls by state</caption>\n<thead><tr><th scope=\"col\">Framework</th>"
    )?;
    for state in State::ALL {
        write!(out, "<th scope=\"col\" class=\"number\">{}</th>", state.as_str())?;
    }
    writeln!(out, "<th scope=\"col\" class=\"number\">all</th></tr></thead>\n<tbody>")?;
    for framework in &map.frameworks {
        let (id, name) = (anchor(framework.name), Html(framework.name));
        write!(out, "<tr><th scope=\"row\"><a href=\"#{id}\">{name}</a></th>")?;
        for count in framework.summary.values() {
            write!(out, "<td class=\"number\">{count}</td>")?;
        }
        writeln!(out, "<td class=\"number\">{}</td></tr>", framework.summary.values().sum::<usize>())?;
    }
    writeln!(
        out,
        "</tbody>\n</table>\n<p><b>Tested</b>: each policy that names the control has a test that satisfies it and \
         one that violates it. <b>Partly tested</b>: some tests are there, but not both for each. <b>Untested</b>: no \
         test puts any of its policies to work. <b>No policy</b>: nothing in this set names it.</p>"
    )
}

fn write_framework(
    out: &mut String,
    framework: &FrameworkCoverage<'_>,
    map: &CoverageMap<'_>,
) -> FmtResult {
    let id = anchor(framework.name);
    writeln!(
        out,
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}: {}</h2>\n<p>{}. {}</p>\n<table class=\"controls\">\n\
         <caption>Controls of {}</caption>\n<thead><tr><th scope=\"col\">Control</th><th scope=\"col\">About</th><th \
         scope=\"col\">State</th><th scope=\"col\">Policies</th></tr></thead>",
        Html(framework.name),
        Html(framework.title),
        Html(framework.edition),
        Html(framework.note),
        Html(framework.name),
    )?;
    for section in &framework.sections {
        writeln!(
            out,
            "<tbody>\n<tr class=\"part\"><th scope=\"rowgroup\" colspan=\"4\">{} <span>{}</span></th></tr>",
            Html(section.id),
            Html(section.title)
        )?;
        for control in &section.controls {
            write_control(out, control, framework.name, map)?;
        }
        writeln!(out, "</tbody>")?;
    }
    writeln!(out, "</table>")?;
    if !framework.parts.is_empty() {
        writeln!(out, "<p>Named as a whole, which counts for none of the controls there:</p>\n<ul>")?;
        for (name, policies) in &framework.parts {
            writeln!(out, "<li>{}: {}</li>", Html(name), names(policies))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</section>")
}

fn write_control(
    out: &mut String,
    control: &ControlCoverage<'_>,
    framework: &str,
    map: &CoverageMap<'_>,
) -> FmtResult {
    let name = control.name.strip_prefix(framework).unwrap_or(&control.name).trim_start();
    let (state, class) = (control.state.as_str(), control.state.as_str().replace(' ', "-"));
    write!(
        out,
        "<tr class=\"{class}\"><th scope=\"row\">{}</th><td>{}</td><td>{state}</td><td>",
        Html(name),
        Html(control.title)
    )?;
    let policies = control.policies.iter().filter_map(|name| map.policy(name));
    for (index, policy) in policies.enumerate() {
        let name = Html(policy.name);
        write!(
            out,
            "{}<a href=\"#policy-{name}\">{name}</a> <small>{}, {} satisfied, {} violated",
            if index > 0 { "<br>" } else { "" },
            policy.enforcement.as_str(),
            policy.satisfied.count,
            policy.violated.count
        )?;
        if policy.undecided.count > 0 {
            write!(out, ", {} undecided", policy.undecided.count)?;
        }
        write!(out, "</small>")?;
    }
    writeln!(out, "</td></tr>")
}

fn write_policy(out: &mut String, policy: &PolicyCoverage<'_>) -> FmtResult {
    let (name, references) = (Html(policy.name), policy.references.join(" · "));
    writeln!(
        out,
        "<article>\n<h3 id=\"policy-{name}\">{name}</h3>\n<p>{}, line {}; {}; {}</p>",
        Html(policy.file),
        policy.line,
        policy.enforcement.as_str(),
        Html(&references)
    )?;
    let outcomes = [
        ("Satisfied in", &policy.satisfied),
        ("Violated in", &policy.violated),
        ("Undecided, since an attribute is missing, in", &policy.undecided),
    ];
    for (what, Outcomes { count, tests }) in outcomes {
        if *count > 0 {
            writeln!(out, "<p>{what} {count}:</p>\n<ul>")?;
            for test in tests {
                writeln!(out, "<li>{}</li>", Html(test))?;
            }
            if *count > tests.len() {
                writeln!(out, "<li>and {} more</li>", count - tests.len())?;
            }
            writeln!(out, "</ul>")?;
        }
    }
    if outcomes.iter().all(|(_, outcomes)| outcomes.count == 0) {
        writeln!(out, "<p class=\"care\">It applies in no test.</p>")?;
    }
    writeln!(out, "</article>")
}

fn references(
    out: &mut String,
    id: &str,
    title: &str,
    references: &std::collections::BTreeMap<&str, Vec<&str>>,
) -> FmtResult {
    if references.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n<ul>")?;
    for (reference, policies) in references {
        writeln!(out, "<li>{}: {}</li>", Html(reference), names(policies))?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn names(policies: &[&str]) -> String {
    policies.iter().map(|name| Html(name).to_string()).collect::<Vec<_>>().join(", ")
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests;
