//! An answer on its way out, and what policies see of it.

use aecp_contract::{
    manifest::{Manifest, Point},
    request::{AttributeTable, RequestError},
    slots::SlotBuffer,
    value::Type,
};
use aecp_enforcer::obligations;
use serde_json::{Map, Value, value::RawValue};

use crate::request::{Headers, Seen, is_encoded, is_json, values};

/// Below which the attributes of answers lie.
const ROOT: &str = "response";

/// What policies ask of answers. Without any of it answers pass undecided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WantsOfAnswers {
    /// Whether there is anything to decide.
    pub(crate) decision: bool,
    /// Whether policies look at bodies.
    pub(crate) body: bool,
    /// The headers by the names that attributes have, and whether each is a list.
    headers: Vec<(String, bool)>,
}

impl WantsOfAnswers {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let mut wants = Self::default();
        for attribute in &manifest.attributes {
            let Some(rest) = attribute.path.strip_prefix(ROOT).filter(|rest| rest.starts_with('.'))
            else {
                continue;
            };
            wants.decision = true;
            wants.body |= rest == ".body" || rest.starts_with(".body.");
            if let Some(name) = rest.strip_prefix(".headers.") {
                wants.headers.push((name.to_owned(), matches!(attribute.ty, Type::List(_))));
            }
        }
        wants.decision |= AttributeTable::new(&manifest.attributes).asks_for_point();
        wants.decision |=
            manifest.obligations.iter().any(|obligation| obligations::is_of_bodies(&obligation.action));
        wants
    }
}

/// The status, headers and perhaps the body of an answer.
pub(crate) struct Answered<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a Headers,
    /// Only if policies look at it.
    pub(crate) body: Option<&'a [u8]>,
}

impl Answered<'_> {
    /// Reads it into slots, with the request that it answers.
    ///
    /// # Errors
    /// [`RequestError`], also for a JSON body that is none.
    pub(crate) fn read(
        &self,
        wants: &WantsOfAnswers,
        request: &Seen,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        request.read(Point::Egress, table, slots)?;
        let mut headers = Map::new();
        for (name, is_list) in &wants.headers {
            let wire = name.replace('_', "-");
            let mut texts: Vec<Value> =
                values(self.headers, &wire).map(|value| String::from_utf8_lossy(value).into()).collect();
            match (texts.len(), is_list) {
                (0, _) => {}
                (1, false) => {
                    headers.extend(texts.pop().map(|text| (name.clone(), text)));
                }
                // For an attribute that is no list, several are unusable.
                _ => {
                    headers.insert(name.clone(), texts.into());
                }
            }
        }
        let mut json = serde_json::json!({ "status": self.status, "headers": headers }).to_string();
        if let Some(body) = self.body.filter(|body| is_json(self.headers, body)) {
            if is_encoded(self.headers) {
                let unread = "a body that policies look at has a content-encoding";
                return Err(RequestError::Malformed(unread.to_owned()));
            }
            let body: &RawValue = serde_json::from_slice(body)
                .map_err(|_| RequestError::Malformed("the answer's body is no JSON".to_owned()))?;
            json.pop();
            json.push_str(&format!(",\"body\":{body}}}"));
        }
        table.add_json(ROOT, json.as_bytes(), slots)
    }
}

/// Headers of an answer whose body is another one now.
pub(crate) fn rewritten(headers: &Headers, length: usize) -> Headers {
    /// What is of the very bytes.
    const OF_BYTES: [&str; 7] = [
        "accept-ranges",
        "content-digest",
        "content-length",
        "content-md5",
        "digest",
        "etag",
        "repr-digest",
    ];
    let stays = |(name, _): &&(String, Vec<u8>)| !OF_BYTES.contains(&name.to_ascii_lowercase().as_str());
    let mut headers: Headers = headers.iter().filter(stays).cloned().collect();
    headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
    headers
}
