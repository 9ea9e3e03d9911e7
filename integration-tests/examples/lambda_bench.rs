//! Measures the Lambda extension in the emulator: its start, what it adds to an invocation, its memory and its size.

use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use aecp_integration_tests::{
    lambda::{Config, Emulator},
    published::Published,
};
use anyhow::{Context as _, ensure};
use clap::Parser;

/// Measures the Lambda extension in the emulator, with 250 rules in the layer and no network, beside the same function
/// without it; prints Markdown. Build what is measured first:
///   `lambda/layer/build`, `cargo build -p aecp-lambda --examples`
#[derive(Parser)]
struct Arguments {
    /// The extension's binary
    #[arg(long, value_name = "FILE")]
    extension: PathBuf,

    /// A function on `lambda_runtime` that answers with its event
    #[arg(long, value_name = "FILE")]
    function: PathBuf,

    /// Starts to measure
    #[arg(long, default_value_t = 100)]
    starts: usize,

    /// Invocations of each function to measure
    #[arg(long, default_value_t = 2000)]
    invocations: usize,
}

const EXTENSION: &str = "aecp-extension";
const EVENT: &str = include_str!("../../lambda/tests/runtimes/events/http_api.json");

/// 250 rules about 25 prefixes of paths, ten of them about the path of [`EVENT`].
fn rules(audit: &str) -> String {
    let rule = |n: usize| {
        let constraint = match n % 5 {
            0 => format!("request.method IN [\"GET\", \"PUT\", \"M{n}\"]"),
            1 => format!("source.ip IS MISSING OR NOT source.ip IN CIDR \"10.{n}.0.0/16\""),
            2 => format!("principal.claims.claim1 IS MISSING OR principal.claims.claim1 != \"x{n}\""),
            3 => format!("request.headers.header1 IS MISSING OR request.headers.header1 != \"y{n}\""),
            _ => format!("request.query.parameter2 IS MISSING OR request.query.parameter2 != \"z{n}\""),
        };
        let path = if n < 10 { "/my/".to_owned() } else { format!("/app{}/", n / 10) };
        format!(
            "POLICY rule_{n} {{\n  SCOPE: requests WHERE request.path EXISTS AND request.path STARTS WITH \"{path}\"\n  \
             CONSTRAINT: {constraint}\n  ENFORCEMENT: BLOCKING\n  AUDIT: {audit}\n}}\n"
        )
    };
    (0..250).map(rule).collect()
}

/// A store whose release lies in a layer, and what a function needs to have the extension.
struct Layer(Published);

impl Layer {
    async fn new(audit: &str) -> anyhow::Result<Self> {
        let published = Published::new(&rules(audit)).await;
        fs::rename(published.path("store"), published.path("layer"))?;
        Ok(Self(published))
    }

    fn config(&self, arguments: &Arguments, ports: u16) -> Config {
        let layer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lambda/layer/aecp-wrapper");
        let variables: [(&str, OsString); 9] = [
            ("AECP_STORE", self.0.url("store").into()),
            ("AECP_CHANNEL", "prod".into()),
            ("AECP_ROOT", self.0.path("root.json").into()),
            ("AECP_STATE", self.0.path("tmp").into()),
            ("AECP_LAYER_STATE", self.0.path("layer").into()),
            ("AECP_AUDIT_STORE", self.0.url("audit").into()),
            ("AECP_LISTEN", format!("127.0.0.1:{ports}").into()),
            ("AECP_PROXY", format!("127.0.0.1:{}", ports + 1).into()),
            ("AECP_LOG_LEVEL", "error".into()),
        ];
        Config {
            extensions: vec![arguments.extension.clone()],
            env: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            freeze: false,
            log: Some(self.0.path("output")),
            ..Config::new([layer, arguments.function.clone()])
        }
    }
}

/// The value that this share of the values does not exceed.
fn quantile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

fn row(out: &mut impl std::io::Write, name: &str, values: &mut [Duration]) -> std::io::Result<()> {
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(values, share).as_secs_f64() * 1e3);
    writeln!(out, "| {name} | {p50:.2} ms | {p99:.2} ms |")
}

