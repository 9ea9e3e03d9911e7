//! The HTTP API: OpenID AuthZEN 1.0, a plain form of the same, health and metrics; every input limited.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use hyper::{
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{enforcer::Enforcer, record::Recorder};

mod authzen;
mod explain;
mod input;
mod operations;
mod plain;
mod problem;

use input::Origin;
pub(crate) use problem::Problem;

/// AuthZEN, one request.
const EVALUATION: &str = "/access/v1/evaluation";
/// AuthZEN, several.
const EVALUATIONS: &str = "/access/v1/evaluations";
/// The plain form, one request.
const DECISION: &str = "/v1/decision";
/// The plain form, several.
const DECISIONS: &str = "/v1/decisions";
const HEALTH: &str = "/healthz";
const METRICS: &str = "/metrics";

/// Bytes of a request's head, at most.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// How long to rest when the operating system has no connection left to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much a client may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Requests in one batch.
    pub batch: usize,
    /// How long a request's head may take to arrive, and how long a connection may rest.
    pub head_time: Duration,
    /// How long its body may take to arrive.
    pub body_time: Duration,
    /// Connections at once, which is as many requests; more wait to be accepted.
    pub connections: usize,
    /// How long requests in flight may take to finish at shutdown.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            batch: 1000,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            connections: 1024,
            drain_time: Duration::from_secs(10),
        }
    }
}

/// What the handlers share.
#[derive(Clone)]
struct App {
    enforcer: Arc<Enforcer>,
    recorder: Arc<Recorder>,
    limits: Limits,
    /// One explanation at a time, so that they take no time from decisions.
    explaining: Arc<Semaphore>,
}

/// The API over one enforcer.
pub fn router(enforcer: Arc<Enforcer>, recorder: Arc<Recorder>, limits: Limits) -> Router {
    let app = App { enforcer, recorder, limits, explaining: Arc::new(Semaphore::new(1)) };
    Router::new()
        .route(EVALUATION, post(authzen::evaluation))
        .route(EVALUATIONS, post(authzen::evaluations))
        .route(DECISION, post(plain::decision))
        .route(DECISIONS, post(plain::decisions))
        .route(HEALTH, get(operations::health))
        .route(METRICS, get(operations::metrics))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            let detail = "this path takes another method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Gives each request its id, and counts it.
async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = [EVALUATION, EVALUATIONS, DECISION, DECISIONS, HEALTH, METRICS]
        .into_iter()
        .find(|path| *path == request.uri().path())
        .unwrap_or("other");
    let origin = Origin::of(path, request.headers());
    request.extensions_mut().insert(origin.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&origin.request_id) {
        response.headers_mut().insert(input::REQUEST_ID, value);
    }
    app.enforcer.metrics().requested(path, response.status().as_u16());
    response
}

/// Serves until `stop` is done, then lets requests in flight finish.
///
/// # Errors
/// The operating system's, if the listener is no listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    tokio::pin!(stop);
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, peer)) => {
                    let serving = connection(stream, Peer(peer), router.clone(), limits, closing.subscribe());
                    connections.spawn(serving);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    closing.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain_time, drained).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "closing connections that did not finish in time"
        );
    }
    Ok(())
}

/// The other end of a request's connection, among the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(
    #[cfg_attr(not(feature = "components"), allow(dead_code, reason = "components are told who asks"))]
    pub(crate) SocketAddr,
);

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    limits: Limits,
    closing: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = told(closing) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Done when the sender said so or is gone.
pub(crate) async fn told(mut receiver: watch::Receiver<bool>) {
    let _ = receiver.wait_for(|said| *said).await;
}

/// Waits for SIGTERM or an interrupt.
///
/// # Errors
/// The operating system's.
pub async fn signalled() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
