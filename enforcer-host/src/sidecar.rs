//! The whole enforcer in one process: state, record, releases, HTTP.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aecp_contract::{layout::Name, manifest::Point, tlog::policy::LogPolicy, trust::TrustRoot};
use tokio::{
    net::TcpListener,
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use crate::{
    enforcer::Enforcer,
    engine::{Engine, EngineError},
    metrics::Metrics,
    record::{Entry, LogError, LogIdentity, Recorder, Recording, Shipper, Shipping, WitnessError},
    refresh::Refresher,
    server::{self, Limits},
    state::{StateError, StateFolder},
    store::{Store, StoreError},
};

/// What an enforcer needs to know.
#[derive(Debug, Clone)]
pub struct SidecarConfig {
    /// The stores' URLs ([`Store::open_all`]): of all that is valid there, the highest serial serves.
    pub stores: Vec<String>,
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
    /// The point of enforcement where it stands, for policies that say AT.
    pub point: Option<Point>,
    /// What clients may ask for.
    pub limits: Limits,
    /// Whether callers are told why, if they ask: this shows them the request's values and the policies' text.
    pub explain: bool,
    /// Where the decision log goes.
    pub audit: AuditConfig,
}

/// Where the decision log goes.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// The store's URL; `None` keeps the log in the state folder, in the same form.
    pub store: Option<String>,
    /// The URL of the store for what opens the log's commitments; `None` is the log's own.
    pub openings: Option<String>,
    /// What the log is called; `None` takes the name of the machine and of the log's key.
    pub instance: Option<Name>,
    /// Who must cosign its checkpoints before they are published; the logs that it names do not matter here.
    pub witnesses: Option<LogPolicy>,
    /// How often, and how much may wait.
    pub shipping: Shipping,
    /// What is recorded.
    pub recording: Recording,
}

impl Default for AuditConfig {
    fn default() -> Self {
        let shipping = Shipping { every: Duration::from_mins(15), spool_bytes: 1 << 30 };
        let recording = Recording::default();
        Self { store: None, openings: None, instance: None, witnesses: None, shipping, recording }
    }
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
    shipping: JoinHandle<()>,
    ship_last: Arc<Notify>,
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
    /// What is known of the decision log in the store.
    #[error("`{}` cannot be read: {error}; restore it, or give the enforcer a new state folder", .path.display())]
    Shipped {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The witnesses of the decision log.
    #[error(transparent)]
    Witness(#[from] WitnessError),
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

/// How long the end of the decision log may take to get into the store when the enforcer stops.
const SHIP_LAST_WITHIN: Duration = Duration::from_secs(5);

/// Opens the decision log in the state folder.
fn open_log(
    config: &SidecarConfig,
    state: &StateFolder,
    metrics: Arc<Metrics>,
) -> Result<(Arc<Recorder>, Shipper), StartError> {
    let audit = &config.audit;
    let recording = audit.recording.clone();
    let recorder = Arc::new(Recorder::start(&state.decisions(), recording, Arc::clone(&metrics))?);
    let identity = LogIdentity::open(state.path(), &config.channel, audit.instance.clone())?;
    let store = match &audit.store {
        Some(url) => Store::open(url)?,
        None => Store::folder(state.path())?,
    };
    tracing::info!(log = %identity.origin, key = %identity.verifier(), "recording decisions");
    let (ours, files) = (Arc::clone(&recorder), (state.decisions(), state.shipped()));
    let shipper = Shipper::open(identity, ours, store, files, audit.shipping, metrics)
        .map_err(|error| StartError::Shipped { path: state.shipped(), error })?;
    let shipper = match &audit.openings {
        Some(url) => shipper.opened_in(Store::open(url)?),
        None => shipper,
    };
    let shipper = match &audit.witnesses {
        Some(policy) => shipper.witnessed(policy.clone())?,
        None => shipper,
    };
    Ok((recorder, shipper))
}

/// All that an enforcer is made of, before anything runs.
pub(crate) struct Parts {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) enforcer: Arc<Enforcer>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) state: Arc<StateFolder>,
    pub(crate) refresher: Refresher,
    pub(crate) shipper: Shipper,
}

impl Parts {
    /// Opens the state and the log, loads the last good release or that of `seed`, and takes the address.
    pub(crate) async fn open(config: SidecarConfig, seed: Option<&Path>) -> Result<Self, StartError> {
        let stores = Store::open_all(&config.stores)?;
        let seed = seed.map(Store::folder).transpose()?;
        let state = Arc::new(StateFolder::open(&config.state, config.channel.clone())?);
        let metrics = Arc::new(Metrics::default());
        let enforcer = Enforcer::new(config.channel.clone(), config.point, Arc::clone(&metrics));
        let enforcer = Arc::new(enforcer.explaining(config.explain));
        // The log waits for the disk, and the release does not wait for the log.
        let config = Arc::new(config);
        let (its, at) = (Arc::clone(&config), Arc::clone(&state));
        let log = tokio::task::spawn_blocking(move || open_log(&its, &at, metrics));
        let refresher = Refresher::start(
            stores,
            &config.channel,
            &config.root,
            Arc::clone(&state),
            seed,
            Engine::new()?,
            Arc::clone(&enforcer),
        );
        let (refresher, log) = tokio::join!(refresher, log);
        let (refresher, log) = (refresher?, log.map_err(|error| LogError::Thread(error.into()))?);
        let (recorder, shipper) = log?;
        let listen = |error| StartError::Listen { address: config.listen, error };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address, enforcer, recorder, state, refresher, shipper })
    }
}

impl Sidecar {
    /// Starts an enforcer. It serves the last good release of its state folder at once, and denies everything
    /// while there is none.
    ///
    /// # Errors
    /// [`StartError`]. A store that does not answer is none: it will be asked again.
    pub async fn start(config: SidecarConfig) -> Result<Self, StartError> {
        let (poll, limits) = (config.poll, config.limits);
        let Parts { listener, address, enforcer, recorder, state, refresher, shipper } =
            Parts::open(config, None).await?;
        let stopping = watch::Sender::new(false);
        let poll_now = Arc::new(Notify::new());
        let ship_last = Arc::new(Notify::new());
        let router = server::router(Arc::clone(&enforcer), Arc::clone(&recorder), limits);
        let refreshing = refresher.run(poll, Arc::clone(&poll_now), server::told(stopping.subscribe()));
        let serving = server::serve(listener, router, limits, server::told(stopping.subscribe()));
        Ok(Self {
            address,
            enforcer,
            recorder,
            poll_now,
            _state: state,
            refreshing: tokio::spawn(refreshing),
            shipping: tokio::spawn(shipper.run(Arc::clone(&ship_last), SHIP_LAST_WITHIN)),
            ship_last,
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
        self.recorder.stop().await;
        self.ship_last.notify_one();
        let _ = self.shipping.await;
        served
    }
}
