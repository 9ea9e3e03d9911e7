//! The reader of HTTP and an oracle that searches the whole request for each attribute must agree on every request.

use std::net::IpAddr;

use proptest::{prelude::*, sample::select};

use super::super::{oracle, random::request as json_request};
use crate::{
    manifest::AttributeDeclaration,
    request::{AttributeTable, HttpRequest},
    slots::SlotBuffer,
    value::{Attribute, Decimal, Type, Value},
};

#[derive(Debug, Clone)]
struct Request {
    method: String,
    path: String,
    query: Option<String>,
    client: Option<IpAddr>,
    headers: Vec<(String, Vec<u8>)>,
}

/// A text, or `None` for what is no text, each time that the request has the attribute.
fn occurrences(request: &Request, path: &str) -> Vec<Option<String>> {
    if let Some(name) = path.strip_prefix("request.headers.") {
        let named =
            request.headers.iter().filter(|(n, _)| n.replace('-', "_").to_ascii_lowercase() == name);
        let value = |(name, value): &(String, Vec<u8>)| {
            if name.contains('_') { None } else { String::from_utf8(value.clone()).ok() }
        };
        return named.map(value).collect();
    }
    if let Some(name) = path.strip_prefix("request.query.") {
        let pairs =
            request.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| match pair.find('=') {
            Some(at) => (unescaped(&pair[..at]), unescaped(&pair[at + 1..])),
            None => (unescaped(pair), Some(String::new())),
        });
        return pairs.filter(|(n, _)| n.as_deref() == Some(name)).map(|(_, value)| value).collect();
    }
    match path {
        "request.method" => vec![Some(request.method.clone())],
        "request.path" => vec![Some(request.path.clone())],
        "source.ip" => request.client.iter().map(|ip| Some(ip.to_canonical().to_string())).collect(),
        "request" | "request.headers" => vec![None],
        "request.query" => request.query.iter().map(|_| None).collect(),
        "source" => request.client.iter().map(|_| None).collect(),
        _ => vec![],
    }
}

