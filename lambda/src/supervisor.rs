//! The process that Lambda knows. It holds what must outlive a crash of the process that decides ([`crate::worker`]): the
//! address that the function's runtime asks, the registration with Lambda, and what is known of the invocation in hand. It
//! reads nothing that callers or the function send, so there is little in it that could crash.
//!
//! A worker has the listening socket as its standard input. Its standard output is a socket to the supervisor: what it says
//! there of itself is a [`Said`], one a line, and all else are metrics, which are passed on. It is told of invocations and of
//! the end over the same socket ([`Told`]).

use std::{
    env,
    io::{self, Write as _},
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
    time::timeout,
};

use crate::{
    api::Api,
    config::Settings,
    extensions::{Event, Extensions},
    upkeep::until,
};

/// How many workers may end one after the other, each within [`SHORT`] of its start, until it is given up.
const MAX_SHORT: u32 = 5;

/// The life of a worker that does not work.
const SHORT: Duration = Duration::from_secs(1);

/// What a worker says of itself: a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// It serves.
    Ready,
    /// It cannot, for this reason.
    Failed(String),
    /// What it has in hand.
    Has(Left),
    /// What it was told of is done: the environment may be frozen, as far as it is concerned.
    Done,
}

/// What a worker has in hand, and leaves behind if it crashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// The event of this invocation was taken from Lambda, and the function does not have it.
    Event(String),
    /// The function has this invocation, and its answer is to be looked at.
    Given(String),
    /// The function has a part of this batch, and its answer is to name the rest as failed.
    GivenPart(String),
}

/// What a worker is told: a line of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// The function is invoked; the invocation must be over at this time, in milliseconds since 1970.
    Invoke(u64),
    /// The environment ends, at this time.
    Shutdown(u64),
}

/// Runs until the environment ends.
///
/// # Errors
/// Why it cannot go on. Lambda was told.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    // Lambda starts the function's runtime as soon as all extensions are registered, so it may come here at once.
    let listener = TcpListener::bind(settings.proxy)
        .with_context(|| format!("cannot listen on {} for the function's runtime", settings.proxy));
    // It reads its release while this registers.
    let worker = listener.and_then(|listener| Ok((Worker::spawn(&listener, &Left::Nothing)?, listener)));
    // Whatever goes wrong is said to Lambda from here on.
    let extensions = Extensions::register(Api::new(&settings.runtime_api)?).await?;
    let failed = match worker {
        Err(error) => error,
        Ok((worker, listener)) => match worker.ready().await {
            Ok(worker) => return supervise(worker, &listener, extensions).await,
            Err(error) => error,
        },
    };
    tracing::error!(error = format!("{failed:#}"), "cannot go on");
    extensions.failed(&format!("{failed:#}")).await;
    Err(failed)
}

async fn supervise(
    mut worker: Worker,
    listener: &TcpListener,
    extensions: Extensions,
) -> anyhow::Result<()> {
    // A call that waits must not be given up: the event that ends it would be lost.
    let (sender, mut events) = mpsc::channel(1);
    // Nor may it be made before an event is done with: it tells Lambda that the environment may be frozen.
    let (done, mut is_done) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let event = extensions.next().await;
            let is_last = !matches!(event, Ok(Event::Invoke { .. }));
            if sender.send(event).await.is_err() || is_last || is_done.recv().await.is_none() {
                return;
            }
        }
    });
    let mut short = 0;
    loop {
        tokio::select! {
            event = events.recv() => match event.context("Lambda says nothing more")?? {
                Event::Invoke { deadline } => worker.tell(Told::Invoke(deadline)).await,
                Event::Shutdown { reason, deadline } => {
                    tracing::info!(reason, "stopping");
                    worker.tell(Told::Shutdown(deadline)).await;
                    let _ = timeout(until(deadline), worker.ended()).await;
                    return Ok(());
                }
            },
            said = worker.hear() => match said {
                Some(Said::Has(left)) => worker.left = left,
                Some(Said::Done) => drop(done.try_send(())),
                Some(_) => {}
                None => {
                    worker = worker.replaced(listener, &mut short).await?;
                    let _ = done.try_send(());
                }
            },
        }
    }
}

/// The process that decides.
struct Worker {
    process: Child,
    started: Instant,
    said: Lines<BufReader<OwnedReadHalf>>,
    telling: OwnedWriteHalf,
    left: Left,
}

impl Worker {
    /// Starts one, which takes over what the last one left.
    ///
    /// # Errors
    /// If it cannot be started.
    fn spawn(listener: &TcpListener, left: &Left) -> anyhow::Result<Self> {
        let (ours, theirs) = UnixStream::pair().context("no socket")?;
        ours.set_nonblocking(true)?;
        let (said, telling) = tokio::net::UnixStream::from_std(ours)?.into_split();
        // As this one was started, so that an emulator of another machine is not left behind.
        let program = env::args_os().next().context("this program's own name is not known")?;
        let process = Command::new(program)
            .args(env::args_os().skip(1))
            .args(["--worker", &json!(left).to_string()])
            .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .context("the process that decides cannot be started")?;
        let said = BufReader::new(said).lines();
        // An answer that is still to come is looked at by whoever is there then. Events are answered before it serves.
        let left = match left {
            Left::Given(_) | Left::GivenPart(_) => left.clone(),
            Left::Nothing | Left::Event(_) => Left::Nothing,
        };
        Ok(Self { process, started: Instant::now(), said, telling, left })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// Why it does not.
    async fn ready(mut self) -> anyhow::Result<Self> {
        match self.hear().await {
            Some(Said::Ready) => Ok(self),
            Some(Said::Failed(why)) => bail!("{why}"),
            Some(said) => bail!("the process that decides says {said:?} before it serves"),
            None => bail!("the process that decides ended at its start: {}", self.process.wait()?),
        }
    }

    /// Another one in the place of this one, which ended. Those that do not even come to serve are replaced, too.
    ///
    /// # Errors
    /// If one after the other ends soon after its start.
    async fn replaced(mut self, listener: &TcpListener, short: &mut u32) -> anyhow::Result<Self> {
        let status = self.process.wait().context("how the worker ended is not known")?;
        let left = &self.left;
        tracing::error!(%status, ?left, "the process that decides ended; another one takes its place");
        *short = if self.started.elapsed() < SHORT { *short + 1 } else { 0 };
        loop {
            if *short >= MAX_SHORT {
                bail!("the process that decides ended {short} times, each soon after its start");
            }
            match Self::spawn(listener, left)?.ready().await {
                Ok(worker) => return Ok(worker),
                Err(error) => tracing::error!(error = format!("{error:#}"), "it does not serve"),
            }
            *short += 1;
        }
    }

    /// What it says next of itself; `None` once it ended.
    async fn hear(&mut self) -> Option<Said> {
        loop {
            let line = self.said.next_line().await.ok().flatten()?;
            match serde_json::from_str(&line) {
                Ok(said) => return Some(said),
                Err(_) => drop(writeln!(io::stdout(), "{line}")),
            }
        }
    }

    /// Waits for its end.
    async fn ended(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// Tells it something; that it ended is seen elsewhere.
    async fn tell(&mut self, told: Told) {
        let _ = self.telling.write_all(format!("{}\n", json!(told)).as_bytes()).await;
    }
}

impl Drop for Worker {
    /// No worker outlives its supervisor; one that is killed with it sees that nobody speaks to it any more.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
