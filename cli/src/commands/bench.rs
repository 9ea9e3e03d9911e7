//! `aecp bench`: how long this set takes on this machine, compiled as an enforcer runs it.

mod report;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use aecp_compiler::check::check;
use aecp_contract::slots::SlotBuffer;
use aecp_enforcer::{Artifacts, Engine, PolicyInstance, PolicyPre};
use anyhow::{Context as _, bail};
use serde::{Serialize, Serializer};

use super::{
    Format, SetArgument,
    decide::{next_line, open},
    local,
};
use crate::{
    Outcome,
    profile::{Profile, peak_kb},
    terminal::progress,
};

/// Requests that are prepared and measured together.
const BATCH: usize = 4096;

/// Decisions measured at least, over and over where there are fewer requests.
const MIN_DECISIONS: usize = 200_000;

/// Measure decisions and compilation of a policy set on this machine
///
/// prepared_ns is a decision on filled attribute slots, json_ns one from the request's JSON text; means are
/// over whole batches, percentiles over single decisions, each with one reading of the clock in it. Without
/// --requests, the requests of the set's own tests are taken. The text ends with the rows of the paper's Table 5
/// that one machine can show, beside the paper's figures.
///
/// Example: aecp bench policies/gdpr_residency --requests requests.jsonl --format json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    set: SetArgument,
    /// Requests, one JSON object a line; `-` for standard input
    #[arg(long, value_name = "FILE.jsonl")]
    requests: Option<PathBuf>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Report {
    rules: usize,
    requests: usize,
    prepared_ns: Times,
    json_ns: Times,
    /// Milliseconds of each phase from source to a loaded module, and `total`.
    compile_ms: Milliseconds,
    /// Bytes of the core module.
    module_bytes: usize,
    peak_rss_kb: u64,
}

/// Phases by name, in order.
#[derive(Debug)]
struct Milliseconds(Vec<(&'static str, f64)>);

#[derive(Debug, Serialize)]
struct Times {
    mean: f64,
    p50: u64,
    p99: u64,
    p999: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = arguments.set.sources()?;
    let mut profile = Profile::start();
    let Some(compiled) = super::compile(&sources, &mut profile)? else { return Ok(Outcome::Bad) };
    profile.begin("sign");
    let release = local::sign(&compiled)?;
    profile.end();
    let engine = Engine::new()?;
    profile.begin("load");
    let set = local::load(release, &engine, Artifacts::Needed)?;
    profile.end();
    let mut instance = set.instantiate()?;
    let mut bench = Bench::default();
    match &arguments.requests {
        Some(path) => {
            progress("measuring …");
            let mut input = open(path)?;
            let mut line = Vec::new();
            let mut batch = Vec::new();
            while next_line(&mut input, &mut line)? {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                batch.push(std::mem::take(&mut line));
                if batch.len() == BATCH {
                    bench.measure(&set, &mut instance, &batch)?;
                    batch.clear();
                }
            }
            // Fewer requests than a batch are measured over and over, more than one in one go.
            bench.repeat(&set, &mut instance, &batch)?;
        }
        None => {
            let tests = check(&sources).set.map(|set| set.tests).unwrap_or_default();
            let own: Vec<_> = tests.into_iter().map(|test| test.request.into_bytes()).collect();
            bench.repeat(&set, &mut instance, &own)?;
        }
    }
    if bench.requests == 0 {
        bail!("there are no requests to measure: give --requests, or write TESTs");
    }
    let report = Report {
        rules: set.manifest().policies.len(),
        requests: bench.requests,
        prepared_ns: bench.prepared.times(),
        json_ns: bench.json.times(),
        compile_ms: Milliseconds::of(&profile),
        module_bytes: compiled.core.len(),
        peak_rss_kb: profile.peak_kb().max(peak_kb()).unwrap_or(0),
    };
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string(&report)?),
        Format::Text => report::print(&report),
    }
    Ok(Outcome::Good)
}

#[derive(Default)]
struct Bench {
    requests: usize,
    prepared: Samples,
    json: Samples,
}

#[derive(Default)]
struct Samples {
    total: Duration,
    decisions: usize,
    /// Decisions by their nanoseconds, up to the last which is that or more.
    histogram: Vec<u64>,
}

impl Bench {
    /// Measures the requests over and over, until there are decisions enough.
    fn repeat(
        &mut self,
        set: &PolicyPre,
        instance: &mut PolicyInstance,
        requests: &[Vec<u8>],
    ) -> anyhow::Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        self.measure(set, instance, requests)?;
        let counted = self.requests;
        while self.prepared.decisions < MIN_DECISIONS {
            self.measure(set, instance, requests)?;
        }
        self.requests = counted;
        Ok(())
    }

    /// Measures the next requests of the input once.
    fn measure(
        &mut self,
        set: &PolicyPre,
        instance: &mut PolicyInstance,
        requests: &[Vec<u8>],
    ) -> anyhow::Result<()> {
        let table = set.attributes();
        let mut slots = Vec::with_capacity(requests.len());
        for (index, request) in requests.iter().enumerate() {
            let mut filled = SlotBuffer::new(table.len());
            table
                .read_json(request, &mut filled)
                .with_context(|| format!("request {}", self.requests + index + 1))?;
            slots.push(filled);
        }
        self.prepared.run(&slots, |slots| instance.decide(slots))?;
        self.json.run(requests, |request| instance.decide_json(request))?;
        self.requests += requests.len();
        Ok(())
    }
}

impl Samples {
    fn run<T, R, E>(
        &mut self,
        items: &[T],
        mut decide: impl FnMut(&T) -> Result<R, E>,
    ) -> Result<(), E> {
        let start = Instant::now();
        for item in items {
            std::hint::black_box(decide(item)?);
        }
        self.total += start.elapsed();
        self.decisions += items.len();
        self.histogram.resize(100_000, 0);
        let last = self.histogram.len() - 1;
        let mut before = Instant::now();
        for item in items {
            std::hint::black_box(decide(item)?);
            let after = Instant::now();
            self.histogram[((after - before).as_nanos() as usize).min(last)] += 1;
            before = after;
        }
        Ok(())
    }

    fn times(&self) -> Times {
        let count: u64 = self.histogram.iter().sum();
        let percentile = |thousandths: u64| {
            let mut seen = 0;
            let reached = self.histogram.iter().position(|n| {
                seen += n;
                seen * 1000 >= count * thousandths
            });
            reached.unwrap_or(0) as u64
        };
        let mean = self.total.as_nanos() as f64 / self.decisions.max(1) as f64;
        Times {
            mean: (mean * 10.0).round() / 10.0,
            p50: percentile(500),
            p99: percentile(990),
            p999: percentile(999),
        }
    }
}

impl Milliseconds {
    fn of(profile: &Profile) -> Self {
        let phases = profile.costs().iter().map(|cost| (cost.phase, cost.ms));
        Self(phases.chain([("total", profile.total_ms())]).collect())
    }

    fn get(&self, phase: &str) -> f64 {
        self.0.iter().find(|(name, _)| *name == phase).map_or(0.0, |(_, ms)| *ms)
    }
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
