//! A component that does what it is asked to, so that tests see what a host lets it do: the first segment of the path says
//! what, the rest and the query on what.

#![expect(clippy::expect_used, clippy::panic, reason = "a tool of tests: what fails must fail loudly")]

use std::{cell::Cell, fs, time::Duration};

use wasip3::{
    clocks::monotonic_clock,
    exports::http::handler::Guest,
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, Response, Scheme},
    },
    wit_bindgen::{StreamReader, StreamResult, spawn},
    wit_future, wit_stream,
};

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated")]
    wit_bindgen::generate!({ path: "../../enforcer-host/wit", world: "aecp:host/host", generate_all });
}
use bindings::wasi::{config::store as config, keyvalue::store as keyvalue};

/// The component.
#[derive(Debug)]
pub struct Probe;

thread_local! {
    static SERVED: Cell<u32> = const { Cell::new(0) };
    static AT_ONCE: Cell<u32> = const { Cell::new(0) };
}

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, reason = "the function that the host calls")]
    use super::Probe;
    wasip3::http::service::export!(Probe with_types_in wasip3);
}

impl Guest for Probe {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        SERVED.set(SERVED.get() + 1);
        let target = request.get_path_with_query().unwrap_or_default();
        let (verb, rest) = target.trim_start_matches('/').split_once('/').unwrap_or((&target[1..], ""));
        match verb {
            "echo" => Ok(echo(request)),
            "served" => answer(200, &SERVED.get().to_string()),
            "wait" => {
                AT_ONCE.set(AT_ONCE.get() + 1);
                let at_once = AT_ONCE.get();
                monotonic_clock::wait_for(rest.parse::<u64>().unwrap_or(0) * 1_000_000).await;
                AT_ONCE.set(AT_ONCE.get() - 1);
                answer(200, &at_once.to_string())
            }
            "setting" => answer(200, &format!("{:?}", config::get(rest))),
            "key" => key(request, rest).await,
            "keys" => answer(200, &format!("{:?}", bucket().list_keys(None).map(|page| page.keys))),
            "open" => answer(200, &format!("{:?}", keyvalue::open(rest).map(|_| ()))),
            "after" => {
                let key = rest.to_owned();
                spawn(async move {
                    monotonic_clock::wait_for(100_000_000).await;
                    let _ = bucket().set(&key, b"after the answer");
                });
                answer(200, "")
            }
            "fetch" => {
                let (scheme, rest) = rest.split_once('/').unwrap_or_default();
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                fetch(scheme, authority, path).await
            }
            "memory" => {
                let mut all = Vec::new();
                let mebibytes: usize = rest.parse().unwrap_or(0);
                for _ in 0..mebibytes {
                    all.push(vec![1u8; 1 << 20]);
                }
                answer(200, &all.len().to_string())
            }
            "loop" => loop {
                std::hint::spin_loop();
            },
            "endless" => Ok(endless()),
            "trap" => panic!("as asked"),
            "reach" => {
                let files = fs::read_dir("/").map(|entries| entries.count()).ok();
                let written = fs::write("/probe", b"").is_ok();
                let variables = std::env::vars().count();
                answer(200, &format!("{files:?} {written} {variables}"))
            }
            _ => answer(404, ""),
        }
    }
}

fn bucket() -> keyvalue::Bucket {
    keyvalue::open("default").expect("the store")
}

fn response(status: u16, headers: &[(&str, &str)], body: StreamReader<u8>) -> Response {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(end);
    let (response, _) =
        Response::new(Fields::from_list(&headers).expect("headers"), Some(body), trailers);
    response.set_status_code(status).expect("a status");
    response
}

fn answer(status: u16, text: &str) -> Result<Response, ErrorCode> {
    let (mut writer, body) = wit_stream::new();
    let text = text.to_owned().into_bytes();
    spawn(async move {
        writer.write_all(text).await;
    });
    Ok(response(status, &[], body))
}

fn echo(request: Request) -> Response {
    let headers = request.get_headers();
    let client = headers.get("spin-client-addr");
    let client: Vec<_> = client.iter().map(|value| String::from_utf8_lossy(value)).collect();
    let authority = request.get_authority().unwrap_or_default();
    let headers = [("x-client", client.join(",")), ("x-authority", authority)];
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (done, result) = wit_future::new(|| Ok(()));
    drop(done);
    let (body, _) = Request::consume_body(request, result);
    response(200, &headers, body)
}

async fn key(request: Request, key: &str) -> Result<Response, ErrorCode> {
    let bucket = bucket();
    match request.get_method() {
        Method::Put => {
            let (done, result) = wit_future::new(|| Ok(()));
            drop(done);
            let (body, _) = Request::consume_body(request, result);
            let value = read(body).await;
            answer(200, &format!("{:?}", bucket.set(key, &value)))
        }
        Method::Delete => answer(200, &format!("{:?}", bucket.delete(key))),
        _ => match bucket.get(key) {
            Ok(Some(value)) => answer(200, &String::from_utf8_lossy(&value)),
            Ok(None) => answer(404, &format!("{:?}", bucket.exists(key))),
            Err(error) => answer(500, &format!("{error:?}")),
        },
    }
}

async fn read(mut body: StreamReader<u8>) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, chunk) = body.read(Vec::with_capacity(4096)).await;
        all.extend(chunk);
        if !matches!(result, StreamResult::Complete(_)) {
            return all;
        }
    }
}

async fn fetch(scheme: &str, authority: &str, path: &str) -> Result<Response, ErrorCode> {
    let (end, trailers) = wit_future::new(|| Ok(None));
    drop(end);
    let (request, _) = Request::new(Fields::new(), None, trailers, None);
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    let _ = request.set_scheme(Some(&scheme));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some(&format!("/{path}")));
    match client::send(request).await {
        Ok(response) => {
            let status = response.get_status_code();
            let (done, result) = wit_future::new(|| Ok(()));
            drop(done);
            let (body, _) = Response::consume_body(response, result);
            let body = read(body).await;
            answer(200, &format!("{status} {}", String::from_utf8_lossy(&body)))
        }
        Err(error) => answer(200, &format!("{error:?}")),
    }
}

fn endless() -> Response {
    let (mut writer, body) = wit_stream::new();
    spawn(async move {
        while writer.write_all(b"more ".to_vec()).await.is_empty() {
            monotonic_clock::wait_for(Duration::from_millis(5).as_nanos() as u64).await;
        }
    });
    response(200, &[], body)
}
