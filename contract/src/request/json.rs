//! A scanner over JSON text ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)): it checks every byte that it
//! passes, builds nothing, and does not recurse, so that no nesting harms it.
//!
//! Two things that other readers of JSON refuse are left to the caller: numbers of any size, and escapes of
//! half a surrogate pair, which are well-formed but no text ([`unescape`]).

/// The text is not JSON: what should have stood at one of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

/// JSON text. Positions in it are handed from call to call rather than kept, so that they stay in registers; faults
/// are boxed for the same reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
}

/// What stands between a string's quotes, still escaped if `escaped`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

impl Raw {
    /// The position after the closing quote.
    #[inline(always)]
    pub(super) fn after(self) -> usize {
        self.end + 1
    }
}

pub(super) const NAME: &str = "a name in quotes";
pub(super) const COLON: &str = "`:`";
pub(super) const MEMBER_END: &str = "`,` or `}`";
pub(super) const ELEMENT_END: &str = "`,` or `]`";

#[cold]
#[inline(never)]
pub(super) fn fault<T>(at: usize, expected: &'static str) -> Result<T, Box<Fault>> {
    Err(Box::new(Fault { at, expected }))
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text }
    }

    pub(super) fn text(self) -> &'a str {
        self.text
    }

    #[inline(always)]
    pub(super) fn bytes(self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The byte at a position; 0, which starts nothing, at the end.
    #[inline(always)]
    pub(super) fn byte(self, at: usize) -> u8 {
        self.bytes().get(at).copied().unwrap_or_default()
    }

    /// The first byte that is no whitespace, as [`Self::byte`] shows it, and where it is.
    #[inline(always)]
    pub(super) fn token(self, at: usize) -> (u8, usize) {
        let byte = self.byte(at);
        if byte > b' ' { (byte, at) } else { self.token_after_space(at) }
    }

    fn token_after_space(self, mut at: usize) -> (u8, usize) {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.byte(at) {
            at += 1;
        }
        (self.byte(at), at)
    }

    /// The position after `token` and the whitespace before it.
    #[inline(always)]
    pub(super) fn expect(
        self,
        at: usize,
        token: u8,
        expected: &'static str,
    ) -> Result<usize, Box<Fault>> {
        let (found, at) = self.token(at);
        if found == token { Ok(at + 1) } else { fault(at, expected) }
    }

    /// Goes over whitespace to the end of the text.
    pub(super) fn end(self, at: usize) -> Result<(), Box<Fault>> {
        let (_, at) = self.token(at);
        if at == self.text.len() { Ok(()) } else { fault(at, "the end") }
    }

    /// The position after `true`, `false` or `null`; what may follow is the caller's to check.
    #[inline]
    pub(super) fn word(self, at: usize, word: &'static str) -> Result<usize, Box<Fault>> {
        let there = self.bytes().get(at..at + word.len());
        if there == Some(word.as_bytes()) { Ok(at + word.len()) } else { fault(at, "a value") }
    }

    /// The string at whose opening quote the position is.
    #[inline(always)]
    pub(super) fn string(self, at: usize) -> Result<Raw, Box<Fault>> {
        let start = at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            while let Some(block) = self.bytes().get(at..).and_then(<[u8]>::first_chunk) {
                let found = specials(u64::from_le_bytes(*block));
                if found != 0 {
                    at += found.trailing_zeros() as usize / 8;
                    if self.byte(at) == b'"' {
                        return Ok(Raw { start, end: at, escaped });
                    }
                    break;
                }
                at += 8;
            }
            match self.bytes().get(at) {
                Some(b'"') => return Ok(Raw { start, end: at, escaped }),
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(0x20..) => at += 1, // among the last bytes, too few for a block
                Some(_) => return fault(at, "no control character in a string"),
                None => return fault(at, "the closing quote of a string"),
            }
        }
    }

    /// The position after an escape; whether surrogates are paired is not looked at.
    fn escape(self, at: usize) -> Result<usize, Box<Fault>> {
        match self.byte(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
            b'u' if (at + 2..at + 6).all(|at| self.byte(at).is_ascii_hexdigit()) => Ok(at + 6),
            _ => fault(at, "one of the escapes of JSON"),
        }
    }

    /// The position after one value of any kind, as deep as it may be.
    pub(super) fn skip(self, mut at: usize) -> Result<usize, Box<Fault>> {
        let mut open = Nesting::default();
        loop {
            let first;
            (first, at) = self.token(at);
            at = match first {
                b'"' => self.string(at)?.after(),
                b'-' | b'0'..=b'9' => self.number(at)?.after,
                b't' => self.word(at, "true")?,
                b'f' => self.word(at, "false")?,
                b'n' => self.word(at, "null")?,
                b'{' => match self.token(at + 1) {
                    (b'}', at) => at + 1,
                    (_, inside) => {
                        open.push(true);
                        at = self.skip_key(inside)?;
                        continue;
                    }
                },
                b'[' => match self.token(at + 1) {
                    (b']', at) => at + 1,
                    (_, inside) => {
                        open.push(false);
                        at = inside;
                        continue;
                    }
                },
                _ => return fault(at, "a value"),
            };
            // After a value: the ends of what it ends, then a comma and the next value.
            loop {
                let Some(object) = open.innermost() else { return Ok(at) };
                let token;
                (token, at) = self.token(at);
                match (token, object) {
                    (b',', true) => {
                        at = self.skip_key(at + 1)?;
                        break;
                    }
                    (b',', false) => {
                        at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        at += 1;
                        open.pop();
                    }
                    _ => return fault(at, if object { MEMBER_END } else { ELEMENT_END }),
                }
            }
        }
    }

    fn skip_key(self, at: usize) -> Result<usize, Box<Fault>> {
        let (token, at) = self.token(at);
        if token != b'"' {
            return fault(at, NAME);
        }
        let key = self.string(at)?;
        self.expect(key.after(), b':', COLON)
    }
}

