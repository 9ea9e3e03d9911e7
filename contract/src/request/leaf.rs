//! Values of attributes: from JSON text to the payload of a slot.

use std::mem;

use super::{
    json::{ELEMENT_END, Fault, Raw, fault, unescape},
    reader::{Reader, Stop},
    table::Leaf,
    text,
};
use crate::slots::{ARENA_SIZE, Payload, RequestTooLarge, Tag};

/// One value, read as one of a certain type.
enum Scalar {
    Value(Payload),
    /// It is of another type.
    Wrong,
    /// It is a text that finds no room.
    NoRoom,
}

impl From<Option<Payload>> for Scalar {
    fn from(payload: Option<Payload>) -> Self {
        payload.map_or(Self::Wrong, Self::Value)
    }
}

impl Reader<'_> {
    /// Reads the value that stands here as this attribute's.
    #[inline(always)]
    pub(super) fn leaf(&mut self, at: usize, leaf: Leaf) -> Result<usize, Stop> {
        let slot = leaf.slot as usize;
        let (first, at) = self.scan.token(at);
        if first == b'n' {
            return Ok(self.scan.word(at, "null")?); // the same as leaving it out
        }
        if !self.slots.is_missing(slot) {
            let at = self.scan.skip(at)?;
            self.slots.set_invalid(slot); // given twice
            return Ok(at);
        }
        if let (b'[', Some(element)) = (first, leaf.tag.element()) {
            return self.list(at, leaf, element);
        }
        let (at, scalar) = self.scalar(at, leaf.tag, first)?;
        match scalar {
            Scalar::Value(payload) => self.slots.put(slot, leaf.tag, payload),
            Scalar::Wrong => self.slots.set_invalid(slot),
            Scalar::NoRoom => return Err(Stop::TooLarge),
        }
        Ok(at)
    }

    /// Reads one value that starts with the byte `first`, as one that `tag` stands for.
    #[inline(always)]
    fn scalar(&mut self, at: usize, tag: Tag, first: u8) -> Result<(usize, Scalar), Box<Fault>> {
        let scan = self.scan;
        Ok(match (tag, first) {
            (Tag::Text, b'"') => {
                let raw = scan.string(at)?;
                (raw.after(), self.text(raw))
            }
            (Tag::Integer | Tag::Decimal, b'-' | b'0'..=b'9') => {
                let number = scan.number(at)?;
                let payload = if tag == Tag::Integer {
                    number.integer(scan.text()).map(|n| Payload(n as u64, 0))
                } else {
                    number.decimal(scan.text()).map(|d| Payload::halves(d.scaled() as u128))
                };
                (number.after, payload.into())
            }
            (Tag::Boolean, b't') => (scan.word(at, "true")?, Scalar::Value(Payload(1, 0))),
            (Tag::Boolean, b'f') => (scan.word(at, "false")?, Scalar::Value(Payload(0, 0))),
            (Tag::Timestamp | Tag::Duration | Tag::Address, b'"') => {
                let raw = scan.string(at)?;
                (raw.after(), self.parsed(tag, raw).into())
            }
            _ => (scan.skip(at)?, Scalar::Wrong),
        })
    }

    #[inline(always)]
    fn text(&mut self, raw: Raw) -> Scalar {
        if raw.escaped {
            return self.escaped_text(raw);
        }
        match self.slots.append_text(self.scan.bytes(), raw.start, raw.end) {
            Ok(pointer) => Scalar::Value(Payload::span(pointer, raw.end - raw.start)),
            Err(RequestTooLarge) => Scalar::NoRoom,
        }
    }

    fn escaped_text(&mut self, raw: Raw) -> Scalar {
        let mut text = mem::take(&mut self.slots.room.text);
        let scalar = if unescape(&self.scan.bytes()[raw.start..raw.end], &mut text) {
            match self.slots.append_text(&text, 0, text.len()) {
                Ok(pointer) => Scalar::Value(Payload::span(pointer, text.len())),
                Err(RequestTooLarge) => Scalar::NoRoom,
            }
        } else {
            Scalar::Wrong
        };
        self.slots.room.text = text;
        scalar
    }

    /// A value that requests have as text.
    fn parsed(&mut self, tag: Tag, raw: Raw) -> Option<Payload> {
        let mut text = &self.scan.text()[raw.start..raw.end];
        if raw.escaped {
            let room = &mut self.slots.room.text;
            if !unescape(text.as_bytes(), room) {
                return None;
            }
            text = std::str::from_utf8(room).ok()?;
        }
        text::parse_quoted(tag, text)
    }

    /// Reads the list that starts here. If it is unusable, the arena stays as it was.
    fn list(&mut self, at: usize, leaf: Leaf, element: Tag) -> Result<usize, Stop> {
        let filled = self.slots.filled();
        let mut list = mem::take(&mut self.slots.room.list);
        list.clear();
        let read = self.elements(at, element, &mut list);
        let set = read.and_then(|(at, usable)| {
            if usable {
                let count = list.len() / element.element_size();
                self.slots.set_elements(leaf.slot as usize, leaf.tag, &list, count)?;
            } else {
                self.slots.take_back(filled);
                self.slots.set_invalid(leaf.slot as usize);
            }
            Ok(at)
        });
        self.slots.room.list = list;
        set
    }

    /// Lays out the elements of the list that starts here; false if one of them is of another type.
    fn elements(&mut self, at: usize, element: Tag, list: &mut Vec<u8>) -> Result<(usize, bool), Stop> {
        let (first, mut at) = self.scan.token(at + 1);
        if first == b']' {
            return Ok((at + 1, true));
        }
        let size = element.element_size();
        let (mut usable, mut fits) = (true, true);
        loop {
            let first;
            (first, at) = self.scan.token(at);
            if usable {
                let scalar;
                (at, scalar) = self.scalar(at, element, first)?;
                match scalar {
                    Scalar::Value(payload) if list.len() < ARENA_SIZE as usize => {
                        list.extend_from_slice(&payload.bytes()[..size]);
                    }
                    // What comes after may yet be malformed or unusable, whatever its size.
                    Scalar::Value(_) | Scalar::NoRoom => fits = false,
                    Scalar::Wrong => usable = false,
                }
            } else {
                at = self.scan.skip(at)?;
            }
            let token;
            (token, at) = self.scan.token(at);
            match token {
                b',' => at += 1,
                b']' => break,
                _ => return Ok(fault(at, ELEMENT_END)?),
            }
        }
        if usable && !fits { Err(Stop::TooLarge) } else { Ok((at + 1, usable)) }
    }
}
