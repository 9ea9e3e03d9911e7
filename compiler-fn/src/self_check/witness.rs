//! A difference, with the request that shows it.

use std::fmt;

use aecp_contract::value::{Attribute, Type, Value};

use super::packing::Request;

/// A request on which the generated module decides otherwise than the reference evaluator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The policy's index and name; `None` if it is about the decision as a whole.
    pub policy: Option<(usize, String)>,
    /// The request, a JSON object with dotted keys.
    pub request: String,
    /// What the reference evaluator says.
    pub expected: String,
    /// What the module says.
    pub found: String,
}

impl Difference {
    /// Differences are reported in the order of their policies, the set's own last.
    pub(super) fn place(&self) -> (usize, &str) {
        (self.policy.as_ref().map_or(usize::MAX, |(index, _)| *index), &self.request)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some((_, name)) => write!(f, "policy `{name}`")?,
            None => f.write_str("the verdict")?,
        }
        let Self { request, expected, found, .. } = self;
        write!(f, " on the request {request} should be: {expected}; the module says: {found}")
    }
}

/// The request as JSON.
pub(super) fn json(request: &Request<'_>) -> String {
    let members = request.attributes.iter().filter_map(|(_, path, ty, attribute)| {
        let value = match (attribute, ty) {
            (Attribute::Missing, _) => return None,
            (Attribute::Present(value), _) => json_value(value),
            (Attribute::Invalid, Type::Int | Type::Decimal) => text("unusable"),
            (Attribute::Invalid, _) => "0".to_owned(),
        };
        Some(format!("{}:{value}", text(path)))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn json_value(value: &Value) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Text(value) => text(value),
        Value::Timestamp(t) => text(&t.to_string()),
        Value::Duration(d) => text(&d.to_string()),
        Value::Ip(ip) => text(&ip.to_string()),
        Value::List(values) => {
            format!("[{}]", values.iter().map(json_value).collect::<Vec<_>>().join(","))
        }
    }
}

fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