fn unescaped(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    let mut parts = spaced.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

fn typed(text: &str, ty: &Type) -> Option<Value> {
    let only = |allowed: &str| text.chars().all(|c| allowed.contains(c));
    match ty {
        Type::String | Type::Enum(_) => Some(Value::Text(text.to_owned())),
        Type::Int => text.parse().ok().filter(|_| only("-0123456789")).map(Value::Int),
        Type::Decimal => {
            let written = only("-.0123456789") && !text.ends_with('.');
            text.parse::<Decimal>().ok().filter(|_| written).map(Value::Decimal)
        }
        Type::Bool => text.parse().ok().map(Value::Bool),
        Type::Timestamp => text.parse().ok().map(Value::Timestamp),
        Type::Duration => text.parse().ok().map(Value::Duration),
        Type::Ip => text.parse().ok().map(Value::Ip),
        Type::List(_) | Type::Any => None,
    }
}

fn meaning(request: &Request, attributes: &[AttributeDeclaration]) -> Vec<Attribute> {
    let attribute = |AttributeDeclaration { path, ty }: &AttributeDeclaration| {
        let found = occurrences(request, path);
        if found.is_empty() {
            return Attribute::Missing;
        }
        let typed = |text: &Option<String>, ty| typed(text.as_ref()?, ty);
        let value = match (ty, found.as_slice()) {
            (Type::List(element), found) => {
                found.iter().map(|text| typed(text, element)).collect::<Option<_>>().map(Value::List)
            }
            (ty, [text]) => typed(text, ty),
            _ => None,
        };
        value.map_or(Attribute::Invalid, Attribute::Present)
    };
    attributes.iter().map(attribute).collect()
}

const PATHS: [&str; 24] = [
    "body.b",
    "request",
    "request.headers",
    "request.headers.a",
    "request.headers.a.b",
    "request.headers.content_length",
    "request.headers.x",
    "request.headers.x_a_name_of_more_than_sixteen_bytes",
    "request.headers.x_a_name_of_more_than_sixteen_bytes_and_of_more_than_sixty_four_bytes_too",
    "request.headers.x_forwarded_for",
    "request.headers.x_user",
    "request.headers.é",
    "request.method",
    "request.path",
    "request.query",
    "request.query.a",
    "request.query.a.b",
    "request.query.b",
    "request.query.page_size_of_the_list",
    "request.query.x_user",
    "request.query.é",
    "request.query. ",
    "source",
    "source.ip",
];

/// Some of the paths, each with some type.
fn attributes() -> impl Strategy<Value = Vec<AttributeDeclaration>> {
    use Type::{Any, Bool, Decimal, Duration, Enum, Int, Ip, List, String, Timestamp};
    let scalars =
        vec![String, Int, Decimal, Bool, Timestamp, Duration, Ip, Enum(vec!["red".to_owned()])];
    let scalar = || select(scalars.clone());
    let list = scalar().prop_map(|ty| List(Box::new(ty)));
    let ty = prop_oneof![3 => Just(String), 4 => scalar(), 4 => list, 1 => Just(Any)];
    prop::collection::vec(prop::option::weighted(0.7, ty), PATHS.len()).prop_map(|types| {
        let declare = |(path, ty): (&&str, Option<Type>)| {
            Some(AttributeDeclaration { path: (*path).to_owned(), ty: ty? })
        };
        PATHS.iter().zip(types).filter_map(declare).collect()
    })
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let known =
        select(&PATHS[..]).prop_map(|path| path.trim_start_matches("request.headers.").to_owned());
    let dashed = known.clone().prop_map(|name| name.replace('_', "-"));
    let upper = dashed.clone().prop_map(|name| name.to_ascii_uppercase());
    let name =
        prop_oneof![1 => known, 5 => dashed, 3 => upper, 1 => "[-_.A-Za-z0-9!é]{0,90}", 1 => ".*"];
    let value = prop_oneof![
        6 => select(&VALUES[..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    (name, value)
}

const VALUES: [&str; 24] = [
    "",
    "x",
    "red",
    "a, b",
    "a text of more than sixteen bytes",
    "é😀",
    "42",
    "42",
    "-7",
    "+7",
    "007",
    "9223372036854775808",
    "1.5",
    "1.",
    "1e3",
    "true",
    "true",
    "false",
    "15m",
    "15m",
    "10.0.0.1",
    "::1",
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00.5+01:00",
];

/// A text as a query may write it, or not quite.
fn written(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, any::<u64>()).prop_map(|(text, escape)| {
        let byte = |(i, byte): (usize, &u8)| match (escape >> (2 * i % 64) & 3, byte) {
            (0, _) if byte.is_ascii() => char::from(*byte).to_string(),
            (1, b' ') => "+".to_owned(),
            (2, _) => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        };
        if escape == u64::MAX {
            text.clone()
        } else {
            text.as_bytes().iter().enumerate().map(byte).collect()
        }
    })
}

fn query() -> impl Strategy<Value = String> {
    let name = select(&PATHS[..]).prop_map(|path| path.trim_start_matches("request.query.").to_owned());
    let value = || select(&VALUES[..]).prop_map(str::to_owned);
    let plain = (name.clone(), value()).prop_map(|(name, value)| format!("{name}={value}"));
    let pair = (written(name), written(value())).prop_map(|(name, value)| format!("{name}={value}"));
    let odd = select(
        &["", "=", "a", "b", "a%", "a=%", "a=%f", "b=%zz", "b=%+4", "x-user=%ff", "%C3=x", "%41"][..],
    );
    let part =
        prop_oneof![2 => plain, 5 => pair, 1 => odd.prop_map(str::to_owned), 1 => "[ab=%+.é&0-9]{0,9}"];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.join("&"))
}

fn request() -> impl Strategy<Value = Request> {
    let value = || prop_oneof![select(&VALUES[..]).prop_map(str::to_owned), ".*"];
    let many = prop_oneof![9 => prop::collection::vec(header(), 0..12), 1 => prop::collection::vec(header(), 200)];
    let query = prop::option::weighted(0.9, prop_oneof![9 => query(), 1 => ".*"]);
    (value(), value(), query, any::<Option<IpAddr>>(), many).prop_map(
        |(method, path, query, client, headers)| Request { method, path, query, client, headers },
    )
}

fn read(request: &Request, table: &AttributeTable, slots: &mut SlotBuffer) {
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let Request { method, path, query, client, .. } = request;
    let request = HttpRequest { method, path, query: query.as_deref(), client: *client, headers };
    table.read_http(request, slots).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn requests_mean_what_a_search_through_them_finds(
        attributes in attributes(),
        requests in prop::collection::vec(request(), 1..4),
    ) {
        let table = AttributeTable::new(&attributes);
        let mut slots = SlotBuffer::new(attributes.len());
        for request in requests {
            read(&request, &table, &mut slots);
            assert_eq!(oracle::decode(slots.bytes(), &attributes), meaning(&request, &attributes));
        }
    }

    #[test]
    fn json_that_is_added_means_what_it_does_alone_and_twice_is_unusable(
        attributes in attributes(),
        request in request(),
        name in select(&["body", "request", "request.query", "request.headers.a", "a", "source.ip"][..]),
        json in prop_oneof![
            json_request(),
            json_request().prop_map(|json| json.replace("\"a\"", "\"headers\"").replace("\"c\"", "\"query\"")),
select(&["", "{", "[1,]", "nul", "{}}", "null", "7", r#""x""#, "[]", r#""\\ud800""#][..]).prop_map(str::to_owned),
        ],
    ) {
        let table = AttributeTable::new(&attributes);
        let mut slots = SlotBuffer::new(attributes.len());
        let alone = table.read_json(format!("{{\"{name}\":{json}}}").as_bytes(), &mut slots);
        let alone = alone.map(|()| oracle::decode(slots.bytes(), &attributes));
        read(&request, &table, &mut slots);
        let added = table.add_json(name, json.as_bytes(), &mut slots);
        assert_eq!(added.is_ok(), alone.is_ok());
        if let Ok(alone) = alone {
            let both = meaning(&request, &attributes).into_iter().zip(alone).map(|pair| match pair {
                (one, Attribute::Missing) | (Attribute::Missing, one) => one,
                _ => Attribute::Invalid,
            });
            assert_eq!(oracle::decode(slots.bytes(), &attributes), both.collect::<Vec<_>>());
        }
    }
}
