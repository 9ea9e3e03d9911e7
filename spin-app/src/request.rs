//! A request as it came, and what policies see of it.

use std::net::IpAddr;

use aecp_contract::{
    manifest::Point,
    request::{AttributeTable, HttpRequest, RequestError},
    slots::SlotBuffer,
};
use aecp_enforcer::{PolicyPre, now};
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

    pub(crate) fn of(set: &PolicyPre) -> Self {
        Self { body: set.asks_for("body"), claims: set.asks_for("principal") }
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

    /// Where the request comes from: what the host says in this header, or the outermost of so many proxies.
    fn client_of(&self, header: &str, trusted_proxies: usize) -> Option<IpAddr> {
        if trusted_proxies == 0 {
            // The host's own word stands last, whatever was sent before it.
            let said = self.values(header).next_back();
            return address(std::str::from_utf8(said?).ok()?);
        }
        let forwarded: Vec<&str> = self
            .values("x-forwarded-for")
            .flat_map(|value| std::str::from_utf8(value).unwrap_or_default().split(','))
            .collect();
        let first = forwarded.len().checked_sub(trusted_proxies)?;
        address(forwarded.get(first)?)
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
        let client = head.client_of(&settings.client_address_header, settings.trusted_proxies);
        Self { client, head, claims, body }
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
        if let Some(body) = &self.body {
            add_body(&self.head.headers, body, table, slots)?;
        }
        Ok(table.fill_in(Some(point), now, slots)?)
    }
}

/// Reads the body of a request, if somebody may read it as JSON.
///
/// # Errors
/// [`RequestError`], also for a JSON body that is none.
fn add_body(
    headers: &[(String, Vec<u8>)],
    body: &[u8],
    table: &AttributeTable,
    slots: &mut SlotBuffer,
) -> Result<(), RequestError> {
    if !is_json(headers, body) {
        return Ok(());
    }
    if is_encoded(headers) {
        let unread = "a body that policies look at has a content-encoding";
        return Err(RequestError::Malformed(unread.to_owned()));
    }
    table.add_json("body", body, slots)
}

/// Whether somebody may read this body as JSON: it says so, or it looks like it.
fn is_json(headers: &[(String, Vec<u8>)], body: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Head { method: "GET".to_owned(), path: "/".to_owned(), query: None, headers: headers.collect() }
    }

    fn client(headers: &[(&str, &str)], proxies: usize) -> Option<IpAddr> {
        head(headers).client_of("spin-client-addr", proxies)
    }

    #[test]
    fn the_host_or_the_outermost_trusted_proxy_says_who_asks() {
        let said = |text: &str| Some(text.parse().unwrap());
        assert_eq!(client(&[("spin-client-addr", "10.0.0.7:4711")], 0), said("10.0.0.7"));
        assert_eq!(client(&[("spin-client-addr", "[2001:db8::1]:80")], 0), said("2001:db8::1"));
        let forged = [("spin-client-addr", "1.2.3.4"), ("spin-client-addr", "10.0.0.7")];
        assert_eq!(client(&forged, 0), said("10.0.0.7"), "the host writes last");
        let chain = [("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "3.3.3.3")];
        assert_eq!(client(&chain, 0), None, "nobody is trusted");
        assert_eq!(client(&chain, 1), said("3.3.3.3"));
        assert_eq!(client(&chain, 2), said("2.2.2.2"));
        assert_eq!(client(&chain, 4), None, "fewer than there must be");
        assert_eq!(client(&[("x-forwarded-for", "me")], 1), None);
    }

    #[test]
    fn floods_of_headers_are_too_large() {
        let many: Vec<(String, Vec<u8>)> =
            (0..=MAX_HEADERS).map(|n| (format!("x-{n}"), Vec::new())).collect();
        assert!(Head { headers: many, ..head(&[]) }.is_too_large());
        let long = "x".repeat(MAX_HEAD);
        assert!(head(&[("x", &long)]).is_too_large());
        assert!(Head { query: Some(long), path: "/a".to_owned(), ..head(&[]) }.is_too_large());
        assert!(!head(&[("x", "y")]).is_too_large());
    }

    #[test]
    fn a_body_is_json_if_it_says_so_or_looks_like_it() {
        let json = |content_type: &str, body: &str| {
            is_json(&head(&[("content-type", content_type)]).headers, body.as_bytes())
        };
        assert!(
            json("application/json; charset=utf-8", "1") && json("application/merge-patch+json", "1")
        );
        assert!(json("text/plain", "\n {}") && json("", "[1]"));
        assert!(!json("text/plain", "1") && !json("application/json", " "));
    }
}
