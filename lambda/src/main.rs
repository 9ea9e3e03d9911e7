//! The Lambda extension `aecp-extension`: enforcement inside a function's execution environment, with no change to its
//! code.
//!
//! It is two processes, so that a crash of the one that decides ([`worker`]) does not end the environment: the other
//! ([`supervisor`]) registers with the Extensions API ([`extensions`]) and starts the worker anew.
//!
//! The worker serves the last good release, or that of a layer, before the network is asked, and stands between the function and the
//! Runtime API ([`proxy`]): what the function would be given next is read as requests ([`event`]), decided by
//! `aecp-enforcer` ([`gate`]), and handed on or answered with a denial ([`denial`]). What it answers ([`returned`]) is
//! decided, too, where policies look at answers, and changed where they oblige to that ([`answer`]).
//! Nothing here decides.
//!
//! An environment is frozen between invocations. So there are no timers: all upkeep, which is looking for releases and
//! carrying the log, is done when the function asks for its next event and has none in hand ([`upkeep`]).

mod answer;
mod api;
mod batch;
mod config;
mod denial;
mod event;
mod extensions;
mod gate;
mod in_hand;
mod notice;
mod proxy;
mod returned;
mod stream;
mod supervisor;
mod telemetry;
mod upkeep;
mod worker;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::runtime;
use tracing_subscriber::EnvFilter;

use config::Settings;

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let filter = EnvFilter::try_new(&settings.log_level)
        .with_context(|| format!("`{}` is no log level", settings.log_level))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .json()
        .flatten_event(true)
        .init();
    match settings.worker.clone() {
        Some(left) => {
            let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(worker::run(settings, left))
        }
        None => {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(supervisor::run(&settings))
        }
    }
}
