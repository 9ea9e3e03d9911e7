//! The whole enforcer in one process: state, record, releases, HTTP.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use aecp_contract::{layout::Name, trust::TrustRoot};
use tokio::{
    net::TcpListener,
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use crate::{
    enforcer::Enforcer,
    engine::{Engine, EngineError},
    metrics::Metrics,
    record::{Entry, LogError, LogFile, Recorder},
    refresh::Refresher,
    server::{self, Limits},
    source::ReleaseSource,
    state::{StateError, StateFolder},
    store::{Store, StoreError},
};

/// What an enforcer needs to know.
#[derive(Debug, Clone)]
pub struct SidecarConfig {
    /// The store's URL ([`Store::open`]).
    pub store: String,
    /// The channel to follow.
    pub channel: Name,
    /// The pinned trust root.
    pub root: TrustRoot,
    /// A folder of its own.
    pub state: PathBuf,
    /// Where to serve; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How often to look for a newer release.
    pub poll: Duration,
    /// What clients may ask for.
    pub limits: Limits,
    /// Whether callers are told why, if they ask: this shows them the request's values and the policies' text.
    pub explain: bool,
}

/// A running enforcer. Dropping it stops it without waiting; [`Self::stop`] does it in order.
pub struct Sidecar {
    address: SocketAddr,
    enforcer: Arc<Enforcer>,
    recorder: Arc<Recorder>,
    poll_now: Arc<Notify>,
    /// Locked while anything of the sidecar lives.
    _state: Arc<StateFolder>,
    stopping: watch::Sender<bool>,
    refreshing: JoinHandle<()>,
    serving: JoinHandle<io::Result<()>>,
}

/// The enforcer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store's URL or configuration.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The decision log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The WebAssembly engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The address.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        error: io::Error,
    },
}

impl Sidecar {
    /// Starts an enforcer. It serves the last good release of its state folder at once, and denies everything
    /// while there is none.
    ///
    /// # Errors
    /// [`StartError`]. A store that does not answer is none: it will be asked again.
    pub async fn start(config: SidecarConfig) -> Result<Self, StartError> {
        let source = ReleaseSource::new(Store::open(&config.store)?, config.channel.clone());
        let state = Arc::new(StateFolder::open(&config.state, config.channel.clone())?);
        let metrics = Arc::new(Metrics::default());
        let log = LogFile::open(&state.decisions())?;
        let recorder = Arc::new(Recorder::start(log, Arc::clone(&metrics))?);
        let enforcer = Arc::new(Enforcer::new(config.channel, metrics).explaining(config.explain));
        let refresher = Refresher::start(
            source,
            &config.root,
            Arc::clone(&state),
            Engine::new()?,
            Arc::clone(&enforcer),
        )
        .await?;
        let listen = |error| StartError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let stopping = watch::Sender::new(false);
        let poll_now = Arc::new(Notify::new());
        let router = server::router(Arc::clone(&enforcer), Arc::clone(&recorder), config.limits);
        let refreshing =
            refresher.run(config.poll, Arc::clone(&poll_now), server::told(stopping.subscribe()));
        let serving = server::serve(listener, router, config.limits, server::told(stopping.subscribe()));
        Ok(Self {
            address,
            enforcer,
            recorder,
            poll_now,
            _state: state,
            refreshing: tokio::spawn(refreshing),
            serving: tokio::spawn(serving),
            stopping,
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What decides: for its status, and to decide in this process.
    #[must_use]
    pub fn enforcer(&self) -> &Arc<Enforcer> {
        &self.enforcer
    }

    /// Each decision as it is answered; a slow reader misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.recorder.subscribe()
    }

    /// Looks for a newer release at once. [`Enforcer::watch`] tells when one was taken up.
    pub fn poll_now(&self) {
        self.poll_now.notify_one();
    }

    /// Stops: no new connection, requests in flight finish within the limit, records become durable.
    ///
    /// # Errors
    /// What ended the server before, if anything did.
    pub async fn stop(self) -> io::Result<()> {
        self.stopping.send_replace(true);
        let served = self.serving.await.map_err(io::Error::other).flatten();
        let _ = self.refreshing.await;
        self.recorder.flush().await;
        served
    }
}
