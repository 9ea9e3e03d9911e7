//! What a request's JSON means.

use super::*;
use crate::{
    slots::SLOT_SIZE,
    value::{Attribute, Type, Value},
};

mod authzen;
mod http;
mod limits;
mod oracle;
mod random;

fn declared(attributes: &[(&str, Type)]) -> Vec<AttributeDeclaration> {
    let declare =
        |(path, ty): &(&str, Type)| AttributeDeclaration { path: (*path).to_owned(), ty: ty.clone() };
    attributes.iter().map(declare).collect()
}

fn table(attributes: &[(&str, Type)]) -> AttributeTable {
    AttributeTable::new(&declared(attributes))
}

/// What the slots must look like, written attribute by attribute.
fn expect(attributes: &[Attribute]) -> Vec<u8> {
    let mut slots = SlotBuffer::new(attributes.len());
    for (slot, attribute) in attributes.iter().enumerate() {
        slots.set(slot, attribute).unwrap();
    }
    slots.bytes().to_vec()
}

fn read(table: &AttributeTable, json: &str) -> Vec<u8> {
    let mut slots = SlotBuffer::new(table.len());
    table.read_json(json.as_bytes(), &mut slots).unwrap();
    slots.bytes().to_vec()
}

fn present(text: &str) -> Attribute {
    Attribute::Present(Value::Text(text.to_owned()))
}

#[test]
fn nested_objects_and_dotted_keys_are_the_same_attribute() {
    let table = table(&[("a.b.c", Type::String)]);
    let expected = expect(&[present("x")]);
    for json in [
        r#"{"a":{"b":{"c":"x"}}}"#,
        r#"{"a.b.c":"x"}"#,
        r#"{"a.b":{"c":"x"},"other":[{"deep":1}]}"#,
        r#"{"a":{"b.c":"\u0078"},"a.x":2}"#,
    ] {
        assert_eq!(read(&table, json), expected, "{json}");
    }
}

