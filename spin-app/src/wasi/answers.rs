//! From an upstream's answer to the one that leaves: decided on, if policies look at answers, and with what they oblige to
//! carried out.

use std::time::Instant;

use aecp_enforcer::{
    Decided, Reason,
    obligations::MAX_BODY_BYTES,
    record::{Answer, RequestContext},
};
use bytes::Bytes;
use wasip3::{http::types::Response, wit_bindgen::StreamReader};

use super::{
    guard::Guard,
    message::{self, End, Unread},
};
use crate::{
    forward,
    problem::Problem,
    release::Active,
    request::{Headers, Seen, is_encoded},
    response::{Answered, rewritten},
};

/// The point of enforcement, as the log has it.
const ANSWERS: &str = "http/response";

/// A body on its way out.
enum Body {
    Unread(StreamReader<u8>),
    Read(Bytes),
}

/// Decides on an answer by the release that decided on its request.
pub(super) async fn decide(
    guard: &Guard,
    active: &Active,
    request: &Seen,
    of_request: &RequestContext,
    response: Response,
    mut names: Vec<String>,
) -> Response {
    let wants = &active.wants_of_answers;
    if !wants.decision {
        return if names.is_empty() { response } else { advised(response, names) };
    }
    let context = RequestContext { point: ANSWERS, started: Instant::now(), ..of_request.clone() };
    let settle =
        |decided: Decided| guard.recorder.settle(decided.by(Some(active.id)), &context, &guard.store);
    let (status, mut headers) = (response.get_status_code(), response.get_headers().copy_all());
    let (body, end) = message::response_body(response);
    let mut body = Body::Unread(body);
    if wants.body {
        body = match body.read(guard, guard.settings.max_body).await {
            Ok(bytes) => Body::Read(bytes),
            Err(reason) => return denial(&settle(Decided::denied(reason))),
        };
    }
    let seen = match &body {
        Body::Read(bytes) => Some(&bytes[..]),
        Body::Unread(_) => None,
    };
    let answered = Answered { status, headers: &headers, body: seen };
    let decided = supported(
        active.set.decide_read(|table, slots| answered.read(request, &active.set, table, slots)),
    );
    let answer = settle(decided);
    let Ok(permit) = answer.permit() else { return denial(&answer) };
    names.extend(advisory(&answer));
    if answer.decided().obligations().next().is_none() {
        let body = match body {
            Body::Unread(stream) => stream,
            Body::Read(bytes) => message::body_of(bytes),
        };
        return finish(status, headers, body, end, names);
    }
    let unsupported = || denial(&settle(Decided::denied(Reason::ObligationUnsupported)));
    if is_encoded(&headers) {
        return unsupported();
    }
    let Ok(bytes) = body.read(guard, MAX_BODY_BYTES).await else { return unsupported() };
    // In nothing there is nothing to hide: an answer to HEAD, or one without content.
    if !bytes.is_empty() {
        let Ok(changed) = permit.carry_out(&bytes) else { return unsupported() };
        headers = rewritten(&headers, changed.len());
        let body = message::body_of(Bytes::from(changed.into_owned()));
        return finish(status, headers, body, end, names);
    }
    finish(status, headers, message::body_of(bytes), end, names)
}

/// What a client is told of a denial.
fn denial(answer: &Answer) -> Response {
    message::problem(&Problem::denied_answer(answer.decided()))
}

impl Body {
    async fn read(self, guard: &Guard, limit: usize) -> Result<Bytes, Reason> {
        match self {
            Self::Read(bytes) => Ok(bytes),
            Self::Unread(mut body) => {
                let read = message::read(&mut body, limit, guard.settings.upstream_timeout).await;
                read.map_err(|unread| match unread {
                    Unread::TooLarge => Reason::RequestTooLarge,
                    Unread::Broken => Reason::InvalidRequest,
                })
            }
        }
    }
}

/// The decision, or a denial if it obliges to what nothing here can do.
pub(super) fn supported(decided: Decided) -> Decided {
    if decided.obliges_only_to_bodies() {
        decided
    } else {
        Decided::denied(Reason::ObligationUnsupported)
    }
}

/// The names of the ADVISORY policies that are violated.
pub(super) fn advisory(answer: &Answer) -> impl Iterator<Item = String> {
    answer.decided().advisory().map(|policy| policy.name.clone())
}

/// The answer with these names in a header.
fn advised(response: Response, names: Vec<String>) -> Response {
    let (status, headers) = (response.get_status_code(), response.get_headers().copy_all());
    let (body, end) = message::response_body(response);
    finish(status, headers, body, end, names)
}

fn finish(
    status: u16,
    mut headers: Headers,
    body: StreamReader<u8>,
    end: End,
    mut names: Vec<String>,
) -> Response {
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        forward::set(&mut headers, forward::ADVISORY, names.join(",").into_bytes());
    }
    message::response(status, &forward::without_hop(&headers), body, end)
}
