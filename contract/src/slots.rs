//! Attribute slots in the component model's canonical layout of `list<value>`, as the core module reads them.
//!
//! The core module exports `memory`, `decide(slots: i32, count: i32) -> verdict: i32` (under the name
//! [`DECIDE_EXPORT`]) and reserves the arena [`ARENA_BASE`]`..`[`ARENA_BASE`]` + `[`ARENA_SIZE`] of its memory
//! for the caller. A [`SlotBuffer`] is the image of that arena: the slots first, then what they point to.
//! Copy it to [`ARENA_BASE`] and call `decide(ARENA_BASE, count)`.
//!
//! A slot is [`SLOT_SIZE`] bytes: the case of `variant value` in byte 0 ([`Tag`]), its payload from byte 8.
//! Source: the component model's canonical ABI, <https://github.com/WebAssembly/component-model>.

use crate::value::Type;

mod buffer;
mod growing;
mod read;

pub(crate) use buffer::Payload;
pub use buffer::SlotBuffer;
pub(crate) use growing::GrowingLists;

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

    /// The tag of a list's elements, if this is a list's.
    pub(crate) fn element(self) -> Option<Self> {
        Some(match self {
            Self::Booleans => Self::Boolean,
            Self::Integers => Self::Integer,
            Self::Decimals => Self::Decimal,
            Self::Texts => Self::Text,
            Self::Timestamps => Self::Timestamp,
            Self::Durations => Self::Duration,
            Self::Addresses => Self::Address,
            _ => return None,
        })
    }

    /// The bytes that a value with this tag takes as an element of a list.
    pub(crate) fn element_size(self) -> usize {
        match self {
            Self::Boolean => 1,
            Self::Integer | Self::Duration | Self::Text => 8,
            _ => 16,
        }
    }
}

/// The request's attributes do not fit the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's attributes take more than {ARENA_SIZE} bytes")]
pub struct RequestTooLarge;
