//! The release that this component was composed with, and its policies.

use std::{collections::BTreeMap, sync::Arc};

use aecp_contract::{
    manifest::{AttributeDeclaration, AuditLevel},
    refusal::{Code, Refusal},
    release::MANIFEST,
    slots::SlotBuffer,
    trust::TrustRoot,
    value::{self, Attribute, Type},
    verdict::{Decision, Verdict},
};
use aecp_enforcer::{Engine, Evaluation, PolicyPre, VerifiedRelease, policy::DecisionError};

use super::bindings::sealed::aecp::{
    policy::evaluation::{self, Address, Decimal, Timestamp, Value},
    sealed::release as sealed,
};
use crate::settings::Settings;

/// The sealed release, verified like any other, and its policies.
///
/// # Errors
/// Any [`Refusal`] of a release.
pub(super) fn load(
    engine: &Engine,
    settings: &Settings,
    root: &TrustRoot,
) -> Result<(VerifiedRelease, PolicyPre), Refusal> {
    let artifacts = BTreeMap::from([(MANIFEST.to_owned(), sealed::manifest().into())]);
    let release =
        VerifiedRelease::verify(sealed::envelope().into(), artifacts, root, &settings.channel)?;
    let manifest: aecp_contract::manifest::Manifest =
        serde_json::from_slice(release.artifact(MANIFEST)?)
            .map_err(|error| Refusal::new(Code::Malformed, error.to_string()))?;
    let policies = Arc::new(Policies { attributes: manifest.attributes });
    let set = PolicyPre::composed(engine, &release, policies)?;
    Ok((release, set))
}

/// The policies beside us.
struct Policies {
    attributes: Vec<AttributeDeclaration>,
}

impl Evaluation for Policies {
    fn decide(&self, slots: &SlotBuffer) -> Result<Verdict, DecisionError> {
        let values: Vec<Value> = (0..)
            .zip(&self.attributes)
            .map(|(slot, attribute)| match slots.get(slot, &attribute.ty) {
                Attribute::Missing => Value::Missing,
                Attribute::Invalid => Value::Invalid,
                Attribute::Present(value) => given(value, &attribute.ty),
            })
            .collect();
        let verdict = evaluation::decide(&values);
        Ok(Verdict {
            decision: match verdict.decision {
                evaluation::Decision::Allow => Decision::Allow,
                evaluation::Decision::Deny => Decision::Deny,
            },
            audit: match verdict.audit {
                evaluation::Audit::None => AuditLevel::None,
                evaluation::Audit::Optional => AuditLevel::Optional,
                evaluation::Audit::Required => AuditLevel::Required,
            },
            violated: verdict.violated,
            indeterminate: verdict.indeterminate,
            uncovered: verdict.uncovered,
            obligations: verdict.obligations,
        })
    }
}

/// A value of an attribute of this type, as the policies are given it.
fn given(value: value::Value, ty: &Type) -> Value {
    match value {
        value::Value::Bool(value) => Value::Boolean(value),
        value::Value::Int(value) => Value::Integer(value),
        value::Value::Decimal(value) => Value::Decimal(decimal(value)),
        value::Value::Text(value) => Value::Text(value),
        value::Value::Timestamp(value) => Value::Timestamp(timestamp(value)),
        value::Value::Duration(value) => Value::Duration(value.0),
        value::Value::Ip(value) => Value::Address(address(value)),
        value::Value::List(values) => list(values, ty),
    }
}

fn list(values: Vec<value::Value>, ty: &Type) -> Value {
    /// All of them, if they are of one type, as those of slots are.
    fn all<T>(values: Vec<value::Value>, of: impl Fn(value::Value) -> Option<T>) -> Option<Vec<T>> {
        values.into_iter().map(of).collect()
    }
    let Type::List(element) = ty else { return Value::Invalid };
    let list = match **element {
        Type::Bool => all(values, |value| match value {
            value::Value::Bool(value) => Some(value),
            _ => None,
        })
        .map(Value::Booleans),
        Type::Int => all(values, |value| match value {
            value::Value::Int(value) => Some(value),
            _ => None,
        })
        .map(Value::Integers),
        Type::Decimal => all(values, |value| match value {
            value::Value::Decimal(value) => Some(decimal(value)),
            _ => None,
        })
        .map(Value::Decimals),
        Type::String | Type::Enum(_) => all(values, |value| match value {
            value::Value::Text(value) => Some(value),
            _ => None,
        })
        .map(Value::Texts),
        Type::Timestamp => all(values, |value| match value {
            value::Value::Timestamp(value) => Some(timestamp(value)),
            _ => None,
        })
        .map(Value::Timestamps),
        Type::Duration => all(values, |value| match value {
            value::Value::Duration(value) => Some(value.0),
            _ => None,
        })
        .map(Value::Durations),
        Type::Ip => all(values, |value| match value {
            value::Value::Ip(value) => Some(address(value)),
            _ => None,
        })
        .map(Value::Addresses),
        Type::List(_) | Type::Any => None,
    };
    list.unwrap_or(Value::Invalid)
}

fn decimal(value: value::Decimal) -> Decimal {
    let bits = value.scaled() as u128;
    Decimal { high: (bits >> 64) as i64, low: bits as u64 }
}

fn timestamp(value: value::Timestamp) -> Timestamp {
    Timestamp { seconds: value.seconds, nanoseconds: u64::from(value.nanoseconds) }
}

fn address(value: value::Ip) -> Address {
    Address { high: (value.0 >> 64) as u64, low: value.0 as u64 }
}