/// Kilobytes that the kernel says of a process.
fn kilobytes(process: u32, file: &str, what: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/{file}"))?;
    let line = status
        .lines()
        .find(|line| line.split(':').next() == Some(what))
        .context("the kernel says nothing")?;
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).context("it is no number")
}

/// For how long the threads of the extension's processes had a processor, and for how long they waited for one.
fn scheduled(process: u32) -> anyhow::Result<[Duration; 2]> {
    let mut sums = [Duration::ZERO; 2];
    for process in both(process)? {
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            for (sum, nanoseconds) in sums.iter_mut().zip(text.split_whitespace()) {
                *sum += Duration::from_nanos(nanoseconds.parse()?);
            }
        }
    }
    Ok(sums)
}

/// The supervisor and the worker.
fn both(supervisor: u32) -> anyhow::Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"))?;
    let children = children.split_whitespace().map(str::parse);
    Ok([Ok(supervisor)].into_iter().chain(children).collect::<Result<_, _>>()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    arguments.extension = fs::canonicalize(&arguments.extension)?;
    arguments.function = fs::canonicalize(&arguments.function)?;
    let mut out = std::io::stdout();
    let cores = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let size = fs::metadata(&arguments.extension)?.len();
    writeln!(
        out,
        "{cores} cores, load {}; binary {size} bytes.\n",
        load.split(' ').next().unwrap_or("?")
    )?;
    writeln!(out, "| | p50 | p99 |\n|---|---:|---:|")?;

    let layer = Layer::new("OPTIONAL").await?;
    let (mut starts, mut had, mut waited) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.starts {
        let mut emulator = Emulator::new(layer.config(&arguments, 19_010)).await?;
        emulator.init().await.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
        starts.extend(emulator.extensions_ready().remove(EXTENSION));
        let [on, off] = scheduled(emulator.process(EXTENSION).context("the extension does not run")?)?;
        had.push(on);
        waited.push(off);
        emulator.shutdown().await;
        fs::remove_dir_all(layer.0.path("tmp"))?;
    }
    row(&mut out, "start of the extension, 250 rules from the layer", &mut starts)?;
    row(&mut out, "of it: its threads had a processor", &mut had)?;
    row(&mut out, "of it: its threads waited for one", &mut waited)?;

    let required = Layer::new("REQUIRED").await?;
    let alone = Config { freeze: false, ..Config::new([&arguments.function]) };
    let mut functions = [
        ("the function alone", alone),
        ("with the extension", layer.config(&arguments, 19_020)),
        ("with the extension, `AUDIT: REQUIRED`", required.config(&arguments, 19_030)),
    ]
    .map(|(name, config)| (name, config, Vec::new(), Vec::new()));
    let mut emulators = Vec::new();
    for (_, config, ..) in &functions {
        emulators.push(Emulator::new(config.clone()).await?);
    }
    for n in 0..arguments.invocations + 50 {
        for (emulator, (name, _, answered, idle)) in emulators.iter_mut().zip(&mut functions) {
            let invocation = emulator.invoke(EVENT).await;
            let answer =
                invocation.answer.with_context(|| format!("{name}: {:?}", invocation.failure))?;
            ensure!(
                !answer.is_error && answer.body == EVENT.trim().as_bytes(),
                "{name} answers wrongly"
            );
            if n >= 50 {
                answered.push(invocation.duration);
                idle.push(invocation.until_idle);
            }
        }
    }
    for (name, _, answered, idle) in &mut functions {
        row(&mut out, &format!("{name}: until its answer"), answered)?;
        row(&mut out, &format!("{name}: until it asks for the next event"), idle)?;
    }
    writeln!(out)?;
    for (emulator, (name, ..)) in emulators.iter().zip(&functions).skip(1) {
        let process = emulator.process(EXTENSION).context("the extension does not run")?;
        let mut shares = 0;
        for process in both(process)? {
            shares += kilobytes(process, "smaps_rollup", "Pss")?;
            let [now, own] = ["VmRSS", "RssAnon"].map(|what| kilobytes(process, "status", what));
            writeln!(out, "{name}: process {process}: {} kB resident, {} kB its own", now?, own?)?;
        }
        writeln!(out, "{name}: {shares} kB resident in both, pages that they share counted once")?;
    }
    Ok(())
}
