//! Asking a key management service: one request, one answer in JSON, both small.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{
    HeaderValue, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use object_store::{
    ClientOptions,
    client::{HttpClient, HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector},
};
use serde_json::Value;
use std::time::Duration;
use zeroize::Zeroizing;

use super::KeyError;

/// How long a connection, and a whole request, may take.
const CONNECT_TIME: Duration = Duration::from_secs(3);
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 << 10;

/// How much of an error is told.
const TOLD: usize = 300;

/// A client of one service.
pub(super) struct Client {
    service: &'static str,
    http: HttpClient,
}

impl Client {
    /// A client; plain HTTP is for services whose address the operator set to such a one.
    pub(super) fn new(service: &'static str, address: &str) -> Result<Self, KeyError> {
        let options = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIME)
            .with_timeout(REQUEST_TIME)
            .with_allow_http(address.starts_with("http://"));
        let http = ReqwestConnector::default().connect(&options);
        let http =
            http.map_err(|error| KeyError::Unconfigured { service, detail: error.to_string() })?;
        Ok(Self { service, http })
    }

    /// A request with a body.
    pub(super) fn post(
        &self,
        url: &str,
        media_type: &'static str,
        body: Vec<u8>,
    ) -> Result<HttpRequest, KeyError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, media_type)
            .body(HttpRequestBody::from(body));
        request.map_err(|error| self.failed(&error.to_string()))
    }

    /// A request without.
    pub(super) fn get(&self, url: &str) -> Result<HttpRequest, KeyError> {
        let request = Request::builder().uri(url).body(HttpRequestBody::empty());
        request.map_err(|error| self.failed(&error.to_string()))
    }

    /// What the service answers, if it does what it was asked.
    pub(super) async fn ask(&self, request: HttpRequest) -> Result<Answer, KeyError> {
        let response = self.http.execute(request).await;
        let (head, body) = response.map_err(|error| self.failed(&chain(&error)))?.into_parts();
        let mut bytes = BytesMut::new();
        let mut body = body.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| self.failed(&chain(&error)))?;
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(self.failed("the answer is too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        if head.status.is_success() {
            return Ok(Answer { service: self.service, bytes: bytes.freeze() });
        }
        let told: String = String::from_utf8_lossy(&bytes).chars().take(TOLD).collect();
        Err(self.failed(&format!("{}: {}", head.status, told.trim())))
    }

    /// The request, with this bearer token.
    pub(super) fn authorized(
        &self,
        mut request: HttpRequest,
        token: &str,
    ) -> Result<HttpRequest, KeyError> {
        let token = self.secret(&format!("Bearer {token}"))?;
        request.headers_mut().insert(AUTHORIZATION, token);
        Ok(request)
    }

    /// The value of a header that carries a secret.
    pub(super) fn secret(&self, text: &str) -> Result<HeaderValue, KeyError> {
        let mut value =
            HeaderValue::from_str(text).map_err(|_| self.failed("a token is no header's value"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn failed(&self, detail: &str) -> KeyError {
        KeyError::Service { service: self.service, detail: detail.to_owned() }
    }
}

/// An answer that may hold a secret: it is never shown.
pub(super) struct Answer {
    service: &'static str,
    bytes: Bytes,
}

impl Answer {
    /// The text of one member.
    pub(super) fn text(&self, member: &str) -> Result<String, KeyError> {
        let answer = serde_json::from_slice::<Value>(&self.bytes).ok();
        let text = answer.and_then(|answer| Some(answer.get(member)?.as_str()?.to_owned()));
        text.ok_or_else(|| KeyError::Service {
            service: self.service,
            detail: format!("the answer has no `{member}`"),
        })
    }
}

impl Answer {
    /// The bytes that one member is in base64, of either alphabet, padded or not.
    pub(super) fn bytes(&self, member: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let text = Zeroizing::new(self.text(member)?.replace('-', "+").replace('_', "/"));
        let bytes = BASE64_STANDARD_NO_PAD.decode(text.trim_end_matches('='));
        bytes.map(Zeroizing::new).map_err(|_| KeyError::Service {
            service: self.service,
            detail: format!("`{member}` of the answer is not base64"),
        })
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
