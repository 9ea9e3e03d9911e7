//! What a function is invoked with, as a request: the attributes that policies see.
//!
//! | attribute | of | is |
//! |---|---|---|
//! | `lambda.event` | all | `rest_api`, `http_api`, `function_url`, `alb` or `json` |
//! | `lambda.function` | all | the ARN that was invoked |
//! | `request.method`, `.path`, `.query.<name>`, `.headers.<name>` | HTTP | as [`HttpRequest`] says: the names that the sidecar's callers use |
//! | `source.ip` | HTTP | the client's address as API Gateway or the function URL saw it; behind a load balancer, the last of `x-forwarded-for` |
//! | `principal.arn`, `principal.account` | HTTP | the caller that signed with IAM |
//! | `principal.claims.<name>` | HTTP | claims of the JWT that a JWT or Cognito authorizer checked |
//! | `principal.authorizer.<name>` | HTTP | what a Lambda authorizer said |
//! | `body.<name>` | HTTP | members of a JSON body |
//! | `event.<name>` | `json` | members of the event itself |
//!
//! The type of an event is seen by its form, as functions see it themselves. Whoever may invoke the function directly can
//! give it an event of any form, and so any attributes: that is what the function's resource policy is for.
//!
//! [`HttpRequest`]: aecp_contract::request::HttpRequest

use aecp_contract::{
    request::{AttributeTable, RequestError},
    slots::SlotBuffer,
};
use serde_json::json;

mod http;

pub(crate) use http::{HttpEvent, Source};

/// An event by its form.
pub(crate) enum Event<'a> {
    /// An HTTP request.
    Http(Box<HttpEvent<'a>>),
    /// Any other JSON; or none, which is found out when it is read.
    Json(&'a [u8]),
}

impl<'a> Event<'a> {
    /// The event in these bytes.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        HttpEvent::of(bytes).map_or(Self::Json(bytes), |event| Self::Http(Box::new(event)))
    }

    /// Reads the event into slots. `wants_body` says whether the policies look at HTTP bodies; a body that nobody looks at
    /// need be no JSON.
    ///
    /// # Errors
    /// [`RequestError`]: such an event is denied.
    pub(crate) fn read(
        &self,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
        function: &str,
        wants_body: bool,
    ) -> Result<(), RequestError> {
        match self {
            Self::Http(event) => event.read(table, slots, wants_body)?,
            Self::Json(bytes) => table.add_json("event", bytes, slots)?,
        }
        let lambda = json!({ "event": self.kind(), "function": function });
        table.add_json("lambda", lambda.to_string().as_bytes(), slots)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Http(event) => event.source.as_str(),
            Self::Json(_) => "json",
        }
    }
}
