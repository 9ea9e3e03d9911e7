//! What a run showed, as a table for people and as JSON, each number beside what it should be.

use std::{collections::BTreeMap, fmt::Write as _, thread};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    contest::{Measured, Row, Who},
    measure::Times,
};

#[derive(Serialize)]
pub(crate) struct Report {
    rules: usize,
    /// Requests on which all engines were seen to agree.
    requests_checked: usize,
    machine: Machine,
    /// By crate.
    versions: BTreeMap<&'static str, &'static str>,
    engines: Vec<Line>,
    /// Engines that cannot take so many rules, with their reasons.
    absent: BTreeMap<&'static str, String>,
    targets: Vec<Target>,
}

#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    /// Processes that wanted a core in the minute before, as the kernel counts them.
    load: f64,
}

#[derive(Serialize)]
struct Line {
    engine: &'static str,
    prepared_ns: Times,
    json_ns: Times,
    /// Time from JSON, AECP's being 1: of the means, and of the medians, which interruptions move least.
    json_ratio: f64,
    json_ratio_p50: f64,
    ready_ms: f64,
}

#[derive(Serialize)]
pub(crate) struct Target {
    what: &'static str,
    target: String,
    measured: String,
    met: bool,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| {
                Some(line.strip_prefix("model name")?.trim_start_matches(['\t', ' ', ':']).to_owned())
            })
            .unwrap_or_else(|| "unknown CPU".to_owned());
        let load = read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok());
        Self {
            cpu,
            cores: thread::available_parallelism().map_or(1, Into::into),
            load: load.unwrap_or(f64::NAN),
        }
    }
    /// What it is, and whether it was too busy for its figures to be believed.
    pub(crate) fn sentence(&self) -> String {
        let Self { cpu, cores, load } = self;
        let busy = if *load > *cores as f64 {
            " **Busy:** other processes' time is in the means and p99, and can be in one engine's more than in \
             another's; only p50 is worth comparing."
        } else {
            ""
        };
        format!("{cpu}, {cores} cores, load {load:.1}.{busy}")
    }
}

/// The version of a crate that this program was built with.
fn version(name: &str) -> Option<&'static str> {
    let (_, after) =
        include_str!("../Cargo.lock").split_once(&format!("name = \"{name}\"\nversion = \""))?;
    after.split('"').next()
}

fn at_most(what: &'static str, ns: f64, target_ns: f64) -> Target {
    Target {
        what,
        target: format!("≤ {}", duration(target_ns)),
        measured: duration(ns),
        met: ns <= target_ns,
    }
}

impl Report {
    pub(crate) fn new(measured: &Measured) -> anyhow::Result<Self> {
        let aecp = measured.row(Who::Aecp)?;
        let peer = fastest_peer(measured)?;
        let lead = peer.json.mean / aecp.json.mean;
        let lead_p50 = f64::from(peer.json.p50) / f64::from(aecp.json.p50);
        let targets = vec![
            at_most("attributes filled, mean", aecp.prepared.mean, 360.0),
            at_most("attributes filled, p99", aecp.prepared.p99.into(), 700.0),
            at_most("from JSON, mean", aecp.json.mean, 1000.0),
            at_most("from JSON, p99", aecp.json.p99.into(), 2000.0),
            Target {
                what: "faster than the fastest peer, from JSON",
                target: "≥ 90×".to_owned(),
                measured: format!("{lead:.0}× (p50 {lead_p50:.0}×; {})", peer.who.label()),
                met: lead >= 90.0,
            },
        ];
        let line = |row: &Row| Line {
            engine: row.who.label(),
            prepared_ns: row.prepared,
            json_ns: row.json,
            json_ratio: round(row.json.mean / aecp.json.mean),
            json_ratio_p50: round(f64::from(row.json.p50) / f64::from(aecp.json.p50)),
            ready_ms: round(row.ready.as_secs_f64() * 1000.0),
        };
        Ok(Self {
            rules: measured.rules,
            requests_checked: measured.checked,
            machine: Machine::this(),
            versions: [
                ("aecp", "aecp-enforcer"),
                ("cedar-policy", "cedar-policy"),
                ("regorus", "regorus"),
            ]
            .into_iter()
            .filter_map(|(name, package)| Some((name, version(package)?)))
            .collect(),
            engines: measured.rows.iter().map(line).collect(),
            absent: measured.absent.iter().map(|(who, reason)| (who.label(), reason.clone())).collect(),
            targets,
        })
    }

