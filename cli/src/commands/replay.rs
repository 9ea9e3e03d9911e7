//! `aecp replay`: recorded decisions run through another policy set.

mod report;
mod results;
mod worker;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use aecp_enforcer::{Artifacts, Engine, Store};
use clap::Args;
use tokio::sync::mpsc;

use super::{Format, SetArgument, block_on, components::Components, local, release::pinned_root};
use crate::{
    Outcome,
    audit::{LogStream, Manifests, Releases, Sources, Span},
    profile::Profile,
    terminal::progress,
};

use results::Results;
use worker::{Job, Worker};

/// Bundles of 256 entries that wait for a worker.
const QUEUE: usize = 16;

/// Run recorded decisions through another policy set, and show each that changes
///
/// Requests are made anew of the attributes in the logs, in clear or opened by what lies beside
/// them, and decided by CANDIDATE, compiled here. Nothing is guessed: a decision is not replayed,
/// and counted so, if an attribute that the candidate looks at is masked, erased or unusable, or if
/// it is not known whether the request had it. With --root the signed releases that decided say
/// which attributes they looked at: what one of them looked at and did not record was not in the
/// request. Policies that are components decide with the candidate if they are given to it. Also not replayed are denials without a verdict, and decisions that a break-glass token
/// lifted.
///
/// Exit codes: 0 no more flips than allowed; 1 more, or nothing could be replayed, or the candidate
/// does not compile; 2 a log could not be read or is not what was signed.
///
/// Example: aecp replay --store s3://audit --log-policy logs.txt --root root.json --candidate drafts/hipaa
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    span: Span,
    /// The policy set to run them through: a folder of `.aecp` files, or one such file
    #[arg(long, value_name = "SET")]
    candidate: PathBuf,
    #[command(flatten)]
    components: Components,
    /// The trust root that the releases which decided must descend from
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The store with the releases, if it is not the first --store
    #[arg(long, value_name = "URL", requires = "root")]
    releases: Option<String>,
    /// The store with what opens the logs' commitments, if it is not the logs' own
    #[arg(long, value_name = "URL")]
    openings: Option<String>,
    /// How many decisions may change
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "threshold")]
    max_flips: u64,
    /// How many percent of the replayed decisions may change
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    threshold: Option<f64>,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let sources = SetArgument { set: arguments.candidate.clone() }.sources()?;
    let Some(mut compiled) = super::compile(&sources, &mut Profile::start())? else {
        return Ok(Outcome::Bad);
    };
    compiled.add_components(arguments.components.read()?);
    let engine = Engine::new()?;
    let candidate = Arc::new(local::load(local::sign(&compiled)?, &engine, Artifacts::Needed)?);
    let releases = match &arguments.root {
        None => None,
        Some(root) => {
            let url = arguments.releases.as_deref().unwrap_or_else(|| arguments.sources.first());
            Some(Releases::new(Store::open(url)?, pinned_root(root)?))
        }
    };
    let span = arguments.span;
    let results = block_on(async {
        let (logs, policy) = arguments.sources.logs().await?;
        let opened = logs.into_iter().map(|log| log.opened_from(arguments.openings.as_deref()));
        let logs = opened.collect::<anyhow::Result<Vec<_>>>()?;
        let (sender, jobs) = mpsc::channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let workers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| Worker::new(Arc::clone(&candidate), span, Manifests::new(releases.clone())))
            .map(|worker| {
                let jobs = Arc::clone(&jobs);
                tokio::task::spawn_blocking(move || worker.run(&jobs))
            })
            .collect();
        drop(jobs);
        for log in logs {
            let mut log = LogStream::open(log, &policy).await?;
            let (reader, origin) = (Arc::new(log.log.clone()), Arc::<str>::from(log.origin()));
            while let Some(bundle) = log.next().await? {
                if bundle.first.is_multiple_of(1 << 16) {
                    progress(format_args!(
                        "{}: entry {} of {} …",
                        reader.name,
                        bundle.first,
                        log.size()
                    ));
                }
                let job = Job { log: Arc::clone(&reader), origin: Arc::clone(&origin), bundle };
                // If no worker is left, they say why.
                if sender.send(job).await.is_err() {
                    break;
                }
            }
        }
        drop(sender);
        let mut results = Results::default();
        for worker in workers {
            results.merge(worker.await??);
        }
        Ok(results)
    })?;
    let within = arguments.allows(&results);
    match arguments.format {
        Format::Text => report::print(&results, within, arguments.root.is_some()),
        Format::Json => println!("{}", report::json(&results, within)),
    }
    Ok(if within { Outcome::Good } else { Outcome::Bad })
}

impl Arguments {
    fn allows(&self, results: &Results) -> bool {
        let few = match self.threshold {
            Some(percent) => results.share() * 100.0 <= percent,
            None => results.flips() <= self.max_flips,
        };
        few && (results.replayed > 0 || results.decisions == 0)
    }
}
