//! What the line and headers of an HTTP request mean.

use super::*;
use crate::value::Ip;
use Attribute::{Invalid, Missing};

mod parts;
mod random;
mod values;

/// A request of which a test says what matters to it.
struct Given<'a> {
    line: (&'a str, &'a str),
    query: Option<&'a str>,
    client: Option<&'a str>,
    headers: &'a [(&'a str, &'a [u8])],
}

const NOTHING: Given<'_> = Given { line: ("GET", "/"), query: None, client: None, headers: &[] };

impl Given<'_> {
    fn read(&self, table: &AttributeTable, slots: &mut SlotBuffer) -> Result<(), RequestError> {
        let request = HttpRequest {
            method: self.line.0,
            path: self.line.1,
            query: self.query,
            client: self.client.map(|text| text.parse().unwrap()),
            headers: self.headers.iter().copied(),
        };
        table.read_http(request, slots)
    }

    /// What it says of these attributes.
    fn says(&self, attributes: &[(&str, Type)]) -> Vec<Attribute> {
        let mut slots = SlotBuffer::new(attributes.len());
        self.read(&table(attributes), &mut slots).unwrap();
        oracle::decode(slots.bytes(), &declared(attributes))
    }

    fn says_of(&self, path: &str, ty: Type) -> Attribute {
        self.says(&[(path, ty)]).remove(0)
    }
}

fn query(query: &str) -> Given<'_> {
    Given { query: Some(query), ..NOTHING }
}

fn headers<'a>(headers: &'a [(&'a str, &'a [u8])]) -> Given<'a> {
    Given { headers, ..NOTHING }
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(ty))
}

fn texts(elements: &[&str]) -> Attribute {
    Attribute::Present(Value::List(
        elements.iter().map(|text| Value::Text((*text).to_owned())).collect(),
    ))
}

#[test]
fn method_and_path_stand_as_they_were_sent() {
    let given = Given { line: ("get", "/a/../%2e%2e//b;c+d"), ..NOTHING };
    let attributes = [("request.method", Type::String), ("request.path", Type::String)];
    assert_eq!(given.says(&attributes), [present("get"), present("/a/../%2e%2e//b;c+d")]);
    let verb = Type::Enum(vec!["GET".to_owned()]);
    assert_eq!(NOTHING.says_of("request.method", verb), present("GET"));
    assert_eq!(NOTHING.says_of("request.path", Type::Int), Invalid);
    assert_eq!(NOTHING.says_of("request.path", list(Type::String)), texts(&["/"]));
    assert_eq!(NOTHING.says_of("request.action", Type::String), Missing);
}

#[test]
fn the_client_is_an_address_or_its_shortest_text() {
    for (client, shortest) in
        [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("1:0::1", "1::1")]
    {
        let given = Given { client: Some(client), ..NOTHING };
        let ip = Value::Ip(client.parse::<Ip>().unwrap());
        assert_eq!(given.says_of("source.ip", Type::Ip), Attribute::Present(ip.clone()));
        let one = Attribute::Present(Value::List(vec![ip]));
        assert_eq!(given.says_of("source.ip", list(Type::Ip)), one);
        assert_eq!(given.says_of("source.ip", Type::String), present(shortest));
        assert_eq!(given.says_of("source.ip", Type::Bool), Invalid);
    }
    assert_eq!(NOTHING.says_of("source.ip", Type::Ip), Missing);
}

#[test]
fn a_header_is_named_in_small_letters_with_underscores() {
    let given = headers(&[("X-User", b"ann"), ("x.tenant-ID", b"7"), ("ACCEPT", b"")]);
    for (path, expected) in [
        ("request.headers.x_user", present("ann")),
        ("request.headers.x.tenant_id", present("7")),
        ("request.headers.accept", present("")),
        ("request.headers.x", Missing),
        ("request.headers.x.tenant_id.more", Missing),
        ("request.headers.x_use", Missing),
        ("request.headers", Invalid),
    ] {
        assert_eq!(given.says_of(path, Type::String), expected, "{path}");
    }
    for name in ["1-x", "x!y", "", ":path", "ä"] {
        let says = headers(&[(name, b"x")]).says_of("request.headers.x_y", Type::Any);
        assert_eq!(says, Missing, "{name}");
    }
}

#[test]
fn a_header_with_an_underscore_of_its_own_is_not_taken_for_another() {
    for both in [&[("X_User", &b"ann"[..])][..], &[("X-User", b"ann"), ("X_User", b"bob")]] {
        let given = headers(both);
        assert_eq!(given.says_of("request.headers.x_user", Type::String), Invalid);
        assert_eq!(given.says_of("request.headers.x_user", list(Type::String)), Invalid);
    }
}

#[test]
fn the_headers_of_http_can_all_be_named() {
    for name in [
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Cache-Control",
        "Content-Length",
        "Content-Type",
        "Cookie",
        "DPoP",
        "ETag",
        "Forwarded",
        "Host",
        "If-None-Match",
        "Origin",
        "Sec-CH-UA-Mobile",
        "Sec-WebSocket-Key",
        "Strict-Transport-Security",
        "TE",
        "User-Agent",
        "X-Amzn-Trace-Id",
        "X-Forwarded-For",
        "X-Request-ID",
        "sec-fetch-site",
        "traceparent",
        "x-amz-content-sha256",
    ] {
        let part = name.to_lowercase().replace('-', "_");
        let (first, rest) = part.split_at(1);
        assert!(first.bytes().all(|byte| byte.is_ascii_lowercase()));
        assert!(rest.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte)));
        let says = headers(&[(name, b"x")]).says_of(&format!("request.headers.{part}"), Type::String);
        assert_eq!(says, present("x"), "{name}");
    }
}

#[test]
fn a_name_above_others_holds_an_object() {
    for (path, with_query, without) in [
        ("request", Invalid, Invalid),
        ("request.headers", Invalid, Invalid),
        ("request.query", Invalid, Missing),
        ("source", Missing, Missing),
    ] {
        assert_eq!(query("").says_of(path, Type::String), with_query, "{path}");
        assert_eq!(NOTHING.says_of(path, Type::String), without, "{path}");
    }
    let given = Given { client: Some("::1"), ..NOTHING };
    let both = [("source", Type::Any), ("source.ip", Type::String)];
    assert_eq!(given.says(&both), [Invalid, present("::1")]);
}

#[test]
fn a_response_has_its_status_and_headers_beside_its_request() {
    let attributes = [
        ("request.headers.etag", Type::String),
        ("response.headers.etag", Type::String),
        ("response.headers.set_cookie", list(Type::String)),
        ("response.headers.x_twice", Type::String),
        ("response.status", Type::Int),
    ];
    let table = table(&attributes);
    let mut slots = SlotBuffer::new(attributes.len());
    headers(&[("ETag", b"asked")]).read(&table, &mut slots).unwrap();
    let given: [(&str, &[u8]); 5] = [
        ("ETag", b"said"),
        ("Set-Cookie", b"a=1"),
        ("set-cookie", b"b=2"),
        ("X-Twice", b"1"),
        ("x-twice", b"2"),
    ];
    table.add_http_response(HttpResponse { status: 201, headers: given }, &mut slots).unwrap();
    let text = |text: &str| Attribute::Present(Value::Text(text.to_owned()));
    assert_eq!(
        oracle::decode(slots.bytes(), &declared(&attributes)),
        [
            text("asked"),
            text("said"),
            texts(&["a=1", "b=2"]),
            Invalid,
            Attribute::Present(Value::Int(201))
        ]
    );
}
