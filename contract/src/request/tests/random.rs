//! The reader and the [`oracle`](super::oracle) must agree on every text.

use proptest::{prelude::*, sample::Index};

use super::{
    Attribute, AttributeDeclaration, AttributeTable, RequestError, SlotBuffer, Type, declared, oracle,
};

fn attributes() -> Vec<AttributeDeclaration> {
    let list = |ty: Type| Type::List(Box::new(ty));
    let colour = || Type::Enum(vec!["red".to_owned()]);
    declared(&[
        ("a", Type::Any),
        ("a.b", Type::String),
        ("a.b.c", Type::Int),
        ("b.dec", Type::Decimal),
        ("b.enum", colour()),
        ("b.flag", Type::Bool),
        ("b.int", Type::Int),
        ("b.ip", Type::Ip),
        ("b.span", Type::Duration),
        ("b.text", Type::String),
        ("b.when", Type::Timestamp),
        ("c.d.e.f", Type::Decimal),
        ("dec", list(Type::Decimal)),
        ("enum", list(colour())),
        ("exactly8", Type::String),
        ("flag", list(Type::Bool)),
        ("int", list(Type::Int)),
        ("ip", list(Type::Ip)),
        ("longer_than_EIGHT_and_sixteen_bytes", Type::Int),
        ("longer_than_eight", Type::String),
        ("longer_than_eight_and_sixteen_bytes", Type::String),
        ("span", list(Type::Duration)),
        ("text", list(Type::String)),
        ("when", list(Type::Timestamp)),
        ("é", Type::String),
    ])
}

const NAMES: [&str; 34] = [
    "a",
    "b",
    "c",
    "d",
    "a.b",
    "a.b.c",
    "a.b.c.d",
    "c.d",
    "d.e.f",
    "c.d.e.f",
    "b.c",
    "dec",
    "enum",
    "flag",
    "int",
    "ip",
    "span",
    "text",
    "when",
    "exactly8",
    "exactly_9",
    "longer_than_eight",
    "longer_than_eighx",
    "longer_than_eight_and_sixteen_bytes",
    "longer_than_EIGHT_and_sixteen_bytes",
    "é",
    "",
    ".",
    "a.",
    r"\u0061",
    r"b\u002etext",
    r"\u00e9",
    r#"a\"b"#,
    r"\ud83d\ude00",
];

const SCALARS: [&str; 52] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-7",
    "1.5",
    "-1.50",
    "1e2",
    "1E+2",
    "25e-1",
    "1.0",
    "-0.0",
    "0.000000000000000001",
    "0.0000000000000000001",
    "123456789012345678",
    "1234567890123456789",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "170141183460469231731",
    "170141183460469231732",
    "12345678901234567.8",
    "123456789012345678.9",
    "99999999999999999999999999999999999999999999",
    "1e999",
    "0e99999999999",
    "0.10000000000000000000000000",
    r#""""#,
    r#""x""#,
    r#""red""#,
    r#""sixteen bytes 16""#,
    r#""seventeen bytes17""#,
    r#""a text of more than thirty-two bytes, with é and 😀""#,
    r#""15m""#,
    r#""-2w""#,
    r#""10.0.0.1""#,
    r#""::1""#,
    r#""2026-01-01T00:00:00Z""#,
    r#""2026-01-01T01:00:00.5+01:00""#,
    r#""\u0031\u0035m""#,
    r#""10\u002e0.0.1""#,
    r#""2026-01-01T00:00:00\u005a""#,
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\u00e9\ud83d\uDE00""#,
    r#""\ud800""#,
    r#""\udc00\ud800x""#,
    r#""\ud800\n""#,
    r#""\ud800\ud800\udc00""#,
    r#""\ud800\u0041""#,
];

/// What is no JSON, or no UTF-8, wherever it stands.
const BROKEN: [&[u8]; 22] = [
    b"01",
    b"1.",
    b"+1",
    b".5",
    b"-",
    b"1e",
    b"1e+",
    b"0x1",
    b"NaN",
    b"nul",
    b"truE",
    b"'x'",
    b"\"x",
    b"\"\x01\"",
    b"\"\\x\"",
    b"\"\\u12g4\"",
    b"\"\xff\"",
    b"\"\xed\xa0\x80\"",
    b"[1,]",
    b"{\"a\":1,}",
    b"{a:1}",
    b"1 1",
];

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\n\t \r")]
}

fn joined(open: char, parts: &[String], close: char) -> String {
    format!("{open}{}{close}", parts.join(","))
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (space(), prop::sample::select(&NAMES[..]), space(), value, space());
    let member = member.prop_map(|(a, name, b, value, c)| format!("{a}\"{name}\"{b}:{c}{value}{a}"));
    prop::collection::vec(member, 0..7).prop_map(|members| joined('{', &members, '}'))
}