    /// Markdown.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let versions: Vec<_> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "{} rules; {}; all agreed on {} requests. {}\n\n\
             | engine | prepared: mean | p50 | p99 | from JSON: mean | p50 | p99 | AECP = 1: mean | p50 | loaded in |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            count(self.rules),
            versions.join(", "),
            count(self.requests_checked),
            self.machine.sentence(),
        );
        for line in &self.engines {
            let [prepared, json] = [line.prepared_ns, line.json_ns].map(|times| {
                let times = [times.mean, times.p50.into(), times.p99.into()];
                times.map(duration).join(" | ")
            });
            let ready =
                if line.ready_ms < 0.1 { "–".to_owned() } else { duration(line.ready_ms * 1e6) };
            let _ = writeln!(
                out,
                "| {} | {prepared} | {json} | {} | {} | {ready} |",
                line.engine,
                ratio(line.json_ratio),
                ratio(line.json_ratio_p50),
            );
        }
        for (engine, reason) in &self.absent {
            let _ = writeln!(out, "\n{engine} does not take so many: {reason}.");
        }
        out.push('\n');
        out.push_str(&targets(&self.targets));
        out
    }
}

/// How each engine grows with the rules, as Markdown.
pub(crate) fn growth(sizes: &[Measured]) -> anyhow::Result<String> {
    let mut out = format!("Means. {}\n\n| rules | AECP, prepared |", Machine::this().sentence());
    for who in Who::ALL {
        let _ = write!(out, " {}, from JSON |", who.label());
    }
    out.push_str(" agreed on |\n|---:|---:|");
    out.push_str(&"---:|".repeat(Who::ALL.len() + 1));
    for size in sizes {
        let _ = write!(
            out,
            "\n| {} | {} |",
            count(size.rules),
            duration(size.row(Who::Aecp)?.prepared.mean)
        );
        for who in Who::ALL {
            let mean = size.row(who).map_or_else(|_| "–".to_owned(), |row| duration(row.json.mean));
            let _ = write!(out, " {mean} |");
        }
        let _ = write!(out, " {} requests |", count(size.checked));
    }
    for size in sizes {
        for (who, reason) in &size.absent {
            let _ =
                write!(out, "\n\n{} does not take {} rules: {reason}.", who.label(), count(size.rules));
        }
    }
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else { return Ok(out) };
    let grown = |what, json: bool| -> anyhow::Result<Target> {
        let times =
            |size: &Measured| size.row(Who::Aecp).map(|row| if json { row.json } else { row.prepared });
        let (few, many) = (times(first)?, times(last)?);
        let factor = many.mean / few.mean;
        let factor_p50 = f64::from(many.p50) / f64::from(few.p50);
        Ok(Target {
            what,
            target: "< 2×".to_owned(),
            measured: format!("{factor:.2}× (p50 {factor_p50:.2}×)"),
            met: factor < 2.0,
        })
    };
    out.push_str("\n\n");
    out.push_str(&targets(&[
        grown("growth from the fewest to the most rules, attributes filled", false)?,
        grown("growth from the fewest to the most rules, from JSON", true)?,
    ]));
    Ok(out)
}

fn targets(targets: &[Target]) -> String {
    let mut out = String::from("| AECP | target | measured | |\n|---|---:|---:|---|\n");
    for Target { what, target, measured, met } in targets {
        let _ = writeln!(
            out,
            "| {what} | {target} | {measured} | {} |",
            if *met { "met" } else { "**missed**" }
        );
    }
    out
}

fn fastest_peer(measured: &Measured) -> anyhow::Result<&Row> {
    let peers = measured.rows.iter().filter(|row| row.who.is_peer());
    peers.min_by(|a, b| a.json.mean.total_cmp(&b.json.mean)).context("no peer was measured")
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

pub(crate) fn count(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

/// Nanoseconds with three digits and the unit that suits them.
pub(crate) fn duration(ns: f64) -> String {
    let (number, unit) = match ns {
        ..1e3 => (ns, "ns"),
        ..1e6 => (ns / 1e3, "µs"),
        ..1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let decimals = if unit == "ns" || number >= 100.0 {
        0
    } else if number >= 10.0 {
        1
    } else {
        2
    };
    format!("{number:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_their_unit() {
        assert_eq!(
            [63.4, 940.0, 1234.0, 56_789.0, 3.2e8, 2e9].map(duration),
            ["63 ns", "940 ns", "1.23 µs", "56.8 µs", "320 ms", "2.00 s"]
        );
    }

    #[test]
    fn the_versions_are_those_of_the_lock_file() {
        for name in ["aecp-enforcer", "cedar-policy", "regorus"] {
            assert!(
                version(name).is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())),
                "{name}"
            );
        }
    }
}
