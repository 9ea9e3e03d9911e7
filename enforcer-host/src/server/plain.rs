//! The plain form: attributes in, the line of `aecp decide` out, with the release's serial.

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::value::RawValue;

use super::{
    App,
    input::{Input, check_batch},
    problem::{Problem, json},
};
use crate::{decided::Line, record::Answer};

fn line(answer: &Answer) -> Line<'_> {
    let decided = answer.decided();
    Line { decision: decided.decision(), findings: decided.findings_for_caller() }
}

/// `POST /v1/decision`: one JSON object of attributes.
pub(super) async fn decision(
    State(app): State<App>,
    Input { context, body }: Input,
) -> Result<Response, Problem> {
    let decided = app.enforcer.snapshot().decide_json(&body);
    let answer = app.recorder.settle(decided, &context).await;
    match Problem::of(answer.decided()) {
        Some(problem) => Err(problem),
        None => Ok(json(StatusCode::OK, &line(&answer))),
    }
}

/// `POST /v1/decisions`: an array of them, all decided by one release.
pub(super) async fn decisions(
    State(app): State<App>,
    Input { context, body }: Input,
) -> Result<Response, Problem> {
    let requests: Vec<&RawValue> = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the body is no array of requests: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    })?;
    check_batch(requests.len(), app.limits)?;
    let snapshot = app.enforcer.snapshot();
    let mut pending = Vec::with_capacity(requests.len());
    for request in requests {
        let decided = snapshot.decide_json(request.get().as_bytes());
        pending.push(app.recorder.submit(decided, &context).await);
    }
    let mut answers = Vec::with_capacity(pending.len());
    for pending in pending {
        answers.push(pending.settled().await);
    }
    Ok(json(StatusCode::OK, &answers.iter().map(line).collect::<Vec<_>>()))
}
