//! Requests and answers, between the host's form and ours.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::future::{Either, select};
use wasip3::{
    clocks::monotonic_clock,
    http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme, Trailers},
    wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn},
    wit_future, wit_stream,
};

use crate::{
    problem::{MEDIA_TYPE, Problem},
    request::{Head, Headers},
};

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// What comes after a body, or why the body ended before.
pub(super) type End = FutureReader<Result<Option<Trailers>, ErrorCode>>;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// It did not come in time, or ended with an error.
    Broken,
}

/// The line and headers of a request.
pub(super) fn head(request: &Request) -> Head {
    let (path, query) = Head::split(request.get_path_with_query());
    let mut headers = request.get_headers().copy_all();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"))
        && let Some(authority) = request.get_authority()
    {
        headers.push(("host".to_owned(), authority.into_bytes()));
    }
    Head { method: method_name(request.get_method()), path, query, headers }
}

fn method_name(method: Method) -> String {
    match method {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        Method::Put => "PUT".to_owned(),
        Method::Delete => "DELETE".to_owned(),
        Method::Connect => "CONNECT".to_owned(),
        Method::Options => "OPTIONS".to_owned(),
        Method::Trace => "TRACE".to_owned(),
        Method::Patch => "PATCH".to_owned(),
        Method::Other(name) => name,
    }
}

/// The scheme of a URL.
pub(super) fn scheme(is_https: bool) -> Scheme {
    if is_https { Scheme::Https } else { Scheme::Http }
}

/// The host's form of headers. Those that it lets nobody write are left out.
pub(super) fn fields(headers: &Headers) -> Fields {
    Fields::from_list(headers).unwrap_or_else(|_| {
        let fields = Fields::new();
        for (name, value) in headers {
            let _ = fields.append(name, value);
        }
        fields
    })
}

/// Nothing to say about what was read of a message.
fn all_is_well() -> FutureReader<Result<(), ErrorCode>> {
    let (writer, reader) = wit_future::new(|| Ok(()));
    drop(writer);
    reader
}

/// Limits on the time that the host's client takes, where it knows such limits.
pub(super) fn options(within: Duration) -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
    let _ = options.set_connect_timeout(Some(nanoseconds));
    let _ = options.set_first_byte_timeout(Some(nanoseconds));
    let _ = options.set_between_bytes_timeout(Some(nanoseconds));
    options
}

/// The body of a request, not read yet.
pub(super) fn request_body(request: Request) -> (StreamReader<u8>, End) {
    Request::consume_body(request, all_is_well())
}

/// The body of an answer, not read yet.
pub(super) fn response_body(response: Response) -> (StreamReader<u8>, End) {
    Response::consume_body(response, all_is_well())
}

/// Reads a body whole: at most `limit` bytes, within this time.
pub(super) async fn read(
    body: &mut StreamReader<u8>,
    limit: usize,
    within: Duration,
) -> Result<Bytes, Unread> {
    let read = async {
        let mut bytes = Vec::new();
        loop {
            let (result, chunk) = body.read(Vec::with_capacity(CHUNK)).await;
            bytes.extend_from_slice(&chunk);
            if bytes.len() > limit {
                return Err(Unread::TooLarge);
            }
            match result {
                StreamResult::Complete(_) => {}
                StreamResult::Dropped => return Ok(Bytes::from(bytes)),
                StreamResult::Cancelled => return Err(Unread::Broken),
            }
        }
    };
    in_time(read, within).await.unwrap_or(Err(Unread::Broken))
}

/// What comes of `work`, if it comes within this time; else it is given up.
pub(super) async fn in_time<T>(work: impl Future<Output = T>, within: Duration) -> Option<T> {
    let nanoseconds = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
    match select(pin!(work), pin!(monotonic_clock::wait_for(nanoseconds))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// A body of these bytes.
pub(super) fn body_of(bytes: Bytes) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    spawn(async move {
        writer.write_all(bytes.into()).await;
    });
    reader
}

/// The end of a body after which nothing comes.
pub(super) fn end() -> End {
    let (writer, reader) = wit_future::new(|| Ok(None));
    drop(writer);
    reader
}

/// An answer of these parts.
pub(super) fn response(status: u16, headers: &Headers, body: StreamReader<u8>, end: End) -> Response {
    let (response, _) = Response::new(fields(headers), Some(body), end);
    let _ = response.set_status_code(status);
    response
}

/// A problem as an answer.
pub(super) fn problem(problem: &Problem<'_>) -> Response {
    let json = problem.to_json();
    let headers = vec![
        ("content-type".to_owned(), MEDIA_TYPE.into()),
        ("content-length".to_owned(), json.len().to_string().into_bytes()),
        ("cache-control".to_owned(), b"no-store".to_vec()),
    ];
    response(problem.status, &headers, body_of(json.into()), end())
}
