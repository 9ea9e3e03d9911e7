//! The events of three clouds, each to the objects that it tells of. Nothing else in an event is believed.
//!
//! Sources: AWS "Event message structure" (S3) and "EventBridge object created"; CloudEvents 1.0 with its HTTP binding, and
//! Eventarc's `google.cloud.storage.object.v1.finalized`; Azure Event Grid's schema and its handshake; Azure Functions
//! "custom handlers". All are read leniently: a field that is not needed may be missing or of another type.

mod azure;
#[cfg(test)]
mod tests;

use serde_json::Value;
use url::Url;

/// The most bytes of an event: an Azure Functions host sends a blob along, in base64.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// The most objects of one event.
const MAX_OBJECTS: usize = 1000;

/// What schedules of AWS and Google are to send: `{"check":"channels"}`. On Azure it is a timer's trigger.
pub const CHECK: (&str, &str) = ("check", "channels");

/// The type of Google's event for a new object.
const FINALIZED: &str = "google.cloud.storage.object.v1.finalized";

/// An object of which an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bucket or container.
    pub bucket: String,
    /// Its key there.
    pub key: String,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These objects are new.
    Created(Vec<Object>),
    /// A schedule's: the releases in force are to be looked at.
    Check,
    /// Azure Event Grid asks whether its events are wanted here; this is the code to answer with.
    Handshake(String),
    /// Nothing for the compiler, for the reason that is told: an event that would never be anything else.
    Nothing(String),
}

/// Reads an event by what its JSON looks like: an S3 notification, an EventBridge event, a CloudEvent in structured mode, an
/// object of Cloud Storage, an Event Grid event or list of them, the request of an Azure Functions host, or [`CHECK`].
#[must_use]
pub fn parse(body: &[u8]) -> Event {
    match json(body) {
        Ok(value) => of_value(&value),
        Err(event) => event,
    }
}

/// Reads a CloudEvent in binary mode: its `ce-type` header and the body.
#[must_use]
pub fn binary_cloud_event(ce_type: &str, body: &[u8]) -> Event {
    match json(body) {
        Ok(value) => cloud_event(ce_type, &value),
        Err(event) => event,
    }
}

fn json(body: &[u8]) -> Result<Value, Event> {
    if body.len() > MAX_EVENT_BYTES {
        return Err(nothing(format!("an event of more than {MAX_EVENT_BYTES} bytes")));
    }
    serde_json::from_slice(body).map_err(|error| nothing(format!("an event that is no JSON: {error}")))
}

fn of_value(value: &Value) -> Event {
    if let Some(records) = value.get("Records").and_then(Value::as_array) {
        return s3(records);
    }
    if let Some(ce_type) = value.get("specversion").and_then(|_| text(value, "/type")) {
        return cloud_event(ce_type, value.get("data").unwrap_or(&Value::Null));
    }
    if text(value, "/source") == Some("aws.s3") {
        return event_bridge(value);
    }
    // Cloud Storage's own notification of a new object, as a Pub/Sub subscription pushes it unwrapped.
    if text(value, "/kind") == Some("storage#object") {
        return cloud_event(FINALIZED, value);
    }
    if value.get(CHECK.0).and_then(Value::as_str) == Some(CHECK.1) {
        return Event::Check;
    }
    if let Some(event) = azure::of_value(value) {
        return event;
    }
    match text(value, "/Event") {
        Some("s3:TestEvent") => nothing("the test event of S3"),
        _ => nothing("an event of no shape that is known here"),
    }
}

/// An S3 notification; its keys are form-encoded.
fn s3(records: &[Value]) -> Event {
    let created = records.iter().filter(|record| {
        text(record, "/eventName")
            .is_some_and(|name| name.trim_start_matches("s3:").starts_with("ObjectCreated:"))
    });
    let object = |record: &Value| {
        let key = text(record, "/s3/object/key")?.replace('+', " ");
        Some(Object { bucket: text(record, "/s3/bucket/name")?.to_owned(), key: percent_decoded(&key)? })
    };
    created_objects(created.filter_map(object), "a notification of S3 without a new object")
}

/// An event of EventBridge; its key is as it is.
fn event_bridge(value: &Value) -> Event {
    let created = text(value, "/detail-type") == Some("Object Created");
    let object = || {
        let bucket = text(value, "/detail/bucket/name")?.to_owned();
        Some(Object { bucket, key: text(value, "/detail/object/key")?.to_owned() })
    };
    created_objects(
        created.then(object).flatten().into_iter(),
        "an EventBridge event without a new object",
    )
}

fn cloud_event(ce_type: &str, data: &Value) -> Event {
    match ce_type {
        FINALIZED => {
            let object = || {
                let bucket = text(data, "/bucket")?.to_owned();
                Some(Object { bucket, key: text(data, "/name")?.to_owned() })
            };
            created_objects(object().into_iter(), "a storage event without bucket and name")
        }
        azure::BLOB_CREATED => azure::blob_created(data),
        other => nothing(format!("a CloudEvent of type `{:.100}`", other.escape_debug())),
    }
}

fn created_objects(objects: impl Iterator<Item = Object>, otherwise: &str) -> Event {
    let objects: Vec<Object> = objects.take(MAX_OBJECTS).collect();
    if objects.is_empty() { nothing(otherwise) } else { Event::Created(objects) }
}

fn nothing(why: impl Into<String>) -> Event {
    Event::Nothing(why.into())
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The text that `%XX` stand for; `None` if it is no UTF-8, or a `%` stands alone.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Where a store is, as events name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    bucket: String,
    prefix: String,
}

impl Place {
    /// Of a store's URL: the bucket or container, and what its keys begin with. A folder's bucket is its own name.
    #[must_use]
    pub fn of_store(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let path = percent_decoded(url.path())?;
        let path = path.trim_matches('/');
        if url.scheme() == "file" {
            let bucket = path.rsplit('/').next()?.to_owned();
            return Some(Self { bucket, prefix: String::new() });
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        Some(Self { bucket: url.host_str()?.to_owned(), prefix })
    }

    /// The object's key relative to the store; `None` if it lies elsewhere.
    #[must_use]
    pub fn relative<'a>(&self, object: &'a Object) -> Option<&'a str> {
        let here = object.bucket == self.bucket;
        object.key.strip_prefix(&self.prefix).filter(|_| here)
    }
}
