//! Requests of the [OpenID AuthZEN Authorization API 1.0](https://openid.net/specs/authorization-api-1_0.html).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    AttributeTable, RequestError,
    json::{Fault, Scanner, unescape},
    reader::{Reader, Stop},
    table::REQUEST_NODE,
};
use crate::slots::SlotBuffer;

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

/// One of a request's three entities.
struct Entity {
    /// Its member of the request.
    member: &'static str,
    /// The name that its attributes lie below.
    prefix: &'static str,
    required: &'static [&'static str],
}

const ENTITIES: [Entity; 3] = [
    Entity { member: "subject", prefix: "principal", required: &["type", "id"] },
    Entity { member: "action", prefix: "action", required: &["name"] },
    Entity { member: "resource", prefix: "resource", required: &["type", "id"] },
];

/// The members of an entity that mean something; [`PROPERTIES`] is one of them.
const FIELDS: [&str; 4] = ["type", "id", "name", PROPERTIES];
const PROPERTIES: &str = "properties";

/// Reads all members into slots that were reset.
pub(super) fn read(
    table: &AttributeTable,
    request: &AuthZenRequest<'_>,
    slots: &mut SlotBuffer,
) -> Result<(), RequestError> {
    for (entity, raw) in ENTITIES.iter().zip([request.subject, request.action, request.resource]) {
        let raw = raw.ok_or_else(|| required(entity, None))?;
        let scan = Scanner::new(raw.get());
        let mut reader = Reader { names: &table.names, scan, slots: &mut *slots };
        reader.entity(entity)?;
    }
    if let Some(context) = request.context {
        let scan = Scanner::new(context.get());
        let mut reader = Reader { names: &table.names, scan, slots };
        reader.object(REQUEST_NODE).map_err(|stop| reader.error(stop, "context"))?;
    }
    Ok(())
}

#[cold]
fn required(entity: &Entity, field: Option<&str>) -> RequestError {
    let dot = if field.is_some() { "." } else { "" };
    let field = field.unwrap_or_default();
    RequestError::Malformed(format!("`{}{dot}{field}` is required", entity.member))
}

impl Reader<'_> {
    fn entity(&mut self, entity: &Entity) -> Result<(), RequestError> {
        let fault = |reader: &Self, stop: Stop| reader.error(stop, entity.member);
        let node = self.names.child(REQUEST_NODE, entity.prefix.as_bytes());
        let (mut given, mut seen) = ([false; FIELDS.len()], [false; FIELDS.len()]);
        self.scan.expect(b'{', "an object").map_err(|f| fault(self, f.into()))?;
        let mut more = self.scan.token() != b'}';
        while more {
            let field = self.field().map_err(|f| fault(self, f.into()))?;
            if let Some(field) = field {
                if seen[field] {
                    let name = FIELDS[field];
                    let message = format!("`{}.{name}` is given twice", entity.member);
                    return Err(RequestError::Malformed(message));
                }
                seen[field] = true;
                given[field] = self.scan.token() != b'n'; // `null` is the same as leaving it out
            }
            let read = match (node, field.map(|field| (FIELDS[field], given[field]))) {
                (Some(node), Some((PROPERTIES, true))) => self.object(node),
                (Some(node), Some((name, true))) => match self.names.child(node, name.as_bytes()) {
                    Some(node) => self.value(node),
                    None => self.scan.skip().map_err(Stop::from),
                },
                _ => self.scan.skip().map_err(Stop::from),
            };
            read.map_err(|stop| fault(self, stop))?;
            more = match self.scan.token() {
                b',' => true,
                b'}' => false,
                _ => {
                    let stop = self.scan.fault("`,` or `}`").into();
                    return Err(fault(self, stop));
                }
            };
            if more {
                self.scan.advance();
            }
        }
        let given =
            |name: &&&str| FIELDS.iter().zip(given).any(|(field, given)| field == *name && given);
        match entity.required.iter().find(|name| !given(name)) {
            Some(name) => Err(required(entity, Some(name))),
            None => Ok(()),
        }
    }

    /// Goes over a name and its colon; which of [`FIELDS`] it is, if it is one.
    fn field(&mut self) -> Result<Option<usize>, Fault> {
        if self.scan.token() != b'"' {
            return Err(self.scan.fault("a name in quotes"));
        }
        let raw = self.scan.string()?;
        self.scan.expect(b':', "`:`")?;
        let mut name = &self.scan.bytes()[raw.start..raw.end];
        if raw.escaped {
            unescape(name, &mut self.slots.room.text);
            name = &self.slots.room.text;
        }
        Ok(FIELDS.iter().position(|field| field.as_bytes() == name))
    }

    #[cold]
    fn error(&self, stop: Stop, member: &str) -> RequestError {
        match RequestError::new(stop, &self.scan) {
            RequestError::Malformed(detail) => {
                RequestError::Malformed(format!("in `{member}`: {detail}"))
            }
            error => error,
        }
    }
}
