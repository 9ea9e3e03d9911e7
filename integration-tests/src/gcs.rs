//! A server for the part of Google Cloud Storage's XML API that `object_store` sends: objects with generations and
//! preconditions, and listings. No packaged emulator accepts that client.
//!
//! **It is our reading of the protocol: tests against it test us and the client, not Google.** It keeps all in memory,
//! checks no credentials, and knows no uploads in parts, copies or ranges: it answers 501 to what it does not know.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use aecp_contract::digest::Digest;
use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use url::form_urlencoded;

/// The largest object.
const MAX_OBJECT_BYTES: usize = 64 << 20;

/// How many names one answer to a listing has; small, so that tests see more than one page.
const PAGE: usize = 10;

const GENERATION: &str = "x-goog-generation";
const IF_GENERATION: &str = "x-goog-if-generation-match";

/// A running server; any bucket that is asked for is there. It ends with the process.
pub struct Gcs {
    /// Its URL, without a slash at the end.
    pub url: String,
}

struct Object {
    bytes: Bytes,
    /// Of the content alone, as Google's is.
    tag: String,
    generation: u64,
    modified: DateTime<Utc>,
}

/// Every object by bucket and key, behind one lock, so that a condition and what it guards are one step.
#[derive(Default)]
struct Objects {
    objects: BTreeMap<String, Object>,
    generation: u64,
}

impl Gcs {
    /// Starts one on a free port, on a thread of its own.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener for tokio");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let objects = Arc::new(Mutex::new(Objects::default()));
        let server = async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("in a runtime");
            axum::serve(listener, Router::new().fallback(answer).with_state(objects)).await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        std::thread::spawn(move || runtime.block_on(server));
        Self { url }
    }

    /// What `GOOGLE_SERVICE_ACCOUNT_KEY` says, for clients to come here.
    #[must_use]
    pub fn account_key(&self) -> String {
        serde_json::json!({
            "gcs_base_url": self.url, "disable_oauth": true,
            "client_email": "", "private_key": "", "private_key_id": "",
        })
        .to_string()
    }
}

async fn answer(State(objects): State<Arc<Mutex<Objects>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_OBJECT_BYTES).await else {
        return error(StatusCode::BAD_REQUEST, "EntityTooLarge");
    };
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let Some(path) = decoded(head.uri.path().trim_start_matches('/')) else {
        return error(StatusCode::BAD_REQUEST, "InvalidURI");
    };
    let mut objects = objects.lock().expect("no test panics in here");
    match path.split_once('/').filter(|(_, key)| !key.is_empty()) {
        None if head.method == Method::GET => objects.list(path.trim_end_matches('/'), &query),
        Some(_) if query.is_empty() => objects.object(&head.method, path, &head.headers, body),
        _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    }
}

impl Objects {
    fn object(&mut self, method: &Method, path: String, headers: &HeaderMap, bytes: Bytes) -> Response {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let there = self.objects.get(&path);
        if let Some(wanted) = text(IF_GENERATION) {
            // 0: there must be none.
            let generation = there.map_or(0, |object| object.generation);
            if wanted.parse() != Ok(generation) {
                return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
            }
        }
        match (method.as_str(), there) {
            ("PUT", _) if headers.contains_key("x-goog-copy-source") => {
                error(StatusCode::NOT_IMPLEMENTED, "NotImplemented")
            }
            ("PUT", _) => {
                self.generation += 1;
                let tag = format!("\"{}\"", Digest::of(&bytes));
                let (generation, modified) = (self.generation, SystemTime::now().into());
                let answer =
                    [(header::ETAG.as_str(), tag.clone()), (GENERATION, generation.to_string())];
                self.objects.insert(path, Object { bytes, tag, generation, modified });
                answer.into_response()
            }
            (_, None) => error(StatusCode::NOT_FOUND, "NoSuchKey"),
            ("DELETE", Some(_)) => {
                self.objects.remove(&path);
                StatusCode::NO_CONTENT.into_response()
            }
            ("GET" | "HEAD", Some(_)) if headers.contains_key(header::RANGE) => {
                error(StatusCode::NOT_IMPLEMENTED, "NotImplemented")
            }
            ("GET" | "HEAD", Some(object)) => {
                let same =
                    |list: &str| list.split(',').any(|tag| ["*", &object.tag].contains(&tag.trim()));
                if text("if-match").is_some_and(|tags| !same(tags)) {
                    return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
                }
                let head = [
                    (header::ETAG.as_str(), object.tag.clone()),
                    (GENERATION, object.generation.to_string()),
                    ("last-modified", object.modified.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
                ];
                if text("if-none-match").is_some_and(same) {
                    return (StatusCode::NOT_MODIFIED, head).into_response();
                }
                // The server leaves the body of an answer to HEAD out, and keeps its length.
                (head, object.bytes.clone()).into_response()
            }
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    /// A page of a bucket's names in byte order; with a delimiter, what is below one is one name.
    fn list(&self, bucket: &str, query: &BTreeMap<String, String>) -> Response {
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (of("prefix"), of("delimiter"));
        let after = of("start-after").max(of("continuation-token"));
        let bucket = format!("{bucket}/");
        let mut names: BTreeMap<&str, Option<&Object>> = BTreeMap::new();
        for (path, object) in self.objects.range(bucket.clone()..) {
            let Some(key) = path.strip_prefix(&bucket) else { break };
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            let folder = match delimiter {
                "" => None,
                delimiter => rest.find(delimiter).map(|at| &key[..prefix.len() + at + delimiter.len()]),
            };
            names.insert(folder.unwrap_or(key), folder.is_none().then_some(object));
        }
        names.retain(|name, _| *name > after);
        let next = (names.len() > PAGE).then(|| names.keys().nth(PAGE - 1).copied()).flatten();
        let mut xml = String::from("<ListBucketResult>");
        for (name, object) in names.into_iter().take(PAGE) {
            let name = escaped(name);
            xml += &match object {
                None => format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
                Some(Object { bytes, tag, generation, modified }) => format!(
                    "<Contents><Key>{name}</Key><Generation>{generation}</Generation>\
                     <LastModified>{}</LastModified><ETag>{tag}</ETag><Size>{}</Size></Contents>",
                    modified.format("%Y-%m-%dT%H:%M:%S%.3fZ"),
                    bytes.len()
                ),
            };
        }
        if let Some(next) = next {
            xml += &format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(next));
        }
        xml += "</ListBucketResult>";
        ([(header::CONTENT_TYPE, "application/xml")], xml).into_response()
    }
}

fn error(status: StatusCode, code: &str) -> Response {
    let xml = format!("<Error><Code>{code}</Code></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A path with its `%XX` decoded; `None` if that is no UTF-8.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}
