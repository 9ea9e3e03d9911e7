//! Requests of the [OpenID AuthZEN Authorization API 1.0](https://openid.net/specs/authorization-api-1_0.html).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    AttributeTable, RequestError,
    json::{COLON, Fault, MEMBER_END, NAME, Scanner, fault, unescape},
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
        let raw = raw.ok_or_else(|| absent(entity))?;
        let scan = Scanner::new(raw.get());
        let mut reader = Reader { names: &table.names, scan, slots: &mut *slots };
        let given = reader.entity(entity).map_err(|stop| within(entity.member, stop, scan))?;
        for (field, given) in FIELDS.iter().zip(given) {
            match given {
                Given::Twice => return Err(refused(entity, field, "is given twice")),
                Given::Not | Given::Null if entity.required.contains(field) => {
                    return Err(refused(entity, field, "is required"));
                }
                _ => {}
            }
        }
    }
    if let Some(context) = request.context {
        let scan = Scanner::new(context.get());
        let read = Reader { names: &table.names, scan, slots }.object(0, REQUEST_NODE);
        read.map_err(|stop| within("context", stop, scan))?;
    }
    Ok(())
}

#[cold]
fn absent(entity: &Entity) -> RequestError {
    RequestError::Malformed(format!("`{}` is required", entity.member))
}

#[cold]
fn refused(entity: &Entity, field: &str, why: &str) -> RequestError {
    RequestError::Malformed(format!("`{}.{field}` {why}", entity.member))
}

#[cold]
fn within(member: &str, stop: Stop, scan: Scanner<'_>) -> RequestError {
    match RequestError::new(stop, scan.text()) {
        RequestError::Malformed(detail) => RequestError::Malformed(format!("in `{member}`: {detail}")),
        error => error,
    }
}

/// How often an entity has a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Not,
    /// As `null`, which is the same as leaving it out but cannot be given again.
    Null,
    Once,
    Twice,
}

impl Reader<'_> {
    /// Reads the attributes of an entity, and says which of [`FIELDS`] it has.
    fn entity(&mut self, entity: &Entity) -> Result<[Given; FIELDS.len()], Stop> {
        let scan = self.scan;
        let node = self.names.child(REQUEST_NODE, entity.prefix.as_bytes());
        let mut given = [Given::Not; FIELDS.len()];
        let mut at = scan.expect(0, b'{', "an object")?;
        if let (b'}', _) = scan.token(at) {
            return Ok(given);
        }
        loop {
            let field;
            (at, field) = self.field(at)?;
            let null = scan.token(at).0 == b'n';
            if let Some(field) = field {
                given[field] = match given[field] {
                    Given::Not if null => Given::Null,
                    Given::Not => Given::Once,
                    _ => Given::Twice,
                };
            }
            at = match (node, field.map(|field| FIELDS[field])) {
                (Some(node), Some(PROPERTIES)) if !null => self.object(at, node)?,
                (Some(node), Some(name)) if !null => match self.names.child(node, name.as_bytes()) {
                    Some(node) => self.value(at, node)?,
                    None => scan.skip(at)?,
                },
                _ => scan.skip(at)?,
            };
            match scan.token(at) {
                (b',', comma) => at = comma + 1,
                (b'}', _) => return Ok(given),
                (_, at) => return Ok(fault(at, MEMBER_END)?),
            }
        }
    }

    /// Goes over a name and its colon; which of [`FIELDS`] it is, if it is one.
    fn field(&mut self, at: usize) -> Result<(usize, Option<usize>), Box<Fault>> {
        let (token, at) = self.scan.token(at);
        if token != b'"' {
            return fault(at, NAME);
        }
        let raw = self.scan.string(at)?;
        let mut name = &self.scan.bytes()[raw.start..raw.end];
        if raw.escaped {
            unescape(name, &mut self.slots.room.text);
            name = &self.slots.room.text;
        }
        let field = FIELDS.iter().position(|field| field.as_bytes() == name);
        Ok((self.scan.expect(raw.after(), b':', COLON)?, field))
    }
}
