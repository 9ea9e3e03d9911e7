//! `?explain=true`: the reasons beside a decision, for callers of an enforcer that gives them.

use std::sync::Arc;

use aecp_contract::explain::{ExplainError, Explanation};
use axum::http::StatusCode;

use super::{App, problem::Problem};
use crate::{decided::Decided, enforcer::Snapshot, explain::NotExplained, record::Answer};

/// Whether the query asks for reasons.
///
/// # Errors
/// The problem if it asks in other words, or this enforcer gives none.
pub(super) fn asked(query: Option<&str>, app: &App) -> Result<bool, Problem> {
    let mut asked = false;
    for pair in query.unwrap_or_default().split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("explain", "true") => asked = true,
            ("explain", "false") => asked = false,
            ("explain", _) => {
                let detail = "write `explain=true` or `explain=false`";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
            }
            _ => {}
        }
    }
    if asked && !app.enforcer.explains() {
        let detail = "this enforcer explains no decisions; start it with --explain to have it do so";
        return Err(Problem::new(StatusCode::FORBIDDEN, "explanations_off", detail));
    }
    Ok(asked)
}

/// Refuses reasons for a batch.
///
/// # Errors
/// The problem, if they are asked for.
pub(super) fn check_single(asked: bool) -> Result<(), Problem> {
    if !asked {
        return Ok(());
    }
    let detail = "decisions are explained one at a time; ask for this request alone";
    Err(Problem::new(StatusCode::BAD_REQUEST, "explain_one", detail))
}

/// Tells before anything is decided that this release cannot be explained.
///
/// # Errors
/// The problem.
pub(super) fn check(snapshot: &Snapshot) -> Result<(), Problem> {
    match snapshot.set() {
        Some(set) if !set.manifest().components.is_empty() => Err(problem(&NotExplained::Components)),
        Some(set) if !set.explains() => Err(problem(&NotExplained::NoClauses)),
        _ => Ok(()),
    }
}

/// Explains an answer, off the threads that serve requests; `None` if no policy decided, which the answer says itself.
///
/// # Errors
/// The problem. The decision is on record then; ask again without `explain` for it.
pub(super) async fn explain(
    app: &App,
    answer: &Answer,
    why: impl FnOnce(&Decided) -> Result<Explanation, NotExplained> + Send + 'static,
) -> Result<Option<Explanation>, Problem> {
    let turn = Arc::clone(&app.explaining).acquire_owned().await;
    let decided = answer.decided().clone();
    // The turn ends with the work, even if the caller has gone.
    let work = move || {
        let _turn = turn;
        why(&decided)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(explanation)) => Ok(Some(explanation)),
        Ok(Err(NotExplained::NoPolicies)) => Ok(None),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a decision was not explained");
            Err(problem(&error))
        }
        Err(error) => {
            let detail = format!("explaining gave up: {error}");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_explained", detail))
        }
    }
}

fn problem(error: &NotExplained) -> Problem {
    let (status, code) = match error {
        NotExplained::NoClauses | NotExplained::Components => (StatusCode::NOT_FOUND, "no_clauses"),
        NotExplained::Explain(ExplainError::TooDear) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large")
        }
        // It may name a policy that callers do not know of.
        _ => {
            let detail = "the release's explanation is at fault; the enforcer's log says how";
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_explained", detail);
        }
    };
    Problem::new(status, code, error.to_string())
}
