//! The process that decides, started by the [`supervisor`](crate::supervisor) and started anew when it crashes.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path,
    sync::Arc,
    thread,
    time::Duration,
};

use aecp_enforcer::Driven;
use anyhow::Context as _;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    api,
    config::Settings,
    gate::Gate,
    proxy::Proxy,
    supervisor::{Left, Said, Told},
    telemetry::Telemetry,
    upkeep::{self, Upkeep},
};

/// How long the first look for a release may take: Lambda gives 10 s to all that starts.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What is left of the time to shut down when the log's end is given up.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(200);

/// Serves until the supervisor says that the environment ends, or is no more.
///
/// # Errors
/// Why it cannot. The supervisor was told.
pub(crate) async fn run(settings: Settings, left: Left) -> anyhow::Result<()> {
    let served = serve(settings, left).await;
    if let Err(error) = &served {
        say(&Said::Failed(format!("{error:#}")));
    }
    served
}

/// Tells the supervisor. Where there is none any more, this process is about to end.
pub(crate) fn say(said: &Said) {
    let _ = writeln!(io::stdout(), "{}", json!(said));
}

async fn serve(settings: Settings, left: Left) -> anyhow::Result<()> {
    let listener = io::stdin().as_fd().try_clone_to_owned().context("there is no socket to serve")?;
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut told = listen()?;
    let api = api::Api::new(&settings.runtime_api)?;
    let (fail, telemetry) = (settings.fail, Arc::new(Telemetry::new(settings.metrics)));
    let layer = path::absolute(&settings.layer_state)?;
    let (intervals, config) = (settings.intervals(), settings.enforcer()?);
    let driven = Driven::start(config, Some(&layer)).await?;
    let (enforcer, recorder) = (Arc::clone(driven.enforcer()), Arc::clone(driven.recorder()));
    let (address, at) = (driven.address(), listener.local_addr()?);
    let upkeep = Arc::new(Upkeep::new(driven, intervals));
    if enforcer.active().is_none() {
        upkeep.now(FIRST_LOOK).await;
    }
    tracing::info!(%address, proxy = %at, "serving");
    let gate = Arc::new(Gate { enforcer, recorder, fail, telemetry });
    let proxy = Arc::new(Proxy::new(api, Arc::clone(&gate), Arc::clone(&upkeep)));
    proxy.take_over(left).await;
    // The first that it says, so before the function's runtime can ask it.
    say(&Said::Ready);
    tokio::spawn(Arc::clone(&proxy).serve(listener));
    loop {
        match told.recv().await {
            Some(Told::Invoke(deadline)) => {
                if !proxy.is_used() {
                    upkeep.due(upkeep::until(deadline)).await;
                }
                say(&Said::Done);
            }
            Some(Told::Shutdown(deadline)) => {
                upkeep.report(&gate).await;
                upkeep.stop(upkeep::until(deadline).saturating_sub(SHUTDOWN_MARGIN)).await;
                return Ok(());
            }
            None => anyhow::bail!("the supervisor is no more"),
        }
    }
}

/// What the supervisor says, until it is no more.
fn listen() -> anyhow::Result<mpsc::UnboundedReceiver<Told>> {
    let socket = io::stdout().as_fd().try_clone_to_owned().context("there is no supervisor")?;
    let (sender, told) = mpsc::unbounded_channel();
    thread::Builder::new().name("aecp-supervisor".to_owned()).spawn(move || {
        let lines = BufReader::new(UnixStream::from(socket)).lines();
        for told in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()) {
            if sender.send(told).is_err() {
                return;
            }
        }
    })?;
    Ok(told)
}
