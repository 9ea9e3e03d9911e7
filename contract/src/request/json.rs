//! A scanner over JSON text ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)): it checks every byte that it
//! passes, builds nothing, and does not recurse, so that no nesting harms it.
//!
//! Two things that other readers of JSON refuse are left to the caller: numbers of any size, and escapes of
//! half a surrogate pair, which are well-formed but no text ([`unescape`]).

/// The text is not JSON. [`Scanner::position`] and [`Scanner::expected`] say where and why; it holds nothing
/// itself, so that results stay in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault;

/// A position in JSON text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    expected: &'static str,
}

/// What stands between a string's quotes, still escaped if `escaped`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

const MEMBER_END: &str = "`,` or `}`";
const ELEMENT_END: &str = "`,` or `]`";

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, expected: "JSON" }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Goes over one byte, which the caller saw.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    #[cold]
    pub(super) fn fault(&mut self, expected: &'static str) -> Fault {
        self.expected = expected;
        Fault
    }

    /// What should have stood at [`Self::position`], after a [`Fault`].
    pub(super) fn expected(&self) -> &'static str {
        self.expected
    }

    /// Goes over whitespace and shows the byte after it; 0, which starts nothing, at the end.
    #[inline(always)]
    pub(super) fn token(&mut self) -> u8 {
        match self.bytes().get(self.at) {
            Some(&byte) if byte > b' ' => byte,
            _ => self.token_after_space(),
        }
    }

    fn token_after_space(&mut self) -> u8 {
        loop {
            match self.bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// Goes over `token` and the whitespace before it.
    #[inline(always)]
    pub(super) fn expect(&mut self, token: u8, expected: &'static str) -> Result<(), Fault> {
        if self.token() != token {
            return Err(self.fault(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes over whitespace to the end of the text.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.token();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault("the end")) }
    }

    /// Goes over `true`, `false` or `null`; what may follow is the caller's to check.
    #[inline]
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Goes over a string at whose opening quote the scanner stands.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Raw, Fault> {
        let start = self.at + 1;
        self.at = start;
        let mut escaped = false;
        loop {
            while let Some(block) = self.bytes().get(self.at..).and_then(<[u8]>::first_chunk) {
                let found = specials(u64::from_le_bytes(*block));
                if found != 0 {
                    self.at += found.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
            }
            match self.bytes().get(self.at) {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Raw { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1, // among the last bytes, too few for a block
                Some(_) => return Err(self.fault("no control character in a string")),
                None => return Err(self.fault("the closing quote of a string")),
            }
        }
    }

    /// Goes over one escape; whether surrogates are paired is not looked at.
    fn escape(&mut self) -> Result<(), Fault> {
        const EXPECTED: &str = "one of the escapes of JSON";
        match self.bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes().get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.fault(EXPECTED));
                }
                self.at += 6;
            }
            _ => return Err(self.fault(EXPECTED)),
        }
        Ok(())
    }

    /// Goes over one value of any kind, as deep as it may be.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let mut open = Nesting::default();
        loop {
            match self.token() {
                b'"' => {
                    self.string()?;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                b'{' => {
                    self.at += 1;
                    if self.token() != b'}' {
                        open.push(true);
                        self.skip_key()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.token() != b']' {
                        open.push(false);
                        continue;
                    }
                    self.at += 1;
                }
                _ => return Err(self.fault("a value")),
            }
            // After a value: the ends of what it ends, then a comma and the next value.
            loop {
                let Some(object) = open.innermost() else { return Ok(()) };
                match (self.token(), object) {
                    (b',', true) => {
                        self.at += 1;
                        self.skip_key()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return Err(self.fault(if object { MEMBER_END } else { ELEMENT_END })),
                }
            }
        }
    }

    fn skip_key(&mut self) -> Result<(), Fault> {
        if self.token() != b'"' {
            return Err(self.fault("a name in quotes"));
        }
        self.string()?;
        self.expect(b':', "`:`")
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
/// that may be wrong (Mycroft's test for a zero byte, borrows only ever go upwards).
#[inline(always)]
fn specials(block: u64) -> u64 {
    let is = |byte: u8| {
        let zero_there = block ^ (ONES * u64::from(byte));
        zero_there.wrapping_sub(ONES) & !zero_there
    };
    let control = block.wrapping_sub(ONES * 0x20) & !block;
    (is(b'"') | is(b'\\') | control) & (ONES << 7)
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
