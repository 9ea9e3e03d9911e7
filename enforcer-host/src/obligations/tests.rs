use aecp_contract::digest::Digest;

use super::*;

pub(super) fn mask(attribute: &str, last: u32) -> Action {
    Action::Mask { attribute: attribute.to_owned(), last }
}

pub(super) fn redact(attribute: &str) -> Action {
    Action::Redact { attribute: attribute.to_owned() }
}

pub(super) fn hash(attribute: &str) -> Action {
    Action::Hash { attribute: attribute.to_owned() }
}

fn done(actions: &[Action], body: &str) -> String {
    let body = carry_out(actions, body.as_bytes()).expect("carried out");
    String::from_utf8(body.into_owned()).expect("a text")
}

#[test]
fn a_mask_hides_all_but_the_last_characters_of_texts_and_numbers() {
    let masked = |value: &str| done(&[mask("a", 4)], &format!("{{\"a\":{value}}}"));
    assert_eq!(masked(r#""123-45-6789""#), r#"{"a":"*******6789"}"#);
    assert_eq!(masked(r#""äöüß€𝄞""#), r#"{"a":"**üß€𝄞"}"#, "characters, not bytes");
    assert_eq!(masked(r#""1234""#), r#"{"a":"****"}"#, "no more than would be shown");
    assert_eq!(masked(r#""""#), r#"{"a":""}"#);
    assert_eq!(masked(r#""\u0031\"\\\n\ud834\udd1e""#), r#"{"a":"*\"\\\n𝄞"}"#);
    assert_eq!(masked("-12.50e3"), r#"{"a":"****50e3"}"#);
    assert_eq!(masked("null"), r#"{"a":null}"#);
    for left_out in ["true", r#"{"b":1}"#, r#""\ud800""#] {
        assert_eq!(masked(left_out), "{}");
    }
}

#[test]
fn a_hash_is_of_the_text_or_of_the_json_as_it_stands() {
    for (value, hashed) in
        [(r#""\u0061b""#, "ab"), ("1.50", "1.50"), (r#"{ "b":1}"#, r#"{ "b":1}"#), ("true", "true")]
    {
        let digest = Digest::of(hashed.as_bytes());
        let expected = format!("{{\"a\":\"sha256:{digest}\"}}");
        assert_eq!(done(&[hash("a")], &format!("{{\"a\":{value}}}")), expected);
    }
    assert_eq!(done(&[hash("a")], r#"{"a":null}"#), r#"{"a":null}"#);
}

#[test]
fn what_is_redacted_is_gone_with_its_name_and_its_comma() {
    let redacted = |body: &str| done(&[redact("a")], body);
    assert_eq!(redacted(r#"{"a":1}"#), "{}");
    assert_eq!(redacted(r#"{ "a" : 1 , "b" : 2 }"#), r#"{ "b" : 2 }"#);
    assert_eq!(redacted(r#"{ "b" : 2 , "a" : null }"#), r#"{ "b" : 2 }"#);
    assert_eq!(redacted(r#"{"a":1,"a":[2],"b":3,"a":4,"c":5,"a":6}"#), r#"{"b":3,"c":5}"#);
    assert_eq!(redacted(r#"{"a":1,"a":2}"#), "{}");
    assert_eq!(redacted(r#"[{"a":1},2,[{"b":0,"a":1}]]"#), r#"[{},2,[{"b":0}]]"#);
}

#[test]
fn attributes_are_found_nested_dotted_in_arrays_twice_and_escaped() {
    let both = [mask("customer.ssn", 2), mask("response.body.customer.pin", 2)];
    for (body, expected) in [
        (r#"{"customer":{"ssn":"1234","pin":5678}}"#, r#"{"customer":{"ssn":"**34","pin":"**78"}}"#),
        (r#"{"customer.ssn":"1234"}"#, r#"{"customer.ssn":"**34"}"#),
        (r#"[{"customer":[{"ssn":["1234","567"]}]}]"#, r#"[{"customer":[{"ssn":["**34","*67"]}]}]"#),
        (
            r#"{"customer":{"ssn":"1234"},"customer":{"ssn":"567","ssn":"89a"}}"#,
            r#"{"customer":{"ssn":"**34"},"customer":{"ssn":"*67","ssn":"*9a"}}"#,
        ),
        (r#"{"\u0063ustomer":{"s\u0073n":"1234"}}"#, r#"{"\u0063ustomer":{"s\u0073n":"**34"}}"#),
        (r#"{"customer":"1234","ssn":"1234"}"#, r#"{"customer":"1234","ssn":"1234"}"#),
        (r#"{"response":{"body":{"customer":{"pin":"1234"}}}}"#, ""),
    ] {
        assert_eq!(done(&both, body), if expected.is_empty() { body } else { expected });
    }
    assert_eq!(
        done(&[mask("a", 1)], r#"{"a":["12",{"b":1},true,null,[34]]}"#),
        r#"{"a":["*2",null,null,null,["*4"]]}"#
    );
}

#[test]
fn the_whole_body_is_an_attribute_too() {
    assert_eq!(done(&[mask("response.body", 1)], " \"abc\" "), " \"**c\" ");
    assert_eq!(done(&[redact("response.body")], "{\"a\":1}\n"), "null\n");
    assert_eq!(done(&[mask("response.body", 1)], "[\"abc\",{}]"), "[\"**c\",null]");
}

#[test]
fn of_two_obligations_the_stricter_is_done() {
    let body = r#"{"a":"123456","b":1}"#;
    assert_eq!(done(&[mask("a", 4), mask("a", 2)], body), r#"{"a":"****56","b":1}"#);
    assert_eq!(done(&[mask("a", 4), hash("a")], body), r#"{"b":1}"#);
    assert_eq!(done(&[hash("a"), redact("a")], body), r#"{"b":1}"#);
    assert_eq!(done(&[hash("a"), hash("a")], body), done(&[hash("a")], body));
    assert_eq!(done(&[mask("a.b", 1), redact("a")], r#"{"a":{"b":"12"}}"#), "{}");
}

#[test]
fn all_else_stays_byte_for_byte() {
    let body = "\t{ \"n\" : 1.00000000000000000001e+999 ,\r\n \"x\":\"\\u00e9\\/\\ud800\", \"\\ud800\":1, \"n\":-0 }\n";
    assert_eq!(done(&[mask("absent", 1), redact("n.x")], body), body);
    assert_eq!(
        done(&[redact("x")], body),
        "\t{ \"n\" : 1.00000000000000000001e+999, \"\\ud800\":1, \"n\":-0 }\n"
    );
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_goes_on() {
    let mask = [mask("a", 1)];
    for body in [
        &b""[..],
        b"plain",
        b"{\"a\":1",
        b"{\"a\":1}{}",
        b"{\"a\":01}",
        b"{\"b\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
    ] {
        assert_eq!(carry_out(&mask, body), Err(Unfulfilled::NotJson), "{body:?}");
    }
    assert_eq!(carry_out(&[], b"plain"), Ok(Cow::Borrowed(&b"plain"[..])));
    let limit = Action::Limit { count: 1, per_ms: 1, by: "a".to_owned() };
    let filter = Action::Filter { condition: "a".to_owned() };
    assert_eq!(carry_out([&limit], b"{}"), Err(Unfulfilled::NotOfBodies));
    assert_eq!(carry_out([&filter], b"{}"), Err(Unfulfilled::NotOfBodies));
    assert_eq!(carry_out(&[redact("response.headers.etag")], b"{}"), Err(Unfulfilled::OutsideBody));
}

#[test]
fn bodies_are_limited_in_depth_and_size() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(carry_out(&[mask("a", 1)], nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(carry_out(&[mask("a", 1)], nested(MAX_DEPTH + 1).as_bytes()), Err(Unfulfilled::TooLarge));
    // Where no path leads, depth does not matter.
    let elsewhere = format!("{{\"b\":{},\"a\":\"12\"}}", nested(100_000));
    assert!(carry_out(&[mask("a", 1)], elsewhere.as_bytes()).is_ok());
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
    assert_eq!(carry_out(&[mask("a", 1)], long.as_bytes()), Err(Unfulfilled::TooLarge));
    // Each digest takes some forty times what it hides.
    let growing = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_BODY_BYTES / 50));
    assert_eq!(carry_out(&[hash("a")], growing.as_bytes()), Err(Unfulfilled::TooLarge));
}
