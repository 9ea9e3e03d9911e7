//! Serves a WebAssembly component that handles HTTP (`wasi:http/handler` of WASI 0.3, or `wasi:http/incoming-handler` of
//! 0.2), such as the one for the edge: `aecp-enforcer serve`.
//!
//! A component finds its settings (`wasi:config`), one key-value store that is durable (`wasi:keyvalue`), clocks, random
//! numbers, and the hosts that it is allowed to ask. It finds no files, no variables and no sockets, and its memory, its
//! time and the number of its instances are limited.

mod body;
mod instances;
mod interfaces;
pub mod key_value;
mod load;
mod outbound;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::BodyExt as _;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::timeout,
};
use wasmtime::Engine;
use wasmtime_wasi_http::{
    Error, WasiBody,
    handler::{ExpirationError, InstantiationError, ProxyHandler, ProxyPre},
};

pub use self::outbound::AllowedHost;
use self::{
    body::Bounded,
    instances::{Guest, Instances},
    interfaces::Shared,
    key_value::KeyValueStore,
    load::{LoadError, load},
    outbound::Outbound,
};
use crate::server::{self, Peer, Problem};

/// Where Spin tells a component who asks; here the address alone, without its port.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");

/// How long the last work of instances may take at shutdown.
const LAST_WORK: Duration = Duration::from_secs(10);

/// What a component may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of memory of one instance, over all modules in it.
    pub memory_bytes: usize,
    /// How long a request may wait for the head of its answer.
    pub request_time: Duration,
    /// How long it may take with both bodies.
    pub exchange_time: Duration,
    /// Requests at once, and so instances; more wait.
    pub requests: usize,
    /// Requests that an instance of WASI 0.3 serves in its life; at least 1.
    pub reuse: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            request_time: Duration::from_secs(30),
            exchange_time: Duration::from_secs(300),
            requests: 256,
            reuse: 1_000,
        }
    }
}

/// A component, translated to machine code; cheap to clone.
#[derive(Clone)]
pub struct Component {
    engine: Engine,
    pre: Arc<ProxyPre<Guest>>,
}

impl Component {
    /// Reads the file and translates what is in it, which takes seconds.
    ///
    /// # Errors
    /// [`ComponentError::Load`].
    pub fn load(path: &Path) -> Result<Self, ComponentError> {
        let (engine, pre) =
            load(path).map_err(|error| ComponentError::Load { path: path.to_owned(), error })?;
        Ok(Self { engine, pre })
    }
}

/// What to serve, and where.
#[derive(Clone)]
pub struct ComponentConfig {
    /// The component.
    pub component: Component,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// A folder of its own, for its key-value store.
    pub state: PathBuf,
    /// The hosts that it may ask.
    pub outbound: Vec<AllowedHost>,
    /// Where to serve; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What it may take.
    pub limits: Limits,
}

/// The component cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The component itself.
    #[error("`{}` {error}", .path.display())]
    Load {
        /// Its file.
        path: PathBuf,
        /// The cause.
        error: LoadError,
    },
    /// The folder of its key-value store.
    #[error("the state folder `{}` cannot be used: {error}", .path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// The cause; [`io::ErrorKind::ResourceBusy`] if another process has it.
        error: io::Error,
    },
    /// The machine's certificates, which outbound requests need.
    #[error("outbound requests cannot be made: {0}")]
    Outbound(String),
    /// The address.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The cause.
        error: io::Error,
    },
}

/// A component that is being served.
pub struct ComponentServer {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    served: watch::Sender<bool>,
    instances: Arc<Semaphore>,
    key_value: Arc<KeyValueStore>,
    limits: Limits,
    serving: JoinHandle<io::Result<()>>,
}

#[derive(Clone)]
struct App {
    handler: ProxyHandler<Instances>,
    limits: Limits,
    /// As many as there may be requests at once.
    places: Arc<Semaphore>,
}

