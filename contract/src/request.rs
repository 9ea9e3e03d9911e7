//! From a request's JSON to attribute slots, in one pass and without a tree of values.
//!
//! Nested objects and dotted keys are the same attribute. `null` is the same as leaving the attribute out.
//! An attribute that is given twice, or whose value is not of its declared type, is there but unusable
//! ([`crate::slots::Tag::Invalid`]), so that no reader of a request can be shown another value than the
//! policies saw. Attributes that no policy looks at are skipped.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    manifest::AttributeDeclaration,
    slots::{RequestTooLarge, SlotBuffer},
    value::{Type, Value},
};

/// Why a request could not be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is not the JSON that the form asks for; says where and what was expected.
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    /// Its attributes do not fit the module's arena.
    #[error(transparent)]
    TooLarge(#[from] RequestTooLarge),
}

impl RequestError {
    /// The constant code, as responses and records show it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "invalid_request",
            Self::TooLarge(_) => "request_too_large",
        }
    }
}

/// The attribute table of one policy set, arranged for reading requests: made once, shared by all workers.
#[derive(Debug, Clone)]
pub struct AttributeTable {
    types: Vec<Type>,
    /// The tree of names; node 0 is the request itself.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Default)]
struct Node {
    slot: Option<usize>,
    children: BTreeMap<Box<str>, usize>,
}

const REQUEST_NODE: usize = 0;

impl AttributeTable {
    /// The table of a manifest's attributes; an attribute's slot is its index.
    #[must_use]
    pub fn new(attributes: &[AttributeDeclaration]) -> Self {
        let mut nodes = vec![Node::default()];
        for (slot, attribute) in attributes.iter().enumerate() {
            let mut node = REQUEST_NODE;
            for name in attribute.path.split('.') {
                let next = nodes.len();
                let child = *nodes[node].children.entry(name.into()).or_insert(next);
                if child == next {
                    nodes.push(Node::default());
                }
                node = child;
            }
            nodes[node].slot = Some(slot);
        }
        Self { types: attributes.iter().map(|a| a.ty.clone()).collect(), nodes }
    }

    /// The number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether the set looks at no attribute at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Reads a request in the plain form: one JSON object of attributes. `slots` is reset first.
    ///
    /// # Errors
    /// [`RequestError`] if it is no JSON object, or too large.
    pub fn read_json(&self, json: &[u8], slots: &mut SlotBuffer) -> Result<(), RequestError> {
        slots.reset();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let mut overflow = None;
        let seed = Object { table: self, node: REQUEST_NODE, slots, overflow: &mut overflow };
        let read = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        finish(read, overflow)
    }

