//! The image of the module's arena, as requests fill it.

use super::{ARENA_BASE, ARENA_SIZE, GrowingLists, RequestTooLarge, SLOT_SIZE, Tag};
use crate::value::{Attribute, Ip, Timestamp, Type, Value};

const SLOT: usize = SLOT_SIZE as usize;

/// Texts up to so many bytes are copied as one block of this size where that is possible.
const BLOCK: usize = 16;

/// The arena's image for one request; made once per worker and reset for each request.
#[derive(Debug, Clone)]
pub struct SlotBuffer {
    bytes: Vec<u8>,
    count: usize,
    pub(crate) room: Room,
}

/// What readers of requests work in, kept from one request to the next. Nothing in it changes what they read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// The nodes of the objects that are open.
    pub(crate) open: Vec<u32>,
    /// Where names were found that are likely to come again.
    pub(crate) hints: Vec<u32>,
    /// A text without its escapes.
    pub(crate) text: Vec<u8>,
    /// The elements of a list.
    pub(crate) list: Vec<u8>,
    /// Lists whose elements do not stand together.
    pub(crate) growing: GrowingLists,
}

impl SlotBuffer {
    /// A buffer of `count` missing attributes (at most [`super::MAX_ATTRIBUTES`]).
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { bytes: vec![0; count * SLOT], count, room: Room::default() }
    }

    /// Forgets the last request: every attribute is missing again.
    pub fn reset(&mut self) {
        self.bytes.clear();
        self.bytes.resize(self.count * SLOT, 0);
    }

    /// The same slots in a buffer of their own, to be read later.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self { bytes: self.bytes.clone(), count: self.count, room: Room::default() }
    }

    /// The number of slots.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The image, to be copied to [`ARENA_BASE`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part of the image after the slots: the texts and lists that they point to.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.bytes[self.count * SLOT..]
    }

    /// Whether the attribute was left out so far.
    #[must_use]
    pub fn is_missing(&self, slot: usize) -> bool {
        self.bytes[slot * SLOT] == Tag::Missing as u8
    }

    /// Whether the attribute is there but unusable.
    pub(crate) fn is_invalid(&self, slot: usize) -> bool {
        self.bytes[slot * SLOT] == Tag::Invalid as u8
    }

    /// Marks the attribute as there but unusable.
    pub fn set_invalid(&mut self, slot: usize) {
        self.put_tag(slot, Tag::Invalid);
    }

    /// Sets the attribute to what the request has for it.
    ///
    /// # Errors
    /// [`RequestTooLarge`] when the arena is full; the buffer must then be reset.
    pub fn set(&mut self, slot: usize, attribute: &Attribute) -> Result<(), RequestTooLarge> {
        match attribute {
            Attribute::Missing => self.put_tag(slot, Tag::Missing),
            Attribute::Invalid => self.put_tag(slot, Tag::Invalid),
            Attribute::Present(value) => self.set_value(slot, value)?,
        }
        Ok(())
    }

    /// Sets the attribute to text.
    ///
    /// # Errors
    /// [`RequestTooLarge`] when the arena is full.
    pub fn set_text(&mut self, slot: usize, text: &str) -> Result<(), RequestTooLarge> {
        let pointer = self.append(text.as_bytes(), 1)?;
        self.put(slot, Tag::Text, Payload::span(pointer, text.len()));
        Ok(())
    }

    /// Sets the attribute to a value of its type. Lists hold elements of one type; an empty one is taken as
    /// `LIST<STRING>` ([`Self::set_empty_list`] sets another).
    ///
    /// # Errors
    /// [`RequestTooLarge`] when the arena is full.
    pub fn set_value(&mut self, slot: usize, value: &Value) -> Result<(), RequestTooLarge> {
        let (tag, payload) = match value {
            Value::Text(text) => return self.set_text(slot, text),
            Value::List(elements) => return self.set_list(slot, elements),
            Value::Bool(b) => (Tag::Boolean, Payload(u64::from(*b), 0)),
            Value::Int(n) => (Tag::Integer, Payload(*n as u64, 0)),
            Value::Duration(d) => (Tag::Duration, Payload(d.0 as u64, 0)),
            Value::Decimal(d) => (Tag::Decimal, Payload::halves(d.scaled() as u128)),
            Value::Timestamp(t) => (Tag::Timestamp, Payload::instant(*t)),
            Value::Ip(Ip(bits)) => (Tag::Address, Payload::halves(*bits)),
        };
        self.put(slot, tag, payload);
        Ok(())
    }

    /// Sets the attribute to the empty list of `element`, which the value alone could not tell.
    pub fn set_empty_list(&mut self, slot: usize, element: &Type) {
        self.put(slot, Tag::of_list(element), Payload::span(ARENA_BASE, 0));
    }

    fn set_list(&mut self, slot: usize, elements: &[Value]) -> Result<(), RequestTooLarge> {
        let tag = match elements.first() {
            None => {
                self.set_empty_list(slot, &Type::String);
                return Ok(());
            }
            Some(Value::Text(_)) => Tag::Texts,
            Some(Value::Bool(_)) => Tag::Booleans,
            Some(Value::Int(_)) => Tag::Integers,
            Some(Value::Decimal(_)) => Tag::Decimals,
            Some(Value::Timestamp(_)) => Tag::Timestamps,
            Some(Value::Duration(_)) => Tag::Durations,
            Some(Value::Ip(_)) => Tag::Addresses,
            Some(Value::List(_)) => {
                self.set_invalid(slot);
                return Ok(());
            }
        };
        let mut body = Vec::new();
        for element in elements {
            match element {
                Value::Bool(b) => body.push(u8::from(*b)),
                Value::Int(n) => body.extend(n.to_le_bytes()),
                Value::Duration(d) => body.extend(d.0.to_le_bytes()),
                Value::Decimal(d) => body.extend(Payload::halves(d.scaled() as u128).bytes()),
                Value::Timestamp(t) => body.extend(Payload::instant(*t).bytes()),
                Value::Ip(Ip(bits)) => body.extend(Payload::halves(*bits).bytes()),
                Value::Text(text) => {
                    let pointer = self.append(text.as_bytes(), 1)?;
                    body.extend(Payload::span(pointer, text.len()).0.to_le_bytes());
                }
                Value::List(_) => {
                    self.set_invalid(slot);
                    return Ok(());
                }
            }
        }
        self.set_elements(slot, tag, &body, elements.len())
    }

    /// Sets the attribute to a list whose elements are laid out already; the empty list if there are none.
    ///
    /// # Errors
    /// [`RequestTooLarge`] when the arena is full.
    pub(crate) fn set_elements(
        &mut self,
        slot: usize,
        tag: Tag,
        elements: &[u8],
        count: usize,
    ) -> Result<(), RequestTooLarge> {
        let pointer = if count == 0 { ARENA_BASE } else { self.append(elements, 8)? };
        self.put(slot, tag, Payload::span(pointer, count));
        Ok(())
    }

    /// Writes a slot whole.
    #[inline]
    pub(crate) fn put(&mut self, slot: usize, tag: Tag, payload: Payload) {
        let slot = &mut self.bytes[slot * SLOT..][..SLOT];
        slot[..8].copy_from_slice(&u64::from(tag as u8).to_le_bytes());
        slot[8..16].copy_from_slice(&payload.0.to_le_bytes());
        slot[16..].copy_from_slice(&payload.1.to_le_bytes());
    }

    /// The first number of the payload, if the slot has this tag.
    pub(crate) fn payload_of(&self, slot: usize, tag: Tag) -> Option<u64> {
        let slot = &self.bytes[slot * SLOT..][..SLOT];
        let payload = slot[8..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        payload.filter(|_| slot[0] == tag as u8)
    }

    fn put_tag(&mut self, slot: usize, tag: Tag) {
        self.bytes[slot * SLOT] = tag as u8;
    }

    /// Where the arena is filled to, for [`Self::take_back`].
    pub(crate) fn filled(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back what was appended since the arena was filled to `filled`.
    pub(crate) fn take_back(&mut self, filled: usize) {
        self.bytes.truncate(filled);
    }

    /// Appends `start..end` of `source`, faster when there is more after it, and returns its address in the
    /// module's memory.
    #[inline]
    pub(crate) fn append_text(
        &mut self,
        source: &[u8],
        start: usize,
        end: usize,
    ) -> Result<u32, RequestTooLarge> {
        let (at, length) = (self.bytes.len(), end - start);
        if length > BLOCK {
            return self.append(&source[start..end], 1);
        }
        match source.get(start..).and_then(<[u8]>::first_chunk::<BLOCK>) {
            Some(block) if at + BLOCK <= ARENA_SIZE as usize => {
                // A copy whose size is known here costs no call; what is too much of it goes again.
                self.bytes.extend_from_slice(block);
                self.bytes.truncate(at + length);
                Ok(ARENA_BASE + at as u32)
            }
            _ => self.append(&source[start..end], 1),
        }
    }

    /// Appends to the arena and returns the address in the module's memory.
    fn append(&mut self, data: &[u8], align: usize) -> Result<u32, RequestTooLarge> {
        let at = self.bytes.len().next_multiple_of(align);
        if at + data.len() > ARENA_SIZE as usize {
            return Err(RequestTooLarge);
        }
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(data);
        Ok(ARENA_BASE + at as u32)
    }
}

/// The 16 bytes of a slot after its tag, as two numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload(pub(crate) u64, pub(crate) u64);

impl Payload {
    /// 128 bits as the records `decimal` and `address` hold them: high half, then low half.
    pub(crate) fn halves(bits: u128) -> Self {
        Self((bits >> 64) as u64, bits as u64)
    }

    /// Seconds and nanoseconds as the record `timestamp` holds them.
    pub(crate) fn instant(t: Timestamp) -> Self {
        Self(t.seconds as u64, u64::from(t.nanoseconds))
    }

    /// A text or a list. Both numbers are bounded by [`ARENA_SIZE`], so they fit.
    pub(crate) fn span(pointer: u32, length: usize) -> Self {
        Self(u64::from(pointer) | (length as u64) << 32, 0)
    }

    /// The bytes in memory.
    pub(crate) fn bytes(self) -> [u8; 16] {
        (u128::from(self.0) | u128::from(self.1) << 64).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_have_the_layout_of_the_canonical_abi() {
        let mut buffer = SlotBuffer::new(2);
        buffer.set_text(1, "EU").unwrap();
        buffer.set_value(0, &Value::Int(-2)).unwrap();
        let bytes = buffer.bytes();
        assert_eq!(bytes[0], 3);
        assert_eq!(bytes[8..16], (-2i64).to_le_bytes());
        assert_eq!(bytes[24], 5);
        assert_eq!(bytes[32..36], (ARENA_BASE + 48).to_le_bytes());
        assert_eq!(bytes[36..40], 2u32.to_le_bytes());
        assert_eq!(&bytes[48..], b"EU");
        assert_eq!(buffer.content(), b"EU");
    }

    #[test]
    fn a_request_larger_than_the_arena_is_refused() {
        let mut buffer = SlotBuffer::new(1);
        let text = "x".repeat(ARENA_SIZE as usize);
        assert_eq!(buffer.set_text(0, &text), Err(RequestTooLarge));
        buffer.reset();
        assert!(buffer.is_missing(0));
        assert_eq!(buffer.bytes().len(), 24);
    }
}