impl ComponentServer {
    /// Serves the component.
    ///
    /// # Errors
    /// [`ComponentError`].
    pub async fn start(config: ComponentConfig) -> Result<Self, ComponentError> {
        let ComponentConfig { component, settings, state, outbound, listen, limits } = config;
        let key_value = KeyValueStore::open(&state.join("key-value"))
            .map_err(|error| ComponentError::State { path: state, error })?;
        let key_value = Arc::new(key_value);
        let shared = Shared { settings: Arc::new(settings), key_value: Arc::clone(&key_value) };
        let outbound = Outbound::new(outbound).map_err(ComponentError::Outbound)?;
        let refused = |error| ComponentError::Listen { address: listen, error };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (stopping, served) = (watch::Sender::new(false), watch::Sender::new(false));
        let instances = Arc::new(Semaphore::new(limits.requests));
        let handler = ProxyHandler::new(Instances {
            engine: component.engine,
            component: component.pre,
            shared,
            outbound,
            limits,
            places: Arc::clone(&instances),
            closing: served.subscribe(),
        });
        let places = Arc::new(Semaphore::new(limits.requests));
        let router = Router::new().fallback(answer).with_state(App { handler, limits, places });
        let serving = server::serve(
            listener,
            router,
            server::Limits::default(),
            server::told(stopping.subscribe()),
        );
        let serving = tokio::spawn(serving);
        Ok(Self { address, stopping, served, instances, key_value, limits, serving })
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connection, requests in flight finish within the limit, and what the component does after its answers.
    /// Then the key-value store is closed.
    ///
    /// # Errors
    /// What ended the server before, if anything did.
    pub async fn stop(self) -> io::Result<()> {
        self.stopping.send_replace(true);
        let served = self.serving.await.map_err(io::Error::other).flatten();
        self.served.send_replace(true);
        let all = u32::try_from(self.limits.requests).unwrap_or(u32::MAX);
        if timeout(LAST_WORK, self.instances.acquire_many(all)).await.is_err() {
            tracing::warn!("stopping while the component is still at work");
        }
        self.key_value.close();
        served
    }
}

/// Hands a request to the component.
async fn answer(State(app): State<App>, request: Request) -> Response {
    let until = Instant::now() + app.limits.exchange_time;
    let waiting = Arc::clone(&app.places).acquire_owned();
    let Ok(Ok(place)) = timeout(app.limits.request_time, waiting).await else {
        return overloaded();
    };
    let request = match for_component(request, until) {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    // The handler has its own clock, which stands still while a component does not let go of the processor.
    let answered = timeout(app.limits.request_time, app.handler.handle((), request)).await;
    let error = match answered {
        Ok(Ok(response)) => {
            return response.map(|body| {
                let body = Bounded::new(body, until, Error::HttpResponseTimeout).holding(place);
                Body::new(body.map_err(|error| error.to_string()))
            });
        }
        Ok(Err(error)) => error,
        Err(_) => ExpirationError.into(),
    };
    if error.is::<ExpirationError>() {
        let detail = "the component did not answer in time";
        return Problem::new(StatusCode::GATEWAY_TIMEOUT, "component_timeout", detail).into_response();
    }
    tracing::warn!(error = format!("{error:#}"), "the component did not answer");
    if error.is::<InstantiationError<()>>() {
        return overloaded();
    }
    let detail = "the component failed";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "component_failed", detail).into_response()
}

fn overloaded() -> Response {
    let detail = "the component has more requests than it can take";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "component_overloaded", detail).into_response()
}

/// The request with its whole address, and with who asks.
fn for_component(request: Request, until: Instant) -> Result<http::Request<WasiBody>, Problem> {
    let wrong = |detail| Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail);
    let (mut parts, body) = request.into_parts();
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    if uri.authority.is_none()
        && let Some(host) = parts.headers.get(header::HOST)
    {
        let authority = host.as_bytes().try_into().map_err(|_| wrong("the host is none"))?;
        uri.authority = Some(authority);
    }
    if uri.authority.is_some() {
        uri.scheme = Some(http::uri::Scheme::HTTP);
    }
    parts.uri = Uri::from_parts(uri).map_err(|_| wrong("the request's target is none"))?;
    parts.headers.remove(CLIENT_ADDRESS);
    if let Some(Peer(address)) = parts.extensions.get()
        && let Ok(address) = HeaderValue::try_from(address.ip().to_canonical().to_string())
    {
        parts.headers.insert(CLIENT_ADDRESS, address);
    }
    let body = body.map_err(|_| Error::HttpProtocolError);
    let body = Bounded::new(body, until, Error::ConnectionReadTimeout).boxed_unsync();
    Ok(http::Request::from_parts(parts, body))
}
