//! What is handed on of headers, and to whom.

use std::net::IpAddr;

use crate::request::{Head, Headers, values};

/// What is for the next hop alone (RFC 9110, section 7.6.1), and what the host writes itself.
const HOP_BY_HOP: [&str; 12] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// In which the names of violated ADVISORY policies stand, between commas.
pub(crate) const ADVISORY: &str = "x-aecp-advisory";

/// The headers of a request for the upstream: without those of this hop and those in which Spin tells its components of the
/// request, and with who asked whom.
pub(crate) fn to_upstream(head: &Head, client: Option<IpAddr>) -> Headers {
    let mut headers = without_hop(&head.headers);
    headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("spin-"));
    if let Some(client) = client {
        let mut chain: Vec<u8> =
            values(&headers, "x-forwarded-for").collect::<Vec<_>>().join(&b", "[..]);
        if !chain.is_empty() {
            chain.extend_from_slice(b", ");
        }
        chain.extend_from_slice(client.to_canonical().to_string().as_bytes());
        set(&mut headers, "x-forwarded-for", chain);
    }
    if let Some(host) = head.values("host").next() {
        set(&mut headers, "x-forwarded-host", host.to_vec());
    }
    headers
}

/// Headers without those of this hop.
pub(crate) fn without_hop(headers: &[(String, Vec<u8>)]) -> Headers {
    let named: Vec<Vec<u8>> = values(headers, "connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect();
    let stays = |(name, _): &&(String, Vec<u8>)| {
        let name = name.to_ascii_lowercase();
        !HOP_BY_HOP.contains(&name.as_str()) && !named.iter().any(|other| other == name.as_bytes())
    };
    headers.iter().filter(stays).cloned().collect()
}

/// Gives the header this one value.
pub(crate) fn set(headers: &mut Headers, name: &str, value: Vec<u8>) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> Headers {
        all.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_upstream_is_told_who_asked_and_nothing_of_this_hop() {
        let sent = headers(&[
            ("Host", "shop.example"),
            ("Connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("TE", "trailers"),
            ("spin-full-url", "http://…"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-host", "forged.example"),
            ("accept", "*/*"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ]);
        let head = Head { method: "GET".to_owned(), path: "/".to_owned(), query: None, headers: sent };
        let handed_on = to_upstream(&head, Some("10.0.0.7".parse().unwrap()));
        let expected = headers(&[
            ("accept", "*/*"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-forwarded-for", "203.0.113.9, 198.51.100.1, 10.0.0.7"),
            ("x-forwarded-host", "shop.example"),
        ]);
        assert_eq!(handed_on, expected);
    }
}
