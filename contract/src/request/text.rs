//! Values that stand in text alone, without JSON's quotes to tell their types.

use crate::{
    slots::{Payload, Tag},
    value::{Decimal, Duration, Ip},
};

/// A value of any type but text and lists, written as the language writes it: `42`, `true`, `1.5`, `15m`; instants and
/// addresses as between its quotes.
pub(super) fn parse(tag: Tag, text: &str) -> Option<Payload> {
    match tag {
        Tag::Boolean => match text {
            "true" => Some(Payload(1, 0)),
            "false" => Some(Payload(0, 0)),
            _ => None,
        },
        Tag::Integer if is_number(text, false) => text.parse::<i64>().ok().map(|n| Payload(n as u64, 0)),
        Tag::Decimal if is_number(text, true) => {
            text.parse::<Decimal>().ok().map(|d| Payload::halves(d.scaled() as u128))
        }
        _ => parse_quoted(tag, text),
    }
}

/// A value of a type that JSON has in quotes, text aside.
pub(super) fn parse_quoted(tag: Tag, text: &str) -> Option<Payload> {
    match tag {
        Tag::Timestamp => text.parse().ok().map(Payload::instant),
        Tag::Duration => text.parse().ok().map(|Duration(ms)| Payload(ms as u64, 0)),
        Tag::Address => text.parse().ok().map(|Ip(bits)| Payload::halves(bits)),
        _ => None,
    }
}

/// Whether this is a number of the language: an optional minus and digits, and if `fraction`, then also a point with
/// digits after it. No plus, no exponent, no space.
fn is_number(text: &str, fraction: bool) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix('-').unwrap_or(text).split_once('.') {
        Some((whole, decimals)) => fraction && digits(whole) && digits(decimals),
        None => digits(text.strip_prefix('-').unwrap_or(text)),
    }
}
