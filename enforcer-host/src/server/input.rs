//! Reading a request: its id, its media type, and its body within limits of size and time.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::{App, Limits, explain, problem::Problem};
use crate::record::RequestContext;

/// The header that carries a request's id both ways.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most bytes of a caller's id; a longer one is replaced.
const MAX_ID_BYTES: usize = 128;

/// As many bodies of the largest size one batch with defaults may amount to.
const MAX_BODIES: usize = 16;

/// Where a request comes in, and its id: the caller's own or one made for it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) path: &'static str,
    pub(super) request_id: Arc<str>,
}

impl Origin {
    pub(super) fn of(path: &'static str, headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let request_id = match given {
            Some(id) if !id.is_empty() && id.len() <= MAX_ID_BYTES => id.into(),
            _ => random_id(),
        };
        Self { path, request_id }
    }
}

fn random_id() -> Arc<str> {
    let mut bytes = [0; 16];
    // An id that is not random names the request less well, and does no other harm.
    let _ = getrandom::fill(&mut bytes);
    let mut id = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(id, "{byte:02x}");
    }
    id.into()
}

/// A request to be decided: its body, whole, and the context that its decision is recorded in.
pub(super) struct Input {
    pub(super) context: RequestContext,
    pub(super) body: Bytes,
    /// Whether the caller wants to know why.
    pub(super) explain: bool,
}

impl FromRequest<App> for Input {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut head, body) = request.into_parts();
        if !is_json(&head.headers) {
            let detail = "the body must be of type application/json";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            ));
        }
        let explain = explain::asked(head.uri.query(), app)?;
        let reading = tokio::time::timeout(app.limits.body_time, whole(body, &head.headers, app.limits));
        let body = reading.await.unwrap_or_else(|_| {
            let detail = "the body took too long to arrive";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail))
        })?;
        let Origin { path, request_id } =
            head.extensions.remove().unwrap_or_else(|| Origin::of("other", &head.headers));
        let point = path.trim_start_matches('/');
        let trace_id = trace_id(&head.headers);
        Ok(Self {
            context: RequestContext { request_id, trace_id, point, started: Instant::now() },
            body,
            explain,
        })
    }
}

/// The trace id of a `traceparent` header (<https://www.w3.org/TR/trace-context/>); one that is none is passed over.
fn trace_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let header = headers.get("traceparent")?.to_str().ok()?;
    let mut fields = header.split('-');
    let (version, trace) = (fields.next()?, fields.next()?);
    let (parent, flags) = (fields.next()?, fields.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let none = |text: &str| text.bytes().all(|b| b == b'0');
    let sound = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let ends = version != "00" || fields.next().is_none();
    (sound && ends && version != "ff" && !none(trace) && !none(parent)).then(|| trace.into())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = value.split(';').next().unwrap_or("").trim();
    media_type.eq_ignore_ascii_case("application/json")
}

async fn whole(body: Body, headers: &HeaderMap, limits: Limits) -> Result<Bytes, Problem> {
    let limit = limits.body_bytes;
    let too_large = || {
        let detail = format!("the body is larger than {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", detail)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_request", "the body ended too early")
        })?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// A batch of more requests than are allowed.
pub(super) fn check_batch(length: usize, limits: Limits) -> Result<(), Problem> {
    if length <= limits.batch {
        return Ok(());
    }
    let detail = format!("{length} requests in one batch; at most {} are allowed", limits.batch);
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", detail))
}

/// Defaults are read once for each request of a batch, so that a small body could ask for much work: of all
/// requests together they may have as many bytes as [`MAX_BODIES`] bodies.
pub(super) fn check_defaults(bytes: usize, requests: usize, limits: Limits) -> Result<(), Problem> {
    if bytes.saturating_mul(requests) <= limits.body_bytes.saturating_mul(MAX_BODIES) {
        return Ok(());
    }
    let detail = format!("defaults of {bytes} bytes for {requests} requests; make several batches");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sound_traceparent_names_a_trace() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = "00f067aa0ba902b7";
        let read = |value: &str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("traceparent"), value.parse().unwrap())]);
            trace_id(&headers).map(|id| id.to_string())
        };
        assert_eq!(read(&format!("00-{trace}-{parent}-01")).as_deref(), Some(trace));
        assert_eq!(read(&format!("cc-{trace}-{parent}-01-of-later-versions")).as_deref(), Some(trace));
        for bad in [
            String::new(),
            trace.to_owned(),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-01-more"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{parent}-01", &trace[1..]),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
