//! What a function is invoked with, as requests: the attributes that policies see.
//!
//! | attribute | of | is |
//! |---|---|---|
//! | `lambda.event` | all | `rest_api`, `http_api`, `function_url`, `alb`, `sqs`, `sns`, `s3`, `eventbridge` or `json` |
//! | `lambda.function` | all | the ARN that was invoked |
//! | `request.method`, `.path`, `.query.<name>`, `.headers.<name>` | HTTP | as [`HttpRequest`] says: the names that the sidecar's callers use |
//! | `source.ip` | HTTP | the client's address as API Gateway or the function URL saw it; behind a load balancer, the last of `x-forwarded-for` |
//! | `principal.arn`, `principal.account` | HTTP | the caller that signed with IAM |
//! | `principal.claims.<name>` | HTTP | claims of the JWT that a JWT or Cognito authorizer checked |
//! | `principal.authorizer.<name>` | HTTP | what a Lambda authorizer said |
//! | `body.<name>` | HTTP, `sqs`, `sns` | members of a body or message that is JSON |
//! | `event.<name>` | `sqs`, `sns`, `s3` | members of the record; each record is a request of its own |
//! | `event.<name>` | `eventbridge`, `json` | members of the event itself |
//! | `event.detail_type` | `eventbridge` | its `detail-type`, which is no name of the language |
//!
//! The type of an event is seen by its form, as functions see it themselves. Whoever may invoke the function directly can
//! give it an event of any form, and so any attributes: that is what the function's resource policy is for. What looks like
//! HTTP and cannot be read as such is denied.
//!
//! [`HttpRequest`]: aecp_contract::request::HttpRequest

use std::collections::BTreeMap;

use aecp_contract::{
    request::{AttributeTable, RequestError},
    slots::SlotBuffer,
};
use serde_json::{json, value::RawValue};

mod http;
mod records;

pub(crate) use http::{HttpEvent, Source};
pub(crate) use records::{Records, Service};

/// An event by its form.
pub(crate) enum Event<'a> {
    /// An HTTP request.
    Http(Box<HttpEvent<'a>>),
    /// Records, each a request.
    Records(Records<'a>),
    /// An event of EventBridge, with its `detail-type`.
    Bus(&'a [u8], &'a RawValue),
    /// Any other JSON; or none, which is found out when it is read.
    Json(&'a [u8]),
    /// It looks like HTTP, and is of no form that is known.
    Unclear,
}

impl<'a> Event<'a> {
    /// The event in these bytes.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        if let Some(event) = HttpEvent::of(bytes) {
            return Self::Http(Box::new(event));
        }
        let Ok(members) = serde_json::from_slice::<BTreeMap<String, &'a RawValue>>(bytes) else {
            return Self::Json(bytes);
        };
        let has = |name| members.contains_key(name);
        if has("requestContext") && (has("httpMethod") || has("rawPath")) {
            return Self::Unclear;
        }
        match (members.get("Records").and_then(|list| Records::of(list)), members.get("detail-type")) {
            (Some(records), _) => Self::Records(records),
            (None, Some(kind)) if has("detail") && has("source") => Self::Bus(bytes, kind),
            _ => Self::Json(bytes),
        }
    }

    /// How many requests it is.
    pub(crate) fn requests(&self) -> usize {
        match self {
            Self::Records(records) => records.records.len(),
            _ => 1,
        }
    }

    /// Reads one of its requests into slots that are empty. `wants_body` says whether the policies look at bodies; a body
    /// that nobody looks at need be no JSON.
    ///
    /// # Errors
    /// [`RequestError`]: such a request is denied.
    pub(crate) fn read(
        &self,
        request: usize,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
        function: &str,
        wants_body: bool,
    ) -> Result<(), RequestError> {
        match self {
            Self::Http(event) => event.read(table, slots, wants_body)?,
            Self::Records(records) => {
                let missing = || RequestError::Malformed("expected one record more".to_owned());
                let record = records.records.get(request).ok_or_else(missing)?;
                record.read(table, slots, wants_body)?;
            }
            Self::Bus(bytes, kind) => {
                table.add_json("event", bytes, slots)?;
                table.add_json("event.detail_type", kind.get().as_bytes(), slots)?;
            }
            Self::Json(bytes) => table.add_json("event", bytes, slots)?,
            Self::Unclear => {
                let form = "expected a form of HTTP that API Gateway or a load balancer gives";
                return Err(RequestError::Malformed(form.to_owned()));
            }
        }
        let lambda = json!({ "event": self.kind(), "function": function });
        table.add_json("lambda", lambda.to_string().as_bytes(), slots)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Http(event) => event.source.as_str(),
            Self::Records(records) => records.service.as_str(),
            Self::Bus(..) => "eventbridge",
            Self::Json(_) | Self::Unclear => "json",
        }
    }
}

/// Whether a text starts as objects and arrays of JSON do: a function may well read it as JSON then, whatever it is said
/// to be.
fn looks_like_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}
