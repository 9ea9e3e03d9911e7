//! Between the function's runtime and the Runtime API: everything is forwarded as it comes, but for the events that
//! `next` gives and the answers to them, which are decided first.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aecp_enforcer::record::RequestContext;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::CONTENT_LENGTH,
    http::{HeaderMap, request::Parts},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{client::legacy::Error, rt::TokioIo};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use crate::{
    answer::{answers, denied, log_denial},
    api::{Api, Body, whole, without_connection},
    config::Fail,
    denial::{Denial, Why},
    gate::{Gate, Outcome},
    in_hand::InHand,
    supervisor::{Left, Said},
    telemetry::{INVOCATION, RESPONSE},
    upkeep::{self, Upkeep},
    worker::say,
};

const NEXT: &str = "/2018-06-01/runtime/invocation/next";

const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
const DEADLINE: &str = "lambda-runtime-deadline-ms";
const FUNCTION_ARN: &str = "lambda-runtime-invoked-function-arn";
const TRACE_ID: &str = "lambda-runtime-trace-id";
pub(crate) const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The code of what the process that decides had in hand when it crashed.
const UNAVAILABLE: &str = "enforcer_unavailable";

/// The most bytes of an event: Lambda's own limit is 6 MB.
const MAX_EVENT: usize = 8 << 20;

/// How long to rest when the operating system has no connection left to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The Runtime API as the function sees it.
pub(crate) struct Proxy {
    api: Api,
    gate: Arc<Gate>,
    upkeep: Arc<Upkeep>,
    used: AtomicBool,
    /// What the function has, where its answer is to be looked at.
    in_hand: Mutex<Option<Arc<InHand>>>,
    /// The invocation that the function had, its answer to be looked at, when the last worker crashed.
    left: Mutex<Option<Left>>,
    /// When the invocation in hand must be over, in milliseconds since 1970; 0 before the first.
    deadline: AtomicU64,
}

impl Proxy {
    pub(crate) fn new(api: Api, gate: Arc<Gate>, upkeep: Arc<Upkeep>) -> Self {
        Self {
            api,
            gate,
            upkeep,
            used: AtomicBool::new(false),
            in_hand: Mutex::default(),
            left: Mutex::default(),
            deadline: AtomicU64::new(0),
        }
    }

    /// Takes over what the last worker had in hand when it crashed. An event that the function was not given is gone, and is
    /// answered in its place.
    pub(crate) async fn take_over(&self, left: Left) {
        match left {
            Left::Nothing => {}
            Left::Event(request_id) => {
                self.used.store(true, Ordering::Relaxed);
                let denial = Denial::error(Why::code(UNAVAILABLE));
                self.deny(&context(&request_id, None), &denial).await;
            }
            Left::Given(_) | Left::GivenPart(_) => {
                self.used.store(true, Ordering::Relaxed);
                *self.left.lock().await = Some(left);
            }
        }
    }

