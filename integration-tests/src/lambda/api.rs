//! The Runtime API, and what the two APIs share.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{io, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{Path, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::{
    Answer, Config, Failure, MAX_PAYLOAD, MAX_STREAMED, TRACE, extensions_api,
    state::{Phase, State},
};

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// What the APIs speak about.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) config: Arc<Config>,
    pub(super) state: Arc<watch::Sender<State>>,
}

impl Api {
    /// Serves on a free port, as long as the runtime lives; the address.
    pub(super) async fn serve(self) -> io::Result<String> {
        let runtime = "/2018-06-01/runtime";
        let router = Router::new()
            .route(&format!("{runtime}/invocation/next"), get(next))
            .route(&format!("{runtime}/invocation/{{id}}/response"), post(response))
            .route(&format!("{runtime}/invocation/{{id}}/error"), post(error))
            .route(&format!("{runtime}/init/error"), post(init_error))
            .route("/2022-07-01/telemetry", any(|| unsupported("Telemetry.NotSupported")))
            .route("/2020-08-15/logs", any(|| unsupported("Logs.NotSupported")))
            .merge(extensions_api::routes())
            .with_state(self);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }
}

/// The next event, which is waited for as long as it takes.
async fn next(Shared(api): Shared<Api>) -> Response {
    let is_in_hand = api.state.borrow().event.as_ref().is_some_and(|e| e.is_given && e.answer.is_none());
    if is_in_hand {
        return refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "the last event has no answer");
    }
    let mut environment = 0;
    api.state.send_modify(|state| {
        state.runtime_waits = true;
        environment = state.environment;
    });
    let is_there = |state: &State| state.event.as_ref().is_some_and(|event| !event.is_given);
    let mut seen = api.state.subscribe();
    // The sender lives as long as this does.
    let _ = seen.wait_for(|state| state.environment != environment || is_there(state)).await;
    let mut given = None;
    api.state.send_modify(|state| {
        // A call can be left over from an environment that was killed.
        let event = state.event.as_mut().filter(|e| !e.is_given && state.environment == environment);
        let Some(event) = event else { return };
        event.is_given = true;
        let headers = [
            ("lambda-runtime-aws-request-id", event.request_id.clone()),
            ("lambda-runtime-deadline-ms", event.deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", event.arn.clone()),
            ("lambda-runtime-trace-id", TRACE.to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        given = Some((headers, event.payload.clone()));
        state.runtime_waits = false;
    });
    match given {
        Some(event) => event.into_response(),
        None => refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "another call took the event"),
    }
}

async fn response(
    Shared(api): Shared<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(&api, &id, headers, body, false).await
}

async fn error(
    Shared(api): Shared<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(&api, &id, headers, body, true).await
}

async fn answer(api: &Api, id: &str, headers: HeaderMap, body: Body, is_error: bool) -> Response {
    let streams = headers.get(RESPONSE_MODE).is_some_and(|mode| mode == "streaming");
    let most = if streams { MAX_STREAMED } else { MAX_PAYLOAD };
    let read = read(body, most).await;
    let is_known =
        |state: &State| state.event.as_ref().is_some_and(|e| e.is_given && e.request_id == id);
    if !is_known(&api.state.borrow()) {
        return refused(
            StatusCode::BAD_REQUEST,
            "InvalidRequestID",
            "there is no such invocation in hand",
        );
    }
    let (answer, status) = match read {
        Ok(Some((body, trailers))) => {
            (Answer { is_error, headers, body, trailers, at: Instant::now() }, accepted())
        }
        Ok(None) => {
            let kind = "Function.ResponseSizeTooLarge";
            let message = format!("the answer has more than {most} bytes");
            let body = Bytes::from(json!({ "errorType": kind, "errorMessage": message }).to_string());
            let headers = [(HeaderName::from_static(ERROR_TYPE), HeaderValue::from_static(kind))];
            let (headers, trailers) = (headers.into_iter().collect(), HeaderMap::new());
            let answer = Answer { is_error: true, headers, body, trailers, at: Instant::now() };
            (answer, refused(StatusCode::PAYLOAD_TOO_LARGE, kind, &message))
        }
        Err(_) => return refused(StatusCode::BAD_REQUEST, "InvalidRequest", "the answer ended early"),
    };
    let taken = api.state.send_if_modified(|state| match state.event.as_mut() {
        Some(event) if event.request_id == id && event.answer.is_none() => {
            event.answer = Some(answer);
            true
        }
        _ => false,
    });
    if taken {
        return status;
    }
    refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "the invocation has an answer already")
}

/// A body and its trailers; `None` if it is too large. It is always read to its end, so that who sends it hears the answer.
async fn read(mut body: Body, most: usize) -> Result<Option<(Bytes, HeaderMap)>, axum::Error> {
    let (mut whole, mut size, mut trailers) = (Vec::new(), 0, HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                size += data.len();
                if size <= most {
                    whole.extend_from_slice(&data);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok((size <= most).then(|| (whole.into(), trailers)))
}

async fn init_error(Shared(api): Shared<Api>, headers: HeaderMap, body: Bytes) -> Response {
    if api.state.borrow().phase != Phase::Init {
        return refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "Init is over");
    }
    let kind = headers.get(ERROR_TYPE).and_then(|kind| kind.to_str().ok());
    failed(&api, kind.unwrap_or("Runtime.Unknown"), &body)
}

/// Takes a process's word for it that it failed.
pub(super) fn failed(api: &Api, kind: &str, body: &[u8]) -> Response {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = said["errorMessage"].as_str().unwrap_or_default();
    api.state.send_modify(|state| {
        state.failure.get_or_insert(Failure::new(kind, message));
    });
    accepted()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}

/// An error in the form of both APIs.
pub(super) fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, json!({ "errorType": kind, "errorMessage": message }).to_string()).into_response()
}

async fn unsupported(kind: &'static str) -> Response {
    refused(StatusCode::ACCEPTED, kind, "not supported by this emulator")
}