#[test]
fn null_is_missing_and_twice_is_unusable() {
    let table = table(&[("a", Type::String)]);
    assert_eq!(read(&table, r#"{"a":null}"#), expect(&[Attribute::Missing]));
    for json in [r#"{"a":"x","a":"x"}"#, r#"{"a":1}"#, r#"{"a":{}}"#, r#"{"a":"\ud800"}"#] {
        assert_eq!(read(&table, json)[..8], expect(&[Attribute::Invalid])[..8], "{json}");
    }
}

#[test]
fn numbers_are_exact_and_integers_are_integers() {
    let table = table(&[("d", Type::Decimal), ("i", Type::Int)]);
    let max = Attribute::Present(Value::Int(i64::MAX));
    let exact = Attribute::Present(Value::Decimal("0.123456789012345678".parse().unwrap()));
    assert_eq!(
        read(&table, r#"{"d":0.123456789012345678,"i":9223372036854775807}"#),
        expect(&[exact, max])
    );
    assert_eq!(read(&table, r#"{"d":"1","i":5.0}"#), expect(&[Attribute::Invalid, Attribute::Invalid]));
}

#[test]
fn a_list_with_one_wrong_element_is_unusable() {
    let table = table(&[("l", Type::List(Box::new(Type::String)))]);
    let list =
        |items: &[&str]| Value::List(items.iter().map(|item| Value::Text((*item).to_owned())).collect());
    assert_eq!(read(&table, r#"{"l":["a","b"]}"#), expect(&[Attribute::Present(list(&["a", "b"]))]));
    let numbers = self::table(&[("l", Type::List(Box::new(Type::Int)))]);
    assert_eq!(read(&numbers, r#"{"l":[]}"#)[0], crate::slots::Tag::Integers as u8);
    for json in [r#"{"l":["a",1]}"#, r#"{"l":["a",null]}"#, r#"{"l":"a"}"#] {
        assert_eq!(read(&table, json), expect(&[Attribute::Invalid]), "{json}");
    }
}

#[test]
fn a_path_that_is_also_a_prefix_holds_an_object() {
    let table = table(&[("a", Type::Any), ("a.b", Type::String)]);
    for json in [r#"{"a":{"b":"x"}}"#, r#"{"a.b":"x"}"#] {
        assert_eq!(read(&table, json), expect(&[Attribute::Invalid, present("x")]), "{json}");
    }
}

#[test]
fn what_is_no_object_is_refused_and_depth_does_no_harm() {
    let table = table(&[("a", Type::String)]);
    let mut slots = SlotBuffer::new(1);
    for json in ["", "[]", "1", "{", r#"{"a":}"#, r#"{} {}"#, "{\"a\":\"\u{1}\"}"] {
        assert!(table.read_json(json.as_bytes(), &mut slots).is_err(), "{json}");
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(table.read_json(deep.as_bytes(), &mut slots).is_ok());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(table.read_json(deep.as_bytes(), &mut slots).is_ok());
    assert_eq!(slots.bytes().len(), SLOT_SIZE as usize);
}

#[test]
fn half_a_surrogate_pair_is_no_text_and_names_nothing() {
    let table = table(&[("a", Type::String), ("a.\u{fffd}", Type::String), ("b", Type::Ip)]);
    let invalid = expect(&[Attribute::Missing, Attribute::Missing, Attribute::Invalid]);
    assert_eq!(read(&table, r#"{"b":"\ud800","\ud800":1,"\udfff":{"a":"x"}}"#), invalid);
    // As the nested form shows it, `a` holds an object.
    let object = expect(&[Attribute::Invalid, Attribute::Missing, Attribute::Missing]);
    assert_eq!(read(&table, r#"{"a.\udbff":"x"}"#), object);
    assert_eq!(read(&table, r#"{"a":{"\udbff":"x"}}"#), object);
}

#[test]
fn a_refusal_says_where_and_what_was_expected() {
    let table = table(&[("a", Type::List(Box::new(Type::Int)))]);
    let mut slots = SlotBuffer::new(1);
    for (json, detail) in [
        (&b"{\"a\":[1\n 2]}"[..], "expected `,` or `]` at line 2 column 2"),
        (b"[]", "expected an object of attributes at line 1 column 1"),
        (b"{\"x\":{\"y\":[1,{\"z\":01}]}}", "expected `,` or `}` at line 1 column 20"),
        (b"{\"x\"", "expected `:` at line 1 column 5, where the text ends"),
        (b"{\"x\":1.}", "expected a digit at line 1 column 8"),
        (b"{\"x\":1,}", "expected a name in quotes at line 1 column 8"),
        (b"{\"x\":\"\\q\"}", "expected one of the escapes of JSON at line 1 column 7"),
        (b"{\"x\":\"\xff\"}", "expected UTF-8 at line 1 column 7"),
        (b"{} {}", "expected the end at line 1 column 4"),
    ] {
        let error = table.read_json(json, &mut slots).unwrap_err();
        assert_eq!(error, RequestError::Malformed(detail.to_owned()));
        assert_eq!(error.code(), "invalid_request");
    }
}

#[test]
fn slots_that_served_another_table_read_the_same() {
    for i in 0..64 {
        let name = format!("n{i}");
        let (plain, odd) = (table(&[(&name, Type::Int)]), table(&[("a\"b", Type::Int)]));
        let mut slots = SlotBuffer::new(1);
        for _ in 0..2 {
            plain.read_json(format!(r#"{{"{name}":1}}"#).as_bytes(), &mut slots).unwrap();
            assert!(odd.read_json(br#"{"a"b":1}"#, &mut slots).is_err());
            odd.read_json(format!(r#"{{"{name}":1}}"#).as_bytes(), &mut slots).unwrap();
            assert!(slots.is_missing(0));
            odd.read_json(br#"{"a\"b":1}"#, &mut slots).unwrap();
            assert!(!slots.is_missing(0));
        }
    }
}

#[test]
fn what_came_before_does_not_change_what_a_name_means() {
    let table = table(&[
        ("a.one", Type::Int),
        ("a.two", Type::Int),
        ("name_with_a_long_middle", Type::Int),
        ("name_with_b_long_middle", Type::Int),
    ]);
    let mut slots = SlotBuffer::new(4);
    for _ in 0..2 {
        for (json, filled) in [
            (r#"{"a":{"one":1,"two":2}}"#, [true, true, false, false]),
            (r#"{"a.one":1,"two":2}"#, [true, false, false, false]),
            (r#"{"a":{"one":1},"two":2,"a.two":2}"#, [true, true, false, false]),
            (r#"{"name_with_a_long_middle":1}"#, [false, false, true, false]),
            (r#"{"name_with_b_long_middle":1}"#, [false, false, false, true]),
            (r#"{"name_with_c_long_middle":1}"#, [false; 4]),
        ] {
            table.read_json(json.as_bytes(), &mut slots).unwrap();
            assert_eq!([0, 1, 2, 3].map(|slot| !slots.is_missing(slot)), filled, "{json}");
        }
    }
}

#[test]
fn what_a_set_asks_of_the_circumstances_is_filled_in_where_the_request_leaves_it_out() {
    let points = Point::ALL.map(|point| point.as_str().to_owned()).to_vec();
    let attributes =
        declared(&[("request.point", Type::Enum(points)), ("request.time", Type::Timestamp)]);
    let table = AttributeTable::new(&attributes);
    let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let filled = |json: &str, point| {
        let mut slots = SlotBuffer::new(2);
        table.read_json(json.as_bytes(), &mut slots).unwrap();
        table.fill_in(point, || now, &mut slots).unwrap();
        oracle::decode(slots.bytes(), &attributes)
    };
    let text = |text: &str| Attribute::Present(Value::Text(text.to_owned()));
    let time = Attribute::Present(Value::Timestamp(now));
    assert_eq!(filled("{}", Some(Point::Data)), [text("DATA"), time.clone()]);
    assert_eq!(filled("{}", None), [Attribute::Missing, time]);
    let own = r#"{"request": {"point": "MESH", "time": "2020-01-01T00:00:00Z"}}"#;
    let then = Attribute::Present(Value::Timestamp("2020-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(filled(own, Some(Point::Data)), [text("MESH"), then]);
    let bad = r#"{"request": {"point": 5, "time": "now"}}"#;
    assert_eq!(
        filled(bad, Some(Point::Data)),
        [Attribute::Invalid, Attribute::Invalid],
        "nothing is mended"
    );
    // The clock is not read for those who do not ask.
    let other = AttributeTable::new(&declared(&[("a", Type::Int)]));
    other.fill_in(None, || panic!("the clock was read"), &mut SlotBuffer::new(1)).unwrap();
    assert!(table.asks_for_point() && !other.asks_for_point());
}
