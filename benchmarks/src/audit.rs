//! What a durable record costs: records a second, what answers wait for it at several rates, bytes, and how fast a log is
//! verified. All of it goes through the enforcer's own recorder, shipper and checks, on the disk of the folder that is
//! given.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use aecp_compiler::{
    compile::compile_sources,
    local::LocalRelease,
    source::{Source, Sources},
};
use aecp_contract::{
    audit::check::LogCheck,
    tlog::{checkpoint::Checkpoint, policy::LogPolicy, tile::Tile},
};
use aecp_enforcer::{
    AuditConfig, Engine, PolicyPre, VerifiedRelease,
    metrics::Metrics,
    record::{LogIdentity, Recorder, Recording, RequestContext, Shipper},
    store::Store,
};
use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;
use serde::Serialize;
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{aecp::files, workload::Workload};

/// Decisions a second at which waiting is measured.
const RATES: [u64; 3] = [1_000, 5_000, 20_000];

/// How long each is kept up.
const SPAN: Duration = Duration::from_secs(5);

/// Requests that are under way at once where records are made as fast as they can be.
const CLIENTS: usize = 256;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// Median of one write of 4 KiB that is made durable: what this disk takes.
    sync_us: f64,
    records_per_second: f64,
    /// With what opens its commitments.
    bytes_per_record: f64,
    /// In the store's log.
    log_bytes_per_record: f64,
    waits: Vec<Waits>,
    verified_per_second: f64,
}

/// What decisions take at a rate, from when they come to when they may leave; those of a millisecond come at once.
#[derive(Debug, Serialize)]
struct Waits {
    rate: u64,
    /// Decisions a second that there were.
    reached: f64,
    none_us: Percentiles,
    required_us: Percentiles,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Percentiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len().saturating_sub(1)) * percent / 100;
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        Self { p50: at(50), p99: at(99) }
    }
}

/// A set of 250 rules whose decisions are recorded so.
fn set(level: &str) -> anyhow::Result<Arc<PolicyPre>> {
    let audit = |(path, text): (String, String)| Source {
        path,
        text: text.replace("  ENFORCEMENT:", &format!("  AUDIT: {level}\n  ENFORCEMENT:")),
    };
    let sources = files(&Workload::new(250)).into_iter().map(audit).collect();
    let compiled = compile_sources(&Sources::new(sources), &mut |_| ())?.compiled;
    let key = SigningKey::from_bytes(&[1; 32]); // of a release that stays in this process
    let compiled = compiled.context("the generated set has errors")?;
    let LocalRelease { envelope, artifacts, root, channel } =
        LocalRelease::sign(&compiled, &key, aecp_enforcer::now())?;
    let release = VerifiedRelease::verify(envelope, artifacts, &root, &channel)?;
    Ok(Arc::new(PolicyPre::load(&Engine::new()?, &release)?))
}

fn context(number: u64) -> RequestContext {
    RequestContext {
        request_id: format!("{number:032x}").into(),
        trace_id: None,
        point: "v1/decision",
        started: Instant::now(),
    }
}

/// Measures in a new folder below `folder`.
pub(crate) fn run(folder: &Path) -> anyhow::Result<Measured> {
    let folder = folder.join(format!("aecp-audit-benchmark-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let measured = measure(&folder);
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    measured
}

fn measure(folder: &Path) -> anyhow::Result<Measured> {
    let (required, none) = (set("REQUIRED")?, set("NONE")?);
    let requests = Arc::new(Workload::new(250).requests);
    let runtime = Runtime::new()?;
    let sync_us = sync(folder)?;
    let (records_per_second, [bytes_per_record, log_bytes_per_record], verified_per_second) =
        runtime.block_on(throughput(folder, &required, &requests))?;
    let mut waits = Vec::new();
    for rate in RATES {
        // One beside the other: what else the machine does meets both.
        let mut times = Vec::new();
        for (set, name) in [(&none, "none"), (&required, "required")] {
            let spool = folder.join(format!("{name}-{rate}"));
            times.push(runtime.block_on(at_rate(&spool, set, &requests, rate))?);
        }
        let (Some((required_us, reached)), Some((none_us, _))) = (times.pop(), times.pop()) else {
            continue;
        };
        waits.push(Waits { rate, reached, none_us, required_us });
    }
    Ok(Measured {
        sync_us,
        records_per_second,
        bytes_per_record,
        log_bytes_per_record,
        waits,
        verified_per_second,
    })
}

fn sync(folder: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("sync"))?;
    let block = [0; 4096];
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    Ok(Percentiles::of(times).p50)
}

/// Records as fast as they are made durable, then ships and verifies them.
async fn throughput(
    folder: &Path,
    set: &Arc<PolicyPre>,
    requests: &Arc<Vec<Vec<u8>>>,
) -> anyhow::Result<(f64, [f64; 2], f64)> {
    let (state, store) = (folder.join("state"), folder.join("store"));
    fs::create_dir_all(&state)?;
    fs::create_dir_all(&store)?;
    let metrics = Arc::new(Metrics::default());
    let recorder =
        Arc::new(Recorder::start(&state.join("decisions"), Recording::default(), Arc::clone(&metrics))?);
    let until = Instant::now() + SPAN;
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (recorder, set, requests) = (Arc::clone(&recorder), Arc::clone(set), Arc::clone(requests));
        clients.spawn(async move {
            let mut done = 0_u64;
            for request in requests.iter().cycle().skip(client * 31) {
                if Instant::now() > until {
                    break;
                }
                let context = context(done);
                recorder.settle(set.decide_json(request), &context).await;
                done += 1;
            }
            done
        });
    }
    let mut records = 0;
    while let Some(done) = clients.join_next().await {
        records += done?;
    }
    let elapsed = started.elapsed().as_secs_f64();
    let bytes = folder_bytes(&state.join("decisions"))?;
    let identity = LogIdentity::open(&state, &"bench".parse()?, Some("bench".parse()?))?;
    let key = identity.verifier();
    let url = format!("file://{}", store.display());
    let paths = (state.join("decisions"), state.join("shipped.json"));
    let shipping = AuditConfig::default().shipping;
    Shipper::open(identity, recorder, Store::open(&url)?, paths, shipping, metrics)?.ship().await?;
    let log = folder_bytes(&store.join("audit/bench/tile/entries"))?;
    let verified = verify(&store.join("audit/bench"), &LogPolicy::of_logs(vec![key]))?;
    let per_record = [bytes, log].map(|bytes| bytes as f64 / records as f64);
    Ok((records as f64 / elapsed, per_record, verified))
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        bytes += if path.is_dir() { folder_bytes(&path)? } else { path.metadata()?.len() };
    }
    Ok(bytes)
}

