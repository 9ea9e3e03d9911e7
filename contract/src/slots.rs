//! Attribute slots in the component model's canonical layout of `list<value>`, as the core module reads them.
//!
//! The core module exports `memory`, `decide(slots: i32, count: i32) -> verdict: i32` (under the name
//! [`DECIDE_EXPORT`]) and reserves the arena [`ARENA_BASE`]`..`[`ARENA_BASE`]` + `[`ARENA_SIZE`] of its memory
//! for the caller. A [`SlotBuffer`] is the image of that arena: the slots first, then what they point to.
//! Copy it to [`ARENA_BASE`] and call `decide(ARENA_BASE, count)`.
//!
//! A slot is [`SLOT_SIZE`] bytes: the case of `variant value` in byte 0 ([`Tag`]), its payload from byte 8.
//! Source: the component model's canonical ABI, <https://github.com/WebAssembly/component-model>.

use crate::value::{Attribute, Ip, Timestamp, Type, Value};

/// The name under which the core module exports its decision function.
pub const DECIDE_EXPORT: &str = "aecp:policy/evaluation@0.1.0#decide";

/// Where the caller's arena starts in the module's memory.
pub const ARENA_BASE: u32 = 1024;

/// Bytes of the arena: the most that a request's attributes may take.
pub const ARENA_SIZE: u32 = 1 << 20;

/// Bytes of one slot: tag, padding, and a payload of up to 16 bytes aligned to 8.
pub const SLOT_SIZE: u32 = 24;

/// Where a slot's payload starts.
pub const PAYLOAD: u32 = 8;

/// The most attributes that one policy set may use.
pub const MAX_ATTRIBUTES: usize = 4096;

/// The cases of `variant value` in the WIT file, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tag {
    /// Not in the request.
    Missing = 0,
    /// In the request, but of another type.
    Invalid = 1,
    /// `u8` 0 or 1 at the payload.
    Boolean = 2,
    /// `i64`.
    Integer = 3,
    /// `i64` high, `u64` low: the number times 10¹⁸ as 128 bits.
    Decimal = 4,
    /// `u32` address, `u32` length of UTF-8.
    Text = 5,
    /// `i64` seconds, `u64` nanoseconds.
    Timestamp = 6,
    /// `i64` milliseconds.
    Duration = 7,
    /// `u64` high, `u64` low.
    Address = 8,
    /// `u32` address, `u32` count of elements laid out as [`Tag::Boolean`]'s payload, 1 byte each.
    Booleans = 9,
    /// The same, 8 bytes each.
    Integers = 10,
    /// The same, 16 bytes each.
    Decimals = 11,
    /// The same, 8 bytes each.
    Texts = 12,
    /// The same, 16 bytes each.
    Timestamps = 13,
    /// The same, 8 bytes each.
    Durations = 14,
    /// The same, 16 bytes each.
    Addresses = 15,
}

impl Tag {
    /// The tag of a usable value of this type; [`Tag::Invalid`] for ANY, whose values are never used.
    #[must_use]
    pub fn of(ty: &Type) -> Self {
        match ty {
            Type::String | Type::Enum(_) => Self::Text,
            Type::Int => Self::Integer,
            Type::Decimal => Self::Decimal,
            Type::Bool => Self::Boolean,
            Type::Timestamp => Self::Timestamp,
            Type::Duration => Self::Duration,
            Type::Ip => Self::Address,
            Type::List(element) => Self::of_list(element),
            Type::Any => Self::Invalid,
        }
    }

    /// The tag of a list with elements of this type.
    #[must_use]
    pub fn of_list(element: &Type) -> Self {
        match element {
            Type::String | Type::Enum(_) => Self::Texts,
            Type::Int => Self::Integers,
            Type::Decimal => Self::Decimals,
            Type::Bool => Self::Booleans,
            Type::Timestamp => Self::Timestamps,
            Type::Duration => Self::Durations,
            Type::Ip => Self::Addresses,
            Type::List(_) | Type::Any => Self::Invalid,
        }
    }
}

/// The request's attributes do not fit the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's attributes take more than {ARENA_SIZE} bytes")]
pub struct RequestTooLarge;

