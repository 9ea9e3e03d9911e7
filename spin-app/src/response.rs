//! An answer on its way out, and what policies see of it.

use aecp_contract::{
    manifest::Point,
    request::{AttributeTable, HttpResponse, RequestError},
    slots::SlotBuffer,
};
use aecp_enforcer::{PolicyPre, obligations};

use crate::request::{Headers, Seen, is_encoded};

/// What policies ask of answers. Without any of it answers pass undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WantsOfAnswers {
    /// Whether there is anything to decide.
    pub(crate) decision: bool,
    /// Whether policies look at bodies.
    pub(crate) body: bool,
}

impl WantsOfAnswers {
    pub(crate) fn of(set: &PolicyPre) -> Self {
        let mut obligations = set.manifest().obligations.iter();
        let decision = set.asks_for_answers()
            || obligations.any(|obligation| obligations::is_of_bodies(&obligation.action));
        Self { decision, body: set.asks_for_answer_bodies() }
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
    /// Reads it into slots, with the request that it answers. A body that is no JSON is there but unusable.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(crate) fn read(
        &self,
        request: &Seen,
        set: &PolicyPre,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        request.read(Point::Egress, table, slots)?;
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        table.add_http_response(HttpResponse { status: self.status, headers }, slots)?;
        match self.body {
            Some(body) if !body.trim_ascii().is_empty() => {
                set.add_answer_body((!is_encoded(self.headers)).then_some(body), slots)
            }
            _ => Ok(()),
        }
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
