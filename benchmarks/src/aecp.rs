//! The rules as AECP policies, compiled and loaded as an enforcer does it.

use std::hint::black_box;

use aecp_compiler::{
    compile::compile_sources,
    local::LocalRelease,
    source::{Source, Sources},
};
use aecp_contract::{slots::SlotBuffer, verdict::Decision, verdict::Verdict};
use aecp_enforcer::{Execution, PolicyInstance, PolicyPre, VerifiedRelease};
use anyhow::Context as _;
use ed25519_dalek::SigningKey;

use crate::{
    engine::{Engine, Outcome},
    workload::{Constraint, Rule, Scope, Workload},
};

const SCHEMA: &str = r#"SCHEMA {
  action.name: STRING
  customer.region: ENUM("EU", "US", "APAC")
  payload.size_kb: INT
  principal.department: STRING
  principal.level: INT
  principal.roles: LIST<STRING>
  request.mfa: BOOL
  resource.type: STRING
  source.ip: IP
  storage.encrypted: BOOL
  storage.location: STRING
  transport.tls_version: DECIMAL
}
"#;

/// The policy set, as (path, text).
pub(crate) fn files(workload: &Workload) -> Vec<(String, String)> {
    let schema = ("schema.aecp".to_owned(), SCHEMA.to_owned());
    let modules = workload.modules().enumerate().map(|(number, rules)| {
        let policies: Vec<_> = rules.into_iter().map(policy).collect();
        (format!("module{number:02}.aecp"), policies.join("\n"))
    });
    [schema].into_iter().chain(modules).collect()
}

fn policy(rule: &Rule) -> String {
    let condition = match rule.scope {
        Scope::Everything => String::new(),
        Scope::RegionIs(region) => format!(r#" WHERE customer.region == "{region}""#),
        Scope::ReadsAndWrites => r#" WHERE action.name IN ["read", "write"]"#.to_owned(),
        Scope::LevelOutsideApac(level) => {
            format!(r#" WHERE principal.level >= {level} AND customer.region != "APAC""#)
        }
    };
    let constraint = match rule.constraint {
        Constraint::LocationIn(locations) => format!("storage.location IN {locations:?}"),
        Constraint::SizeAtMost(size) => format!("payload.size_kb <= {size}"),
        Constraint::RoleOrMfa(role) => format!(r#"principal.roles CONTAINS "{role}" OR request.mfa"#),
        Constraint::NetworkOrLevel(network) => {
            format!(r#"source.ip IN CIDR "10.{network}.0.0/16" OR principal.level > 2"#)
        }
        Constraint::TlsAndMfa => "transport.tls_version >= 1.2 AND request.mfa".to_owned(),
        Constraint::DepartmentOrEncrypted => {
            r#"principal.department STARTS WITH "fin" OR storage.encrypted"#.to_owned()
        }
    };
    let enforcement = if rule.blocking { "BLOCKING" } else { "ADVISORY" };
    format!(
        "POLICY {} {{\n  SCOPE: {}{condition}\n  CONSTRAINT: {constraint}\n  \
         ENFORCEMENT: {enforcement}\n}}\n",
        rule.name(),
        rule.resource
    )
}

/// The set as an enforcer holds it: the one place here that knows how a module is loaded.
fn load(files: Vec<(String, String)>) -> anyhow::Result<PolicyPre> {
    let files = files.into_iter().map(|(path, text)| Source { path, text });
    let compiled = compile_sources(&Sources::new(files.collect()), &mut |_| ())?
        .compiled
        .context("the generated set has errors")?;
    let key = SigningKey::from_bytes(&[1; 32]); // of a release that stays in this process
    let LocalRelease { envelope, artifacts, root, channel } =
        LocalRelease::sign(&compiled, &key, aecp_enforcer::now())?;
    let release = VerifiedRelease::verify(envelope, artifacts, &root, &channel)?;
    let set = PolicyPre::load(&aecp_enforcer::Engine::new()?, &release)?;
    anyhow::ensure!(*set.execution() == Execution::Native, "AECP has no machine code for this machine");
    Ok(set)
}

pub(crate) struct Aecp {
    set: PolicyPre,
    instance: PolicyInstance,
}

impl Aecp {
    pub(crate) fn new(files: Vec<(String, String)>) -> anyhow::Result<Self> {
        let set = load(files)?;
        Ok(Self { instance: set.instantiate()?, set })
    }
}

fn allowed(verdict: Verdict) -> bool {
    black_box(verdict).decision == Decision::Allow
}

impl<'a> Engine<'a> for Aecp {
    type Prepared = SlotBuffer;

    fn prepare(&mut self, json: &'a [u8]) -> anyhow::Result<SlotBuffer> {
        let table = self.set.attributes();
        let mut slots = SlotBuffer::new(table.len());
        table.read_json(json, &mut slots)?;
        Ok(slots)
    }

    fn decide(&mut self, slots: &SlotBuffer) -> anyhow::Result<bool> {
        Ok(allowed(self.instance.decide(slots)?))
    }

    fn decide_json(&mut self, json: &'a [u8]) -> anyhow::Result<bool> {
        Ok(allowed(self.instance.decide_json(json)?))
    }

    fn outcome(&mut self, json: &'a [u8]) -> anyhow::Result<Outcome> {
        let verdict = self.instance.decide_json(json)?;
        // Policies stand in byte order of their names, which is the order of the rules' numbers.
        let mut found = [verdict.violated.as_slice(), &verdict.indeterminate].concat();
        found.sort_unstable();
        Ok(Outcome {
            allow: verdict.decision == Decision::Allow,
            found,
            undecided: Some(verdict.indeterminate),
        })
    }
}
