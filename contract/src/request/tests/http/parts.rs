//! JSON beside HTTP in the same slots, and what the slots have no room for.

use super::*;
use crate::slots::ARENA_SIZE;

#[test]
fn json_goes_below_a_name_of_its_own() {
    let attributes = [
        ("body", list(Type::Int)),
        ("body.amount", Type::Decimal),
        ("principal.roles", list(Type::String)),
        ("request.headers.x", Type::String),
        ("request.path", Type::String),
    ];
    let (table, declared) = (table(&attributes), declared(&attributes));
    let given = headers(&[("x", b"1")]);
    let exact = Attribute::Present(Value::Decimal("1.25".parse().unwrap()));
    let numbers = Attribute::Present(Value::List(vec![Value::Int(1), Value::Int(2)]));
    let mut slots = SlotBuffer::new(table.len());
    for (parts, body, amount, roles, x, path) in [
        (&[][..], Missing, Missing, Missing, present("1"), present("/")),
        (
            &[("body", r#" {"amount":1.25} "#)],
            Invalid,
            exact.clone(),
            Missing,
            present("1"),
            present("/"),
        ),
        (&[("body", "[1,2]")], numbers, Missing, Missing, present("1"), present("/")),
        (&[("body", "null")], Missing, Missing, Missing, present("1"), present("/")),
        (&[("body.amount", "1.25")], Invalid, exact.clone(), Missing, present("1"), present("/")),
        (
            &[
                ("principal", r#"{"roles":["dpo"]}"#),
                ("body", r#"{"amount":1}"#),
                ("body", r#"{"amount":1}"#),
            ],
            Invalid,
            Invalid,
            texts(&["dpo"]),
            present("1"),
            present("/"),
        ),
        (
            &[("request", r#"{"path":"/","headers":{"x":null}}"#)],
            Missing,
            Missing,
            Missing,
            present("1"),
            Invalid,
        ),
        (&[("request.headers.x", r#""1""#)], Missing, Missing, Missing, Invalid, present("/")),
        (&[("other.name", "[{}]"), ("", "{}")], Missing, Missing, Missing, present("1"), present("/")),
    ] {
        given.read(&table, &mut slots).unwrap();
        for (name, json) in parts {
            table.add_json(name, json.as_bytes(), &mut slots).unwrap();
        }
        let says = oracle::decode(slots.bytes(), &declared);
        assert_eq!(says, [body, amount, roles, x, path], "{parts:?}");
    }
    for name in ["body", "principal.roles", "other"] {
        for json in [&b""[..], b"{", b"{} {}", b"[1,]", b"x", b"\"\xff\""] {
            given.read(&table, &mut slots).unwrap();
            let added = table.add_json(name, json, &mut slots);
            assert!(matches!(added, Err(RequestError::Malformed(_))), "{name} {json:?}");
        }
    }
}

#[test]
fn what_does_not_fit_the_arena_is_too_large() {
    let attributes = [
        ("request.headers.l", list(Type::String)),
        ("request.headers.t", Type::String),
        ("request.query.b", list(Type::Bool)),
    ];
    let table = table(&attributes);
    let mut slots = SlotBuffer::new(3);
    let room = ARENA_SIZE as usize - 3 * SLOT_SIZE as usize;
    let text = vec![b'x'; room + 1];
    let bools = "b=true&".repeat(room + 1);
    let mut read = |given: &Given<'_>| given.read(&table, &mut slots).map(|()| slots.bytes().len());
    let too_large = Err(RequestError::TooLarge(RequestTooLarge));
    assert_eq!(read(&headers(&[("t", &text[1..])])), Ok(ARENA_SIZE as usize));
    assert_eq!(read(&headers(&[("t", &text)])), too_large);
    assert_eq!(read(&headers(&[("l", &text[..room - 8])])), Ok(ARENA_SIZE as usize));
    assert_eq!(read(&headers(&[("l", &text[..room - 8]), ("l", b"")])), too_large);
    assert_eq!(read(&headers(&[("l", b"\xff"), ("l", &text)])), Ok(3 * SLOT_SIZE as usize));
    assert_eq!(read(&headers(&[("other", &text)])), Ok(3 * SLOT_SIZE as usize));
    assert_eq!(read(&query(&bools[7..])), Ok(ARENA_SIZE as usize));
    assert_eq!(read(&query(&bools)), too_large);
    assert_eq!(read(&query(&bools.repeat(2))), too_large);
    assert_eq!(read(&query("b=true")), Ok(3 * SLOT_SIZE as usize + 1));
}
