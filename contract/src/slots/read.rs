//! Slots back to values, for people to read.

use super::{ARENA_BASE, PAYLOAD, SLOT_SIZE, SlotBuffer, Tag};
use crate::value::{Attribute, Decimal, Duration, Ip, Timestamp, Type, Value};

impl SlotBuffer {
    /// What the request has for the attribute of this slot and type. A text that is none of an ENUM's members is
    /// unusable.
    #[must_use]
    pub fn get(&self, slot: usize, ty: &Type) -> Attribute {
        let Some(bytes) = self.bytes().get(slot * SLOT_SIZE as usize..).and_then(<[u8]>::first_chunk)
        else {
            return Attribute::Missing;
        };
        let bytes: &[u8; SLOT_SIZE as usize] = bytes;
        if bytes[0] == Tag::Missing as u8 {
            return Attribute::Missing;
        }
        let payload = &bytes[PAYLOAD as usize..];
        let value = (bytes[0] == Tag::of(ty) as u8).then(|| self.value(payload, ty)).flatten();
        value.map_or(Attribute::Invalid, Attribute::Present)
    }

    fn value(&self, payload: &[u8], ty: &Type) -> Option<Value> {
        Some(match ty {
            Type::Bool => Value::Bool(*payload.first()? != 0),
            Type::Int => Value::Int(word(payload, 0)? as i64),
            Type::Duration => Value::Duration(Duration(word(payload, 0)? as i64)),
            Type::Decimal => Value::Decimal(Decimal::from_scaled(wide(payload)? as i128)),
            Type::Ip => Value::Ip(Ip(wide(payload)?)),
            Type::Timestamp => Value::Timestamp(Timestamp {
                seconds: word(payload, 0)? as i64,
                nanoseconds: word(payload, 8)? as u32,
            }),
            Type::String => Value::Text(self.text(payload)?),
            Type::Enum(members) => {
                Value::Text(self.text(payload).filter(|text| members.contains(text))?)
            }
            Type::List(element) => {
                let size = Tag::of(ty).element()?.element_size();
                let (at, count) = span(payload)?;
                let elements = self.arena(at, count.checked_mul(size)?)?;
                let values = elements.chunks_exact(size).map(|payload| self.value(payload, element));
                Value::List(values.collect::<Option<_>>()?)
            }
            Type::Any => return None,
        })
    }

    fn text(&self, payload: &[u8]) -> Option<String> {
        let (at, length) = span(payload)?;
        String::from_utf8(self.arena(at, length)?.to_vec()).ok()
    }

    /// So many bytes at an address in the module's memory.
    fn arena(&self, at: usize, length: usize) -> Option<&[u8]> {
        let start = at.checked_sub(ARENA_BASE as usize)?;
        self.bytes().get(start..start.checked_add(length)?)
    }
}

fn word(payload: &[u8], at: usize) -> Option<u64> {
    payload.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// High half, then low half.
fn wide(payload: &[u8]) -> Option<u128> {
    Some(u128::from(word(payload, 0)?) << 64 | u128::from(word(payload, 8)?))
}

/// Address and length.
fn span(payload: &[u8]) -> Option<(usize, usize)> {
    let both = word(payload, 0)?;
    Some((both as u32 as usize, (both >> 32) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_read_back() {
        let list = |element: Type| Type::List(Box::new(element));
        let region = Type::Enum(vec!["EU".to_owned(), "US".to_owned()]);
        let cases = [
            (Type::Bool, Value::Bool(true)),
            (Type::Int, Value::Int(-2)),
            (Type::Decimal, Value::Decimal("-1.5".parse().unwrap())),
            (Type::Timestamp, Value::Timestamp("1969-12-31T23:59:59.5Z".parse().unwrap())),
            (Type::Duration, Value::Duration(Duration(-5))),
            (Type::Ip, Value::Ip("10.1.2.3".parse().unwrap())),
            (Type::String, Value::Text("é".to_owned())),
            (region.clone(), Value::Text("EU".to_owned())),
        ];
        let mut slots = SlotBuffer::new(2);
        for (ty, value) in cases {
            slots.set_value(0, &value).unwrap();
            assert_eq!(slots.get(0, &ty), Attribute::Present(value.clone()), "{ty}");
            let both = Value::List(vec![value.clone(), value]);
            slots.set_value(1, &both).unwrap();
            assert_eq!(slots.get(1, &list(ty.clone())), Attribute::Present(both), "{ty}");
            assert_eq!(slots.get(1, &ty), Attribute::Invalid, "{ty}");
        }
        slots.set_text(0, "MARS").unwrap();
        assert_eq!(slots.get(0, &region), Attribute::Invalid);
        slots.set_invalid(1);
        assert_eq!(slots.get(1, &Type::Int), Attribute::Invalid);
        slots.reset();
        assert_eq!(slots.get(1, &Type::Int), Attribute::Missing);
        slots.set_empty_list(0, &Type::Int);
        assert_eq!(slots.get(0, &list(Type::Int)), Attribute::Present(Value::List(Vec::new())));
    }
}
