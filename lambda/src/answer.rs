//! What the function answers, on its way back: forwarded as it comes, unless policies look at answers or oblige to change
//! them, or the function had only a part of a batch.

use std::{sync::Arc, time::Instant};

use crate::{
    api::{Body, whole},
    batch,
    denial::{Denial, Why},
    event::Event,
    gate::Gate,
    in_hand::InHand,
    proxy::{ERROR_TYPE, text},
    returned::Returned,
    stream::{Held, split},
    telemetry::RESPONSE,
};
use aecp_enforcer::{Reason, record::RequestContext};
use bytes::Bytes;
use hyper::{
    Method, Request, Uri,
    body::Incoming,
    header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER},
    http::{HeaderMap, HeaderValue, request::Parts},
};

const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// The type of streamed responses that have a prelude.
const WITH_PRELUDE: &str = "application/vnd.awslambda.http-integration-response";

/// The request that answers an invocation with a denial.
pub(crate) fn denied(request_id: &str, denial: &Denial) -> Option<Request<Body>> {
    let kind = if denial.error_type.is_some() { "error" } else { "response" };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("/2018-06-01/runtime/invocation/{request_id}/{kind}"))
        .header(CONTENT_TYPE, "application/json");
    if let Some(error_type) = denial.error_type {
        request = request.header(ERROR_TYPE, error_type);
    }
    match request.body(whole(denial.body.clone())) {
        Ok(request) => Some(request),
        Err(error) => {
            tracing::error!(%error, "the invocation has no sound id and cannot be answered");
            None
        }
    }
}

/// How the function answers.
#[derive(Clone, Copy)]
struct Mode {
    is_streamed: bool,
    has_prelude: bool,
}

impl Mode {
    fn of(headers: &HeaderMap) -> Self {
        let is_streamed = text(headers, RESPONSE_MODE).eq_ignore_ascii_case("streaming");
        let media_type = text(headers, CONTENT_TYPE.as_str()).split(';').next().unwrap_or_default();
        Self { is_streamed, has_prelude: is_streamed && media_type.trim() == WITH_PRELUDE }
    }

    fn returned<'a>(self, event: &Event<'_>, bytes: &'a [u8]) -> Option<Returned<'a>> {
        if !self.is_streamed {
            return Returned::of(event, bytes).ok();
        }
        let (prelude, body) = match split(bytes) {
            Some((prelude, body)) if self.has_prelude => (Some(prelude), body),
            None if self.has_prelude => return None,
            _ => (None, bytes),
        };
        Returned::streamed(event, prelude, body).ok()
    }
}

impl Gate {
    /// What Lambda is sent as the answer to the invocation in hand.
    pub(crate) async fn answered(
        &self,
        in_hand: &InHand,
        mut head: Parts,
        body: Incoming,
    ) -> Option<Request<Body>> {
        let context =
            RequestContext { point: RESPONSE, started: Instant::now(), ..in_hand.context.clone() };
        let mode = Mode::of(&head.headers);
        let held = self.decided_answer(in_hand, mode, Held::new(body), &context).await;
        self.telemetry.held(&context);
        match held {
            Ok(held) if mode.is_streamed => Some(Request::from_parts(head, held.into_body())),
            Ok(held) => {
                let bytes = match in_hand.failed.as_slice() {
                    [] => held.bytes,
                    failed => Bytes::from(batch::merged(&held.bytes, failed)),
                };
                head.headers.insert(CONTENT_LENGTH, bytes.len().into());
                Some(Request::from_parts(head, whole(bytes)))
            }
            Err(why) => {
                let denial = in_hand.denial(why, mode.is_streamed);
                log_denial(&context, &denial.why);
                if !mode.is_streamed || denial.error_type.is_some() {
                    return denied(&context.request_id, &denial);
                }
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(WITH_PRELUDE));
                head.headers.remove(TRAILER);
                head.headers.remove(CONTENT_LENGTH);
                let held = Held::ended(denial.body);
                Some(Request::from_parts(head, held.into_body()))
            }
        }
    }

    async fn decided_answer(
        &self,
        in_hand: &InHand,
        mode: Mode,
        held: Held,
        context: &RequestContext,
    ) -> Result<Held, Why> {
        let unread = async || self.unclear(in_hand, Reason::RequestTooLarge, context).await;
        let unclear = async || self.unclear(in_hand, Reason::InvalidRequest, context).await;
        let read = if !mode.is_streamed || in_hand.needs_body() {
            held.whole().await
        } else if mode.has_prelude {
            held.prelude().await
        } else {
            Ok(held)
        };
        let Ok(mut held) = read else { return Err(unread().await) };
        if !in_hand.is_looked_at() {
            return Ok(held);
        }
        let event = in_hand.event();
        let ways = match mode.returned(&event, &held.bytes) {
            Some(returned) => self.answer(in_hand, &returned, context).await?,
            None => return Err(unclear().await),
        };
        if !in_hand.obliges(&ways) {
            return Ok(held);
        }
        held = match held.whole().await {
            Ok(held) => held,
            Err(_) => return Err(unread().await),
        };
        let Some(returned) = mode.returned(&event, &held.bytes) else { return Err(unclear().await) };
        let changed = self.carried_out(in_hand, &ways, &returned, context).await?;
        let changed = changed.map(|body| returned.with_body(&body));
        Ok(match changed {
            Some(bytes) => held.with(bytes),
            None => held,
        })
    }
}

/// One line for each denial.
pub(crate) fn log_denial(context: &RequestContext, why: &Why) {
    tracing::info!(
        request_id = &*context.request_id,
        trace_id = context.trace_id.as_deref(),
        point = context.point,
        code = why.code,
        policies = why.policies.join(","),
        "denied"
    );
}

/// Whether this request is a function's answer, and to which invocation.
pub(crate) fn answers(method: &Method, uri: &Uri) -> Option<Arc<str>> {
    let path = uri.path().strip_prefix("/2018-06-01/runtime/invocation/")?;
    (method == Method::POST).then_some(())?;
    path.strip_suffix("/response").map(Arc::from)
}