pub(super) fn request() -> impl Strategy<Value = String> {
    let scalar = || prop::sample::select(&SCALARS[..]).prop_map(str::to_owned);
    let value = scalar().boxed().prop_recursive(5, 60, 6, move |inner| {
        let alike = (scalar(), 0..4usize).prop_map(|(text, count)| vec![text; count]);
        let list = prop_oneof![alike, prop::collection::vec(inner.clone(), 0..4)];
        let list =
            (list, space()).prop_map(|(list, space)| format!("{space}{}", joined('[', &list, ']')));
        prop_oneof![3 => scalar(), 2 => list, 3 => object(inner)]
    });
    (space(), object(value), space()).prop_map(|(before, json, after)| format!("{before}{json}{after}"))
}

#[derive(Debug, Clone)]
enum Change {
    Replace(u8),
    Insert(&'static [u8]),
    Remove,
    Repeat(Index),
    Cut,
}

fn change() -> impl Strategy<Value = (Index, Change)> {
    let change = prop_oneof![
        prop::sample::select(&b"{}[]\",:\\.-+eE0189 tnu\0\x1f\x7f\xc3"[..]).prop_map(Change::Replace),
        any::<u8>().prop_map(Change::Replace),
        prop::sample::select(&BROKEN[..]).prop_map(Change::Insert),
        Just(Change::Remove),
        any::<Index>().prop_map(Change::Repeat),
        Just(Change::Cut),
    ];
    (any::<Index>(), change)
}

fn changed(mut json: Vec<u8>, changes: &[(Index, Change)]) -> Vec<u8> {
    for (place, change) in changes {
        if json.is_empty() {
            break;
        }
        let at = place.index(json.len());
        match change {
            Change::Replace(byte) => json[at] = *byte,
            Change::Insert(bytes) => drop(json.splice(at..at, bytes.iter().copied())),
            Change::Remove => drop(json.remove(at)),
            Change::Repeat(end) => {
                let end = at + end.index(json.len() - at);
                let part = json[at..end].to_vec();
                json.splice(at..at, part);
            }
            Change::Cut => json.truncate(at),
        }
    }
    json
}

/// Reads with slots that other requests were read into before, as workers do.
fn agree(json: &[u8], slots: &mut SlotBuffer) {
    let attributes = attributes();
    let read = AttributeTable::new(&attributes).read_json(json, slots);
    match oracle::read(json, &attributes) {
        Ok(expected) => {
            assert_eq!(read, Ok(()));
            assert_eq!(oracle::decode(slots.bytes(), &attributes), expected);
        }
        Err(true) => assert!(matches!(read, Err(RequestError::Malformed(_))), "{read:?}"),
        Err(false) => assert_eq!(read, Ok(())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn requests_mean_what_a_tree_of_values_says(jsons in prop::collection::vec(request(), 1..4)) {
        let mut slots = SlotBuffer::new(attributes().len());
        for json in jsons {
            agree(json.as_bytes(), &mut slots);
        }
    }

    #[test]
    fn damaged_requests_are_refused_exactly_when_they_are_no_json(
        json in request(),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut slots = SlotBuffer::new(attributes().len());
        agree(&changed(json.into_bytes(), &changes), &mut slots);
    }

    /// What a log keeps of a request ([`Value::to_json`]) says the same as the request, so that it can be decided again.
    #[test]
    fn values_written_as_json_are_read_as_the_same(json in request()) {
        let declared = attributes();
        let table = AttributeTable::new(&declared);
        let (mut slots, mut again) = (SlotBuffer::new(table.len()), SlotBuffer::new(table.len()));
        if table.read_json(json.as_bytes(), &mut slots).is_ok() {
            let said: Vec<_> = declared.iter().enumerate().map(|(slot, one)| slots.get(slot, &one.ty)).collect();
            for ((slot, one), said) in declared.iter().enumerate().zip(said) {
                let Attribute::Present(value) = &said else { continue };
                let path = serde_json::Value::from(one.path.as_str());
                table.read_json(format!("{{{path}:{}}}", value.to_json()).as_bytes(), &mut again).unwrap();
                prop_assert_eq!(again.get(slot, &one.ty), said);
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(json in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut slots = SlotBuffer::new(attributes().len());
        agree(&json, &mut slots);
        let mut object = b"{\"b\":{\"text\":".to_vec();
        object.extend(json);
        agree(&object, &mut slots);
    }
}
