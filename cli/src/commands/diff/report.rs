//! A comparison as people and machines read it.

use std::io::Write as _;

use aecp_compiler::diff::{Change, Decisions, Diff, FieldChange, PolicyDiff, TypeChange};
use serde::Serialize;

use crate::terminal::{BAD, CARE, FAINT, GOOD, PLAIN};

/// So many policies and requests are shown to people; more help nobody.
const MAX_SHOWN: usize = 200;

/// What `aecp diff --format json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Whether it is proven that no request changes its decision.
    decides_alike: bool,
    /// All but those that say the same.
    policies: Vec<&'a PolicyDiff>,
    /// How many say the same.
    same: usize,
    attributes: &'a [TypeChange],
    denied: &'a Decisions,
    allowed: &'a Decisions,
}

pub(super) fn print_json(diff: &Diff) -> anyhow::Result<()> {
    let report = Report {
        decides_alike: diff.decides_alike(),
        policies: changed(diff).collect(),
        same: diff.policies_that(Change::Same).count(),
        attributes: &diff.attributes,
        denied: &diff.denied,
        allowed: &diff.allowed,
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &report)?;
    writeln!(out)?;
    Ok(())
}

pub(super) fn print(diff: &Diff) {
    for TypeChange { path, before, after } in &diff.attributes {
        anstream::println!("{CARE}attribute{PLAIN} {path} was {before}, is {after}\n");
    }
    for policy in changed(diff).take(MAX_SHOWN) {
        print_policy(policy);
    }
    more(changed(diff).count());
    decisions("ALLOW becomes DENY", "denied by", &diff.denied);
    decisions("DENY becomes ALLOW", "was denied by", &diff.allowed);
    println!("{}", diff.summary());
}

fn changed(diff: &Diff) -> impl Iterator<Item = &PolicyDiff> {
    diff.policies.iter().filter(|policy| policy.change != Change::Same)
}

fn print_policy(diff: &PolicyDiff) {
    let (colour, word) = match diff.change {
        Change::Changed => (CARE, "changed"),
        Change::NotDecided => (BAD, "not decided"),
        Change::Added => (GOOD, "added"),
        Change::Removed => (BAD, "removed"),
        Change::Reworded | Change::Same => (FAINT, "reworded"),
    };
    anstream::println!("{colour}{word}{PLAIN} {}", diff.policy);
    for FieldChange { field, before, after } in &diff.fields {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "not there".to_owned());
        println!("  {field}");
        println!("    was {}", text(before));
        println!("    is  {}", text(after));
    }
    for shown in &diff.shown {
        println!("  was {}, is {}:", shown.before.as_str(), shown.after.as_str());
        println!("    {}", shown.request);
    }
    if let Some(reason) = &diff.reason {
        println!("  whether it means the same is not decided: {reason}");
    }
    println!();
}

fn decisions(title: &str, by: &str, decisions: &Decisions) {
    if decisions.shown.is_empty() && decisions.not_decided.is_empty() {
        anstream::println!("{GOOD}{title}{PLAIN} for no request: proven\n");
        return;
    }
    anstream::println!("{CARE}{title}{PLAIN}");
    for change in decisions.shown.iter().take(MAX_SHOWN) {
        let modules = change.by_default_of.iter().map(|name| format!("DEFAULT: DENY of module {name}"));
        let names: Vec<String> = change.by.iter().cloned().chain(modules).collect();
        println!("  {}", change.request);
        println!("    {by} {}", names.join(", "));
    }
    more(decisions.shown.len());
    for open in decisions.not_decided.iter().take(MAX_SHOWN) {
        println!("  not decided for {}: {}", open.about, open.why);
    }
    more(decisions.not_decided.len());
    println!();
}

fn more(count: usize) {
    if count > MAX_SHOWN {
        println!("… and {} more\n", count - MAX_SHOWN);
    }
}