    /// Reads a request of the OpenID AuthZEN Authorization API 1.0. `slots` is reset first.
    ///
    /// `subject` gives the attributes below `principal`, `action` those below `action`, `resource` those below
    /// `resource`, each with its `properties` lifted one level up; `context` gives attributes as they stand.
    ///
    /// # Errors
    /// [`RequestError`] if a required member is absent, the JSON is malformed, or it is too large.
    pub fn read_authzen(
        &self,
        request: &AuthZenRequest<'_>,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        slots.reset();
        let entities = [
            ("subject", "principal", request.subject, &["type", "id"][..]),
            ("action", "action", request.action, &["name"][..]),
            ("resource", "resource", request.resource, &["type", "id"][..]),
        ];
        for (member, prefix, raw, required) in entities {
            let missing = |name: &str| RequestError::Malformed(format!("`{member}{name}` is required"));
            let raw = raw.ok_or_else(|| missing(""))?;
            let entity: Entity<'_> = serde_json::from_str(raw.get()).map_err(malformed)?;
            let node = self.nodes[REQUEST_NODE].children.get(prefix).copied();
            for (name, value) in [("type", entity.r#type), ("id", entity.id), ("name", entity.name)] {
                match value {
                    Some(value) => {
                        let node = node.and_then(|node| self.nodes[node].children.get(name));
                        if let Some(node) = node {
                            self.read_node(*node, value, slots)?;
                        }
                    }
                    None if required.contains(&name) => return Err(missing(&format!(".{name}"))),
                    None => {}
                }
            }
            if let (Some(node), Some(properties)) = (node, entity.properties) {
                self.read_object(node, properties, slots)?;
            }
        }
        if let Some(context) = request.context {
            self.read_object(REQUEST_NODE, context, slots)?;
        }
        Ok(())
    }

    fn read_object(
        &self,
        node: usize,
        raw: &RawValue,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        let mut overflow = None;
        let seed = Object { table: self, node, slots, overflow: &mut overflow };
        finish(seed.deserialize(&mut serde_json::Deserializer::from_str(raw.get())), overflow)
    }

    /// Reads the value that stands at `node`.
    fn read_node(
        &self,
        node: usize,
        raw: &RawValue,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        if let Some(slot) = self.nodes[node].slot {
            self.read_leaf(slot, raw, slots)?;
        }
        if raw.get().starts_with('{') && !self.nodes[node].children.is_empty() {
            self.read_object(node, raw, slots)?;
        }
        Ok(())
    }

    fn read_leaf(
        &self,
        slot: usize,
        raw: &RawValue,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestTooLarge> {
        let raw = raw.get();
        if raw == "null" {
            return Ok(());
        }
        if !slots.is_missing(slot) {
            slots.set_invalid(slot); // given twice
            return Ok(());
        }
        let ty = &self.types[slot];
        if ty.is_text()
            && let Some(text) = text(raw)
        {
            slots.set_text(slot, &text)
        } else if let Some(value) = value(raw, ty) {
            if let (Value::List(elements), Type::List(element)) = (&value, ty)
                && elements.is_empty()
            {
                slots.set_empty_list(slot, element);
                return Ok(());
            }
            slots.set_value(slot, &value)
        } else {
            slots.set_invalid(slot);
            Ok(())
        }
    }
}

/// The members of an AuthZEN evaluation, each still JSON text, so that `evaluations` can lend its defaults.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct AuthZenRequest<'a> {
    /// Who asks.
    #[serde(borrow, default)]
    pub subject: Option<&'a RawValue>,
    /// What they want to do.
    #[serde(borrow, default)]
    pub action: Option<&'a RawValue>,
    /// To what.
    #[serde(borrow, default)]
    pub resource: Option<&'a RawValue>,
    /// Everything else.
    #[serde(borrow, default)]
    pub context: Option<&'a RawValue>,
}

impl<'a> AuthZenRequest<'a> {
    /// This request with the members that it leaves out taken from `defaults`.
    #[must_use]
    pub fn or(self, defaults: Self) -> Self {
        Self {
            subject: self.subject.or(defaults.subject),
            action: self.action.or(defaults.action),
            resource: self.resource.or(defaults.resource),
            context: self.context.or(defaults.context),
        }
    }
}

#[derive(Deserialize)]
struct Entity<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
}

fn malformed(error: serde_json::Error) -> RequestError {
    RequestError::Malformed(error.to_string())
}

fn finish(read: serde_json::Result<()>, overflow: Option<RequestError>) -> Result<(), RequestError> {
    match overflow {
        Some(error) => Err(error),
        None => read.map_err(malformed),
    }
}

/// Reads one JSON object whose members are the children of `node`.
struct Object<'t, 's> {
    table: &'t AttributeTable,
    node: usize,
    slots: &'s mut SlotBuffer,
    /// Set when the error is not serde_json's own.
    overflow: &'s mut Option<RequestError>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let table = self.table;
        loop {
            let key = Key { table, node: self.node, slots: &mut *self.slots };
            let Some(node) = members.next_key_seed(key)? else { return Ok(()) };
            match node {
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
                Some(node) => {
                    let raw: &RawValue = members.next_value()?;
                    if let Err(error) = table.read_node(node, raw, self.slots) {
                        *self.overflow = Some(error);
                        return Err(serde::de::Error::custom("attribute"));
                    }
                }
            }
        }
    }
}

