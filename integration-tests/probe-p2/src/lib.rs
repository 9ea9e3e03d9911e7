//! A component of WASI 0.2 that says what it was asked for, and how often: `GET /path 1`.

#![expect(clippy::expect_used, reason = "a tool of tests: what fails must fail loudly")]

use std::cell::Cell;

use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam},
};

/// The component.
#[derive(Debug)]
pub struct Probe;

thread_local! {
    static SERVED: Cell<u32> = const { Cell::new(0) };
}

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        SERVED.set(SERVED.get() + 1);
        let method = if matches!(request.method(), Method::Get) { "GET" } else { "another" };
        let path = request.path_with_query().unwrap_or_default();
        let text = format!("{method} {path} {}", SERVED.get());
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the stream");
        stream.blocking_write_and_flush(text.as_bytes()).expect("it is read");
        drop(stream);
        OutgoingBody::finish(body, None).expect("it was written whole");
    }
}

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, reason = "the function that the host calls")]
    use super::Probe;
    wasip2::http::proxy::export!(Probe);
}
