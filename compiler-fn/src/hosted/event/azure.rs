//! Events of Azure: Event Grid's own schema, and what an Azure Functions host puts around them.

use serde_json::Value;
use url::Url;

use super::{Event, MAX_OBJECTS, Object, created_objects, nothing, percent_decoded, text};

/// The type of a new blob.
pub(super) const BLOB_CREATED: &str = "Microsoft.Storage.BlobCreated";

/// The type of the question whether events are wanted.
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// How often a host may have encoded an event as a text.
const MAX_ENCODED: usize = 2;

/// What an event, a list of them or a host's request says; `None` if it is none of them.
pub(super) fn of_value(value: &Value) -> Option<Event> {
    if let Some(events) = value.as_array() {
        let all: Option<Vec<Event>> = events.iter().take(MAX_OBJECTS).map(of_event).collect();
        return Some(merged(all?));
    }
    of_event(value).or_else(|| of_host(value))
}

fn of_event(value: &Value) -> Option<Event> {
    Some(match text(value, "/eventType").or_else(|| text(value, "/type"))? {
        BLOB_CREATED => blob_created(value.get("data")?),
        VALIDATION => Event::Handshake(text(value, "/data/validationCode")?.to_owned()),
        other => nothing(format!("an Event Grid event of type `{:.100}`", other.escape_debug())),
    })
}

/// A handshake comes alone, and so does a timer; of anything else the objects count.
fn merged(events: Vec<Event>) -> Event {
    let mut objects = Vec::new();
    for event in events {
        match event {
            Event::Created(more) => objects.extend(more),
            Event::Handshake(_) | Event::Check => return event,
            Event::Nothing(_) => {}
        }
    }
    created_objects(objects.into_iter(), "Event Grid events without a new blob")
}

pub(super) fn blob_created(data: &Value) -> Event {
    let object = text(data, "/url").and_then(of_url);
    created_objects(object.into_iter(), "a new blob without a URL")
}

/// `https://<account>.blob.core.windows.net/<container>/<key>`.
fn of_url(url: &str) -> Option<Object> {
    let path = percent_decoded(Url::parse(url).ok()?.path())?;
    let (bucket, key) = path.strip_prefix('/')?.split_once('/')?;
    Some(Object { bucket: bucket.to_owned(), key: key.to_owned() })
}

/// `{"Data":{"<binding>":…},"Metadata":{…}}`: an Event Grid trigger's event is the binding, and of a blob trigger the
/// metadata say which blob it is. A timer's says whether it comes late.
fn of_host(value: &Value) -> Option<Event> {
    let data = value.get("Data")?.as_object()?;
    let metadata = value.get("Metadata").unwrap_or(&Value::Null);
    if let Some(uri) = metadata.get("Uri").map(decoded)
        && let Some(object) = uri.as_str().and_then(of_url)
    {
        return Some(Event::Created(vec![object]));
    }
    let events = data.values().map(decoded).filter(|value| value.is_object() || value.is_array());
    let known = events.map(|event| match event.get("Data") {
        // What a host sends is not in itself again.
        Some(_) => nothing("a request in a request"),
        None if ["IsPastDue", "isPastDue"].iter().any(|late| event.get(late).is_some()) => Event::Check,
        None => super::of_value(&event),
    });
    Some(merged(known.take(MAX_OBJECTS).collect()))
}

/// A value that may be JSON in a text, or that in a text again.
fn decoded(value: &Value) -> Value {
    let mut value = value.clone();
    for _ in 0..MAX_ENCODED {
        let Some(inner) = value.as_str().and_then(|text| serde_json::from_str(text).ok()) else { break };
        value = inner;
    }
    value
}