/// Entries a second.
fn verify(log: &Path, policy: &LogPolicy) -> anyhow::Result<f64> {
    let started = Instant::now();
    let head: Checkpoint = policy.trusted(&fs::read(log.join("checkpoint"))?)?.checkpoint;
    let entries = head.size;
    let mut check = LogCheck::new(head, Vec::new());
    while let Some(bundle) = check.next() {
        let file = |tile: &Tile| fs::read(log.join(tile.path())).ok();
        let hashes = Tile { level: Some(0), ..bundle };
        check.take(file(&bundle).as_deref(), file(&hashes).as_deref(), &mut |_, _| ());
    }
    let (_, faults) = check.finish();
    ensure!(faults.is_empty(), "the log does not verify: {faults:?}");
    Ok(entries as f64 / started.elapsed().as_secs_f64())
}

/// Decisions that come at a rate, whether the ones before are done or not.
async fn at_rate(
    spool: &Path,
    set: &Arc<PolicyPre>,
    requests: &Arc<Vec<Vec<u8>>>,
    rate: u64,
) -> anyhow::Result<(Percentiles, f64)> {
    let recorder = Arc::new(Recorder::start(spool, Recording::default(), Arc::default())?);
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut decisions = JoinSet::new();
    let started = Instant::now();
    let mut number = 0_u64;
    while started.elapsed() < SPAN {
        tick.tick().await;
        let due = Instant::now();
        for _ in 0..rate / 1000 {
            let (recorder, set, requests) =
                (Arc::clone(&recorder), Arc::clone(set), Arc::clone(requests));
            let id = number;
            number += 1;
            decisions.spawn(async move {
                let request = &requests[id as usize % requests.len()];
                recorder.settle(set.decide_json(request), &context(id)).await;
                due.elapsed()
            });
        }
    }
    let mut times = Vec::with_capacity(number as usize);
    while let Some(time) = decisions.join_next().await {
        times.push(time?);
    }
    let reached = times.len() as f64 / started.elapsed().as_secs_f64();
    Ok((Percentiles::of(times), reached))
}

impl Measured {
    /// The table of docs/benchmarks.md.
    pub(crate) fn table(&self) -> anyhow::Result<String> {
        let mut out = String::new();
        writeln!(
            out,
            "250 rules, `AUDIT: REQUIRED`; {} A write of 4 KiB takes {:.0} µs to be durable on this disk (median).\n",
            crate::report::Machine::this().sentence(),
            self.sync_us
        )?;
        writeln!(out, "| | |\n|---|---:|")?;
        writeln!(
            out,
            "| durable records a second, 256 requests at once | {:.0} |",
            self.records_per_second
        )?;
        let (log, disk) = (self.log_bytes_per_record, self.bytes_per_record);
        writeln!(out, "| bytes a record in the log | {log:.0} |")?;
        writeln!(out, "| with what opens its commitments | {disk:.0} |")?;
        writeln!(out, "| entries verified a second, one core | {:.0} |\n", self.verified_per_second)?;
        writeln!(
            out,
            "| decisions a second | reached | `NONE`: p50 | p99 | `REQUIRED`: p50 | p99 | added: p50 | p99 |\n\
             |---:|---:|---:|---:|---:|---:|---:|---:|"
        )?;
        for Waits { rate, reached, none_us, required_us } in &self.waits {
            writeln!(
                out,
                "| {rate} | {reached:.0} | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs | {:.0} µs |",
                none_us.p50,
                none_us.p99,
                required_us.p50,
                required_us.p99,
                required_us.p50 - none_us.p50,
                required_us.p99 - none_us.p99
            )?;
        }
        Ok(out)
    }
}
