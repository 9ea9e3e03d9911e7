//! Writes a log of many decisions that a policy set made on requests at random, to measure how fast logs are read:
//!
//! ```text
//! cargo build --release -p aecp
//! cargo run --release -p aecp-integration-tests --example recorded -- policies/zero_trust /tmp/recorded 1000000
//! time target/release/aecp replay --store file:///tmp/recorded --key "$(cat /tmp/recorded/audit/web-1/vkey)" \
//!   --candidate policies/zero_trust
//! ```
//!
//! Every request has every attribute, so that all decisions can be replayed; the same set must not change one.

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};

use aecp_compiler::{compile::compile_sources, source::Sources};
use aecp_contract::{
    audit::{DecisionRecord, Event, PolicyRef, RecordedValue, ReleaseRef},
    digest::Digest,
    manifest::PolicyInfo,
    value::{Timestamp, Type},
};
use aecp_enforcer::{Engine, PolicyPre};
use aecp_integration_tests::{generated::Random, log, release};
use serde_json::{Value, json, value::to_raw_value};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [set, folder, count] = arguments.as_slice() else { return Err("give SET FOLDER COUNT".into()) };
    let compiled = compile_sources(&Sources::read(Path::new(set))?, &mut |_| {})?.compiled;
    let compiled = compiled.ok_or("the set does not compile")?;
    let set = Arc::new(release::load(&Engine::new()?, &compiled.core, &compiled.manifest));
    let mut random = Random::new(1);
    let events = (0..count.parse()?).map(|n| {
        let time =
            Timestamp { seconds: 1_772_000_000 + n / 1_000, nanoseconds: n as u32 % 1_000 * 1_000_000 };
        (time, Event::Decision(Box::new(decide(&set, n, &mut random))))
    });
    println!("{}", log::write(Path::new(folder), "web-1", events));
    Ok(())
}

fn decide(set: &Arc<PolicyPre>, n: i64, random: &mut Random) -> DecisionRecord {
    let request: BTreeMap<String, Value> = set
        .manifest()
        .attributes
        .iter()
        .map(|attribute| (attribute.path.clone(), value(&attribute.ty, random)))
        .collect();
    let decided = set.decide_json(json!(request).to_string().as_bytes());
    let named =
        |policy: &PolicyInfo| PolicyRef { policy: policy.name.clone(), enforcement: policy.enforcement };
    let clear = |value| RecordedValue::Clear(to_raw_value(&value).unwrap_or_default());
    DecisionRecord {
        request_id: format!("{n:032x}"),
        trace_id: None,
        point: "v1/decision".into(),
        release: Some(ReleaseRef { serial: 1, digest: Digest::of(b"release") }),
        decision: decided.decision(),
        violated: decided.violated().map(named).collect(),
        indeterminate: decided.indeterminate().map(named).collect(),
        omitted: 0,
        excepted: Vec::new(),
        default_deny: decided.default_deny().map(str::to_owned).collect(),
        reason: decided.reason().map(|reason| reason.as_str().to_owned()),
        latency_us: 4,
        omitted_attributes: 0,
        attributes: request.into_iter().map(|(path, value)| (path, clear(value))).collect(),
    }
}

fn value(ty: &Type, random: &mut Random) -> Value {
    match ty {
        Type::Bool => json!(random.once_in(2)),
        Type::Int | Type::Decimal => json!(random.below(1000)),
        Type::Enum(members) => json!(members[random.below(members.len())]),
        Type::Timestamp => json!(format!("2026-03-{:02}T09:30:00Z", 1 + random.below(28))),
        Type::Duration => json!(format!("{}m", random.below(5000))),
        Type::Ip => json!(format!("10.{}.{}.7", random.below(256), random.below(256))),
        Type::List(element) => (0..random.below(3)).map(|_| value(element, random)).collect(),
        Type::String | Type::Any => json!(format!("value-{}", random.below(100))),
    }
}
