//! The rules and the requests, in a form that belongs to none of the engines.
//!
//! Ten rules for each resource type, however many rules there are: a request meets the same number of them at
//! every size. They lie in 15 modules, 50 from 1,000 rules on. One request in twenty lacks an attribute that
//! some of the rules read.

use std::fmt;

use serde_json::json;

use crate::random::Random;

/// Requests of a workload.
pub(crate) const REQUESTS: usize = 10_000;

const LOCATIONS: [&str; 5] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"];
const ROLES: [&str; 5] = ["dpo", "viewer", "admin", "auditor", "clerk"];
const REGIONS: [Region; 3] = [Region::Eu, Region::Us, Region::Apac];

pub(crate) struct Workload {
    pub(crate) rules: Vec<Rule>,
    /// Each one JSON object, without a line break.
    pub(crate) requests: Vec<Vec<u8>>,
}

pub(crate) struct Rule {
    /// Its place among the rules, and in its name.
    pub(crate) number: u32,
    /// Which source file it stands in.
    pub(crate) module: usize,
    /// The type of resource that it is about.
    pub(crate) resource: String,
    pub(crate) scope: Scope,
    pub(crate) constraint: Constraint,
    /// A violation denies; otherwise it is only reported.
    pub(crate) blocking: bool,
}

/// What besides the resource's type narrows a rule.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    Everything,
    RegionIs(Region),
    ReadsAndWrites,
    /// `principal.level` at least this, and `customer.region` not APAC.
    LevelOutsideApac(i64),
}

/// What must hold in the scope.
#[derive(Clone, Copy)]
pub(crate) enum Constraint {
    LocationIn([&'static str; 3]),
    SizeAtMost(i64),
    RoleOrMfa(&'static str),
    /// The source lies in 10.x.0.0/16, or the level is above 2.
    NetworkOrLevel(u8),
    /// TLS 1.2 or newer, and MFA.
    TlsAndMfa,
    /// The department starts with "fin", or the storage is encrypted.
    DepartmentOrEncrypted,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Region {
    Eu,
    Us,
    Apac,
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eu => "EU",
            Self::Us => "US",
            Self::Apac => "APAC",
        })
    }
}

impl Rule {
    /// Byte order of the names is the order of the rules.
    pub(crate) fn name(&self) -> String {
        format!("p{:05}", self.number)
    }
}

/// The number of the rule of this name.
pub(crate) fn number(name: &str) -> anyhow::Result<u32> {
    name.strip_prefix('p')
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| anyhow::anyhow!("`{name}` is not the name of a rule"))
}

impl Workload {
    /// `count` rules and their requests: the same ones every time.
    pub(crate) fn new(count: usize) -> Self {
        let mut random = Random::new(1);
        let resources: Vec<_> =
            (0..(count / 10).max(1)).map(|number| format!("resource_kind_{number:04}")).collect();
        let modules = if count < 1000 { 15 } else { 50 };
        let rules = (0..count)
            .map(|number| Rule {
                number: number as u32,
                module: number % modules,
                resource: resources[number % resources.len()].clone(),
                scope: scope(&mut random),
                constraint: constraint(&mut random),
                blocking: !random.once_in(5),
            })
            .collect();
        let requests = (0..REQUESTS).map(|number| request(&mut random, number, &resources)).collect();
        Self { rules, requests }
    }

    /// The rules of each module that has any, in order.
    pub(crate) fn modules(&self) -> impl Iterator<Item = Vec<&Rule>> {
        let count = self.rules.iter().map(|rule| rule.module + 1).max().unwrap_or(0);
        (0..count).map(|module| self.rules.iter().filter(|rule| rule.module == module).collect())
    }
}

fn scope(random: &mut Random) -> Scope {
    match random.below(5) {
        0 => Scope::RegionIs(random.pick(&REGIONS)),
        1 => Scope::ReadsAndWrites,
        2 => Scope::LevelOutsideApac(random.below(5) as i64),
        _ => Scope::Everything,
    }
}

fn constraint(random: &mut Random) -> Constraint {
    match random.below(6) {
        0 => Constraint::LocationIn(random.sample(&LOCATIONS)),
        1 => Constraint::SizeAtMost(500 + random.below(1500) as i64),
        2 => Constraint::RoleOrMfa(random.pick(&ROLES)),
        3 => Constraint::NetworkOrLevel(random.below(4) as u8),
        4 => Constraint::TlsAndMfa,
        _ => Constraint::DepartmentOrEncrypted,
    }
}

fn request(random: &mut Random, number: usize, resources: &[String]) -> Vec<u8> {
    let resource = &resources[random.below(resources.len())];
    let mut request = json!({
        "resource": {"type": resource, "id": format!("r{number}")},
        "customer": {"region": random.pick(&REGIONS).to_string()},
        "action": {"name": random.pick(&["read", "write", "delete"])},
        "principal": {
            "id": format!("user{number}"),
            "level": random.below(6),
            "roles": random.sample::<_, 2>(&ROLES),
            "department": random.pick(&["finance", "sales"]),
        },
        "storage": {"location": random.pick(&LOCATIONS), "encrypted": random.once_in(2)},
        "payload": {"size_kb": random.below(3000)},
        "request": {"mfa": random.once_in(2)},
        "source": {"ip": format!("10.{}.1.2", random.below(6))},
        "transport": {"tls_version": random.pick(&[1.1, 1.2, 1.3])},
    });
    if random.once_in(20)
        && let Some(attributes) = request.as_object_mut()
    {
        attributes.remove("customer");
    }
    request.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_rules_are_about_each_resource_at_every_size() {
        for count in [10, 250, 1000] {
            let rules = Workload::new(count).rules;
            for rule in &rules {
                let same = rules.iter().filter(|other| other.resource == rule.resource).count();
                assert_eq!(same, 10, "{count} rules");
            }
        }
    }
}
