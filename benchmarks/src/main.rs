//! AECP beside a hand-written evaluator, Cedar and regorus: the same rules, the same requests, one process.
//!
//! `docs/benchmarks.md` says what is measured and what bounds it.

mod aecp;
mod audit;
mod cedar;
mod contest;
mod docs;
mod engine;
mod hand;
mod measure;
mod plot;
mod random;
mod rego;
mod report;
mod workload;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    contest::{Effort, Measured, run},
    report::Report,
    workload::Workload,
};

/// AECP beside a hand-written evaluator, Cedar and regorus
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure all engines on the same rules and requests, and print the ratios
    Compare {
        /// Rules, ten for each resource type
        #[arg(long, default_value = "250", value_parser = rule_count)]
        rules: usize,
        /// For people or for machines
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Measure all engines with 10 to 10,000 rules, and draw how their times grow
    Growth {
        /// Where the plot goes
        #[arg(long, value_name = "FILE")]
        svg: PathBuf,
    },
    /// Do all three and put the tables into docs/benchmarks.md and the plot into docs/growth.svg
    Docs,
    /// Measure what durable records of decisions cost on the disk of a folder
    Audit {
        /// Where to write; removed again at the end
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// For people or for machines
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Write an AECP policy set and requests for `aecp bench`, as DIR/set and DIR/requests.jsonl
    Generate {
        /// Rules, ten for each resource type
        #[arg(value_parser = rule_count)]
        rules: usize,
        /// The folder; it is made if it is not there
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

const SIZES: [usize; 7] = [10, 30, 100, 300, 1000, 3000, 10_000];

const COMPARE: Effort = Effort {
    rounds: 200,
    requests: 4096,
    pass: Duration::from_millis(4),
    check: Duration::MAX, // all requests
};

const GROWTH: Effort = Effort {
    rounds: 25,
    requests: 2048,
    pass: Duration::from_millis(2),
    check: Duration::from_secs(2), // and at least `MIN_CHECKED`
};

/// Names have five digits.
fn rule_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=100_000) => Ok(count),
        _ => Err("1 to 100000 rules".to_owned()),
    }
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Compare { rules, format } => {
            let report = compare(rules)?;
            match format {
                Format::Text => print!("{}", report.table()),
                Format::Json => println!("{}", serde_json::to_string(&report)?),
            }
        }
        Command::Growth { svg } => {
            let sizes = growth()?;
            write(svg, plot::svg(&sizes))?;
            print!("{}", report::growth(&sizes)?);
        }
        Command::Docs => {
            let report = compare(250)?;
            let sizes = growth()?;
            let audit = audit::run(&std::env::temp_dir())?.table()?;
            let growth = report::growth(&sizes)?;
            docs::update(&[("compare", report.table()), ("growth", growth), ("audit", audit)])?;
            write(docs::folder().join("growth.svg"), plot::svg(&sizes))?;
        }
        Command::Audit { dir, format } => {
            let measured = audit::run(&dir)?;
            match format {
                Format::Text => print!("{}", measured.table()?),
                Format::Json => println!("{}", serde_json::to_string(&measured)?),
            }
        }
        Command::Generate { rules, dir } => generate(rules, dir)?,
    }
    Ok(())
}

fn compare(rules: usize) -> anyhow::Result<Report> {
    let measured = run(&[Workload::new(rules)], COMPARE)?;
    Report::new(measured.first().context("nothing was measured")?)
}

fn growth() -> anyhow::Result<Vec<Measured>> {
    run(&SIZES.map(Workload::new), GROWTH)
}

fn generate(rules: usize, dir: PathBuf) -> anyhow::Result<()> {
    let workload = Workload::new(rules);
    let set = dir.join("set");
    fs::create_dir_all(&set).with_context(|| format!("cannot make `{}`", set.display()))?;
    for (path, text) in aecp::files(&workload) {
        write(set.join(path), text)?;
    }
    let mut lines = workload.requests.join(&b'\n');
    lines.push(b'\n');
    write(dir.join("requests.jsonl"), lines)
}

fn write(path: PathBuf, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    fs::write(&path, content).with_context(|| format!("cannot write `{}`", path.display()))
}
