//! The OpenID AuthZEN Authorization API 1.0: Access Evaluation and Access Evaluations.
//!
//! Source: <https://openid.net/specs/authorization-api-1_0.html>.

use aecp_contract::{
    explain::{Explanation, Select},
    request::AuthZenRequest,
    verdict::Decision,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    App, explain,
    input::{Input, check_batch, check_defaults},
    problem::{Problem, json, status},
};
use crate::{
    decided::{Decided, Findings, Reason},
    enforcer::Snapshot,
    explain::NotExplained,
    record::{Answer, RequestContext},
};

/// The body of an Access Evaluations request: defaults, the requests, and when to stop.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow, default)]
    subject: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    evaluations: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Deserialize, Default)]
struct Options {
    #[serde(default)]
    evaluations_semantic: Semantic,
}

/// When a batch ends early.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Semantic {
    #[default]
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn ends_with(self, decision: Decision) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => decision == Decision::Deny,
            Self::PermitOnFirstPermit => decision == Decision::Allow,
        }
    }
}

#[derive(Serialize)]
struct Evaluation<'a> {
    decision: bool,
    context: Context<'a>,
}

#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    findings: Findings<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ItemError<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// Why one request of a batch is none.
#[derive(Serialize)]
struct ItemError<'a> {
    status: u16,
    message: &'a str,
}

#[derive(Serialize)]
struct Evaluations<'a> {
    evaluations: Vec<Evaluation<'a>>,
}

fn evaluation_of(answer: &Answer) -> Evaluation<'_> {
    let decided = answer.decided();
    let error = decided.reason().and_then(status).map(|status| ItemError {
        status: status.as_u16(),
        message: decided.detail().unwrap_or_default(),
    });
    let context = Context { findings: decided.findings_for_caller(), error, explanation: None };
    Evaluation { decision: answer.permit().is_ok(), context }
}

/// `POST /access/v1/evaluation`.
pub(super) async fn evaluation(
    State(app): State<App>,
    Input { context, body, explain }: Input,
) -> Result<Response, Problem> {
    let snapshot = app.enforcer.snapshot();
    if explain {
        explain::check(&snapshot)?;
    }
    let decided = match serde_json::from_slice::<AuthZenRequest<'_>>(&body) {
        Ok(request) => snapshot.decide_authzen(&request),
        Err(error) => unreadable(&snapshot, &error),
    };
    let answer = app.recorder.settle(decided, &context).await;
    if let Some(problem) = Problem::of(answer.decided()) {
        return Err(problem);
    }
    let mut evaluation = evaluation_of(&answer);
    if explain {
        let why = move |decided: &Decided| match serde_json::from_slice::<AuthZenRequest<'_>>(&body) {
            Ok(request) => decided.explain_authzen(&request, Select::Caller),
            Err(_) => Err(NotExplained::NoPolicies),
        };
        evaluation.context.explanation = explain::explain(&app, &answer, why).await?;
    }
    Ok(json(StatusCode::OK, &evaluation))
}

/// `POST /access/v1/evaluations`: all decided by one release. Without `evaluations` it is the same as
/// `/access/v1/evaluation`.
pub(super) async fn evaluations(
    State(app): State<App>,
    Input { context, body, explain }: Input,
) -> Result<Response, Problem> {
    explain::check_single(explain)?;
    let snapshot = app.enforcer.snapshot();
    let batch: Batch<'_> = match serde_json::from_slice(&body) {
        Ok(batch) => batch,
        Err(error) => return single(&app, unreadable(&snapshot, &error), &context).await,
    };
    let defaults = AuthZenRequest {
        subject: batch.subject,
        action: batch.action,
        resource: batch.resource,
        context: batch.context,
    };
    let requests = batch.evaluations.unwrap_or_default();
    if requests.is_empty() {
        return single(&app, snapshot.decide_authzen(&defaults), &context).await;
    }
    check_batch(requests.len(), app.limits)?;
    let shared = [defaults.subject, defaults.action, defaults.resource, defaults.context];
    let shared = shared.into_iter().flatten().map(|value| value.get().len()).sum();
    check_defaults(shared, requests.len(), app.limits)?;
    let semantic = batch.options.unwrap_or_default().evaluations_semantic;
    let mut pending = Vec::with_capacity(requests.len());
    for request in requests {
        let decided = match serde_json::from_str::<AuthZenRequest<'_>>(request.get()) {
            Ok(request) => snapshot.decide_authzen(&request.or(defaults)),
            Err(error) => unreadable(&snapshot, &error),
        };
        let submitted = app.recorder.submit(decided, &context).await;
        let last = semantic.ends_with(submitted.decision());
        pending.push(submitted);
        if last {
            break;
        }
    }
    let mut answers = Vec::with_capacity(pending.len());
    for pending in pending {
        answers.push(pending.settled().await);
    }
    let evaluations = answers.iter().map(evaluation_of).collect();
    Ok(json(StatusCode::OK, &Evaluations { evaluations }))
}

async fn single(app: &App, decided: Decided, context: &RequestContext) -> Result<Response, Problem> {
    let answer = app.recorder.settle(decided, context).await;
    match Problem::of(answer.decided()) {
        Some(problem) => Err(problem),
        None => Ok(json(StatusCode::OK, &evaluation_of(&answer))),
    }
}

fn unreadable(snapshot: &Snapshot, error: &serde_json::Error) -> Decided {
    snapshot.deny(Reason::InvalidRequest, &format!("the request cannot be read: {error}"))
}
