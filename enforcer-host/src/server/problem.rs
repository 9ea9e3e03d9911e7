//! Errors of the HTTP API, as problem details (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::decided::{Decided, Reason};

/// The request was not decided, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    detail: String,
    /// Constant, for scripts.
    code: &'static str,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { title, status, detail: detail.into(), code }
    }

    /// The problem with what is not even a request; `None` if it was one.
    pub(super) fn of(decided: &Decided) -> Option<Self> {
        let reason = decided.reason()?;
        Some(Self::new(status(reason)?, reason.as_str(), decided.detail().unwrap_or_default()))
    }
}

/// The HTTP status of a denial that is the caller's own fault.
pub(super) fn status(reason: Reason) -> Option<StatusCode> {
    match reason {
        Reason::InvalidRequest => Some(StatusCode::BAD_REQUEST),
        Reason::RequestTooLarge => Some(StatusCode::PAYLOAD_TOO_LARGE),
        _ => None,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &self);
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    }
}

/// A JSON response.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    #[expect(clippy::expect_used, reason = "answers are plain data with text keys")]
    let body = serde_json::to_vec(body).expect("an answer is plain data");
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
        .into_response()
}
