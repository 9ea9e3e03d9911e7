//! A stand-in for Lambda: the Runtime API and the Extensions API, with the paths, headers and answers of AWS's
//! documentation. It freezes nothing and ends nothing by itself.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

/// What the function's side posted.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Posted {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An event with its headers.
type Event = (String, Bytes);

struct Shared {
    events: Mutex<mpsc::UnboundedReceiver<Event>>,
    life: Mutex<mpsc::UnboundedReceiver<Value>>,
    posted: mpsc::UnboundedSender<Posted>,
    /// Parts of bodies, as they come.
    parts: mpsc::UnboundedSender<Bytes>,
}

/// The stand-in, and what it saw.
pub(crate) struct Lambda {
    pub(crate) address: String,
    events: mpsc::UnboundedSender<Event>,
    life: mpsc::UnboundedSender<Value>,
    posted: Mutex<mpsc::UnboundedReceiver<Posted>>,
    parts: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    invocations: AtomicUsize,
}

pub(crate) const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:orders";
pub(crate) const TRACE: &str =
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// A minute from now, as Lambda writes deadlines.
pub(crate) fn deadline() -> u64 {
    (aecp_enforcer::now().seconds as u64 + 60) * 1000
}

impl Lambda {
    pub(crate) async fn start() -> Self {
        let (events, next) = mpsc::unbounded_channel();
        let (life, next_life) = mpsc::unbounded_channel();
        let (posted, seen) = mpsc::unbounded_channel();
        let (parts, seen_parts) = mpsc::unbounded_channel();
        let shared = Shared { events: Mutex::new(next), life: Mutex::new(next_life), posted, parts };
        let router = Router::new()
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(next_life_event))
            .route("/2020-01-01/extension/init/error", post(extension_error))
            .route("/2018-06-01/runtime/invocation/next", get(next_event))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(posting))
            .route("/2018-06-01/runtime/init/{kind}", post(init_posting))
            .layer(DefaultBodyLimit::max(16 << 20))
            .with_state(Arc::new(shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let (posted, parts) = (Mutex::new(seen), Mutex::new(seen_parts));
        Self { address, events, life, posted, parts, invocations: AtomicUsize::new(0) }
    }

    /// Invokes the function; the id of the invocation.
    pub(crate) fn invoke(&self, payload: impl Into<Bytes>) -> String {
        let id = format!("invocation-{}", self.invocations.fetch_add(1, Ordering::Relaxed));
        self.life
            .send(json!({ "eventType": "INVOKE", "deadlineMs": deadline(), "requestId": id }))
            .unwrap();
        self.events.send((id.clone(), payload.into())).unwrap();
        id
    }

    pub(crate) fn shutdown(&self) {
        let deadline = aecp_enforcer::now().seconds as u64 * 1000 + 20_000;
        self.life
            .send(
                json!({ "eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": deadline }),
            )
            .unwrap();
    }

    /// The next part of a body, before its end.
    pub(crate) async fn part(&self) -> Bytes {
        crate::environment::within(async { self.parts.lock().await.recv().await.unwrap() }).await
    }

    /// What was posted next.
    pub(crate) async fn posted(&self) -> Posted {
        crate::environment::within(async { self.posted.lock().await.recv().await.unwrap() }).await
    }
}

async fn register(headers: HeaderMap, body: Bytes) -> Response {
    let events: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(events, json!({ "events": ["INVOKE", "SHUTDOWN"] }));
    assert_eq!(headers["lambda-extension-name"], "aecp-extension");
    let answer =
        json!({ "functionName": "orders", "functionVersion": "$LATEST", "handler": "app.handler" });
    ([("lambda-extension-identifier", "extension-1")], answer.to_string()).into_response()
}

async fn next_life_event(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    assert_eq!(headers["lambda-extension-identifier"], "extension-1");
    let event = shared.life.lock().await.recv().await.unwrap();
    event.to_string().into_response()
}

async fn extension_error(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.posted.send(Posted { path: "extension/init/error".to_owned(), headers, body }).unwrap();
    accepted()
}

async fn next_event(State(shared): State<Arc<Shared>>) -> Response {
    let (id, payload) = shared.events.lock().await.recv().await.unwrap();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline().to_string()),
        ("lambda-runtime-invoked-function-arn", ARN.to_owned()),
        ("lambda-runtime-trace-id", TRACE.to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, payload).into_response()
}

async fn posting(
    State(shared): State<Arc<Shared>>,
    Path((id, kind)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post_to(&shared, format!("{id}/{kind}"), headers, body).await
}

async fn init_posting(
    State(shared): State<Arc<Shared>>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post_to(&shared, format!("init/{kind}"), headers, body).await
}

/// Takes the body as it comes, and keeps its trailers as headers.
async fn post_to(shared: &Shared, path: String, mut headers: HeaderMap, body: Body) -> Response {
    use http_body_util::BodyExt as _;
    let mut body = body;
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => {
                whole.extend_from_slice(&data);
                shared.parts.send(data).unwrap();
            }
            Err(frame) => headers.extend(frame.into_trailers().unwrap()),
        }
    }
    shared.posted.send(Posted { path, headers, body: whole.into() }).unwrap();
    accepted()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}
