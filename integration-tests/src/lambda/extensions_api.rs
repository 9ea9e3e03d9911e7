//! The Extensions API.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>.

use axum::{
    Router,
    extract::State as Shared,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    api::{Api, failed, refused},
    state::{Extension, Phase, State},
};

/// The most extensions.
const MAX_EXTENSIONS: usize = 10;

const NAME: &str = "lambda-extension-name";
const IDENTIFIER: &str = "lambda-extension-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";
const FEATURES: &str = "lambda-extension-accept-feature";

/// An error's type and message.
type Refusal = (&'static str, &'static str);

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/2020-01-01/extension/register", post(register))
        .route("/2020-01-01/extension/event/next", get(next))
        .route("/2020-01-01/extension/init/error", post(error))
        .route("/2020-01-01/extension/exit/error", post(error))
}

async fn register(Shared(api): Shared<Api>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(name) = text(&headers, NAME).filter(|name| !name.is_empty()) else {
        return forbidden(
            "Extension.InvalidExtensionName",
            "the header Lambda-Extension-Name is missing",
        );
    };
    let Ok(Value::Object(request)) = serde_json::from_slice(&body) else {
        return forbidden("InvalidRequestFormat", "expected an object");
    };
    let events = request.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
    let wants: Vec<String> = events.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let is_external = api.config.extensions.iter().any(|path| path.file_name() == Some(name.as_ref()));
    let may = |event: &String| event == "INVOKE" || (event == "SHUTDOWN" && is_external);
    if wants.len() != events.len() || !wants.iter().all(may) {
        return forbidden(
            "Extension.InvalidEventType",
            "expected INVOKE and SHUTDOWN; internal extensions get INVOKE alone",
        );
    }
    let mut result = Err(("Extension.RegistrationClosed", "Init is over"));
    api.state.send_modify(|state| result = state.register(name, wants));
    let id = match result {
        Ok(id) => id,
        Err((kind, message)) => return forbidden(kind, message),
    };
    let mut answer = json!({
        "functionName": api.config.name, "functionVersion": "$LATEST", "handler": api.config.handler,
    });
    if text(&headers, FEATURES).is_some_and(|features| features.contains("accountId")) {
        answer["accountId"] = json!("123456789012");
    }
    let headers = [(IDENTIFIER, id), ("content-type", "application/json".to_owned())];
    (headers, answer.to_string()).into_response()
}

impl State {
    fn register(&mut self, name: &str, wants: Vec<String>) -> Result<String, Refusal> {
        if self.phase != Phase::Init {
            return Err(("Extension.RegistrationClosed", "Init is over"));
        }
        if self.are_registered([name].into_iter()) {
            return Err(("Extension.InvalidExtensionState", "the extension is registered"));
        }
        if self.extensions.len() == MAX_EXTENSIONS {
            return Err(("Extension.TooManyExtensions", "there can be ten extensions"));
        }
        let id = format!("{:08x}-0000-4000-8000-{:012x}", self.environment, self.extensions.len());
        let (name, events) = (name.to_owned(), Default::default());
        self.extensions.push(Extension {
            name,
            id: id.clone(),
            wants,
            waits: false,
            ready: None,
            events,
        });
        Ok(id)
    }

    fn extension(&mut self, id: &str) -> Option<&mut Extension> {
        self.extensions.iter_mut().find(|extension| extension.id == id)
    }
}

/// The next event, which is waited for as long as it takes.
async fn next(Shared(api): Shared<Api>, headers: HeaderMap) -> Response {
    let id = match identified(&api, &headers) {
        Ok(id) => id,
        Err((kind, message)) => return forbidden(kind, message),
    };
    api.state.send_modify(|state| {
        let since = state.began.map(|began| began.elapsed());
        if let Some(extension) = state.extension(&id) {
            extension.waits = true;
            extension.ready = extension.ready.or(since);
        }
    });
    let is_there = |state: &State| state.extensions.iter().any(|e| e.id == id && !e.events.is_empty());
    // The sender lives as long as this does.
    let _ = api.state.subscribe().wait_for(is_there).await;
    let mut event = None;
    api.state.send_modify(|state| {
        event = state.extension(&id).and_then(|extension| {
            extension.waits = false;
            extension.events.pop_front()
        });
    });
    let headers = [
        ("lambda-extension-event-identifier", "00000000-0000-4000-8000-ffffffffffff"),
        ("content-type", "application/json"),
    ];
    match event {
        Some(event) => (headers, event.to_string()).into_response(),
        None => forbidden("Extension.InvalidExtensionState", "another call took the event"),
    }
}

/// `init/error` and `exit/error`: the environment ends.
async fn error(Shared(api): Shared<Api>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err((kind, message)) = identified(&api, &headers) {
        return forbidden(kind, message);
    }
    match text(&headers, ERROR_TYPE) {
        Some(kind) => failed(&api, kind, &body),
        None => forbidden(
            "Extension.MissingHeader",
            "the header Lambda-Extension-Function-Error-Type is missing",
        ),
    }
}

fn identified(api: &Api, headers: &HeaderMap) -> Result<String, Refusal> {
    let Some(id) = text(headers, IDENTIFIER) else {
        let message = "the header Lambda-Extension-Identifier is missing";
        return Err(("Extension.MissingExtensionIdentifier", message));
    };
    if api.state.borrow().extensions.iter().any(|extension| extension.id == id) {
        return Ok(id.to_owned());
    }
    Err(("Extension.UnknownExtensionIdentifier", "there is no such extension"))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn forbidden(kind: &str, message: &str) -> Response {
    refused(StatusCode::FORBIDDEN, kind, message)
}
