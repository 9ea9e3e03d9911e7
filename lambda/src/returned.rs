//! What a function returned, as an answer to its event: what policies see of it, and how its body is put in another's place.
//!
//! Answers to HTTP events have the forms of API Gateway, function URLs and load balancers, or are streamed behind a prelude
//! (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>). Answers to all other events are
//! the JSON that the function returned.

use std::collections::BTreeMap;

use aecp_contract::{
    request::{AttributeTable, HttpResponse, RequestError},
    slots::SlotBuffer,
};
use aecp_enforcer::PolicyPre;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::event::{Event, Source};

/// What stands between the prelude of a streamed HTTP response and its body.
pub(crate) const DELIMITER: [u8; 8] = [0; 8];

/// An answer of a form that is not known.
#[derive(Debug)]
pub(crate) struct Unclear;

/// An answer.
pub(crate) struct Returned<'a> {
    /// What it is apart from its body; `None` if it answers no HTTP request.
    head: Option<Head<'a>>,
    body: Body<'a>,
}

struct Head<'a> {
    /// What the head stands in: the whole answer, or its prelude; nothing where all of the answer is body.
    text: &'a str,
    status: u16,
    headers: Vec<(String, String)>,
    /// The values that say how long the body is.
    lengths: Vec<&'a RawValue>,
}

enum Body<'a> {
    /// None, or one that is not there yet.
    Absent,
    /// The whole answer, or what comes behind its prelude.
    Plain(&'a [u8]),
    /// A text in the answer, perhaps in base64, and its bytes; `None` if that is what it is not.
    Text { value: &'a RawValue, base64: bool, bytes: Option<Vec<u8>> },
    /// JSON in the answer that is no text.
    Value(&'a RawValue),
}

/// The members of all forms. One that stands twice is refused: nobody knows which the gateway takes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form<'a> {
    status_code: Option<Value>,
    #[serde(borrow)]
    headers: Option<BTreeMap<String, &'a RawValue>>,
    #[serde(borrow)]
    multi_value_headers: Option<BTreeMap<String, &'a RawValue>>,
    cookies: Option<Vec<String>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    is_base64_encoded: Option<bool>,
}

impl<'a> Returned<'a> {
    /// The answer to this event in these bytes.
    ///
    /// # Errors
    /// [`Unclear`].
    pub(crate) fn of(event: &Event<'_>, bytes: &'a [u8]) -> Result<Self, Unclear> {
        let Event::Http(event) = event else { return Ok(Self::plain(None, bytes)) };
        let text = std::str::from_utf8(bytes).map_err(|_| Unclear)?;
        let is_object = text.trim_ascii_start().starts_with('{');
        let form: Form<'a> = match serde_json::from_str(text) {
            Ok(form) if is_object => form,
            Err(_) if is_object => return Err(Unclear),
            _ => return Ok(Self::plain(Some(Head::of_json()), bytes)),
        };
        // Without a status, formats 1.0 mean 200, and 2.0 that all of it is the body.
        let old = matches!(event.source, Source::RestApi | Source::LoadBalancer);
        if form.status_code.is_none() && !(old && form.body.is_some()) {
            return Ok(Self::plain(Some(Head::of_json()), bytes));
        }
        let base64 = form.is_base64_encoded.unwrap_or(false);
        let body = match form.body {
            None => Body::Absent,
            Some(value) if !value.get().starts_with('"') => Body::Value(value),
            Some(value) => {
                let text: Option<String> = serde_json::from_str(value.get()).ok();
                let bytes = text.and_then(|text| {
                    if base64 { BASE64_STANDARD.decode(text).ok() } else { Some(text.into_bytes()) }
                });
                Body::Text { value, base64, bytes }
            }
        };
        Ok(Self { head: Some(Head::of(text, form)?), body })
    }

    /// The answer to this event that is streamed, as far as it is there: `prelude` if it has one, and what comes after.
    ///
    /// # Errors
    /// [`Unclear`].
    pub(crate) fn streamed(
        event: &Event<'_>,
        prelude: Option<&'a [u8]>,
        body: &'a [u8],
    ) -> Result<Self, Unclear> {
        let head = match (event, prelude) {
            (Event::Http(_), Some(prelude)) => {
                let text = std::str::from_utf8(prelude).map_err(|_| Unclear)?;
                Some(Head::of(text, serde_json::from_str(text).map_err(|_| Unclear)?)?)
            }
            (Event::Http(_), None) => Some(Head { headers: Vec::new(), ..Head::of_json() }),
            _ => None,
        };
        Ok(Self::plain(head, body))
    }

    fn plain(head: Option<Head<'a>>, bytes: &'a [u8]) -> Self {
        let body = if bytes.trim_ascii().is_empty() { Body::Absent } else { Body::Plain(bytes) };
        Self { head, body }
    }

    /// Reads the answer into slots that hold its request.
    ///
    /// # Errors
    /// [`RequestError`].
    pub(crate) fn read(
        &self,
        set: &PolicyPre,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        if let Some(Head { status, headers, .. }) = &self.head {
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            table.add_http_response(HttpResponse { status: *status, headers }, slots)?;
        }
        if let Some(body) = self.body() { set.add_answer_body(body, slots) } else { Ok(()) }
    }

    /// The body if there is one; `Some(None)` if it cannot be decoded.
    pub(crate) fn body(&self) -> Option<Option<&[u8]>> {
        match &self.body {
            Body::Absent => None,
            Body::Plain(bytes) => Some(Some(bytes)),
            Body::Value(value) => Some(Some(value.get().as_bytes())),
            Body::Text { bytes: Some(bytes), .. } if bytes.is_empty() => None,
            Body::Text { bytes, .. } => Some(bytes.as_deref()),
        }
    }

    /// The answer with this body in the place of its own. All else stays byte for byte, but for the body's length.
    pub(crate) fn with_body(&self, body: &[u8]) -> Vec<u8> {
        let mut edits: Vec<(&RawValue, String)> = Vec::new();
        match &self.body {
            Body::Text { value, base64: true, .. } => {
                edits.push((value, json!(BASE64_STANDARD.encode(body)).to_string()));
            }
            Body::Text { value, .. } => {
                edits.push((value, json!(String::from_utf8_lossy(body)).to_string()));
            }
            Body::Value(value) => edits.push((value, String::from_utf8_lossy(body).into_owned())),
            Body::Absent | Body::Plain(_) => {}
        }
        let Some(head) = &self.head else { return body.to_vec() };
        for value in &head.lengths {
            let length = body.len().to_string();
            let written = match value.get().as_bytes().first() {
                Some(b'[') => json!([length]).to_string(),
                Some(b'"') => json!(length).to_string(),
                _ => length,
            };
            edits.push((value, written));
        }
        let mut text = head.text.to_owned();
        // From the end, so that places before it stay where they are.
        edits.sort_by_key(|(value, _)| std::cmp::Reverse(value.get().as_ptr()));
        for (value, written) in &edits {
            let start = (value.get().as_ptr() as usize).saturating_sub(head.text.as_ptr() as usize);
            text.replace_range(start..start + value.get().len(), written);
        }
        match &self.body {
            // The whole answer is the body.
            Body::Plain(_) if head.text.is_empty() => body.to_vec(),
            Body::Plain(_) => [text.as_bytes(), &DELIMITER, body].concat(),
            _ => text.into_bytes(),
        }
    }
}

