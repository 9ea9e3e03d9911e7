//! What a request said, kept from its decision to its record.

use std::fmt;

use aecp_contract::{
    manifest::{AttributeDeclaration, AuditLevel},
    slots::SlotBuffer,
    value::Attribute,
    verdict::Verdict,
};

use crate::policy::DecisionError;

/// What a request had for the attributes of the set, until it is on record.
#[derive(Clone, Default)]
pub(super) enum Said {
    /// It is not to be recorded.
    #[default]
    Nothing,
    /// As the policies saw it.
    Slots(Box<SlotBuffer>),
    /// More than is kept: so many attributes.
    TooMuch(u64),
}

/// The most bytes that a request's attributes may take to be recorded. An entry of the log holds about as many.
const MAX_SAID_BYTES: usize = 64 << 10;

impl Said {
    /// What is kept of a request whose verdict is this.
    pub(super) fn of(result: &Result<Verdict, DecisionError>, slots: &SlotBuffer) -> Self {
        match result {
            Ok(verdict) if verdict.audit == AuditLevel::None => Self::Nothing,
            Err(DecisionError::Request(_)) => Self::Nothing,
            _ if slots.content().len() > MAX_SAID_BYTES => Self::TooMuch(count(slots)),
            _ => Self::Slots(Box::new(slots.snapshot())),
        }
    }

    /// Keeps only how many attributes the request had if it takes more than so many bytes.
    #[cfg(feature = "host")]
    pub(super) fn forget_above(&mut self, bytes: usize) {
        if let Self::Slots(slots) = self
            && slots.bytes().len() > bytes
        {
            *self = Self::TooMuch(count(slots));
        }
    }

    /// What the request had, by path, of those attributes that it had.
    pub(super) fn attributes<'a>(
        &'a self,
        declared: &'a [AttributeDeclaration],
    ) -> impl Iterator<Item = (&'a str, Attribute)> {
        let slots = match self {
            Self::Slots(slots) => Some(slots),
            Self::Nothing | Self::TooMuch(_) => None,
        };
        declared.iter().enumerate().filter_map(move |(slot, declared)| {
            let attribute = slots?.get(slot, &declared.ty);
            (attribute != Attribute::Missing).then_some((declared.path.as_str(), attribute))
        })
    }

    /// How many attributes the request had that are not kept.
    pub(super) fn unknown(&self) -> u64 {
        match self {
            Self::TooMuch(attributes) => *attributes,
            Self::Nothing | Self::Slots(_) => 0,
        }
    }
}

/// How many attributes a request had.
fn count(slots: &SlotBuffer) -> u64 {
    (0..slots.count()).filter(|slot| !slots.is_missing(*slot)).count() as u64
}

/// Requests are not for logs.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(…)")
    }
}
