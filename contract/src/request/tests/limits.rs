//! Requests that are large, deep or many: a result or a clear refusal.

use super::*;
use crate::slots::ARENA_SIZE;

const ROOM: usize = ARENA_SIZE as usize - 2 * SLOT_SIZE as usize;

fn text_and_list() -> AttributeTable {
    table(&[("list", Type::List(Box::new(Type::String))), ("text", Type::String)])
}

#[test]
fn a_text_fits_as_long_as_the_arena_has_room_for_it() {
    let table = text_and_list();
    let mut slots = SlotBuffer::new(2);
    for (length, fits) in [(64 << 10, true), (ROOM, true), (ROOM + 1, false), (1 << 20, false)] {
        for text in ["x".repeat(length), format!("\\u0078{}", "x".repeat(length - 1))] {
            let read = table.read_json(format!(r#"{{"text":"{text}"}}"#).as_bytes(), &mut slots);
            let expected = if fits { Ok(()) } else { Err(RequestError::TooLarge(RequestTooLarge)) };
            assert_eq!(read, expected, "{length}");
        }
        // What nobody looks at has no limit.
        let other = format!(r#"{{"other":"{}"}}"#, "x".repeat(length));
        assert_eq!(table.read_json(other.as_bytes(), &mut slots), Ok(()));
    }
}

#[test]
fn a_list_that_finds_no_room_is_still_unusable_or_malformed_first() {
    let table = text_and_list();
    let mut slots = SlotBuffer::new(2);
    let large = format!("\"{}\"", "x".repeat(ROOM / 2 + 1));
    let mut read =
        |json: String| table.read_json(json.as_bytes(), &mut slots).map(|()| slots.bytes().len());
    let too_large = Err(RequestError::TooLarge(RequestTooLarge));
    assert_eq!(read(format!(r#"{{"list":[{large},{large}]}}"#)), too_large);
    assert_eq!(read(format!(r#"{{"list":[{large},{large},1]}}"#)), Ok(2 * SLOT_SIZE as usize));
    assert!(matches!(
        read(format!(r#"{{"list":[{large},{large},]}}"#)),
        Err(RequestError::Malformed(_))
    ));
    assert_eq!(read(format!(r#"{{"list":[{}""]}}"#, r#""","#.repeat(1 << 20))), too_large);
    assert_eq!(read(format!(r#"{{"list":[{}]}}"#, "[".repeat(1 << 20) + &"]".repeat(1 << 20))), Ok(48));
}

#[test]
fn nesting_is_followed_to_any_depth_and_ends_must_match() {
    let table = table(&[("a", Type::Any), ("a.a.a", Type::String)]);
    let mut slots = SlotBuffer::new(2);
    for depth in [1, 2, 3, 4, 63, 64, 65, 66, 127, 128, 129, 130, 131, 200_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]"), (r#"{"b":[0,"#, "]}")]
        {
            let nested = |last: &str| {
                let (opened, closed) = (open.repeat(depth), close.repeat(depth - 1));
                format!(r#"{{"a":{opened}1{closed}{last}}}"#)
            };
            assert_eq!(table.read_json(nested(close).as_bytes(), &mut slots), Ok(()), "{depth}");
            assert_eq!(slots.bytes()[0], 1, "an object or a list");
            for wrong in ["", "}", "]", "}}", "]]", "]}"] {
                let json = nested(wrong);
                let expected = wrong == close;
                assert_eq!(
                    table.read_json(json.as_bytes(), &mut slots).is_ok(),
                    expected,
                    "{open} {wrong}"
                );
            }
        }
    }
}

#[test]
fn a_table_of_thousands_of_names_finds_each_and_no_other() {
    let paths: Vec<_> =
        (0..4096).map(|i| format!("group{}.attribute_number_{i:04}_of_many", i % 7)).collect();
    let declared: Vec<_> = paths.iter().map(|path| (path.as_str(), Type::Int)).collect();
    let table = table(&declared);
    let mut slots = SlotBuffer::new(declared.len());
    for (i, path) in paths.iter().enumerate() {
        let unknown = path.replace("_of_", "_or_");
        table.read_json(format!(r#"{{"{path}":{i},"{unknown}":1}}"#).as_bytes(), &mut slots).unwrap();
        let filled = (0..slots.count()).filter(|slot| !slots.is_missing(*slot));
        assert_eq!(filled.collect::<Vec<_>>(), [i]);
    }
}
