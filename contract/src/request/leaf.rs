//! Values of attributes: from JSON text to the payload of a slot.

use std::{mem, str::FromStr};

use super::{
    json::{Fault, unescape},
    reader::{Reader, Stop},
    table::Leaf,
};
use crate::{
    slots::{ARENA_SIZE, Payload, Tag},
    value::{Duration, Ip, Timestamp},
};

impl Reader<'_> {
    /// Reads the value that stands here as this attribute's.
    #[inline(always)]
    pub(super) fn leaf(&mut self, leaf: Leaf) -> Result<(), Stop> {
        let slot = leaf.slot as usize;
        let first = self.scan.token();
        if first == b'n' {
            self.scan.word("null")?; // the same as leaving it out
        } else if !self.slots.is_missing(slot) {
            self.scan.skip()?;
            self.slots.set_invalid(slot); // given twice
        } else if let (b'[', Some(element)) = (first, leaf.tag.element()) {
            self.list(leaf, element)?;
        } else if let Some(payload) = self.scalar(leaf.tag, first)? {
            self.slots.put(slot, leaf.tag, payload);
        } else {
            self.slots.set_invalid(slot);
        }
        Ok(())
    }

    /// Goes over one value that starts with the byte `first`; `None` if it is not of the tag's type. When a text
    /// finds no room ([`Stop::TooLarge`]), the scanner stands after it all the same.
    #[inline(always)]
    fn scalar(&mut self, tag: Tag, first: u8) -> Result<Option<Payload>, Stop> {
        Ok(match (tag, first) {
            (Tag::Text, b'"') => self.text()?,
            (Tag::Integer, b'-' | b'0'..=b'9') => {
                self.scan.number()?.integer().map(|n| Payload(n as u64, 0))
            }
            (Tag::Decimal, b'-' | b'0'..=b'9') => {
                self.scan.number()?.decimal().map(|d| Payload::halves(d.scaled() as u128))
            }
            (Tag::Boolean, b't') => self.scan.word("true").map(|()| Some(Payload(1, 0)))?,
            (Tag::Boolean, b'f') => self.scan.word("false").map(|()| Some(Payload(0, 0)))?,
            (Tag::Timestamp, b'"') => self.parsed()?.map(|t: Timestamp| Payload::instant(t)),
            (Tag::Duration, b'"') => self.parsed()?.map(|d: Duration| Payload(d.0 as u64, 0)),
            (Tag::Address, b'"') => self.parsed()?.map(|ip: Ip| Payload::halves(ip.0)),
            _ => {
                self.scan.skip()?;
                None
            }
        })
    }

    #[inline(always)]
    fn text(&mut self) -> Result<Option<Payload>, Stop> {
        let raw = self.scan.string()?;
        if raw.escaped {
            return self.escaped_text(&self.scan.bytes()[raw.start..raw.end]);
        }
        let pointer = self.slots.append_text(self.scan.bytes(), raw.start, raw.end)?;
        Ok(Some(Payload::span(pointer, raw.end - raw.start)))
    }

    fn escaped_text(&mut self, raw: &[u8]) -> Result<Option<Payload>, Stop> {
        let mut text = mem::take(&mut self.slots.room.text);
        let payload = unescape(raw, &mut text).then(|| {
            let pointer = self.slots.append_text(&text, 0, text.len())?;
            Ok(Payload::span(pointer, text.len()))
        });
        self.slots.room.text = text;
        payload.transpose()
    }

    fn parsed<T: FromStr>(&mut self) -> Result<Option<T>, Fault> {
        let raw = self.scan.string()?;
        if !raw.escaped {
            return Ok(self.scan.text()[raw.start..raw.end].parse().ok());
        }
        let text = &mut self.slots.room.text;
        let sound = unescape(&self.scan.bytes()[raw.start..raw.end], text);
        let text = if sound { std::str::from_utf8(text).ok() } else { None };
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Reads the list that starts here. If it is unusable, the arena stays as it was.
    fn list(&mut self, leaf: Leaf, element: Tag) -> Result<(), Stop> {
        let filled = self.slots.filled();
        let mut list = mem::take(&mut self.slots.room.list);
        list.clear();
        let read = self.elements(element, &mut list);
        let set = read.and_then(|usable| {
            if usable {
                let count = list.len() / element.element_size();
                return Ok(self.slots.set_elements(leaf.slot as usize, leaf.tag, &list, count)?);
            }
            self.slots.take_back(filled);
            self.slots.set_invalid(leaf.slot as usize);
            Ok(())
        });
        self.slots.room.list = list;
        set
    }

    /// Lays out the elements of the list that starts here; false if one of them is of another type.
    fn elements(&mut self, element: Tag, list: &mut Vec<u8>) -> Result<bool, Stop> {
        self.scan.advance();
        if self.scan.token() == b']' {
            self.scan.advance();
            return Ok(true);
        }
        let size = element.element_size();
        let (mut usable, mut fits) = (true, true);
        loop {
            let first = self.scan.token();
            if usable {
                match self.scalar(element, first) {
                    Ok(Some(payload)) if list.len() < ARENA_SIZE as usize => {
                        list.extend_from_slice(&payload.bytes()[..size]);
                    }
                    // What comes after may yet be malformed or unusable, whatever its size.
                    Ok(Some(_)) | Err(Stop::TooLarge) => fits = false,
                    Ok(None) => usable = false,
                    Err(stop) => return Err(stop),
                }
            } else {
                self.scan.skip()?;
            }
            match self.scan.token() {
                b',' => self.scan.advance(),
                b']' => break,
                _ => return Err(self.scan.fault("`,` or `]`").into()),
            }
        }
        self.scan.advance();
        if usable && !fits { Err(Stop::TooLarge) } else { Ok(usable) }
    }
}
