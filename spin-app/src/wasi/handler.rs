//! From a request to its answer.

use std::{sync::Arc, time::Instant};

use aecp_contract::manifest::Point;
use aecp_enforcer::{
    Decided, Reason,
    record::{Answer, RequestContext},
};
use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Request, Response},
};

use super::{
    answers::{self, advisory, supported},
    guard::Guard,
    message::{self, Unread, in_time},
    next::{Body, Line, next},
};
use crate::{
    problem::Problem,
    request::{Head, Seen, Wants},
};

/// The point of enforcement, as the log has it.
const REQUESTS: &str = "http/request";

/// The longest id of a request that is taken from it.
const MAX_ID: usize = 128;

/// The component: what the host calls.
#[derive(Debug, Clone, Copy)]
pub struct Component;

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, reason = "the function that the host calls")]
    use super::Component;
    wasip3::http::service::export!(Component with_types_in wasip3);
}

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let started = Instant::now();
        let Some(guard) = Guard::get() else {
            return Ok(message::problem(&Problem::new(503, "not_set_up")));
        };
        guard.ready().await;
        let response = decide(&guard, request, started).await;
        guard.after();
        Ok(response)
    }
}

/// Decides on a request, and on its way on if it may go on.
async fn decide(guard: &Guard, request: Request, started: Instant) -> Response {
    let head = message::head(&request);
    let context = context(&head, REQUESTS, started);
    let settle = |decided| guard.recorder.settle(decided, &context, &guard.store);
    let (release, usable) = guard.keeper.usable();
    let denied = |reason, why| denial(&settle(Decided::denied_because(reason, why).by(release)));
    if head.is_too_large() {
        return denied(Reason::RequestTooLarge, "the headers are too large");
    }
    let line = Line::of(&request);
    let wants = usable.as_ref().map_or(Wants::NOTHING, |active| active.wants);
    let body = if wants.body {
        let (mut body, end) = message::request_body(request);
        let limits = (guard.settings.max_body, guard.settings.upstream_timeout);
        match message::read(&mut body, limits.0, limits.1).await {
            Ok(bytes) => Body::Read(bytes, end),
            Err(Unread::TooLarge) => return denied(Reason::RequestTooLarge, "the body is too large"),
            Err(Unread::Broken) => return denied(Reason::InvalidRequest, "the body did not come"),
        }
    } else {
        Body::Unread(request)
    };
    let seen = Seen::new(head, body.bytes(), &guard.settings, wants);
    let decided = match &usable {
        Ok(active) => active.set.decide_read(|table, slots| seen.read(Point::Ingress, table, slots)),
        Err(reason) => Decided::denied(*reason),
    };
    let answer = settle(supported(decided).by(release));
    // Whoever is allowed was decided on by a release.
    let (Ok(_), Ok(active)) = (answer.permit(), &usable) else { return denial(&answer) };
    let sent = in_time(next(guard, line, &seen, body), guard.settings.upstream_timeout).await;
    let response = match sent {
        Some(Ok(response)) => response,
        Some(Err(error)) => return message::problem(&failure(&error)),
        None => return message::problem(&Problem::new(504, "upstream_timeout")),
    };
    answers::decide(guard, active, &seen, &context, response, advisory(&answer).collect()).await
}

/// What a client is told of a denial.
fn denial(answer: &Answer) -> Response {
    message::problem(&Problem::denied(answer.decided()))
}

/// What a client is told where the upstream gave no answer.
fn failure(error: &ErrorCode) -> Problem<'static> {
    match error {
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::DnsTimeout
        | ErrorCode::HttpResponseTimeout => Problem::new(504, "upstream_timeout"),
        _ => Problem::new(502, "upstream_unavailable"),
    }
}

/// Whose decision it is.
fn context(head: &Head, point: &'static str, started: Instant) -> RequestContext {
    let text = |name| head.values(name).next().and_then(|value| std::str::from_utf8(value).ok());
    let is_id =
        |id: &&str| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let request_id = match text("x-request-id").filter(is_id) {
        Some(id) => Arc::from(id),
        None => Arc::from(format!("{:016x}", getrandom::u64().unwrap_or_default())),
    };
    // `<version>-<trace id>-<parent id>-<flags>` (W3C Trace Context).
    let trace_id = text("traceparent").and_then(|text| text.split('-').nth(1));
    let is_trace = |id: &&str| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trace_id = trace_id.filter(is_trace).map(Arc::from);
    RequestContext { request_id, trace_id, point, started }
}
