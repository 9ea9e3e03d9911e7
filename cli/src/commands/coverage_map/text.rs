//! A coverage map for the terminal: the sums first, then what has policies, then what has none.

use std::{
    collections::BTreeMap,
    fmt::{Result as FmtResult, Write as _},
};

use aecp_compiler::compliance::{CoverageMap, FrameworkCoverage, MEANING, State, plain};

use crate::terminal::{BAD, CARE, FAINT, GOOD, PLAIN, count};

/// Columns of a line of identifiers.
const WIDTH: usize = 100;

pub(super) fn text(map: &CoverageMap<'_>, set: &str) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write(&mut out, map, set);
    out
}

fn write(out: &mut String, map: &CoverageMap<'_>, set: &str) -> FmtResult {
    let policies = count(map.policies_in_set, "policy", "policies");
    writeln!(out, "{}: {policies}, {} passed", plain(set), count(map.passed_tests, "test", "tests"))?;
    if map.frameworks.is_empty() {
        writeln!(out, "\nThe set refers to no framework that has a catalogue.")?;
    } else {
        writeln!(
            out,
            "\n{:32}{:>9}{:>15}{:>10}{:>11}",
            "controls", "tested", "partly tested", "untested", "no policy"
        )?;
    }
    for framework in &map.frameworks {
        let FrameworkCoverage { name, summary, .. } = framework;
        let all: usize = summary.values().sum();
        let number = |state: State| summary.get(&state).copied().unwrap_or_default();
        let [tested, partly, untested, none] = State::ALL.map(number);
        writeln!(
            out,
            "{:32}{tested:>9}{partly:>15}{untested:>10}{none:>11}",
            format!("{name}, {all} in all")
        )?;
    }
    for framework in &map.frameworks {
        write_framework(out, framework, map)?;
    }
    list(out, "Named, but in no catalogue (W080)", &map.unknown)?;
    list(out, "Of frameworks without a catalogue", &map.other)?;
    writeln!(out)?;
    wrapped(out, "", MEANING.split(' '), " ")
}

fn write_framework(
    out: &mut String,
    framework: &FrameworkCoverage<'_>,
    map: &CoverageMap<'_>,
) -> FmtResult {
    writeln!(out, "\n{}: {} ({})", framework.name, framework.title, framework.edition)?;
    let controls = || framework.sections.iter().flat_map(|section| &section.controls);
    for control in controls().filter(|control| control.state != State::None) {
        let colour = match control.state {
            State::Tested => GOOD,
            State::PartlyTested => CARE,
            State::Untested | State::None => BAD,
        };
        let state = control.state.as_str();
        writeln!(out, "  {colour}{state:13}{PLAIN}  {}  {FAINT}{}{PLAIN}", control.name, control.title)?;
        for name in &control.policies {
            let Some(policy) = map.policy(name) else { continue };
            write!(
                out,
                "      {name} ({}:{}, {}): {} satisfied, {} violated",
                plain(policy.file),
                policy.line,
                policy.enforcement.as_str(),
                policy.satisfied.count,
                policy.violated.count
            )?;
            if policy.undecided.count > 0 {
                write!(out, ", {} undecided", policy.undecided.count)?;
            }
            writeln!(out)?;
        }
    }
    for (name, policies) in &framework.parts {
        writeln!(out, "  as a whole     {name}, for none of its controls: {}", policies.join(", "))?;
    }
    if controls().any(|control| control.state == State::None) {
        writeln!(out, "  no policy names")?;
    }
    for section in &framework.sections {
        let none = section.controls.iter().filter(|control| control.state == State::None);
        let ids: Vec<_> = none.map(|control| control.id).collect();
        if ids.len() == section.controls.len() {
            writeln!(out, "      {} ({}): none of {}", section.id, section.title, ids.len())?;
        } else if !ids.is_empty() {
            wrapped(out, &format!("      {} ({}): ", section.id, section.title), ids.into_iter(), ", ")?;
        }
    }
    Ok(())
}

fn list(out: &mut String, title: &str, references: &BTreeMap<&str, Vec<&str>>) -> FmtResult {
    if !references.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    for (reference, policies) in references {
        writeln!(out, "  {}: {}", plain(reference), policies.join(", "))?;
    }
    Ok(())
}

/// Words after a beginning, in lines of at most [`WIDTH`] columns.
fn wrapped<'a>(
    out: &mut String,
    beginning: &str,
    words: impl Iterator<Item = &'a str>,
    between: &str,
) -> FmtResult {
    let indent = beginning.len() - beginning.trim_start().len();
    let indent = if indent == 0 { 0 } else { indent + 2 };
    let mut line = beginning.to_owned();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        if line.chars().count() + word.chars().count() > WIDTH && line.trim() != "" {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(indent);
        }
        line.push_str(word);
        if words.peek().is_some() {
            line.push_str(between);
        }
    }
    writeln!(out, "{}", line.trim_end())
}
