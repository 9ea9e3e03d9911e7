//! A file's tokens, read without judging them: where comments are, where broken text may be cut, what to
//! underline. Every text has tokens; only the grammar says which texts are a file.

use std::ops::Range;

/// What a token is by its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword, name or path: `SCOPE`, `customer.region`.
    Word,
    /// Starts with a digit, or a minus and a digit: `42`, `-1.5`, `15m`.
    Number,
    /// `"…"` with both quotes on one line.
    Text,
    /// `"…` up to the end of the line.
    Unterminated,
    /// `'…'`, which the language does not have.
    SingleQuoted,
    /// `{`, `(` or `[`.
    Open,
    /// `}`, `)` or `]`.
    Close,
    /// Any other punctuation or character.
    Symbol,
}

/// A token: bytes `start..end` of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Whether no other token or comment stands before it on its line.
    pub(crate) first_on_line: bool,
}

/// The tokens of a file and, apart from them, its comments.
#[derive(Debug)]
pub(crate) struct Tokens<'t> {
    pub(crate) text: &'t str,
    pub(crate) all: Vec<Token>,
    /// Each with its `--` or `#`, without the white space at its end.
    pub(crate) comments: Vec<Range<u32>>,
}

/// Operators of two characters: the language's, and those that other languages have instead.
const PAIRS: [&[u8]; 10] = [b"==", b"!=", b"<=", b">=", b"&&", b"||", b"<>", b"=>", b"=~", b":="];

impl<'t> Tokens<'t> {
    /// Reads all of `text`, of fewer than 2³² bytes.
    pub(crate) fn read(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let mut all = Vec::with_capacity(bytes.len() / 5);
        let mut comments = Vec::new();
        let mut at = 0;
        let mut first_on_line = true;
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii_whitespace() {
                // The grammar has no form feed; it becomes a token so that it is found and named.
                if byte != b'\x0c' {
                    first_on_line |= byte == b'\n';
                    at += 1;
                    continue;
                }
            }
            let start = at as u32;
            if byte == b'#' || bytes[at..].starts_with(b"--") {
                let line = line_at(text, at);
                comments.push(start..start + line.trim_end().len() as u32);
                at += line.len();
            } else {
                let (kind, length) = token_at(text, at);
                at += length;
                all.push(Token { kind, start, end: at as u32, first_on_line });
            }
            first_on_line = false;
        }
        Self { text, all, comments }
    }

    /// The text of a token.
    pub(crate) fn of(&self, token: Token) -> &'t str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    /// The text of token number `index`; empty after the last.
    pub(crate) fn word(&self, index: usize) -> &'t str {
        self.all.get(index).map_or("", |token| self.of(*token))
    }

    /// The bytes from the first to the last of the tokens.
    pub(crate) fn bytes(&self, tokens: &Range<usize>) -> Range<u32> {
        let first = self.all.get(tokens.start).map_or(self.text.len() as u32, |token| token.start);
        let last = tokens.end.checked_sub(1).and_then(|last| self.all.get(last));
        first..last.map_or(first, |token| token.end.max(first))
    }

    /// The first of `tokens` that stands deeper than `limit`; brackets and NOTs count one level each.
    pub(crate) fn too_deep(&self, tokens: Range<usize>, limit: usize) -> Option<Token> {
        // For each open bracket, the NOTs before it; they last until it is closed.
        let mut open: Vec<usize> = Vec::new();
        let (mut depth, mut nots) = (0_usize, 0);
        for token in self.all.get(tokens)? {
            match token.kind {
                TokenKind::Open => {
                    open.push(nots);
                    depth += 1;
                    nots = 0;
                }
                TokenKind::Close => {
                    // The NOTs before the bracket no longer count either.
                    let before = open.pop();
                    depth = depth.saturating_sub(nots + before.map_or(0, |nots| nots + 1));
                    nots = 0;
                }
                TokenKind::Word if self.of(*token) == "NOT" => {
                    nots += 1;
                    depth += 1;
                }
                _ => {
                    depth -= nots;
                    nots = 0;
                }
            }
            if depth > limit {
                return Some(*token);
            }
        }
        None
    }
}

/// The rest of the line at a byte, without its end.
fn line_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(rest, |end| &rest[..end])
}

/// The kind and length of the token at a byte, where neither white space nor a comment stands.
fn token_at(text: &str, at: usize) -> (TokenKind, usize) {
    let rest = text.get(at..).unwrap_or_default();
    let bytes = rest.as_bytes();
    let second_is_digit = bytes.get(1).is_some_and(u8::is_ascii_digit);
    match bytes.first() {
        Some(b'"') => quoted(rest),
        Some(b'\'') => match rest[1..].find(['\'', '\n']) {
            Some(end) if bytes.get(end + 1) == Some(&b'\'') => (TokenKind::SingleQuoted, end + 2),
            _ => (TokenKind::Symbol, 1),
        },
        Some(b'{' | b'(' | b'[') => (TokenKind::Open, 1),
        Some(b'}' | b')' | b']') => (TokenKind::Close, 1),
        Some(b'0'..=b'9') => (TokenKind::Number, word_length(rest)),
        Some(b'-') if second_is_digit => (TokenKind::Number, 1 + word_length(&rest[1..])),
        _ if PAIRS.iter().any(|pair| bytes.starts_with(pair)) => (TokenKind::Symbol, 2),
        _ => match word_length(rest) {
            0 => (TokenKind::Symbol, rest.chars().next().map_or(1, char::len_utf8)),
            length => (TokenKind::Word, length),
        },
    }
}

/// Letters and digits of any script, `_`, and dots after the first of them.
fn word_length(rest: &str) -> usize {
    let ends = |(at, c): &(usize, char)| !(c.is_alphanumeric() || *c == '_' || (*c == '.' && *at > 0));
    rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at)
}

/// The string that `rest` starts with. It looks no further than the string's end: a line may be the whole file.
fn quoted(rest: &str) -> (TokenKind, usize) {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return (TokenKind::Text, at + 1),
            b'\r' | b'\n' => break,
            // An escape, unless the line ends behind it.
            b'\\' if !matches!(bytes.get(at + 1), Some(b'\r' | b'\n')) => at += 2,
            _ => at += 1,
        }
    }
    (TokenKind::Unterminated, line_at(rest, 0).trim_end().len())
}
