//! Who is asked after the policies: an upstream, or the application that this is the middleware of.

use bytes::Bytes;
#[cfg(not(feature = "middleware"))]
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Method, Request, Response, Scheme};

#[cfg(feature = "middleware")]
use super::bindings::next::wasi::http::handler;
use super::{
    guard::Guard,
    message::{self, End},
};
use crate::{forward, request::Seen};

/// The line of a request, as the host has it.
pub(super) struct Line {
    method: Method,
    scheme: Option<Scheme>,
    authority: Option<String>,
    path_with_query: Option<String>,
}

/// The body of a request.
pub(super) enum Body {
    /// Nobody has looked at it.
    Unread(Request),
    /// Policies have; and what comes after it.
    Read(Bytes, End),
}

impl Line {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            method: request.get_method(),
            scheme: request.get_scheme(),
            authority: request.get_authority(),
            path_with_query: request.get_path_with_query(),
        }
    }
}

impl Body {
    /// What policies may look at.
    pub(super) fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Read(bytes, _) => Some(bytes.clone()),
            Self::Unread(_) => None,
        }
    }
}

/// Asks the upstream.
///
/// # Errors
/// The host's, of the connection.
#[cfg(not(feature = "middleware"))]
pub(super) async fn next(
    guard: &Guard,
    line: Line,
    seen: &Seen,
    body: Body,
) -> Result<Response, ErrorCode> {
    let upstream = guard.settings.upstream.as_ref().ok_or(ErrorCode::ConfigurationError)?;
    let line = Line {
        method: line.method,
        scheme: Some(message::scheme(upstream.is_https)),
        authority: Some(upstream.authority.clone()),
        path_with_query: Some(upstream.request(&seen.head.path, seen.head.query.as_deref())),
    };
    client::send(line.request(&forward::to_upstream(&seen.head, seen.client), body, guard)?).await
}

/// Asks the application.
///
/// # Errors
/// The application's.
#[cfg(feature = "middleware")]
pub(super) async fn next(
    guard: &Guard,
    line: Line,
    seen: &Seen,
    body: Body,
) -> Result<Response, ErrorCode> {
    match body {
        Body::Unread(request) => handler::handle(request).await,
        read => {
            let headers = forward::without_hop(&seen.head.headers);
            handler::handle(line.request(&headers, read, guard)?).await
        }
    }
}

impl Line {
    /// A request of this line, these headers and this body.
    fn request(
        self,
        headers: &crate::request::Headers,
        body: Body,
        guard: &Guard,
    ) -> Result<Request, ErrorCode> {
        let (contents, end) = match body {
            Body::Unread(request) => message::request_body(request),
            Body::Read(bytes, end) => (message::body_of(bytes), end),
        };
        let options = message::options(guard.settings.upstream_timeout);
        let (request, _) = Request::new(message::fields(headers), Some(contents), end, Some(options));
        let is_made = request.set_method(&self.method).is_ok()
            && request.set_scheme(self.scheme.as_ref()).is_ok()
            && request.set_authority(self.authority.as_deref()).is_ok()
            && request.set_path_with_query(self.path_with_query.as_deref()).is_ok();
        if is_made { Ok(request) } else { Err(ErrorCode::HttpRequestUriInvalid) }
    }
}
