//! Literals: from how they are written to what they are.

use aecp_contract::value::{Decimal, Duration};

use super::{
    build::{Builder, Node},
    grammar::Rule,
};
use crate::{
    findings::{Finding, Kind, code},
    language::ast::{Literal, Spanned, Text},
    source::Span,
};

impl Builder {
    /// A literal of any kind.
    pub(super) fn literal(&mut self, node: Node<'_>) -> Option<Spanned<Literal>> {
        let span = self.span(&node);
        let inner = node.into_inner().next()?;
        let written = inner.as_str();
        let literal = match inner.as_rule() {
            Rule::text => Literal::Text(self.text(inner)?.node),
            Rule::boolean => Literal::Bool(written == "true"),
            Rule::integer => Literal::Int(self.integer(inner)?.node),
            Rule::decimal => match written.parse::<Decimal>() {
                Ok(value) => Literal::Decimal { text: written.to_owned(), value },
                Err(_) => {
                    let message = format!("`{written}` is out of range");
                    let cause = "a DECIMAL has 18 digits after the point and lies within ±1.7 × 10²⁰";
                    return self.refuse(span, message, cause);
                }
            },
            Rule::duration => return self.duration(inner),
            _ => return None,
        };
        Some(Spanned::new(literal, span))
    }

    /// A number and a unit of time.
    pub(super) fn duration(&mut self, node: Node<'_>) -> Option<Spanned<Literal>> {
        let (span, written) = (self.span(&node), node.as_str());
        match written.parse::<Duration>() {
            Ok(value) => Some(Spanned::new(Literal::Duration { text: written.to_owned(), value }, span)),
            Err(_) => {
                let cause = "a DURATION is held in 64 bits of milliseconds";
                self.refuse(span, format!("`{written}` is out of range"), cause)
            }
        }
    }

    /// A whole number of 64 bits.
    pub(super) fn integer(&mut self, node: Node<'_>) -> Option<Spanned<i64>> {
        let (span, written) = (self.span(&node), node.as_str());
        match written.parse() {
            Ok(value) => Some(Spanned::new(value, span)),
            Err(_) => {
                let cause = format!("an INT lies between {} and {}", i64::MIN, i64::MAX);
                self.refuse(span, format!("`{written}` is out of range"), cause)
            }
        }
    }

    /// A string, its escapes resolved.
    pub(super) fn text(&mut self, node: Node<'_>) -> Option<Text> {
        let span = self.span(&node);
        let quoted = node.as_str();
        let inside = quoted.get(1..quoted.len().saturating_sub(1))?;
        match unescape(inside) {
            Ok(text) => Some(Spanned::new(text, span)),
            Err(bad) => {
                let start = span.start + 1 + bad.at as u32;
                let place = Span { start, end: start + bad.length as u32, ..span };
                let written = inside.get(bad.at..bad.at + bad.length).unwrap_or_default();
                let message = format!("`{written}` is no escape");
                let message = if bad.surrogate {
                    format!("`{written}` is half of a surrogate pair")
                } else {
                    message
                };
                let cause = if bad.surrogate {
                    r"a character beyond U+FFFF is written as itself or as two escapes, `\ud83d\ude00`"
                } else {
                    r#"the escapes are `\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t` and `\u` with four hexadecimal digits"#
                };
                let finding = Finding::error(code::SYNTAX, Kind::Syntax, place, message).because(cause);
                let lone = written.starts_with('\\') && !bad.surrogate;
                self.report(if lone {
                    finding.try_instead(r"write `\\` for a backslash")
                } else {
                    finding
                });
                None
            }
        }
    }

    pub(super) fn refuse<T>(
        &mut self,
        span: Span,
        message: String,
        cause: impl Into<String>,
    ) -> Option<T> {
        self.report(Finding::error(code::BAD_LITERAL, Kind::Syntax, span, message).because(cause));
        None
    }
}

/// An escape that is none: bytes `at..at + length` of the text.
#[derive(Debug, PartialEq)]
struct BadEscape {
    at: usize,
    length: usize,
    surrogate: bool,
}

/// Resolves JSON's escapes.
fn unescape(text: &str) -> Result<String, BadEscape> {
    let mut resolved = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(backslash) = rest.find('\\') else {
            resolved.push_str(rest);
            break;
        };
        resolved.push_str(&rest[..backslash]);
        at += backslash;
        let (c, length) = escape(&rest[backslash..]).map_err(|(length, surrogate)| BadEscape {
            at,
            length,
            surrogate,
        })?;
        resolved.push(c);
        at += length;
    }
    Ok(resolved)
}

/// The character and length of the escape that `rest` starts with; or the length of what is none, and whether
/// it is a lone surrogate.
fn escape(rest: &str) -> Result<(char, usize), (usize, bool)> {
    let Some(kind) = rest[1..].chars().next() else { return Err((1, false)) };
    let c = match kind {
        '"' | '\\' | '/' => kind,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let high = unit(rest).ok_or((2, false))?;
            if let Some(c) = char::from_u32(high) {
                return Ok((c, 6));
            }
            let low = rest.get(6..).and_then(unit).ok_or((6, true))?;
            return char::decode_utf16([high as u16, low as u16])
                .next()
                .and_then(Result::ok)
                .map(|c| (c, 12))
                .ok_or((6, true));
        }
        other => return Err((1 + other.len_utf8(), false)),
    };
    Ok((c, 2))
}

/// The number of the `\uXXXX` that `rest` starts with.
fn unit(rest: &str) -> Option<u32> {
    let digits = rest.strip_prefix("\\u")?.get(..4)?;
    // from_str_radix would take a sign.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_json() {
        assert_eq!(unescape(r#"a\"\\\/\b\f\n\r\t\u00e9 ü"#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té ü");
        assert_eq!(unescape(r"\ud83d\ude00").unwrap(), "😀");
    }

    #[test]
    fn what_is_no_escape_is_refused_at_its_place() {
        let bad = |text: &str| unescape(text).map_err(|bad| (bad.at, bad.length, bad.surrogate));
        assert_eq!(bad(r"ab\q"), Err((2, 2, false)));
        assert_eq!(bad(r"\é"), Err((0, 3, false)));
        assert_eq!(bad(r"\u12"), Err((0, 2, false)));
        assert_eq!(bad(r"\u+123"), Err((0, 2, false)));
        assert_eq!(bad(r"x\ud83d y"), Err((1, 6, true)));
        assert_eq!(bad(r"\ud83dA"), Err((0, 6, true)));
        assert_eq!(bad(r"\ude00"), Err((0, 6, true)));
    }
}