/// The objects and arrays that are open, one bit each, 64 levels before anything is allocated.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The innermost of them in the lowest bit; 1 is an object.
    bits: u64,
    outer: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    fn innermost(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

const ONES: u64 = u64::MAX / 255;

/// Marks the first quote, backslash or control character among 8 bytes with its byte's highest bit; bits above
/// that may be wrong, because borrows only ever go upwards.
#[inline(always)]
fn specials(block: u64) -> u64 {
    // Of all bytes below 0x80, only the quote and the control characters are below 0x21 with this bit flipped.
    let quote_or_control = (block ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (block ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    (quote_or_control | backslash) & !block & (ONES << 7)
}

/// Writes what the inside of a JSON string says to `out`, which is cleared first; false if it has half a
/// surrogate pair, which then stands as its three bytes of WTF-8 and so equals no text.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut text = true;
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (code, length) = match rest.get(1) {
            Some(b'u') => code_point(rest),
            Some(b'b') => (0x08, 2),
            Some(b'f') => (0x0C, 2),
            Some(b'n') => (u32::from(b'\n'), 2),
            Some(b'r') => (u32::from(b'\r'), 2),
            Some(b't') => (u32::from(b'\t'), 2),
            Some(byte) => (u32::from(*byte), 2),
            None => (u32::from(b'\\'), 1), // the scanner lets none through
        };
        match char::from_u32(code) {
            Some(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {
                text = false;
                out.extend([0xED, 0x80 | (code >> 6 & 0x3F) as u8, 0x80 | (code & 0x3F) as u8]);
            }
        }
        rest = &rest[length.min(rest.len())..];
    }
    out.extend_from_slice(rest);
    text
}

/// The code point of the `\u` escape that `rest` starts with, and the bytes that it takes: 6, or 12 for a pair.
fn code_point(rest: &[u8]) -> (u32, usize) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(0).unwrap_or_default();
    match (first, unit(6)) {
        (0xD800..0xDC00, Some(second @ 0xDC00..0xE000)) => {
            (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
        }
        _ => (first, 6),
    }
}
