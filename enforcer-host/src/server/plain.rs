//! The plain form: attributes in, the line of `aecp decide` out, with the release's serial.

use aecp_contract::explain::{Explanation, Select};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    App, explain,
    input::{Input, check_batch},
    problem::{Problem, json},
};
use crate::{
    decided::{Decided, Line},
    record::Answer,
};

fn line(answer: &Answer) -> Line<'_> {
    let decided = answer.decided();
    Line { decision: decided.decision(), findings: decided.findings_for_caller() }
}

/// `POST /v1/decision`: one JSON object of attributes.
pub(super) async fn decision(
    State(app): State<App>,
    Input { context, body, explain }: Input,
) -> Result<Response, Problem> {
    let snapshot = app.enforcer.snapshot();
    if explain {
        explain::check(&snapshot)?;
    }
    let answer = app.recorder.settle(snapshot.decide_json(&body), &context).await;
    if let Some(problem) = Problem::of(answer.decided()) {
        return Err(problem);
    }
    if !explain {
        return Ok(json(StatusCode::OK, &line(&answer)));
    }
    let why = move |decided: &Decided| decided.explain_json(&body, Select::Caller);
    let explanation = explain::explain(&app, &answer, why).await?;
    Ok(json(StatusCode::OK, &ExplainedLine { line: line(&answer), explanation }))
}

/// The line of a decision, and why.
#[derive(Serialize)]
struct ExplainedLine<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// `POST /v1/decisions`: an array of them, all decided by one release.
pub(super) async fn decisions(
    State(app): State<App>,
    Input { context, body, explain }: Input,
) -> Result<Response, Problem> {
    explain::check_single(explain)?;
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
