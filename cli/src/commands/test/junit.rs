//! A run of the tests as JUnit XML, as CI servers read it: one suite, one case for each test and row, times in seconds.

use std::{io::Write as _, time::Duration};

use super::{Report, Timed};

pub(super) fn print(report: &Report<'_>, set: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let total = report.tests.len();
    let failed = report.summary.failed;
    let time = seconds(report.tests.iter().map(|test| test.took).sum());
    let counts = format!(r#"tests="{total}" failures="{failed}" errors="0" time="{time}""#);
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="aecp test" {counts}>"#)?;
    writeln!(out, r#"<testsuite name="{}" {counts} skipped="0">"#, xml(set))?;
    let covered = report.covered;
    writeln!(out, "  <properties>")?;
    writeln!(out, r#"    <property name="clause_coverage_percent" value="{}"/>"#, covered.percent())?;
    writeln!(out, "  </properties>")?;
    for test in &report.tests {
        let (file, line) = report.place(test.result.test.span);
        let (name, file, time) = (xml(&test.result.test.name), xml(file), seconds(test.took));
        write!(
            out,
            r#"  <testcase name="{name}" classname="{file}" file="{file}" line="{line}" time="{time}""#
        )?;
        match &test.result.failure {
            None => writeln!(out, "/>")?,
            Some(failure) => {
                let (message, text) = (xml(failure), xml(&why(test, failure)));
                writeln!(out, ">")?;
                writeln!(out, r#"    <failure message="{message}" type="TEST">{text}</failure>"#)?;
                writeln!(out, "  </testcase>")?;
            }
        }
    }
    writeln!(out, "</testsuite>\n</testsuites>")?;
    Ok(())
}

fn why(test: &Timed<'_>, failure: &str) -> String {
    let mut text = format!(
        "expected {}\nactual {}\ngiven {}\n",
        test.expected(),
        test.actual().unwrap_or(failure),
        test.result.test.request
    );
    if let Some(why) = &test.why {
        text.push_str(&why.to_string());
    }
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.6}", time.as_secs_f64())
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
            c if (c < ' ' && !"\t\n\r".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}
