//! What a request's JSON means.

use super::*;
use crate::{
    slots::SLOT_SIZE,
    value::{Attribute, Type, Value},
};

fn table(attributes: &[(&str, Type)]) -> AttributeTable {
    let declare =
        |(path, ty): &(&str, Type)| AttributeDeclaration { path: (*path).to_owned(), ty: ty.clone() };
    AttributeTable::new(&attributes.iter().map(declare).collect::<Vec<_>>())
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
fn authzen_lifts_properties_and_refuses_what_stands_twice() {
    let table = table(&[
        ("action.name", Type::String),
        ("customer.region", Type::String),
        ("principal.id", Type::String),
        ("principal.role", Type::String),
        ("resource.type", Type::String),
    ]);
    let mut slots = SlotBuffer::new(table.len());
    let mut read = |json: &str| {
        let request: AuthZenRequest<'_> = serde_json::from_str(json).unwrap();
        table.read_authzen(&request, &mut slots).map(|()| slots.bytes().to_vec())
    };
    let json = r#"{"subject":{"type":"user","id":"ann","properties":{"role":"dpo"}},
        "action":{"name":"read"},"resource":{"type":"record","id":"7"},
        "context":{"customer":{"region":"EU"}}}"#;
    // The arena holds the texts in the order of reading, so compare tags and one text.
    let bytes = read(json).unwrap();
    assert!((0..5).all(|slot| bytes[slot * 24] == 5), "{bytes:?}");
    let twice = json.replace(r#""id":"7""#, r#""id":"7","properties":{"type":"other"}"#);
    assert_eq!(read(&twice).unwrap()[4 * 24], 1, "resource.type stands twice");
    let absent = json.replace(r#""id":"ann","#, "");
    assert_eq!(read(&absent), Err(RequestError::Malformed("`subject.id` is required".to_owned())));
}
