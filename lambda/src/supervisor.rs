//! The process that Lambda knows. It holds what must outlive a crash of the process that decides ([`crate::worker`]): the
//! address that the function's runtime asks, the registration with Lambda, and what is known of the invocation in hand. It
//! reads nothing that callers or the function send, so there is little in it that could crash.
//!
//! A worker has the listening socket as its standard input. Its standard output is a socket to the supervisor: what it says
//! there of itself is a [`Said`], one a line, and all else are metrics, which are passed on. It is told of invocations and of
//! the end over the same socket ([`Told`]).

use std::{
    env,
    fmt::Display,
    io::{self, Write as _},
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
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

/// What a worker says of itself, as a line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What a worker is told, as a line of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The function is invoked; the invocation must be over at this time, in milliseconds since 1970.
    Invoke(u64),
    /// The environment ends, at this time.
    Shutdown(u64),
}

impl Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Failed(why) => write!(f, "failed {}", why.replace('\n', " ")),
            Self::Has(left) => write!(f, "has {left}"),
            Self::Done => f.write_str("done"),
        }
    }
}

impl FromStr for Said {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        match line.split_once(' ') {
            None if line == "ready" => Ok(Self::Ready),
            None if line == "done" => Ok(Self::Done),
            Some(("failed", why)) => Ok(Self::Failed(why.to_owned())),
            Some(("has", left)) => left.parse().map(Self::Has),
            _ => Err(()),
        }
    }
}

impl Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Event(id) => write!(f, "event:{id}"),
            Self::Given(id) => write!(f, "given:{id}"),
            Self::GivenPart(id) => write!(f, "given-part:{id}"),
        }
    }
}

impl FromStr for Left {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            None if text == "nothing" => Ok(Self::Nothing),
            Some(("event", id)) => Ok(Self::Event(id.to_owned())),
            Some(("given", id)) => Ok(Self::Given(id.to_owned())),
            Some(("given-part", id)) => Ok(Self::GivenPart(id.to_owned())),
            _ => Err(()),
        }
    }
}

impl Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invoke(deadline) => write!(f, "invoke {deadline}"),
            Self::Shutdown(deadline) => write!(f, "shutdown {deadline}"),
        }
    }
}

impl FromStr for Told {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let (what, deadline) = line.split_once(' ').ok_or(())?;
        let deadline = deadline.parse().map_err(|_| ())?;
        match what {
            "invoke" => Ok(Self::Invoke(deadline)),
            "shutdown" => Ok(Self::Shutdown(deadline)),
            _ => Err(()),
        }
    }
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
            .args(["--worker", &left.to_string()])
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
            Some(said) => bail!("the process that decides says `{said}` before it serves"),
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
        tracing::error!(%status, %left, "the process that decides ended; another one takes its place");
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
            match line.parse() {
                Ok(said) => return Some(said),
                Err(()) => drop(writeln!(io::stdout(), "{line}")),
            }
        }
    }

    /// Waits for its end.
    async fn ended(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// Tells it something; that it ended is seen elsewhere.
    async fn tell(&mut self, told: Told) {
        let _ = self.telling.write_all(format!("{told}\n").as_bytes()).await;
    }
}

impl Drop for Worker {
    /// No worker outlives its supervisor; one that is killed with it sees that nobody speaks to it any more.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let id = || "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        for said in [
            Said::Ready,
            Said::Failed("no root".to_owned()),
            Said::Has(Left::Nothing),
            Said::Has(Left::Event(id())),
            Said::Has(Left::Given(id())),
            Said::Has(Left::GivenPart(id())),
            Said::Done,
        ] {
            assert_eq!(said.to_string().parse(), Ok(said));
        }
        assert_eq!("{\"_aws\":{}}".parse::<Said>(), Err(()));
        for told in [Told::Invoke(5), Told::Shutdown(u64::MAX)] {
            assert_eq!(told.to_string().parse(), Ok(told));
        }
    }
}
