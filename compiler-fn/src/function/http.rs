//! The HTTP server for Google Cloud Run and the custom handler of Azure Functions. Both platforms have a front end of their
//! own before it, which limits connections and times and, on Cloud Run, checks who calls.

use std::{net::SocketAddr, sync::Arc};

use aecp_compiler::hosted::event::MAX_EVENT_BYTES;
use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{telemetry::log, work::Function};

#[derive(Clone)]
struct Server {
    function: Arc<Function>,
    azure: bool,
}

/// Serves until it is told to stop.
///
/// # Errors
/// It cannot listen there.
pub(crate) async fn serve(
    address: SocketAddr,
    azure: bool,
    function: Arc<Function>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot listen on {address}: {error}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let told = listener.local_addr().map_err(failed)?.to_string();
    log(&json!({ "level": "info", "message": "listening", "address": told }));
    let router = Router::new().fallback(handle).with_state(Server { function, azure });
    axum::serve(listener, router).with_graceful_shutdown(stopped()).await.map_err(failed)
}

/// Platforms stop a function by SIGTERM; what it is doing is finished first.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// The path is the platform's affair: a custom handler's is the function's name.
async fn handle(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match parts.method {
        // A host asks whether the handler is there.
        Method::GET | Method::HEAD => answer(StatusCode::OK, &json!({ "status": "ok" })),
        Method::OPTIONS => welcome(&parts.headers),
        Method::POST => match to_bytes(body, MAX_EVENT_BYTES).await {
            Ok(body) => server.event(&parts.headers, &body).await,
            Err(_) => {
                let message =
                    format!("the event is larger than {MAX_EVENT_BYTES} bytes, or was cut off");
                answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "message": message }))
            }
        },
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, &json!({ "message": "events are POSTed" })),
    }
}

/// The handshake of CloudEvents ("HTTP 1.1 Web Hooks for Event Delivery", 4.1).
fn welcome(headers: &HeaderMap) -> Response {
    match headers.get("webhook-request-origin") {
        Some(origin) => ([("webhook-allowed-origin", origin.clone())], StatusCode::OK).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

impl Server {
    async fn event(&self, headers: &HeaderMap, body: &Bytes) -> Response {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let trace = header("traceparent").or_else(|| header("x-cloud-trace-context"));
        match self.function.event(body, header("ce-type"), trace).await {
            Ok(told) if self.azure && told.get("validationResponse").is_none() => {
                let lines =
                    ["uploads", "channels"].iter().filter_map(|of| told[of].as_array()).flatten();
                let logs: Vec<String> = lines.map(Value::to_string).collect();
                answer(StatusCode::OK, &json!({ "Outputs": {}, "Logs": logs, "ReturnValue": null }))
            }
            Ok(told) => answer(StatusCode::OK, &told),
            // The reason is in the log; who calls learns only that it should call again.
            Err(_) => {
                let message = "it failed; deliver the event again";
                answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": message }))
            }
        }
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
