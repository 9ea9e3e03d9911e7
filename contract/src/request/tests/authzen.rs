//! What the members of an AuthZEN request mean.

use super::*;

/// What is read of such a request, or why it is refused.
fn read(attributes: &[(&str, Type)], json: &str) -> Result<Vec<Attribute>, RequestError> {
    let declared = declared(attributes);
    let mut slots = SlotBuffer::new(declared.len());
    let request: AuthZenRequest<'_> = serde_json::from_str(json).unwrap();
    AttributeTable::new(&declared).read_authzen(&request, &mut slots)?;
    Ok(oracle::decode(slots.bytes(), &declared))
}

fn refusal(json: &str) -> String {
    match read(&[("principal.id", Type::String), ("resource.x", Type::Int)], json) {
        Err(RequestError::Malformed(detail)) => detail,
        other => panic!("{json}: {other:?}"),
    }
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

#[test]
fn authzen_entities_must_be_objects_with_their_members_once() {
    let json = r#"{"subject":{"type":"user","id":"ann"},"action":{"name":"read"},
        "resource":{"type":"record","id":"7","properties":{"x":1}},"context":{"a":1}}"#;
    for (from, to, detail) in [
        (r#""id":"ann""#, r#""id":null"#, "`subject.id` is required"),
        (r#""id":"ann""#, r#""id":"ann","\u0069d":"bob""#, "`subject.id` is given twice"),
        (r#""id":"ann""#, r#""id":null,"id":"bob""#, "`subject.id` is given twice"),
        (r#"{"name":"read"}"#, "null", "`action` is required"),
        (r#"{"name":"read"}"#, "[]", "in `action`: expected an object at line 1 column 1"),
        (r#"{"x":1}"#, "[]", "in `resource`: expected an object of attributes at line 1 column 40"),
        (r#"{"a":1}"#, "7", "in `context`: expected an object of attributes at line 1 column 1"),
    ] {
        assert!(json.contains(from));
        assert_eq!(refusal(&json.replace(from, to)), detail);
    }
}

#[test]
fn authzen_entities_reach_only_the_attributes_below_their_own_name() {
    let attributes = [
        ("action", Type::Any),
        ("action.name.first", Type::String),
        ("principal.id", Type::String),
        ("principal.name", Type::String),
        ("principal.x.y", Type::Int),
        ("resource.id", Type::Int),
        ("subject.id", Type::String),
    ];
    let json = r#"{"subject":{"properties":{"x.y":2,"id":null}, "id" : "\u0061nn","type":[{}],"name":"Ann","x":{"y":1}},
        "action":{"name":{"first":"read"},"properties":null},
        "resource":{"id":7,"type":"t","properties":{"id":7}},"context":null}"#;
    let expected = [
        Attribute::Missing,
        present("read"),
        present("ann"),
        present("Ann"),
        Attribute::Present(Value::Int(2)),
        Attribute::Invalid,
        Attribute::Missing,
    ];
    assert_eq!(read(&attributes, json).unwrap(), expected);
}
