//! Bytes of a text and the protocol's lines and columns. Lines end with `\n`, `\r\n` or `\r`; columns count what client
//! and server have agreed on.

use aecp_compiler::source::Span;
use lsp_types::{Position, Range, TextDocumentContentChangeEvent};

/// What columns count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of UTF-16, which every client knows.
    #[default]
    Utf16,
}

impl Encoding {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16 => "utf-16",
        }
    }

    fn units(self, c: char) -> usize {
        match self {
            Self::Utf8 => c.len_utf8(),
            Self::Utf16 => c.len_utf16(),
        }
    }
}

/// The lines of a text.
pub(super) struct Lines<'t> {
    text: &'t str,
    encoding: Encoding,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str, encoding: Encoding) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let starts = [0].into_iter().chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, encoding, starts }
    }

    /// The text of a line without its end, and where it starts.
    fn line(&self, number: usize) -> (usize, &'t str) {
        let start = self.starts.get(number).copied().unwrap_or(self.text.len());
        let end = self.starts.get(number + 1).copied().unwrap_or(self.text.len());
        (start, self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']))
    }

    /// Where a byte stands; inside of a character it is where that one starts.
    pub(super) fn position(&self, byte: u32) -> Position {
        let byte = byte as usize;
        let number = self.starts.partition_point(|start| *start <= byte).saturating_sub(1);
        let (start, line) = self.line(number);
        let before = line.char_indices().take_while(|(at, c)| start + at + c.len_utf8() <= byte);
        let column: usize = before.map(|(_, c)| self.encoding.units(c)).sum();
        Position::new(number as u32, column as u32)
    }

    /// The byte at a position: the end of its line or text if that is shorter.
    pub(super) fn byte(&self, position: Position) -> usize {
        let (start, line) = self.line(position.line as usize);
        let mut column = position.character as usize;
        for (at, c) in line.char_indices() {
            let units = self.encoding.units(c);
            if column < units {
                return start + at;
            }
            column -= units;
        }
        start + line.len()
    }

    pub(super) fn range(&self, span: Span) -> Range {
        Range::new(self.position(span.start), self.position(span.end))
    }
}

/// Carries out what the client has changed in a text.
pub(super) fn apply(text: &mut String, change: TextDocumentContentChangeEvent, encoding: Encoding) {
    let Some(range) = change.range else {
        *text = change.text;
        return;
    };
    let lines = Lines::new(text, encoding);
    let (start, end) = (lines.byte(range.start), lines.byte(range.end));
    text.replace_range(start..end.max(start), &change.text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a😀b\r\n\u{e9}c\rd\n";

    #[test]
    fn positions_count_in_the_agreed_units_and_come_back() {
        for (encoding, byte, line, column) in [
            (Encoding::Utf16, 5, 0, 3),
            (Encoding::Utf8, 5, 0, 5),
            (Encoding::Utf16, 10, 1, 1),
            (Encoding::Utf8, 10, 1, 2),
            (Encoding::Utf16, 12, 2, 0),
            (Encoding::Utf16, TEXT.len() as u32, 3, 0),
        ] {
            let lines = Lines::new(TEXT, encoding);
            let position = Position::new(line, column);
            assert_eq!(lines.position(byte), position, "{encoding:?}");
            assert_eq!(lines.byte(position), byte as usize, "{encoding:?}");
        }
    }

    #[test]
    fn positions_that_are_none_are_taken_as_the_nearest_before() {
        let lines = Lines::new(TEXT, Encoding::Utf16);
        // In the middle of the emoji, behind the end of the line, behind the end of the text.
        for (line, column, byte) in [(0, 2, 1), (0, 99, 6), (1, u32::MAX, 11), (99, 0, TEXT.len())] {
            assert_eq!(lines.byte(Position::new(line, column)), byte, "{line}:{column}");
        }
        assert_eq!(lines.position(3), Position::new(0, 1));
        assert_eq!(lines.position(7), Position::new(0, 4));
        assert_eq!(lines.position(999), Position::new(3, 0));
    }

    #[test]
    fn changes_replace_their_range_and_nothing_panics() {
        let change = |range, text: &str| TextDocumentContentChangeEvent {
            range,
            range_length: None,
            text: text.to_owned(),
        };
        let range = |a, b, c, d| Some(Range::new(Position::new(a, b), Position::new(c, d)));
        let mut text = TEXT.to_owned();
        apply(&mut text, change(range(0, 1, 0, 3), "x"), Encoding::Utf16);
        assert_eq!(text, "axb\r\n\u{e9}c\rd\n");
        apply(&mut text, change(range(2, 1, 0, 0), "!"), Encoding::Utf16);
        assert_eq!(text, "axb\r\n\u{e9}c\rd!\n");
        apply(&mut text, change(None, "new"), Encoding::Utf16);
        assert_eq!(text, "new");
    }
}
