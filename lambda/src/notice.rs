//! Telling the function which ADVISORY policies its event violates. What is added stands last, and all else stays as it
//! is, byte for byte: parsing an event and writing it anew could change its numbers.

use std::collections::BTreeMap;

use serde_json::{json, value::RawValue};

use crate::event::Event;

/// The header of HTTP events, with the policies' names between commas.
const HEADER: &str = "x-aecp-advisory";

/// The member of other events, with a list of the names.
const MEMBER: &str = "aecp_advisory";

/// The event with the names of these policies in it; `None` where there is no place for them.
pub(crate) fn added(event: &Event<'_>, bytes: &[u8], policies: &[&str]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    if !matches!(event, Event::Http(_)) {
        return Some(with_last(text, &member(MEMBER, &json!(policies))));
    }
    let names = policies.join(",");
    let mut result = text.to_owned();
    let places = [
        ("headers", member(HEADER, &json!(names))),
        ("multiValueHeaders", member(HEADER, &json!([names]))),
    ];
    let mut found: Vec<(&str, String)> = places
        .into_iter()
        .filter_map(|(place, member)| Some((members.get(place)?.get(), member)))
        .filter(|(object, _)| object.starts_with('{'))
        .collect();
    // From the end, so that places before it stay where they are.
    found.sort_by_key(|(object, _)| std::cmp::Reverse(object.as_ptr()));
    for (object, member) in &found {
        let start = object.as_ptr() as usize - text.as_ptr() as usize;
        let changed = with_last(object, member);
        result.replace_range(start..start + object.len(), &changed);
    }
    (!found.is_empty()).then_some(result)
}

fn member(name: &str, value: &serde_json::Value) -> String {
    format!("{}:{value}", json!(name))
}

/// A JSON object, which ends with `}`, with one member more.
fn with_last(object: &str, member: &str) -> String {
    let inside = object.strip_suffix('}').unwrap_or(object);
    let is_empty = inside.trim_end().ends_with('{') && inside.trim().len() == 1;
    let comma = if is_empty { "" } else { "," };
    format!("{inside}{comma}{member}}}")
}
