//! Who is notified of reports: a server that keeps what it gets.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::{net::TcpListener, sync::Mutex};

/// A running receiver.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<(String, Bytes)>>>,
    status: Arc<AtomicU16>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/aecp?token=hush", listener.local_addr().unwrap());
        let receiver = Self { url, got: Arc::default(), status: Arc::new(AtomicU16::new(204)) };
        let router = Router::new().route("/hooks/aecp", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// From now on it answers so; 0 is never.
    pub(crate) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// What it got since it was last asked: media type and body.
    pub(crate) async fn got(&self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut *self.got.lock().await)
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let media_type = headers["content-type"].to_str().unwrap().to_owned();
    receiver.got.lock().await.push((media_type, body));
    match receiver.status.load(Ordering::SeqCst) {
        0 => std::future::pending().await,
        status => StatusCode::from_u16(status).unwrap(),
    }
}
