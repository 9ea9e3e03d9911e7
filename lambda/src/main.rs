//! The Lambda extension `aecp-extension`: enforcement inside a function's execution environment, with no change to its
//! code.
//!
//! It registers with the Extensions API ([`extensions`]), serves the last good release before the network is asked
//! ([`seed`]), and stands between the function and the Runtime API ([`proxy`]): what the function would be given next is
//! read as requests ([`event`]), decided by `aecp-enforcer` ([`gate`]), and handed on or answered with a denial
//! ([`denial`]). What it answers ([`returned`]) is decided, too, where policies look at answers, and changed where they
//! oblige to that ([`answer`]).
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
mod seed;
mod stream;
mod telemetry;
mod upkeep;

use std::{io, sync::Arc, time::Duration};

use aecp_enforcer::Driven;
use anyhow::Context as _;
use clap::Parser as _;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use config::Settings;
use extensions::{Event, Extensions};
use gate::Gate;
use proxy::Proxy;
use telemetry::Telemetry;
use upkeep::Upkeep;

/// How long the first look for a release may take: Lambda gives 10 s to all that starts.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What is left of the time to shut down when the log's end is given up.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let filter = EnvFilter::try_new(&settings.log_level)
        .with_context(|| format!("`{}` is no log level", settings.log_level))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .json()
        .flatten_event(true)
        .init();
    let api = api::Api::new(&settings.runtime_api)?;
    // Lambda starts the function's runtime as soon as all extensions are registered, so it may come here at once.
    let listener = TcpListener::bind(settings.proxy).await;
    // Before anything else can go wrong, so that it can be said to Lambda.
    let extensions = Extensions::register(api.clone()).await?;
    match serve(settings, listener, api, &extensions).await {
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot go on");
            extensions.failed(&format!("{error:#}")).await;
            Err(error)
        }
    }
}

async fn serve(
    settings: Settings,
    listener: io::Result<TcpListener>,
    api: api::Api,
    extensions: &Extensions,
) -> anyhow::Result<()> {
    let listener = listener
        .with_context(|| format!("cannot listen on {} for the function's runtime", settings.proxy))?;
    seed::from_layer(&settings.layer_state, &settings.state, &settings.channel)?;
    let (fail, telemetry) = (settings.fail, Arc::new(Telemetry::new(settings.metrics)));
    let (intervals, config) = (settings.intervals(), settings.enforcer()?);
    let driven = Driven::start(config).await?;
    let (enforcer, recorder) = (Arc::clone(driven.enforcer()), Arc::clone(driven.recorder()));
    let (address, at) = (driven.address(), listener.local_addr()?);
    let upkeep = Arc::new(Upkeep::new(driven, intervals));
    if enforcer.active().is_none() {
        upkeep.now(FIRST_LOOK).await;
    }
    tracing::info!(%address, proxy = %at, "serving");
    let gate = Arc::new(Gate { enforcer, recorder, fail, telemetry });
    let proxy = Arc::new(Proxy::new(api, Arc::clone(&gate), Arc::clone(&upkeep)));
    tokio::spawn(Arc::clone(&proxy).serve(listener));
    loop {
        match extensions.next().await? {
            Event::Invoke { deadline } if !proxy.is_used() => upkeep.due(upkeep::until(deadline)).await,
            Event::Invoke { .. } => {}
            Event::Shutdown { reason, deadline } => {
                tracing::info!(reason, "stopping");
                upkeep.report(&gate).await;
                upkeep.stop(upkeep::until(deadline).saturating_sub(SHUTDOWN_MARGIN)).await;
                return Ok(());
            }
        }
    }
}
