//! The part of Lambda's Runtime API that a function needs: next, response, error.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
};

type Answers = Mutex<mpsc::Receiver<(String, Result<Value, Value>)>>;

/// A running Runtime API for one function.
pub(crate) struct RuntimeApi {
    pub(crate) address: String,
    events: mpsc::Sender<(String, Value)>,
    answers: Answers,
    next: AtomicU64,
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::Receiver<(String, Value)>>>,
    answers: mpsc::Sender<(String, Result<Value, Value>)>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Self {
        let (events, taken) = mpsc::channel(8);
        let (answers, answered) = mpsc::channel(8);
        let api = Api { events: Arc::new(Mutex::new(taken)), answers };
        let base = "/2018-06-01/runtime/invocation";
        let router = Router::new()
            .route(&format!("{base}/next"), get(next))
            .route(&format!("{base}/{{id}}/response"), post(response))
            .route(&format!("{base}/{{id}}/error"), post(error))
            .with_state(api);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, events, answers: Mutex::new(answered), next: AtomicU64::new(1) }
    }

    /// What the function makes of an event.
    pub(crate) async fn invoke(&self, event: &Value) -> Result<Value, Value> {
        let id = format!("request-{}", self.next.fetch_add(1, Ordering::SeqCst));
        self.events.send((id.clone(), event.clone())).await.unwrap();
        let (of, answer) = self.answers.lock().await.recv().await.unwrap();
        assert_eq!(of, id);
        answer
    }
}

async fn next(State(api): State<Api>) -> Response {
    let (id, event) = api.events.lock().await.recv().await.unwrap();
    let headers = [
        ("lambda-runtime-aws-request-id", id.as_str()),
        ("lambda-runtime-deadline-ms", "9999999999999"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:compiler",
        ),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
    ];
    (headers, event.to_string()).into_response()
}

async fn response(State(api): State<Api>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.answers.send((id, Ok(json(&body)))).await.unwrap();
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Api>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.answers.send((id, Err(json(&body)))).await.unwrap();
    StatusCode::ACCEPTED
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}
