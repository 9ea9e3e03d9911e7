//! What the log keeps of what requests said: in clear, masked, or committed to, by the operator's rules.

use std::{collections::BTreeMap, str::FromStr};

use aecp_contract::{
    audit::{DecisionRecord, OpenedValue, RecordedValue, Salt, commitment},
    manifest::{POINT_ATTRIBUTE, TIME_ATTRIBUTE},
    value::{Attribute, Value},
};
use serde_json::value::RawValue;

use super::Entry;

/// Random bytes that are asked of the system at once.
const RANDOM: usize = 4096;

/// How many characters a mask shows at the end of a text that has at least twice as many.
const SHOWN: usize = 4;

/// What stands for hidden characters, however many they are.
const HIDDEN: &str = "****";

/// Attributes by their paths: one, `a.b`, or all below one, `a.*`, or all, `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(String);

/// The text is no path of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an attribute's path such as `customer.region`, or `customer.*` or `*` for many")]
pub struct NotAPath;

impl FromStr for PathPattern {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let path = text.strip_suffix(".*").unwrap_or(if text == "*" { "x" } else { text });
        let plain = |part: &str| !part.is_empty() && !part.contains(['*', ' ']);
        if path.split('.').all(plain) { Ok(Self(text.to_owned())) } else { Err(NotAPath) }
    }
}

impl PathPattern {
    fn has(&self, path: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == self.0,
        }
    }
}

/// How attributes are kept. Those of no list are committed to, but for where and when a request was decided, which is in
/// clear. Of several lists that name an attribute the strictest holds: `omit`, then `mask`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeRules {
    /// In clear.
    pub clear: Vec<PathPattern>,
    /// With all but the last characters hidden.
    pub mask: Vec<PathPattern>,
    /// Not at all; the record counts them.
    pub omit: Vec<PathPattern>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Clear,
    Masked,
    Committed,
    Omitted,
}

impl AttributeRules {
    fn of(&self, path: &str) -> Kept {
        let named = |list: &[PathPattern]| list.iter().any(|pattern| pattern.has(path));
        if named(&self.omit) {
            Kept::Omitted
        } else if named(&self.mask) {
            Kept::Masked
        } else if named(&self.clear) || path == POINT_ATTRIBUTE || path == TIME_ATTRIBUTE {
            Kept::Clear
        } else {
            Kept::Committed
        }
    }
}

/// Makes records of decisions, with what requests said as far as the rules keep it.
pub struct Attributes {
    rules: AttributeRules,
    random: Vec<u8>,
}

impl Attributes {
    /// Keeps what these rules say.
    #[must_use]
    pub fn new(rules: AttributeRules) -> Self {
        Self { rules, random: Vec::new() }
    }

    /// What the log keeps of a decision, and what opens the commitments in it.
    pub fn record(&mut self, entry: &Entry) -> (DecisionRecord, BTreeMap<String, OpenedValue>) {
        let mut record = entry.decided.record(entry);
        let mut openings = BTreeMap::new();
        let (said, unknown) = entry.decided.said();
        record.omitted_attributes = unknown;
        for (path, attribute) in said {
            match self.kept(path, &attribute) {
                Some((recorded, opened)) => {
                    record.attributes.insert(path.to_owned(), recorded);
                    openings.extend(opened.map(|opened| (path.to_owned(), opened)));
                }
                None => record.omitted_attributes += 1,
            }
        }
        (record, openings)
    }

    fn kept(
        &mut self,
        path: &str,
        attribute: &Attribute,
    ) -> Option<(RecordedValue, Option<OpenedValue>)> {
        let kept = self.rules.of(path);
        let Attribute::Present(value) = attribute else {
            return (kept != Kept::Omitted).then_some((RecordedValue::Unusable, None));
        };
        Some(match kept {
            Kept::Omitted => return None,
            Kept::Masked => (RecordedValue::Masked(masked(value)), None),
            Kept::Clear => (RecordedValue::Clear(raw(value)?), None),
            Kept::Committed => {
                // Without chance a commitment could be found out by trying, so there is none then.
                let salt = self.salt()?;
                let value = raw(value)?;
                let digest = commitment(&salt, path, value.get());
                (RecordedValue::Commitment(digest), Some(OpenedValue { salt, value }))
            }
        })
    }

    fn salt(&mut self) -> Option<Salt> {
        if self.random.len() < 16 {
            self.random.resize(RANDOM, 0);
            if getrandom::fill(&mut self.random).is_err() {
                self.random.clear();
                return None;
            }
        }
        let rest = self.random.len() - 16;
        let salt = self.random.split_off(rest);
        salt.try_into().ok().map(Salt)
    }
}

fn raw(value: &Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value.to_json()).ok()
}

fn masked(value: &Value) -> String {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::List(_) => String::new(),
        other => other.to_json(),
    };
    let characters = text.chars().count();
    let shown = if characters >= 2 * SHOWN { characters - SHOWN } else { characters };
    HIDDEN.chars().chain(text.chars().skip(shown)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        text.parse().unwrap()
    }

    #[test]
    fn the_strictest_rule_that_names_an_attribute_holds() {
        let rules = AttributeRules {
            clear: vec![pattern("customer.*"), pattern("action")],
            mask: vec![pattern("customer.card")],
            omit: vec![pattern("customer.card.pin"), pattern("secret.*")],
        };
        for (path, kept) in [
            ("customer.region", Kept::Clear),
            ("customer", Kept::Committed),
            ("customers.region", Kept::Committed),
            ("customer.card", Kept::Masked),
            ("customer.card.pin", Kept::Omitted),
            ("secret.a.b", Kept::Omitted),
            ("action", Kept::Clear),
            ("action.name", Kept::Committed),
            (POINT_ATTRIBUTE, Kept::Clear),
        ] {
            assert!(rules.of(path) == kept, "{path}");
        }
        assert!(
            AttributeRules { omit: vec![pattern("*")], ..rules }.of(TIME_ATTRIBUTE) == Kept::Omitted
        );
        for bad in ["", ".", "a.", "*.a", "a*", "a..b", "a b", ".*"] {
            assert_eq!(bad.parse::<PathPattern>(), Err(NotAPath), "{bad}");
        }
    }

    #[test]
    fn a_mask_shows_the_end_of_long_texts_and_nothing_of_short_ones() {
        let text = |text: &str| masked(&Value::Text(text.to_owned()));
        assert_eq!(text("4111111111111111"), "****1111");
        assert_eq!(text("grüßexyz"), "****exyz");
        assert_eq!(text("1234567"), "****");
        assert_eq!(text(""), "****");
        assert_eq!(masked(&Value::Int(42)), "****");
        assert_eq!(masked(&Value::List(vec![Value::Text("x".repeat(20))])), "****");
    }

    #[test]
    fn no_two_salts_are_alike() {
        let mut attributes = Attributes::new(AttributeRules::default());
        let salts: std::collections::BTreeSet<_> =
            (0..1000).map(|_| attributes.salt().unwrap().0).collect();
        assert_eq!(salts.len(), 1000);
    }
}
