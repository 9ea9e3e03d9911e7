//! The floor: what somebody would write in Rust for just these rules and requests, with serde for the JSON.
//!
//! It knows more than an engine may: which attributes there are, and that only `customer` is ever missing.

use std::{collections::HashMap, hint::black_box, marker::PhantomData, net::Ipv4Addr};

use serde::Deserialize;

use crate::{
    engine::{Engine, Outcome},
    workload::{Constraint, Region, Rule, Scope},
};

#[derive(Deserialize)]
pub(crate) struct Request<'a> {
    #[serde(borrow)]
    pub(crate) resource: Resource<'a>,
    pub(crate) customer: Option<Customer>,
    pub(crate) action: Action<'a>,
    pub(crate) principal: Principal<'a>,
    pub(crate) storage: Storage<'a>,
    pub(crate) payload: Payload,
    pub(crate) request: Conditions,
    pub(crate) source: Source,
    pub(crate) transport: Transport,
}

#[derive(Deserialize)]
pub(crate) struct Resource<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Customer {
    pub(crate) region: Region,
}

#[derive(Deserialize)]
pub(crate) struct Action<'a> {
    pub(crate) name: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Principal<'a> {
    pub(crate) id: &'a str,
    pub(crate) level: i64,
    #[serde(borrow)]
    pub(crate) roles: Vec<&'a str>,
    pub(crate) department: &'a str,
}

#[derive(Deserialize)]
pub(crate) struct Storage<'a> {
    pub(crate) location: &'a str,
    pub(crate) encrypted: bool,
}

#[derive(Deserialize)]
pub(crate) struct Payload {
    pub(crate) size_kb: i64,
}

#[derive(Deserialize)]
pub(crate) struct Conditions {
    pub(crate) mfa: bool,
}

#[derive(Deserialize)]
pub(crate) struct Source {
    pub(crate) ip: Ipv4Addr,
}

#[derive(Deserialize)]
pub(crate) struct Transport {
    pub(crate) tls_version: f64,
}

impl<'a> Request<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }
}

impl Scope {
    /// `None` where a missing attribute leaves it open.
    fn holds(&self, request: &Request<'_>) -> Option<bool> {
        let region = request.customer.as_ref().map(|customer| customer.region);
        match self {
            Self::Everything => Some(true),
            Self::RegionIs(wanted) => region.map(|region| region == *wanted),
            Self::ReadsAndWrites => Some(matches!(request.action.name, "read" | "write")),
            Self::LevelOutsideApac(level) if request.principal.level < *level => Some(false),
            Self::LevelOutsideApac(_) => region.map(|region| region != Region::Apac),
        }
    }
}

impl Constraint {
    fn holds(&self, request: &Request<'_>) -> bool {
        let mfa = request.request.mfa;
        match self {
            Self::LocationIn(locations) => locations.contains(&request.storage.location),
            Self::SizeAtMost(size) => request.payload.size_kb <= *size,
            Self::RoleOrMfa(role) => mfa || request.principal.roles.contains(role),
            Self::NetworkOrLevel(network) => {
                request.principal.level > 2 || request.source.ip.octets()[..2] == [10, *network]
            }
            Self::TlsAndMfa => mfa && request.transport.tls_version >= 1.2,
            Self::DepartmentOrEncrypted => {
                request.storage.encrypted || request.principal.department.starts_with("fin")
            }
        }
    }
}

/// The answer; its lists are kept from one request to the next.
#[derive(Default)]
struct Verdict {
    allow: bool,
    violated: Vec<u32>,
    undecided: Vec<u32>,
}

impl Verdict {
    fn judge<'r>(&mut self, rules: impl Iterator<Item = &'r Rule>, request: &Request<'_>) -> bool {
        self.allow = true;
        self.violated.clear();
        self.undecided.clear();
        for rule in rules {
            let list = match rule.scope.holds(request) {
                Some(false) => continue,
                _ if rule.constraint.holds(request) => continue,
                Some(true) => &mut self.violated,
                None => &mut self.undecided,
            };
            list.push(rule.number);
            self.allow &= !rule.blocking;
        }
        black_box(self).allow
    }

    fn outcome(&self) -> Outcome {
        let mut found = [self.violated.as_slice(), &self.undecided].concat();
        found.sort_unstable();
        Outcome { allow: self.allow, found, undecided: Some(self.undecided.clone()) }
    }
}

/// How a hand-written evaluator comes to the rules of a request.
pub(crate) trait Rules<'r> {
    fn about(&self, resource: &str) -> impl Iterator<Item = &'r Rule>;
}

/// One after the other.
pub(crate) struct Loop<'r>(pub(crate) &'r [Rule]);

impl<'r> Rules<'r> for Loop<'r> {
    fn about(&self, resource: &str) -> impl Iterator<Item = &'r Rule> {
        self.0.iter().filter(move |rule| rule.resource == resource)
    }
}

/// By the resource's type, in a hash map.
pub(crate) struct Index<'r>(HashMap<&'r str, Vec<&'r Rule>>);

impl<'r> Index<'r> {
    pub(crate) fn new(rules: &'r [Rule]) -> Self {
        let mut index: HashMap<_, Vec<_>> = HashMap::new();
        for rule in rules {
            index.entry(rule.resource.as_str()).or_default().push(rule);
        }
        Self(index)
    }
}

impl<'r> Rules<'r> for Index<'r> {
    fn about(&self, resource: &str) -> impl Iterator<Item = &'r Rule> {
        self.0.get(resource).into_iter().flatten().copied()
    }
}

pub(crate) struct HandWritten<'r, R> {
    rules: R,
    verdict: Verdict,
    lifetime: PhantomData<&'r Rule>,
}

impl<'r, R: Rules<'r>> HandWritten<'r, R> {
    pub(crate) fn new(rules: R) -> Self {
        Self { rules, verdict: Verdict::default(), lifetime: PhantomData }
    }
}

impl<'a, 'r, R: Rules<'r>> Engine<'a> for HandWritten<'r, R> {
    type Prepared = Request<'a>;

    fn prepare(&mut self, json: &'a [u8]) -> anyhow::Result<Request<'a>> {
        Ok(Request::parse(json)?)
    }

    fn decide(&mut self, request: &Request<'a>) -> anyhow::Result<bool> {
        Ok(self.verdict.judge(self.rules.about(request.resource.kind), request))
    }

    fn decide_json(&mut self, json: &'a [u8]) -> anyhow::Result<bool> {
        self.decide(&Request::parse(json)?)
    }

    fn outcome(&mut self, json: &'a [u8]) -> anyhow::Result<Outcome> {
        self.decide_json(json)?;
        Ok(self.verdict.outcome())
    }
}
