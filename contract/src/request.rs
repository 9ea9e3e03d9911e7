//! From a request to attribute slots, in one pass and without a tree of values: from JSON, and from HTTP.
//!
//! Nested objects and dotted keys are the same attribute. `null` is the same as leaving the attribute out.
//! An attribute that is given twice, or whose value is not of its declared type, is there but unusable
//! ([`crate::slots::Tag::Invalid`]), so that no reader of a request can be shown another value than the
//! policies saw. Attributes that no policy looks at are skipped, but what is no JSON is refused wherever it stands.
//! An escape of half a surrogate pair is JSON, but no text: such a value is unusable, such a name names nothing.
//!
//! `table` finds names, `json` and `number` go over text, `leaf` turns values into payloads, and `reader` joins
//! them: it is at one byte of the text at a time, keeps the objects that are open in a list, and allocates nothing
//! that it does not keep for the next request. Reading takes time and room in proportion to the text, however it
//! is nested.
//!
//! `http` reads a request's line and headers, with the same rules ([`HttpRequest`] says which attributes they are),
//! and takes the types of their texts from `text`.

use crate::{
    manifest::{AttributeDeclaration, POINT_ATTRIBUTE, Point, TIME_ATTRIBUTE},
    slots::{RequestTooLarge, SlotBuffer},
    value::{Timestamp, Value},
};

mod authzen;
mod http;
mod json;
mod leaf;
mod number;
mod reader;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub use authzen::AuthZenRequest;
pub use http::{HttpRequest, HttpResponse};

use json::{Fault, Scanner};
use reader::{Reader, Stop};
use table::{NameTree, REQUEST_NODE};

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
    names: NameTree,
    count: usize,
    /// The slots of [`TIME_ATTRIBUTE`] and [`POINT_ATTRIBUTE`].
    time: Option<usize>,
    point: Option<usize>,
}

impl AttributeTable {
    /// The table of a manifest's attributes; an attribute's slot is its index.
    #[must_use]
    pub fn new(attributes: &[AttributeDeclaration]) -> Self {
        let slot = |path: &str| attributes.iter().position(|attribute| attribute.path == path);
        Self {
            names: NameTree::new(attributes),
            count: attributes.len(),
            time: slot(TIME_ATTRIBUTE),
            point: slot(POINT_ATTRIBUTE),
        }
    }

    /// The number of attributes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the set looks at no attribute at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the set asks at which point of enforcement a request is decided.
    #[must_use]
    pub fn asks_for_point(&self) -> bool {
        self.point.is_some()
    }

    /// Fills in what the set asks for of the request's circumstances where the request itself leaves it out: its time, and
    /// the point of enforcement if that is known. The clock is read only if it is asked for.
    ///
    /// # Errors
    /// [`RequestTooLarge`].
    pub fn fill_in(
        &self,
        point: Option<Point>,
        now: impl FnOnce() -> Timestamp,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestTooLarge> {
        if let Some(slot) = self.time
            && slots.is_missing(slot)
        {
            slots.set_value(slot, &Value::Timestamp(now()))?;
        }
        if let (Some(slot), Some(point)) = (self.point, point)
            && slots.is_missing(slot)
        {
            slots.set_text(slot, point.as_str())?;
        }
        Ok(())
    }

    /// Reads a request in the plain form: one JSON object of attributes. `slots` is reset first.
    ///
    /// # Errors
    /// [`RequestError`] if it is no JSON object, or too large.
    pub fn read_json(&self, json: &[u8], slots: &mut SlotBuffer) -> Result<(), RequestError> {
        slots.reset();
        // Checked for the whole text at once, so that its pieces need not be.
        let text = std::str::from_utf8(json).map_err(|error| not_utf8(json, error.valid_up_to()))?;
        let scan = Scanner::new(text);
        let read = Reader { names: &self.names, scan, slots }.object(0, REQUEST_NODE);
        read.and_then(|at| Ok(scan.end(at)?)).map_err(|stop| RequestError::new(stop, text))
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
        authzen::read(self, request, slots)
    }

    /// Reads the line and headers of an HTTP request, as [`HttpRequest`] describes. `slots` is reset first.
    ///
    /// # Errors
    /// [`RequestError::TooLarge`].
    pub fn read_http<'h, H>(
        &self,
        request: HttpRequest<'h, H>,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        slots.reset();
        Ok(http::read(&self.names, request, slots)?)
    }

    /// Reads the status and headers of an HTTP response, as [`HttpResponse`] describes, into slots that hold its request.
    ///
    /// # Errors
    /// [`RequestError::TooLarge`].
    pub fn add_http_response<'h, H>(
        &self,
        response: HttpResponse<H>,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        Ok(http::read_response(&self.names, response, slots)?)
    }

    /// Reads JSON as the value of `name`, as if it stood there in the plain form, into slots that already hold other
    /// parts of the request: an HTTP body as `body`, the claims of a token as `principal`. What is given here and in
    /// another part is given twice. A part that is left out is missing, and a policy may ask for that: a body that is
    /// too long to be read is to be refused, not left out.
    ///
    /// # Errors
    /// [`RequestError`] if it is no JSON, or too large; the slots must then be read into anew.
    pub fn add_json(&self, name: &str, json: &[u8], slots: &mut SlotBuffer) -> Result<(), RequestError> {
        let text = std::str::from_utf8(json).map_err(|error| not_utf8(json, error.valid_up_to()))?;
        let scan = Scanner::new(text);
        let mut reader = Reader { names: &self.names, scan, slots };
        let read = match reader.walk(REQUEST_NODE, name.as_bytes()) {
            Some(node) => reader.value(0, node),
            None => scan.skip(0).map_err(Stop::from),
        };
        read.and_then(|at| Ok(scan.end(at)?)).map_err(|stop| RequestError::new(stop, text))
    }
}

impl RequestError {
    #[cold]
    fn new(stop: Stop, text: &str) -> Self {
        match stop {
            Stop::TooLarge => Self::TooLarge(RequestTooLarge),
            Stop::Malformed(fault) => {
                let Fault { at, expected } = *fault;
                let ends = if at >= text.len() { ", where the text ends" } else { "" };
                let place = place(text.as_bytes(), at);
                Self::Malformed(format!("expected {expected} at {place}{ends}"))
            }
        }
    }
}

#[cold]
fn not_utf8(json: &[u8], at: usize) -> RequestError {
    RequestError::Malformed(format!("expected UTF-8 at {}", place(json, at)))
}

/// Line and column of a byte, both from 1; columns count bytes.
fn place(text: &[u8], at: usize) -> String {
    let before = &text[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    format!("line {line} column {column}")
}
