//! A request as it came, and what policies see of it.

use std::net::IpAddr;

use aecp_contract::{
    manifest::{Manifest, Point},
    request::{AttributeTable, HttpRequest, RequestError},
    slots::SlotBuffer,
};
use aecp_enforcer::now;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{settings::Settings, token::Keys};

/// The most headers of a request.
const MAX_HEADERS: usize = 128;

/// The most bytes of a request's path, query and headers together.
const MAX_HEAD: usize = 64 << 10;

/// Names and values, in the order in which they came.
pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// The line and headers of a request.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// As it was sent; `/` if nothing was.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// With the `:authority` of HTTP/2 as `host`.
    pub(crate) headers: Headers,
}

/// What policies ask of requests and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) body: bool,
    pub(crate) claims: bool,
}

/// A request, as far as policies look at it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) head: Head,
    pub(crate) client: Option<IpAddr>,
    claims: Option<Box<RawValue>>,
    /// The body, if policies look at it.
    pub(crate) body: Option<Bytes>,
}

impl Wants {
    pub(crate) const NOTHING: Self = Self { body: false, claims: false };

    pub(crate) fn of(manifest: &Manifest) -> Self {
        let below = |name: &str| {
            manifest.attributes.iter().any(|attribute| {
                attribute
                    .path
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        Self { body: below("body"), claims: below("principal") }
    }
}

impl Head {
    /// Path and query of a request's line.
    pub(crate) fn split(path_with_query: Option<String>) -> (String, Option<String>) {
        let text = path_with_query.filter(|text| !text.is_empty()).unwrap_or_else(|| "/".to_owned());
        match text.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (text, None),
        }
    }

    /// Whether it is larger than anybody needs.
    pub(crate) fn is_too_large(&self) -> bool {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        let line = self.path.len() + self.query.as_ref().map_or(0, String::len);
        self.headers.len() > MAX_HEADERS || line + headers.sum::<usize>() > MAX_HEAD
    }

    /// The values of the header of this name.
    pub(crate) fn values<'h>(&'h self, name: &'h str) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        values(&self.headers, name)
    }

    /// Where the request comes from: what the host says, or the first proxy that is trusted.
    fn client(&self, settings: &Settings) -> Option<IpAddr> {
        if settings.trusted_proxies == 0 {
            // The host's own word stands last, whatever was sent before it.
            let said = self.values(&settings.client_address_header).next_back();
            return address(std::str::from_utf8(said?).ok()?);
        }
        let forwarded: Vec<&str> = self
            .values("x-forwarded-for")
            .flat_map(|value| std::str::from_utf8(value).unwrap_or_default().split(','))
            .collect();
        let first = forwarded.len().checked_sub(settings.trusted_proxies)?;
        address(forwarded[first])
    }

    /// The claims of the token that came with it, if it is good.
    fn claims(&self, keys: &Keys) -> Option<Box<RawValue>> {
        let mut authorization = self.values("authorization");
        let claims = keys.claims(authorization.next()?, now())?;
        authorization.next().is_none().then_some(claims)
    }
}

/// The values of the header of this name.
pub(crate) fn values<'h>(
    headers: &'h [(String, Vec<u8>)],
    name: &'h str,
) -> impl DoubleEndedIterator<Item = &'h [u8]> {
    let named = headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_slice())
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = text.parse::<std::net::SocketAddr>().map(|address| address.ip());
    with_port.ok().or_else(|| text.trim_start_matches('[').trim_end_matches(']').parse().ok())
}

impl Seen {
    /// What policies that want so much see of a request.
    pub(crate) fn new(head: Head, body: Option<Bytes>, settings: &Settings, wants: Wants) -> Self {
        let keys = settings.token_keys.as_ref().filter(|_| wants.claims);
        let claims = keys.and_then(|keys| head.claims(keys));
        Self { client: head.client(settings), head, claims, body }
    }

    /// Reads it into slots, as a request at this point.
    ///
    /// # Errors
    /// [`RequestError`], also for a JSON body that is none.
    pub(crate) fn read(
        &self,
        point: Point,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        let headers = self.head.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let request = HttpRequest {
            method: &self.head.method,
            path: &self.head.path,
            query: self.head.query.as_deref(),
            client: self.client,
            headers,
        };
        table.read_http(request, slots)?;
        if let Some(claims) = &self.claims {
            let principal = format!("{{\"claims\":{}}}", claims.get());
            table.add_json("principal", principal.as_bytes(), slots)?;
        }
        if let Some(body) = &self.body
            && is_json(&self.head.headers, body)
        {
            if is_encoded(&self.head.headers) {
                let unread = "a body that policies look at has a content-encoding";
                return Err(RequestError::Malformed(unread.to_owned()));
            }
            table.add_json("body", body, slots)?;
        }
        Ok(table.fill_in(Some(point), now, slots)?)
    }
}

/// Whether somebody may read this body as JSON: it says so, or it looks like it.
pub(crate) fn is_json(headers: &[(String, Vec<u8>)], body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let says_so = values(headers, "content-type").any(|value| {
        let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
        let media_type = media_type.trim_ascii().to_ascii_lowercase();
        media_type == b"application/json" || media_type.ends_with(b"+json")
    });
    matches!(body.first(), Some(b'{' | b'[')) || (says_so && !body.is_empty())
}

/// Whether the body is not what is written in it.
pub(crate) fn is_encoded(headers: &[(String, Vec<u8>)]) -> bool {
    values(headers, "content-encoding")
        .any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"identity"))
}
