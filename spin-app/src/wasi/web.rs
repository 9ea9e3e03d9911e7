//! Requests of our own: to stores of releases and of logs.

use std::time::Duration;

use aecp_contract::refusal::{Code, Refusal};
use aecp_enforcer::objects::{Object, Objects};
use bytes::Bytes;
use wasip3::http::{
    client,
    types::{ErrorCode, Method, Request},
};

use super::message::{self, Unread, in_time};
use crate::{
    request::{Headers, values},
    settings::Place,
    ship::Writable,
};

/// How long one request may take, its answer included.
const WITHIN: Duration = Duration::from_secs(20);

/// The most bytes of one object, whatever a release says: more than an instance's memory is for.
const MAX_OBJECT: u64 = 16 << 20;

/// The most bytes of what a store says of an object that it was given.
const MAX_ANSWER: usize = 64 << 10;

/// A store, over HTTP.
pub(super) struct Web<'p>(pub(super) &'p Place);

/// What a store answered.
struct Answered {
    status: u16,
    headers: Headers,
    body: Bytes,
}

impl Web<'_> {
    async fn ask(
        &self,
        method: Method,
        key: &str,
        mut headers: Headers,
        body: Option<Bytes>,
        limit: usize,
    ) -> Result<Answered, Refusal> {
        let refusal = |code, detail: &str| Refusal::new(code, format!("`{key}`: {detail}"));
        if let Some(authorization) = &self.0.authorization {
            headers.push(("authorization".to_owned(), authorization.clone().into_bytes()));
        }
        if let Some(body) = &body {
            headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        let base = &self.0.base;
        let contents = body.map(message::body_of);
        let (request, _) = Request::new(message::fields(&headers), contents, message::end(), None);
        let is_made = request.set_method(&method).is_ok()
            && request.set_scheme(Some(&message::scheme(base.is_https))).is_ok()
            && request.set_authority(Some(&base.authority)).is_ok()
            && request.set_path_with_query(Some(&base.object(key))).is_ok();
        if !is_made {
            return Err(refusal(Code::StoreUnavailable, "no request can be made of its URL"));
        }
        let asked = async {
            let response = client::send(request).await.map_err(|error| Err(name(&error)))?;
            let (status, headers) = (response.get_status_code(), response.get_headers().copy_all());
            let length = values(&headers, "content-length").next();
            let length = length.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            if length.is_some_and(|length: u64| length > limit as u64) {
                return Err(Ok(Unread::TooLarge));
            }
            let (mut body, _end) = message::response_body(response);
            let body = message::read(&mut body, limit, WITHIN).await.map_err(Ok)?;
            // A connection that breaks looks like the end of a body.
            if length.is_some_and(|length| length != body.len() as u64) && status == 200 {
                return Err(Ok(Unread::Broken));
            }
            Ok(Answered { status, headers, body })
        };
        match in_time(asked, WITHIN).await {
            Some(Ok(answered)) => Ok(answered),
            Some(Err(Ok(Unread::TooLarge))) => {
                Err(refusal(Code::TooLarge, "it is larger than it may be"))
            }
            Some(Err(Ok(Unread::Broken))) => {
                Err(refusal(Code::StoreUnavailable, "its answer ended early"))
            }
            Some(Err(Err(error))) => Err(refusal(Code::StoreUnavailable, &error)),
            None => Err(refusal(Code::StoreUnavailable, "no answer in time")),
        }
    }
}

impl Objects for Web<'_> {
    async fn get(&self, key: &str, limit: u64, unless: Option<&str>) -> Result<Option<Object>, Refusal> {
        let refusal = |code, detail: String| Err(Refusal::new(code, format!("`{key}`: {detail}")));
        if limit > MAX_OBJECT {
            return refusal(
                Code::TooLarge,
                format!("more than {MAX_OBJECT} bytes are not taken at the edge"),
            );
        }
        let headers = unless.map(|tag| ("if-none-match".to_owned(), tag.as_bytes().to_vec()));
        let limit = usize::try_from(limit).unwrap_or(0);
        let answered = self.ask(Method::Get, key, headers.into_iter().collect(), None, limit).await?;
        match answered.status {
            200 => {
                let tag = values(&answered.headers, "etag").next();
                let tag = tag.and_then(|tag| String::from_utf8(tag.to_vec()).ok());
                Ok(Some(Object { bytes: answered.body, tag, version: None }))
            }
            304 if unless.is_some() => Ok(None),
            404 | 410 => refusal(Code::NotFound, "it is not there".to_owned()),
            status => refusal(Code::StoreUnavailable, format!("the store answers {status}")),
        }
    }
}

impl Writable for Web<'_> {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Refusal> {
        let headers = vec![("content-type".to_owned(), b"application/octet-stream".to_vec())];
        let answered = self.ask(Method::Put, key, headers, Some(bytes), MAX_ANSWER).await?;
        match answered.status {
            200..=299 => Ok(()),
            status => {
                let detail = format!("`{key}`: the store answers {status}");
                Err(Refusal::new(Code::StoreUnavailable, detail))
            }
        }
    }
}

/// A kind of error, without what it may quote.
fn name(error: &ErrorCode) -> String {
    let text = format!("{error:?}");
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(text.len());
    text[..end].trim_start_matches("ErrorCode::").to_owned()
}
