//! Events that are lists of records: messages of SQS and SNS, objects of S3. Each record is a request of its own.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html>, the page of each service.

use aecp_contract::{
    request::{AttributeTable, RequestError},
    slots::SlotBuffer,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::looks_like_json;

/// Where records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Sqs,
    Sns,
    S3,
}

impl Service {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::S3 => "s3",
        }
    }
}

/// The records of an event, which are at least one and all of one service.
pub(crate) struct Records<'a> {
    pub(crate) service: Service,
    /// The list as it stands in the event.
    pub(crate) list: &'a RawValue,
    pub(crate) records: Vec<Record<'a>>,
}

/// One record.
pub(crate) struct Record<'a> {
    pub(crate) json: &'a RawValue,
    /// The id of a message of SQS.
    pub(crate) id: Option<String>,
    /// Whether it is of a queue that keeps an order.
    pub(crate) is_fifo: bool,
    message: Option<String>,
}

/// The members of a record that matter here; SNS writes them with capitals.
#[derive(Deserialize)]
struct Form {
    #[serde(rename = "eventSource", alias = "EventSource")]
    source: String,
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    #[serde(rename = "eventSourceARN")]
    source_arn: Option<String>,
    body: Option<String>,
    #[serde(rename = "Sns")]
    sns: Option<Sns>,
}

#[derive(Deserialize)]
struct Sns {
    #[serde(rename = "Message")]
    message: Option<String>,
}

impl<'a> Records<'a> {
    /// The records of a list; `None` if they are of no service that is known here.
    pub(super) fn of(list: &'a RawValue) -> Option<Self> {
        let records: Vec<&'a RawValue> = serde_json::from_str(list.get()).ok()?;
        let mut service = None;
        let mut read = Vec::with_capacity(records.len());
        for json in records {
            let form: Form = serde_json::from_str(json.get()).ok()?;
            let of = match form.source.as_str() {
                "aws:sqs" if form.message_id.is_some() => Service::Sqs,
                "aws:sns" if form.sns.is_some() => Service::Sns,
                "aws:s3" => Service::S3,
                _ => return None,
            };
            if *service.get_or_insert(of) != of {
                return None;
            }
            let is_fifo = form.source_arn.is_some_and(|arn| arn.ends_with(".fifo"));
            let message = form.body.or(form.sns.and_then(|sns| sns.message));
            read.push(Record { json, id: form.message_id, is_fifo, message });
        }
        Some(Self { service: service?, list, records: read })
    }
}

impl Record<'_> {
    /// Reads the record into slots: its members below `event`, and those of its message, if that is JSON, below `body`.
    ///
    /// # Errors
    /// [`RequestError`], also for a message that looks like JSON and is none, if policies look at messages.
    pub(super) fn read(
        &self,
        table: &AttributeTable,
        slots: &mut SlotBuffer,
        wants_body: bool,
    ) -> Result<(), RequestError> {
        table.add_json("event", self.json.get().as_bytes(), slots)?;
        match &self.message {
            Some(message) if wants_body && looks_like_json(message.as_bytes()) => {
                table.add_json("body", message.as_bytes(), slots)
            }
            _ => Ok(()),
        }
    }
}