    /// Whether the function's runtime ever came here.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Serves the function's runtime for ever.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(Arc::clone(&self).connection(stream))),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let this = Arc::clone(&self);
            async move { this.request(request).await }
        });
        if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    /// Where Lambda does not answer, the connection ends, as it would without anything between.
    async fn request(&self, request: Request<Incoming>) -> Result<Response<Body>, Error> {
        self.used.store(true, Ordering::Relaxed);
        let (mut head, body) = request.into_parts();
        without_connection(&mut head.headers);
        if head.method == Method::GET && head.uri.path() == NEXT {
            return self.next(head).await;
        }
        match self.answer(head, body).await {
            Some(request) => self.send(request).await.map(forwarded),
            None => Ok(error(StatusCode::BAD_REQUEST, "the invocation has no sound id")),
        }
    }

    /// The next event that may pass. The function has nothing in hand when it asks for it, so this is the time for upkeep.
    async fn next(&self, head: Parts) -> Result<Response<Body>, Error> {
        *self.in_hand.lock().await = None;
        *self.left.lock().await = None;
        say(&Said::Has(Left::Nothing));
        loop {
            match self.deadline.load(Ordering::Relaxed) {
                0 => {}
                deadline => self.upkeep.due(upkeep::until(deadline)).await,
            }
            self.upkeep.report(&self.gate).await;
            let mut request = Request::new(whole(Bytes::new()));
            *request.method_mut() = head.method.clone();
            *request.uri_mut() = head.uri.clone();
            *request.headers_mut() = head.headers.clone();
            let response = self.send(request).await?;
            if response.status() != StatusCode::OK {
                return Ok(forwarded(response));
            }
            let (mut next, body) = response.into_parts();
            without_connection(&mut next.headers);
            let deadline = text(&next.headers, DEADLINE).parse().unwrap_or(0);
            self.deadline.store(deadline, Ordering::Relaxed);
            // What cannot be read whole is not known to be allowed.
            let event = Limited::new(body, MAX_EVENT).collect().await.map(|body| body.to_bytes());
            if let Some(event) = self.decided(&next.headers, event.ok()).await {
                next.headers.insert(CONTENT_LENGTH, event.len().into());
                return Ok(Response::from_parts(next, whole(event)));
            }
        }
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let sent = self.api.send(request).await;
        sent.inspect_err(|error| tracing::error!(%error, "the Runtime API does not answer"))
    }

    /// The event as the function may have it; `None` if it was denied and answered.
    async fn decided(&self, headers: &HeaderMap, event: Option<Bytes>) -> Option<Bytes> {
        let context = context(text(headers, REQUEST_ID), trace_id(text(headers, TRACE_ID)));
        let request_id = || context.request_id.to_string();
        say(&Said::Has(Left::Event(request_id())));
        let outcome = match event {
            Some(event) => self.gate.outcome(&event, text(headers, FUNCTION_ARN), &context).await,
            None => Outcome::Denied(self.gate.unread(&context).await),
        };
        self.gate.telemetry.held(&context);
        match outcome {
            Outcome::Pass(event, in_hand) => {
                say(&Said::Has(match &in_hand {
                    None => Left::Nothing,
                    Some(in_hand) if in_hand.failed.is_empty() => Left::Given(request_id()),
                    Some(_) => Left::GivenPart(request_id()),
                }));
                *self.in_hand.lock().await = in_hand.map(Arc::new);
                Some(event)
            }
            Outcome::Denied(denial) => {
                self.deny(&context, &denial).await;
                say(&Said::Has(Left::Nothing));
                None
            }
        }
    }

    /// What Lambda is sent: a function's answer as it may leave, and all else as it is.
    async fn answer(&self, head: Parts, body: Incoming) -> Option<Request<Body>> {
        let Some(request_id) = answers(&head.method, &head.uri) else {
            return Some(Request::from_parts(head, body.boxed_unsync()));
        };
        let in_hand = self.in_hand.lock().await.clone();
        match in_hand.filter(|in_hand| in_hand.context.request_id == request_id) {
            Some(in_hand) => self.gate.answered(&in_hand, head, body).await,
            None => self.left_behind(&request_id, head, body).await,
        }
    }

    /// The answer to an invocation of which nothing is in hand: it passes, unless it was to be looked at and nothing is known of
    /// it any more.
    async fn left_behind(&self, request_id: &str, head: Parts, body: Incoming) -> Option<Request<Body>> {
        let passing = |head, body: Incoming| Some(Request::from_parts(head, body.boxed_unsync()));
        let is_this =
            |left: &mut Left| matches!(left, Left::Given(id) | Left::GivenPart(id) if *id == request_id);
        let Some(left) = self.left.lock().await.take_if(is_this) else { return passing(head, body) };
        let context = RequestContext { point: RESPONSE, ..context(request_id, None) };
        // Of a batch, those messages that the function was not given would be lost.
        if self.gate.fail == Fail::Open && matches!(left, Left::Given(_)) {
            self.gate.undecided(&context, UNAVAILABLE);
            return passing(head, body);
        }
        let denial = Denial::error(Why::code(UNAVAILABLE));
        log_denial(&context, &denial.why);
        denied(request_id, &denial)
    }

    /// Answers an invocation in the function's place.
    async fn deny(&self, context: &RequestContext, denial: &Denial) {
        log_denial(context, &denial.why);
        let (request_id, trace_id) = (&*context.request_id, context.trace_id.as_deref());
        let Some(request) = denied(request_id, denial) else { return };
        match self.api.send(request).await.map(|response| response.status()) {
            Ok(status) if status.is_success() => {}
            Ok(status) => tracing::error!(%status, request_id, trace_id, "the denial was not taken"),
            Err(error) => tracing::error!(%error, request_id, trace_id, "the denial cannot be sent"),
        }
    }
}

fn context(request_id: &str, trace_id: Option<Arc<str>>) -> RequestContext {
    RequestContext {
        request_id: request_id.into(),
        trace_id,
        point: INVOCATION,
        started: Instant::now(),
    }
}

fn forwarded(response: Response<Incoming>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    without_connection(&mut head.headers);
    Response::from_parts(head, body.boxed_unsync())
}

/// An error in the form of the Runtime API.
fn error(status: StatusCode, message: &str) -> Response<Body> {
    let body = json!({ "errorMessage": message, "errorType": "AECP.NotForwarded" });
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    response
}

pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The trace id of X-Ray's `Root=1-<8 hex>-<24 hex>;…` in the form of W3C: the same digits without the dashes.
fn trace_id(header: &str) -> Option<Arc<str>> {
    let root = header.split(';').find_map(|field| field.trim().strip_prefix("Root=1-"))?;
    let digits = root.replacen('-', "", 1);
    let sound = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    sound.then(|| digits.into())
}
