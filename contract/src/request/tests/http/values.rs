//! What the texts of queries and headers are to attributes of each type.

use super::*;

#[test]
fn text_is_read_as_the_language_writes_the_type() {
    let ip = |text: &str| Some(Value::Ip(text.parse().unwrap()));
    let instant = |text: &str| Some(Value::Timestamp(text.parse().unwrap()));
    let span = |text: &str| Some(Value::Duration(text.parse().unwrap()));
    let exact = |text: &str| Some(Value::Decimal(text.parse().unwrap()));
    for (ty, text, expected) in [
        (Type::Int, "42", Some(Value::Int(42))),
        (Type::Int, "-007", Some(Value::Int(-7))),
        (Type::Int, "-9223372036854775808", Some(Value::Int(i64::MIN))),
        (Type::Int, "9223372036854775808", None),
        (Type::Int, "+42", None),
        (Type::Int, "4.0", None),
        (Type::Int, "1e3", None),
        (Type::Int, " 42", None),
        (Type::Int, "", None),
        (Type::Int, "-", None),
        (Type::Int, "٤", None),
        (Type::Bool, "true", Some(Value::Bool(true))),
        (Type::Bool, "false", Some(Value::Bool(false))),
        (Type::Bool, "True", None),
        (Type::Bool, "1", None),
        (Type::Decimal, "-1.50", exact("-1.5")),
        (Type::Decimal, "42", exact("42")),
        (Type::Decimal, "0.1234567890123456789", None),
        (Type::Decimal, "1.", None),
        (Type::Decimal, ".5", None),
        (Type::Decimal, "1e3", None),
        (Type::Decimal, "+1.5", None),
        (Type::Decimal, "1.5.0", None),
        (Type::Decimal, "--1", None),
        (Type::Timestamp, "2026-01-01T01:00:00.5+01:00", instant("2026-01-01T00:00:00.5Z")),
        (Type::Timestamp, "2026-01-01", None),
        (Type::Timestamp, "Thu, 01 Jan 2026 00:00:00 GMT", None),
        (Type::Duration, "15m", span("15m")),
        (Type::Duration, "15", None),
        (Type::Ip, "2001:DB8::1", ip("2001:db8::1")),
        (Type::Ip, "10.0.0.1, 10.0.0.2", None),
        (Type::Ip, "10.0.0.1:80", None),
        (Type::Enum(vec!["red".to_owned()]), "blue", Some(Value::Text("blue".to_owned()))),
        (Type::Any, "x", None),
    ] {
        let expected = expected.map_or(Invalid, Attribute::Present);
        let says = headers(&[("x", text.as_bytes())]).says_of("request.headers.x", ty.clone());
        assert_eq!(says, expected, "{ty} {text}");
    }
}

#[test]
fn what_comes_twice_is_unusable_unless_it_is_a_list() {
    let given =
        headers(&[("a", b"1"), ("b", b"x"), ("A", b"1"), ("l", b"1, 2"), ("c", b"y"), ("L", b"3")]);
    assert_eq!(given.says_of("request.headers.a", Type::Int), Invalid);
    let attributes = [
        ("request.headers.a", list(Type::Int)),
        ("request.headers.b", list(Type::String)),
        ("request.headers.c", list(Type::Bool)),
        ("request.headers.l", list(Type::String)),
        ("request.headers.m", list(Type::String)),
    ];
    let ones = Attribute::Present(Value::List(vec![Value::Int(1), Value::Int(1)]));
    assert_eq!(given.says(&attributes), [ones, texts(&["x"]), Invalid, texts(&["1, 2", "3"]), Missing]);
    let given = query("l=1&a=x&l=2&l=&a=x&l");
    assert_eq!(given.says_of("request.query.l", list(Type::String)), texts(&["1", "2", "", ""]));
    assert_eq!(given.says_of("request.query.l", list(Type::Int)), Invalid);
    assert_eq!(given.says_of("request.query.a", Type::String), Invalid);
}

#[test]
fn a_query_is_read_as_a_form() {
    for (text, expected) in [
        ("a=1", present("1")),
        ("a", present("")),
        ("&&a=&", present("")),
        ("=x&a=b=c", present("b=c")),
        ("a=x;a=y", present("x;a=y")),
        ("a=%41+%2b%C3%a9é", present("A +éé")),
        ("%61=x", present("x")),
        ("%61=x&a=y", Invalid),
        ("a=%", Invalid),
        ("a=%4", Invalid),
        ("a=%+1", Invalid),
        ("a=%4g", Invalid),
        ("a=%é9", Invalid),
        ("a=%ff", Invalid),
        ("a=%C3x", Invalid),
        ("a=%ED%A0%80", Invalid),
        ("A=x&b=y&a%=z&a%ff=z&a+=z&=a", Missing),
        ("", Missing),
    ] {
        assert_eq!(query(text).says_of("request.query.a", Type::String), expected, "{text}");
    }
    for text in ["a.b-c=x", "a%2Eb%2dc=x"] {
        assert_eq!(query(text).says_of("request.query.a.b-c", Type::String), present("x"));
        assert_eq!(query(text).says_of("request.query.a", Type::String), Missing);
        assert_eq!(query(text).says_of("request.query.a.b_c", Type::String), Missing);
    }
}

#[test]
fn a_header_that_is_no_utf8_is_unusable() {
    let given = headers(&[("a", b"caf\xe9"), ("b", b"caf\xc3\xa9"), ("c", b"x"), ("c", b"\xff")]);
    assert_eq!(given.says_of("request.headers.a", Type::String), Invalid);
    assert_eq!(given.says_of("request.headers.b", Type::String), present("café"));
    assert_eq!(given.says_of("request.headers.c", list(Type::String)), Invalid);
}