impl<'a> Head<'a> {
    /// That of an answer that is all body.
    fn of_json() -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { text: "", status: 200, headers, lengths: Vec::new() }
    }

    fn of(text: &'a str, form: Form<'a>) -> Result<Self, Unclear> {
        let status = match form.status_code {
            None => Some(200),
            Some(Value::String(status)) => status.parse().ok(),
            Some(status) => status.as_u64().and_then(|status| u16::try_from(status).ok()),
        };
        let (mut headers, mut lengths) = (Vec::new(), Vec::new());
        let given = [form.headers, form.multi_value_headers].into_iter().flatten().flatten();
        for (name, value) in given {
            if name.eq_ignore_ascii_case("content-length") {
                lengths.push(value);
            }
            let values = match serde_json::from_str(value.get()).map_err(|_| Unclear)? {
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                match value {
                    Value::Null => {}
                    Value::String(value) => headers.push((name.clone(), value)),
                    Value::Object(_) | Value::Array(_) => return Err(Unclear),
                    value => headers.push((name.clone(), value.to_string())),
                }
            }
        }
        let cookies = form.cookies.unwrap_or_default().into_iter();
        headers.extend(cookies.map(|cookie| ("set-cookie".to_owned(), cookie)));
        Ok(Self { text, status: status.ok_or(Unclear)?, headers, lengths })
    }
}
