//! `aecp bench`: how long this set takes on this machine, compiled as an enforcer runs it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use aecp_compiler::{
    check::{check_files, parse_files},
    compile::manifest,
    findings::has_errors,
    generate, testing,
};
use aecp_contract::{
    release::{Artifact, Statement},
    slots::SlotBuffer,
};
use aecp_enforcer::{Engine, PolicyInstance, PolicyPre};
use anyhow::{Context as _, bail};
use ed25519_dalek::SigningKey;
use serde::Serialize;

use super::{
    Format, SetArgument,
    decide::{next_line, open},
};
use crate::{Outcome, diagnostics, terminal::progress};

/// Requests that are prepared and measured together.
const BATCH: usize = 4096;

/// Decisions measured at least, over and over where there are fewer requests.
const MIN_DECISIONS: usize = 200_000;

/// Measure decisions and compilation of a policy set on this machine
///
/// prepared_ns is a decision on filled attribute slots, json_ns one from the request's JSON text; means are
/// over whole batches, percentiles over single decisions, each with one reading of the clock in it. Without
/// --requests, the requests of the set's own tests are taken.
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
    compile_ms: Phases,
    peak_rss_kb: u64,
}

#[derive(Debug, Serialize)]
struct Times {
    mean: f64,
    p50: u64,
    p99: u64,
}

/// Milliseconds of each phase from source to a loaded module.
#[derive(Debug, Default, Serialize)]
struct Phases {
    parse: f64,
    check: f64,
    generate: f64,
    component: f64,
    test: f64,
    sign: f64,
    load: f64,
    total: f64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let mut phases = Phases::default();
    let Some((set, own_requests)) = compile(arguments, &mut phases)? else { return Ok(Outcome::Bad) };
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
        None => bench.repeat(&set, &mut instance, &own_requests)?,
    }
    if bench.requests == 0 {
        bail!("there are no requests to measure: give --requests, or write TESTs");
    }
    let report = Report {
        rules: set.manifest().policies.len(),
        requests: bench.requests,
        prepared_ns: bench.prepared.times(),
        json_ns: bench.json.times(),
        compile_ms: phases,
        peak_rss_kb: peak_rss_kb().unwrap_or(0),
    };
    match arguments.format {
        Format::Json => println!("{}", serde_json::to_string(&report)?),
        Format::Text => print(&report),
    }
    Ok(Outcome::Good)
}

type Requests = Vec<Vec<u8>>;

/// Compiles the set phase by phase, as `aecp publish` does, and loads it as an enforcer does.
fn compile(arguments: &Arguments, phases: &mut Phases) -> anyhow::Result<Option<(PolicyPre, Requests)>> {
    let sources = arguments.set.sources()?;
    let mut clock = Clock::start();
    let (files, findings) = parse_files(&sources);
    phases.parse = clock.lap();
    let checked = check_files(&sources, &files, findings);
    phases.check = clock.lap();
    let Some(set) = checked.set else {
        diagnostics::print(&checked.findings, &sources);
        return Ok(None);
    };
    let core = generate::core_module(&set)?;
    phases.generate = clock.lap();
    let component = generate::component(&core.bytes).map_err(anyhow::Error::msg)?;
    phases.component = clock.lap();
    let results = testing::run(&set, &core)?;
    let failures = testing::findings(&results);
    if has_errors(&failures) {
        diagnostics::print(&failures, &sources);
        return Ok(None);
    }
    phases.test = clock.lap();
    let manifest = manifest(&set, core.cost, testing::summary(&results));
    sign(&core.bytes, &component, manifest.source)?;
    phases.sign = clock.lap();
    let loaded = PolicyPre::new(&Engine::new()?, &core.bytes, manifest)?;
    phases.load = clock.lap();
    phases.total = clock.total();
    let requests = set.tests.iter().map(|test| test.request.clone().into_bytes()).collect();
    Ok(Some((loaded, requests)))
}

/// What signing costs: hashing the artifacts and one signature, with a key that nobody trusts.
fn sign(core: &[u8], component: &[u8], source: aecp_contract::digest::Digest) -> anyhow::Result<()> {
    let now = super::now()?;
    let artifacts = [("core", core), ("component", component)]
        .map(|(name, bytes)| (name.to_owned(), Artifact::of(bytes)));
    let release = aecp_contract::release::Release {
        channel: "bench".parse()?,
        serial: 1,
        issued: now,
        expires: now,
        stale: now,
        source,
        compiler: aecp_compiler::compile::COMPILER.to_owned(),
    };
    let key = SigningKey::from_bytes(&[0; 32]);
    let statement = Statement::new(&artifacts.into_iter().collect(), release);
    std::hint::black_box(statement.sign(&[&key]));
    Ok(())
}

struct Clock {
    start: Instant,
    last: Instant,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now }
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.last, now);
        elapsed.as_secs_f64() * 1000.0
    }

    fn total(&self) -> f64 {
        (self.last - self.start).as_secs_f64() * 1000.0
    }
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
        let percentile = |percent: u64| {
            let mut seen = 0;
            let reached = self.histogram.iter().position(|n| {
                seen += n;
                seen * 100 >= count * percent
            });
            reached.unwrap_or(0) as u64
        };
        let mean = self.total.as_nanos() as f64 / self.decisions.max(1) as f64;
        Times { mean: (mean * 10.0).round() / 10.0, p50: percentile(50), p99: percentile(99) }
    }
}

/// The most memory that this process had resident, from the kernel; `None` where it does not say.
fn peak_rss_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn print(report: &Report) {
    println!("{} rules, {} requests", report.rules, report.requests);
    for (what, times) in [("prepared", &report.prepared_ns), ("from JSON", &report.json_ns)] {
        println!(
            "  {what:<10} mean {:>8.1} ns   p50 {:>7} ns   p99 {:>7} ns",
            times.mean, times.p50, times.p99
        );
    }
    let phases = &report.compile_ms;
    println!("  compiled in {:.1} ms:", phases.total);
    for (phase, ms) in [
        ("parse", phases.parse),
        ("check", phases.check),
        ("generate", phases.generate),
        ("component", phases.component),
        ("test", phases.test),
        ("sign", phases.sign),
        ("load", phases.load),
    ] {
        println!("    {phase:<10} {ms:>8.1} ms");
    }
    println!("  peak memory {} kB", report.peak_rss_kb);
}
