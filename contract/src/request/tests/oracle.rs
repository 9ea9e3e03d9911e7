//! What a request means, said a second time in the plainest way: a tree of values that `serde_json` cuts up, and
//! a search through all of it for each attribute. It shares nothing with the reader but the types of values.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    manifest::AttributeDeclaration,
    slots::{ARENA_BASE, PAYLOAD, SLOT_SIZE, Tag},
    value::{Attribute, Decimal, Duration, Ip, Timestamp, Type, Value},
};

/// A JSON value with duplicate members and exact numbers.
enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    /// `None` if it has half a surrogate pair.
    Text(Option<String>),
    Number(String),
    Bool(bool),
    Null,
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// `None` where a name has half a surrogate pair, which `serde_json` does not read.
fn tree(raw: &str) -> Option<Tree> {
    Some(match raw.as_bytes()[0] {
        b'{' => {
            let members = serde_json::Deserializer::from_str(raw).deserialize_map(Members).ok()?;
            let member = |(name, raw): (String, &RawValue)| Some((name, tree(raw.get())?));
            Tree::Object(members.into_iter().map(member).collect::<Option<_>>()?)
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).unwrap();
            Tree::Array(elements.iter().map(|raw| tree(raw.get())).collect::<Option<_>>()?)
        }
        b'"' => Tree::Text(serde_json::from_str(raw).ok()),
        b't' | b'f' => Tree::Bool(raw == "true"),
        b'n' => Tree::Null,
        _ => Tree::Number(raw.to_owned()),
    })
}

/// Every place where the request has the attribute; `None` where a dotted key makes it an object.
fn places<'t>(tree: &'t Tree, path: &[&str], found: &mut Vec<Option<&'t Tree>>) {
    let Tree::Object(members) = tree else { return };
    for (key, value) in members {
        let names: Vec<_> = key.split('.').collect();
        if names == path {
            found.extend((!matches!(value, Tree::Null)).then_some(Some(value)));
        } else if path.starts_with(&names) {
            places(value, &path[names.len()..], found);
        } else if names.starts_with(path) {
            found.push(None);
        }
    }
}

fn typed(tree: &Tree, ty: &Type) -> Option<Value> {
    Some(match (ty, tree) {
        (Type::String | Type::Enum(_), Tree::Text(text)) => Value::Text(text.clone()?),
        (Type::Int, Tree::Number(number)) => {
            let whole = !number.contains(['.', 'e', 'E']);
            Value::Int(i64::try_from(number.parse::<i128>().ok().filter(|_| whole)?).ok()?)
        }
        (Type::Decimal, Tree::Number(number)) => Value::Decimal(number.parse().ok()?),
        (Type::Bool, Tree::Bool(b)) => Value::Bool(*b),
        (Type::Timestamp, Tree::Text(text)) => Value::Timestamp(text.as_ref()?.parse().ok()?),
        (Type::Duration, Tree::Text(text)) => Value::Duration(text.as_ref()?.parse().ok()?),
        (Type::Ip, Tree::Text(text)) => Value::Ip(text.as_ref()?.parse().ok()?),
        (Type::List(element), Tree::Array(elements)) => {
            Value::List(elements.iter().map(|tree| typed(tree, element)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// What a request says of each attribute. The error is true if it is no request at all, and false if this oracle
/// does not know.
pub(super) fn read(json: &[u8], attributes: &[AttributeDeclaration]) -> Result<Vec<Attribute>, bool> {
    let raw: &RawValue = serde_json::from_slice(json).map_err(|_| true)?;
    if !raw.get().starts_with('{') {
        return Err(true);
    }
    let tree = tree(raw.get()).ok_or(false)?;
    let attribute = |declared: &AttributeDeclaration| {
        let mut found = Vec::new();
        places(&tree, &declared.path.split('.').collect::<Vec<_>>(), &mut found);
        match found.as_slice() {
            [] => Attribute::Missing,
            [Some(value)] => typed(value, &declared.ty).map_or(Attribute::Invalid, Attribute::Present),
            _ => Attribute::Invalid,
        }
    };
    Ok(attributes.iter().map(attribute).collect())
}

/// What slots say of each attribute.
pub(super) fn decode(image: &[u8], attributes: &[AttributeDeclaration]) -> Vec<Attribute> {
    let slot = |(slot, declared): (usize, &AttributeDeclaration)| {
        let bytes = &image[slot * SLOT_SIZE as usize..][..SLOT_SIZE as usize];
        let payload = &bytes[PAYLOAD as usize..];
        if bytes[0] == Tag::Missing as u8 {
            return Attribute::Missing;
        } else if bytes[0] == Tag::Invalid as u8 {
            return Attribute::Invalid;
        }
        assert_eq!(bytes[0], Tag::of(&declared.ty) as u8, "{}", declared.path);
        Attribute::Present(value(image, payload, &declared.ty))
    };
    attributes.iter().enumerate().map(slot).collect()
}

fn value(image: &[u8], payload: &[u8], ty: &Type) -> Value {
    let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
    let wide = || u128::from(number(0)) << 64 | u128::from(number(8));
    let pointed = || &image[(number(0) as u32 - ARENA_BASE) as usize..];
    let length = || (number(0) >> 32) as usize;
    match ty {
        Type::String | Type::Enum(_) => {
            Value::Text(String::from_utf8(pointed()[..length()].to_vec()).unwrap())
        }
        Type::Int => Value::Int(number(0) as i64),
        Type::Decimal => Value::Decimal(Decimal::from_scaled(wide() as i128)),
        Type::Bool => Value::Bool(payload[0] != 0),
        Type::Timestamp => {
            Value::Timestamp(Timestamp { seconds: number(0) as i64, nanoseconds: number(8) as u32 })
        }
        Type::Duration => Value::Duration(Duration(number(0) as i64)),
        Type::Ip => Value::Ip(Ip(wide())),
        Type::List(element) => {
            let size = match **element {
                Type::Bool => 1,
                Type::Int | Type::Duration | Type::String | Type::Enum(_) => 8,
                _ => 16,
            };
            let elements = pointed()[..size * length()].chunks(size);
            Value::List(elements.map(|payload| value(image, payload, element)).collect())
        }
        Type::Any => panic!("a value of ANY"),
    }
}
