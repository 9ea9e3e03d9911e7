//! Attributes and verdicts in the types of `aecp:policy/evaluation`.

use aecp_contract::{
    manifest::AuditLevel,
    value::{self, Attribute, Type},
    verdict,
};

pub(super) mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
    wasmtime::component::bindgen!({ path: "../contract/wit/policy.wit", world: "policy" });
}

use bindings::exports::aecp::policy::evaluation::{Address, Audit, Decimal, Decision, Timestamp};
pub(super) use bindings::exports::aecp::policy::evaluation::{Value, Verdict};

/// An attribute of this type, as a component is given it.
pub(super) fn given(attribute: Attribute, ty: &Type) -> Value {
    match (attribute, ty) {
        (Attribute::Missing, _) => Value::Missing,
        (Attribute::Present(value::Value::List(values)), Type::List(element)) => list(&values, element),
        (Attribute::Present(value), _) => one(value),
        (Attribute::Invalid, _) => Value::Invalid,
    }
}

fn one(value: value::Value) -> Value {
    match value {
        value::Value::Bool(value) => Value::Boolean(value),
        value::Value::Int(value) => Value::Integer(value),
        value::Value::Decimal(value) => Value::Decimal(decimal(value)),
        value::Value::Text(value) => Value::Text(value),
        value::Value::Timestamp(value) => Value::Timestamp(timestamp(value)),
        value::Value::Duration(value) => Value::Duration(value.0),
        value::Value::Ip(value) => Value::Address(address(value)),
        value::Value::List(_) => Value::Invalid,
    }
}

fn list(values: &[value::Value], element: &Type) -> Value {
    /// All of them, if they are of one type, as those of slots are.
    fn all<T>(values: &[value::Value], of: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
        values.iter().map(|value| of(one(value.clone()))).collect()
    }
    macro_rules! of {
        ($one:ident, $many:ident) => {
            all(values, |value| if let Value::$one(value) = value { Some(value) } else { None })
                .map(Value::$many)
        };
    }
    let list = match element {
        Type::Bool => of!(Boolean, Booleans),
        Type::Int => of!(Integer, Integers),
        Type::Decimal => of!(Decimal, Decimals),
        Type::String | Type::Enum(_) => of!(Text, Texts),
        Type::Timestamp => of!(Timestamp, Timestamps),
        Type::Duration => of!(Duration, Durations),
        Type::Ip => of!(Address, Addresses),
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

/// A verdict, not yet checked.
pub(super) fn verdict(verdict: Verdict) -> verdict::Verdict {
    let decision = match verdict.decision {
        Decision::Allow => verdict::Decision::Allow,
        Decision::Deny => verdict::Decision::Deny,
    };
    let audit = match verdict.audit {
        Audit::None => AuditLevel::None,
        Audit::Optional => AuditLevel::Optional,
        Audit::Required => AuditLevel::Required,
    };
    let Verdict { violated, indeterminate, uncovered, obligations, .. } = verdict;
    verdict::Verdict { decision, audit, violated, indeterminate, uncovered, obligations }
}
