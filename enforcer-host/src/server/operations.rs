//! For operators: health and metrics.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{App, problem::json};
use crate::enforcer::SERVING;

/// `GET /healthz`: 200 while policies decide, 503 while everything is denied for want of a release.
pub(super) async fn health(State(app): State<App>) -> Response {
    let status = app.enforcer.status();
    let code = if status.status == SERVING { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &status)
}

/// `GET /metrics`.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], app.enforcer.metrics().encode()).into_response()
}
