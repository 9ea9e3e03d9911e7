//! Batches of SQS of which some messages are denied: the function is given the others, and its answer names the denied
//! ones as failed, so that the queue keeps them.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.

use serde_json::{Map, Value, json, value::RawValue};

use crate::event::Records;

const FAILURES: &str = "batchItemFailures";

/// The event with these records alone; all else of it stays as it is.
pub(crate) fn with_only<'a>(
    text: &str,
    records: &Records<'_>,
    kept: impl Iterator<Item = &'a RawValue>,
) -> Option<String> {
    let list = records.list.get();
    let start = (list.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let (before, after) = (text.get(..start)?, text.get(start + list.len()..)?);
    let kept: Vec<&str> = kept.map(RawValue::get).collect();
    Some(format!("{before}[{}]{after}", kept.join(",")))
}

/// An answer that says that these messages failed.
pub(crate) fn failed(ids: &[String]) -> String {
    merged(b"", ids)
}

/// The function's own answer with these messages as failed, too. An answer that is no object says nothing about messages,
/// and is replaced.
pub(crate) fn merged(answer: &[u8], ids: &[String]) -> String {
    let mut answer: Map<String, Value> = serde_json::from_slice(answer).unwrap_or_default();
    let mut failures = match answer.remove(FAILURES) {
        Some(Value::Array(failures)) => failures,
        _ => Vec::new(),
    };
    failures.extend(ids.iter().map(|id| json!({ "itemIdentifier": id })));
    answer.insert(FAILURES.to_owned(), Value::Array(failures));
    Value::Object(answer).to_string()
}
