//! What a denied invocation is answered with, in the form that its source understands.

use aecp_enforcer::record::Answer;
use serde_json::{Value, json};

use crate::event::{Event, HttpEvent, Source};

/// An answer in the function's place.
pub(crate) struct Denial {
    /// JSON.
    pub(crate) body: String,
    /// The type of the error; `None` if the answer is a response.
    pub(crate) error_type: Option<&'static str>,
}

impl Denial {
    /// 403 for HTTP, an error for all else.
    pub(crate) fn of(event: &Event<'_>, answer: &Answer) -> Self {
        match event {
            Event::Http(event) => Self { body: forbidden(event, answer).to_string(), error_type: None },
            _ => Self::error(answer),
        }
    }

    /// An error of the function, `AECP.Denied`.
    pub(crate) fn error(answer: &Answer) -> Self {
        let message = format!("denied by policy ({})", code(answer));
        let body = json!({ "errorMessage": message, "errorType": "AECP.Denied", "stackTrace": [] });
        Self { body: body.to_string(), error_type: Some("AECP.Denied") }
    }
}

/// Problem details (RFC 9457). Clients are not told which policies there are: the log has them, under the request's id.
fn forbidden(event: &HttpEvent<'_>, answer: &Answer) -> Value {
    let problem = json!({ "title": "Forbidden", "status": 403, "code": code(answer) }).to_string();
    let media_type = "application/problem+json";
    let mut response = json!({ "statusCode": 403, "isBase64Encoded": false, "body": problem });
    if event.source == Source::LoadBalancer {
        response["statusDescription"] = json!("403 Forbidden");
    }
    if event.source == Source::LoadBalancer && event.multi_value {
        response["multiValueHeaders"] = json!({ "content-type": [media_type] });
    } else {
        response["headers"] = json!({ "content-type": media_type });
    }
    response
}

/// Why, as a constant.
fn code(answer: &Answer) -> &'static str {
    match answer.decided().reason() {
        Some(reason) => reason.as_str(),
        None if answer.permit().is_ok() => "obligation_unsupported",
        None => "denied",
    }
}