/// Reads one key, `a` or `a.b.c`, and finds the node that it names.
struct Key<'t, 's> {
    table: &'t AttributeTable,
    node: usize,
    slots: &'s mut SlotBuffer,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an attribute's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let mut node = self.node;
        let mut names = key.split('.').peekable();
        while let Some(name) = names.next() {
            let Some(child) = self.table.nodes[node].children.get(name) else { return Ok(None) };
            node = *child;
            if let (Some(slot), true) = (self.table.nodes[node].slot, names.peek().is_some()) {
                self.slots.set_invalid(slot); // an object, as the nested form would show
            }
        }
        Ok(Some(node))
    }
}

/// The text of a JSON string; `None` for any other value and for broken escapes.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The value of this type that the JSON text is, if it is one. Numbers are exact: no `f64` on the way.
fn value(raw: &str, ty: &Type) -> Option<Value> {
    match ty {
        Type::String | Type::Enum(_) => text(raw).map(|text| Value::Text(text.into_owned())),
        Type::Int => raw.parse().ok().map(Value::Int),
        Type::Decimal => raw.parse().ok().map(Value::Decimal),
        Type::Bool => raw.parse().ok().map(Value::Bool),
        Type::Timestamp => text(raw)?.parse().ok().map(Value::Timestamp),
        Type::Duration => text(raw)?.parse().ok().map(Value::Duration),
        Type::Ip => text(raw)?.parse().ok().map(Value::Ip),
        Type::List(element) => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            elements.iter().map(|raw| value(raw.get(), element)).collect::<Option<_>>().map(Value::List)
        }
        Type::Any => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{slots::SLOT_SIZE, value::Attribute};

    fn table(attributes: &[(&str, Type)]) -> AttributeTable {
        let declare = |(path, ty): &(&str, Type)| AttributeDeclaration {
            path: (*path).to_owned(),
            ty: ty.clone(),
        };
        AttributeTable::new(&attributes.iter().map(declare).collect::<Vec<_>>())
    }

    /// What the slots must look like, written attribute by attribute.
    fn expect(attributes: &[Attribute]) -> Vec<u8> {
        let mut slots = SlotBuffer::new(attributes.len());
        for (slot, attribute) in attributes.iter().enumerate() {
            slots.set(slot, attribute).unwrap();
        }
        slots.bytes().to_vec()
    }

    fn read(table: &AttributeTable, json: &str) -> Vec<u8> {
        let mut slots = SlotBuffer::new(table.len());
        table.read_json(json.as_bytes(), &mut slots).unwrap();
        slots.bytes().to_vec()
    }

    fn present(text: &str) -> Attribute {
        Attribute::Present(Value::Text(text.to_owned()))
    }

    #[test]
    fn nested_objects_and_dotted_keys_are_the_same_attribute() {
        let table = table(&[("a.b.c", Type::String)]);
        let expected = expect(&[present("x")]);
        for json in [
            r#"{"a":{"b":{"c":"x"}}}"#,
            r#"{"a.b.c":"x"}"#,
            r#"{"a.b":{"c":"x"},"other":[{"deep":1}]}"#,
            r#"{"a":{"b.c":"\u0078"},"a.x":2}"#,
        ] {
            assert_eq!(read(&table, json), expected, "{json}");
        }
    }

    #[test]
    fn null_is_missing_and_twice_is_unusable() {
        let table = table(&[("a", Type::String)]);
        assert_eq!(read(&table, r#"{"a":null}"#), expect(&[Attribute::Missing]));
        for json in [r#"{"a":"x","a":"x"}"#, r#"{"a":1}"#, r#"{"a":{}}"#, r#"{"a":"\ud800"}"#] {
            assert_eq!(read(&table, json)[..8], expect(&[Attribute::Invalid])[..8], "{json}");
        }
    }

    #[test]
    fn numbers_are_exact_and_integers_are_integers() {
        let table = table(&[("d", Type::Decimal), ("i", Type::Int)]);
        let max = Attribute::Present(Value::Int(i64::MAX));
        let exact = Attribute::Present(Value::Decimal("0.123456789012345678".parse().unwrap()));
        assert_eq!(
            read(&table, r#"{"d":0.123456789012345678,"i":9223372036854775807}"#),
            expect(&[exact, max])
        );
        assert_eq!(
            read(&table, r#"{"d":"1","i":5.0}"#),
            expect(&[Attribute::Invalid, Attribute::Invalid])
        );
    }

    #[test]
    fn a_list_with_one_wrong_element_is_unusable() {
        let table = table(&[("l", Type::List(Box::new(Type::String)))]);
        let list = |items: &[&str]| {
            Value::List(items.iter().map(|item| Value::Text((*item).to_owned())).collect())
        };
        assert_eq!(read(&table, r#"{"l":["a","b"]}"#), expect(&[Attribute::Present(list(&["a", "b"]))]));
        let numbers = self::table(&[("l", Type::List(Box::new(Type::Int)))]);
        assert_eq!(read(&numbers, r#"{"l":[]}"#)[0], crate::slots::Tag::Integers as u8);
        for json in [r#"{"l":["a",1]}"#, r#"{"l":["a",null]}"#, r#"{"l":"a"}"#] {
            assert_eq!(read(&table, json), expect(&[Attribute::Invalid]), "{json}");
        }
    }

    #[test]
    fn a_path_that_is_also_a_prefix_holds_an_object() {
        let table = table(&[("a", Type::Any), ("a.b", Type::String)]);
        for json in [r#"{"a":{"b":"x"}}"#, r#"{"a.b":"x"}"#] {
            assert_eq!(read(&table, json), expect(&[Attribute::Invalid, present("x")]), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_and_depth_does_no_harm() {
        let table = table(&[("a", Type::String)]);
        let mut slots = SlotBuffer::new(1);
        for json in ["", "[]", "1", "{", r#"{"a":}"#, r#"{} {}"#, "{\"a\":\"\u{1}\"}"] {
            assert!(table.read_json(json.as_bytes(), &mut slots).is_err(), "{json}");
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(table.read_json(deep.as_bytes(), &mut slots).is_ok());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(table.read_json(deep.as_bytes(), &mut slots).is_ok());
        assert_eq!(slots.bytes().len(), SLOT_SIZE as usize);
    }

    #[test]
    fn authzen_lifts_properties_and_refuses_what_stands_twice() {
        let table = table(&[
            ("action.name", Type::String),
            ("customer.region", Type::String),
            ("principal.id", Type::String),
            ("principal.role", Type::String),
            ("resource.type", Type::String),
        ]);
        let mut slots = SlotBuffer::new(table.len());
        let mut read = |json: &str| {
            let request: AuthZenRequest<'_> = serde_json::from_str(json).unwrap();
            table.read_authzen(&request, &mut slots).map(|()| slots.bytes().to_vec())
        };
        let json = r#"{"subject":{"type":"user","id":"ann","properties":{"role":"dpo"}},
            "action":{"name":"read"},"resource":{"type":"record","id":"7"},
            "context":{"customer":{"region":"EU"}}}"#;
        // The arena holds the texts in the order of reading, so compare tags and one text.
        let bytes = read(json).unwrap();
        assert!((0..5).all(|slot| bytes[slot * 24] == 5), "{bytes:?}");
        let twice = json.replace(r#""id":"7""#, r#""id":"7","properties":{"type":"other"}"#);
        assert_eq!(read(&twice).unwrap()[4 * 24], 1, "resource.type stands twice");
        let absent = json.replace(r#""id":"ann","#, "");
        assert_eq!(read(&absent), Err(RequestError::Malformed("`subject.id` is required".to_owned())));
    }
}
