//! The rules as Cedar policies: one `forbid` each beside a `permit` for everything.
//!
//! The resource's type and the action stand in the policies' heads, which Cedar tests first; the rest of the
//! request is the context. Cedar skips a `forbid` that meets a missing attribute, so the policies test for it
//! with `has` and apply. A `forbid` that only advises is told from the others by its id.

use std::{collections::HashSet, hint::black_box};

use cedar_policy::{
    Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    Request, Response, RestrictedExpression,
};

use crate::{
    engine::{Engine, Outcome},
    hand,
    workload::{Constraint, Rule, Scope, Workload, number},
};

/// The policies, as (id, text, whether it denies).
pub(crate) fn policies(workload: &Workload) -> Vec<(String, String, bool)> {
    let forbids = workload.rules.iter().map(|rule| (rule.name(), policy(rule), rule.blocking));
    let permit = ("everything".to_owned(), "permit (principal, action, resource);".to_owned(), false);
    [permit].into_iter().chain(forbids).collect()
}

fn policy(rule: &Rule) -> String {
    let (action, condition) = match rule.scope {
        Scope::Everything => ("action", String::new()),
        Scope::RegionIs(region) => {
            ("action", format!(r#"!(context has customer) || context.customer.region == "{region}""#))
        }
        Scope::ReadsAndWrites => (r#"action in [Action::"read", Action::"write"]"#, String::new()),
        Scope::LevelOutsideApac(level) => (
            "action",
            format!(
                r#"context.principal.level >= {level} && (!(context has customer) || context.customer.region != "APAC")"#
            ),
        ),
    };
    let when = if condition.is_empty() { condition } else { format!("when {{ {condition} }} ") };
    let constraint = match rule.constraint {
        Constraint::LocationIn(locations) => format!("{locations:?}.contains(context.storage.location)"),
        Constraint::SizeAtMost(size) => format!("context.payload.size_kb <= {size}"),
        Constraint::RoleOrMfa(role) => {
            format!(r#"context.request.mfa || context.principal.roles.contains("{role}")"#)
        }
        Constraint::NetworkOrLevel(network) => format!(
            r#"context.principal.level > 2 || context.source.ip.isInRange(ip("10.{network}.0.0/16"))"#
        ),
        Constraint::TlsAndMfa => {
            r#"context.request.mfa && context.transport.tls_version.greaterThanOrEqual(decimal("1.2"))"#
                .to_owned()
        }
        Constraint::DepartmentOrEncrypted => {
            r#"context.storage.encrypted || context.principal.department like "fin*""#.to_owned()
        }
    };
    let resource = &rule.resource;
    format!(
        "forbid (principal, {action}, resource == Resource::\"{resource}\") {when}unless {{ {constraint} }};"
    )
}

pub(crate) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    blocking: HashSet<PolicyId>,
    types: Types,
}

/// Names that would otherwise be parsed for every request.
struct Types {
    user: EntityTypeName,
    action: EntityTypeName,
    resource: EntityTypeName,
}

impl Cedar {
    pub(crate) fn new(texts: Vec<(String, String, bool)>) -> anyhow::Result<Self> {
        let mut policies = PolicySet::new();
        let mut blocking = HashSet::new();
        for (id, text, denies) in texts {
            let id = PolicyId::new(id);
            policies.add(Policy::parse(Some(id.clone()), text)?)?;
            if denies {
                blocking.insert(id);
            }
        }
        let types =
            Types { user: "User".parse()?, action: "Action".parse()?, resource: "Resource".parse()? };
        Ok(Self {
            authorizer: Authorizer::new(),
            policies,
            entities: Entities::empty(),
            blocking,
            types,
        })
    }

    fn respond(&self, request: &Request) -> anyhow::Result<Response> {
        let response = self.authorizer.is_authorized(request, &self.policies, &self.entities);
        if let Some(error) = response.diagnostics().errors().next() {
            anyhow::bail!("a policy failed: {error}");
        }
        Ok(response)
    }

    fn allows(&self, response: &Response) -> bool {
        !response.diagnostics().reason().any(|id| self.blocking.contains(id))
    }
}

impl Types {
    fn request(&self, json: &[u8]) -> anyhow::Result<Request> {
        let parsed = hand::Request::parse(json)?;
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let user = uid(&self.user, parsed.principal.id);
        let action = uid(&self.action, parsed.action.name);
        let resource = uid(&self.resource, parsed.resource.kind);
        Ok(Request::new(user, action, resource, context(&parsed)?, None)?)
    }
}

fn context(request: &hand::Request<'_>) -> anyhow::Result<Context> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let principal = &request.principal;
    let mut pairs = vec![
        record(
            "principal",
            [
                ("level", RestrictedExpression::new_long(principal.level)),
                ("roles", RestrictedExpression::new_set(principal.roles.iter().map(|role| text(role)))),
                ("department", text(principal.department)),
            ],
        )?,
        record(
            "storage",
            [
                ("location", text(request.storage.location)),
                ("encrypted", RestrictedExpression::new_bool(request.storage.encrypted)),
            ],
        )?,
        record("payload", [("size_kb", RestrictedExpression::new_long(request.payload.size_kb))])?,
        record("request", [("mfa", RestrictedExpression::new_bool(request.request.mfa))])?,
        record("source", [("ip", RestrictedExpression::new_ip(request.source.ip.to_string()))])?,
        record(
            "transport",
            [(
                "tls_version",
                RestrictedExpression::new_decimal(format!("{:?}", request.transport.tls_version)),
            )],
        )?,
    ];
    if let Some(customer) = &request.customer {
        pairs.push(record("customer", [("region", text(&customer.region.to_string()))])?);
    }
    Ok(Context::from_pairs(pairs)?)
}

fn record<const N: usize>(
    name: &str,
    fields: [(&str, RestrictedExpression); N],
) -> anyhow::Result<(String, RestrictedExpression)> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok((name.to_owned(), RestrictedExpression::new_record(fields)?))
}

impl<'a> Engine<'a> for Cedar {
    type Prepared = Request;

    fn prepare(&mut self, json: &'a [u8]) -> anyhow::Result<Request> {
        self.types.request(json)
    }

    fn decide(&mut self, request: &Request) -> anyhow::Result<bool> {
        Ok(self.allows(black_box(&self.respond(request)?)))
    }

    fn decide_json(&mut self, json: &'a [u8]) -> anyhow::Result<bool> {
        self.decide(&self.types.request(json)?)
    }

    fn outcome(&mut self, json: &'a [u8]) -> anyhow::Result<Outcome> {
        let response = self.respond(&self.types.request(json)?)?;
        // Where nothing forbids, the reason is the permit.
        let names = response.diagnostics().reason().map(ToString::to_string);
        let mut found = names
            .filter(|id| id != "everything")
            .map(|id| number(&id))
            .collect::<Result<Vec<_>, _>>()?;
        found.sort_unstable();
        Ok(Outcome { allow: self.allows(&response), found, undecided: None })
    }
}