/// The arena's image for one request; made once per worker and reset for each request.
#[derive(Debug, Clone)]
pub struct SlotBuffer {
    bytes: Vec<u8>,
    count: usize,
}

impl SlotBuffer {
    /// A buffer of `count` missing attributes (at most [`MAX_ATTRIBUTES`]).
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { bytes: vec![0; count * SLOT_SIZE as usize], count }
    }

    /// Forgets the last request: every attribute is missing again.
    pub fn reset(&mut self) {
        self.bytes.clear();
        self.bytes.resize(self.count * SLOT_SIZE as usize, 0);
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

    /// Whether the attribute was left out so far.
    #[must_use]
    pub fn is_missing(&self, slot: usize) -> bool {
        self.bytes[slot * SLOT_SIZE as usize] == Tag::Missing as u8
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
        self.put_tag(slot, Tag::Text);
        self.put_span(slot, pointer, text.len());
        Ok(())
    }

    /// Sets the attribute to a value of its type. Lists hold elements of one type; an empty one is taken as
    /// LIST<STRING> ([`Self::set_empty_list`] sets another).
    ///
    /// # Errors
    /// [`RequestTooLarge`] when the arena is full.
    pub fn set_value(&mut self, slot: usize, value: &Value) -> Result<(), RequestTooLarge> {
        let (tag, payload) = match value {
            Value::Text(text) => return self.set_text(slot, text),
            Value::List(elements) => return self.set_list(slot, elements),
            Value::Bool(b) => (Tag::Boolean, wide(u64::from(*b), 0)),
            Value::Int(n) => (Tag::Integer, wide(*n as u64, 0)),
            Value::Duration(d) => (Tag::Duration, wide(d.0 as u64, 0)),
            Value::Decimal(d) => (Tag::Decimal, halves(d.scaled() as u128)),
            Value::Timestamp(t) => (Tag::Timestamp, instant(*t)),
            Value::Ip(Ip(bits)) => (Tag::Address, halves(*bits)),
        };
        self.put_tag(slot, tag);
        let at = slot * SLOT_SIZE as usize + PAYLOAD as usize;
        self.bytes[at..at + 16].copy_from_slice(&payload);
        Ok(())
    }

    /// Sets the attribute to the empty list of `element`, which the value alone could not tell.
    pub fn set_empty_list(&mut self, slot: usize, element: &Type) {
        self.put_tag(slot, Tag::of_list(element));
        self.put_span(slot, ARENA_BASE, 0);
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
                Value::Decimal(d) => body.extend(halves(d.scaled() as u128)),
                Value::Timestamp(t) => body.extend(instant(*t)),
                Value::Ip(Ip(bits)) => body.extend(halves(*bits)),
                Value::Text(text) => {
                    let pointer = self.append(text.as_bytes(), 1)?;
                    body.extend(pointer.to_le_bytes());
                    body.extend((text.len() as u32).to_le_bytes());
                }
                Value::List(_) => {
                    self.set_invalid(slot);
                    return Ok(());
                }
            }
        }
        let pointer = self.append(&body, 8)?;
        self.put_tag(slot, tag);
        self.put_span(slot, pointer, elements.len());
        Ok(())
    }

    fn put_tag(&mut self, slot: usize, tag: Tag) {
        self.bytes[slot * SLOT_SIZE as usize] = tag as u8;
    }

    fn put_span(&mut self, slot: usize, pointer: u32, length: usize) {
        let at = slot * SLOT_SIZE as usize + PAYLOAD as usize;
        self.bytes[at..at + 4].copy_from_slice(&pointer.to_le_bytes());
        // `append` bounded the bytes by ARENA_SIZE, so the length fits.
        self.bytes[at + 4..at + 8].copy_from_slice(&(length as u32).to_le_bytes());
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

fn wide(first: u64, second: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// 128 bits as the records `decimal` and `address` hold them: high half, then low half.
fn halves(bits: u128) -> [u8; 16] {
    wide((bits >> 64) as u64, bits as u64)
}

fn instant(t: Timestamp) -> [u8; 16] {
    wide(t.seconds as u64, u64::from(t.nanoseconds))
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
