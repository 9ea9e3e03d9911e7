//! Requests that answer a question, and whether a statement holds of one.

use std::{collections::BTreeMap, fmt::Write as _};

use aecp_contract::value::{Attribute, Value};

use super::{
    domain,
    node::{Node, Presence, Relation},
};
use crate::set::PolicySet;

/// A request: what it has for the attributes that matter, by their slots. All others are missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request(pub(super) BTreeMap<usize, Attribute>);

impl Request {
    /// The attribute in a slot.
    pub(crate) fn attribute(&self, slot: usize) -> &Attribute {
        self.0.get(&slot).unwrap_or(&Attribute::Missing)
    }

    /// What this request has, and what the other has besides; where attributes nest, that may be no request.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        let mut joined = other.0.clone();
        joined.extend(self.0.iter().map(|(slot, attribute)| (*slot, attribute.clone())));
        Self(joined)
    }

    /// Whether every decimal number keeps its value where numbers are read as floating point.
    pub(super) fn survives_floating_point(&self) -> bool {
        fn survives(value: &Value) -> bool {
            match value {
                Value::Decimal(decimal) => {
                    let float: Option<f64> = decimal.to_string().parse().ok();
                    let back = float.and_then(|float| format!("{float:e}").parse().ok());
                    back == Some(*decimal)
                }
                Value::List(elements) => elements.iter().all(survives),
                _ => true,
            }
        }
        self.0.values().all(|attribute| match attribute {
            Attribute::Present(value) => survives(value),
            Attribute::Missing | Attribute::Invalid => true,
        })
    }

    /// The request as one line of JSON with dotted keys, as `aecp decide` reads it.
    #[must_use]
    pub fn to_json(&self, set: &PolicySet) -> String {
        let mut text = String::from("{");
        for (slot, attribute) in &self.0 {
            let declaration = &set.attributes[*slot];
            let value = match attribute {
                Attribute::Missing => continue,
                Attribute::Invalid => domain::unusable_json(&declaration.ty).to_owned(),
                Attribute::Present(value) => domain::json(value),
            };
            let comma = if text.len() > 1 { ", " } else { "" };
            // Writing to a String does not fail.
            let _ = write!(text, "{comma}\"{}\": {value}", declaration.path);
        }
        text.push('}');
        text
    }
}

/// Whether a statement holds of a request.
pub(super) fn holds(node: &Node, request: &Request) -> bool {
    let value = |slot: usize| match request.attribute(slot) {
        Attribute::Present(value) => Some(value),
        Attribute::Missing | Attribute::Invalid => None,
    };
    match node {
        Node::All(parts) => parts.iter().all(|part| holds(part, request)),
        Node::Any(choices) => choices.iter().any(|choice| holds(choice, request)),
        Node::Is(slot, presence) => presence.meets(match request.attribute(*slot) {
            Attribute::Missing => Presence::MISSING,
            Attribute::Invalid => Presence::UNUSABLE,
            Attribute::Present(_) => Presence::USABLE,
        }),
        Node::In(slot, domain, _) => value(*slot).is_none_or(|value| domain.contains(value)),
        Node::Related(relation, left, right, _) => match (value(*left), value(*right)) {
            (Some(left), Some(right)) => related(*relation, left, right),
            _ => false,
        },
    }
}

fn related(relation: Relation, left: &Value, right: &Value) -> bool {
    let texts = |holds: fn(&str, &str) -> bool| match (left, right) {
        (Value::Text(left), Value::Text(right)) => holds(left, right),
        _ => false,
    };
    match relation {
        Relation::Equal => left == right,
        Relation::Differ => left != right,
        Relation::Less => left < right,
        Relation::LessOrEqual => left <= right,
        Relation::Holds(yes) => matches!(left, Value::List(elements) if elements.contains(right)) == yes,
        Relation::Starts(yes) => texts(|left, right| left.starts_with(right)) == yes,
        Relation::Ends(yes) => texts(|left, right| left.ends_with(right)) == yes,
        Relation::Has(yes) => texts(|left, right| left.contains(right)) == yes,
    }
}
