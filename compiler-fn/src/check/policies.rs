//! The fields of one policy: each at most once, the required ones there, their values sound.

use aecp_contract::{
    manifest::{AuditLevel, PolicyInfo},
    value::Timestamp,
};

use super::{literals::Resolved, types::Types};
use crate::{
    compliance,
    findings::{Finding, Kind, code},
    language::{
        ast::{
            self, Atom, Comparison, Condition, ConditionKind, Field, Literal, MaskMethod, Operand,
            Scope, Spanned, Text,
        },
        format,
    },
    set::Policy,
    source::Span,
};

/// Checks one policy and notes its uses of attributes; `None` where a required field is missing.
pub(super) fn check(
    policy: &ast::Policy,
    module: u32,
    types: &mut Types,
    findings: &mut Vec<Finding>,
) -> Option<Policy> {
    report_repeated_fields(policy, findings);
    let mut info = PolicyInfo {
        name: policy.name.node.clone(),
        module,
        enforcement: aecp_contract::manifest::Enforcement::Blocking,
        audit: AuditLevel::Required,
        description: None,
        version: None,
        author: None,
        justification: None,
        compliance: Vec::new(),
        break_glass: false,
        at: Vec::new(),
        effective_from: None,
        effective_until: None,
        obligations: Vec::new(),
    };
    let (mut scope, mut constraint, mut enforcement) = (None, None, None);
    let mut exception_span = None;
    for field in &policy.fields {
        match &field.node {
            Field::Description(text) => info.description = Some(text.node.clone()),
            Field::Author(text) => info.author = Some(text.node.clone()),
            Field::Justification(text) => info.justification = Some(text.node.clone()),
            Field::Version(version) => {
                if version.node < 1 {
                    let message = format!("a VERSION is 1 or more, not {}", version.node);
                    findings.push(Finding::error(code::BAD_LITERAL, Kind::Type, version.span, message));
                }
                info.version = Some(version.node);
            }
            Field::Compliance(references) => {
                compliance::report_unknown(references, findings);
                info.compliance = references.iter().map(|text| text.node.clone()).collect();
            }
            Field::Scope(written) => {
                let condition = scope_condition(written);
                if let Some(condition) = &condition {
                    types.condition(condition, true);
                }
                scope = Some(condition);
            }
            Field::Constraint(condition) => {
                types.condition(condition, true);
                constraint = Some(condition.clone());
            }
            Field::Enforcement(word) => enforcement = Some((word.node, field.span)),
            Field::Audit(word) => info.audit = word.node,
            Field::Exception => {
                info.break_glass = true;
                exception_span = Some(field.span);
            }
            Field::At(points) => {
                info.at = points.iter().map(|point| point.node.as_str().to_owned()).collect();
            }
            Field::Effective { from, until } => {
                effective(from.as_ref(), until.as_ref(), findings);
                info.effective_from = from.as_ref().map(|text| text.node.clone());
                info.effective_until = until.as_ref().map(|text| text.node.clone());
            }
            Field::Mask { path, method } => {
                types.mention(path);
                if matches!(method, MaskMethod::Last(0)) {
                    let message = "LAST(0) keeps nothing";
                    findings.push(
                        Finding::error(code::BAD_LITERAL, Kind::Type, field.span, message)
                            .try_instead("write `WITH REDACT`"),
                    );
                }
                info.obligations.push(format::field(field));
            }
            Field::Filter(condition) => {
                types.condition(condition, false);
                info.obligations.push(format::field(field));
            }
            Field::Limit { count, per, by } => {
                types.mention(by);
                limit(count, per, findings);
                info.obligations.push(format::field(field));
            }
        }
    }
    let mut require = |missing: bool, keyword: &str, example: &str| {
        if missing && !policy.incomplete {
            findings.push(
                Finding::error(
                    code::MISSING_FIELD,
                    Kind::Missing,
                    policy.name.span,
                    format!("policy `{}` has no {keyword}", policy.name.node),
                )
                .try_instead(format!("add `{keyword}: {example}`")),
            );
        }
    };
    require(scope.is_none(), "SCOPE", "requests");
    require(constraint.is_none(), "CONSTRAINT", "customer.region == \"EU\"");
    require(enforcement.is_none(), "ENFORCEMENT", "BLOCKING");
    let enforcement_span;
    (info.enforcement, enforcement_span) = enforcement?;
    let (scope, constraint, span) = (scope?, constraint?, policy.name.span);
    Some(Policy { info, span, enforcement_span, exception_span, scope, constraint })
}

/// Checks the literals of a policy's conditions against their types.
pub(super) fn literals(policy: &ast::Policy, types: &Resolved, findings: &mut Vec<Finding>) {
    for field in &policy.fields {
        match &field.node {
            Field::Scope(written) => {
                if let Some(condition) = scope_condition(written) {
                    types.literals(&condition, findings);
                }
            }
            Field::Constraint(condition) | Field::Filter(condition) => {
                types.literals(condition, findings);
            }
            _ => {}
        }
    }
}

/// What a SCOPE means as one condition: `name` is `resource.type == "name"`, and WHERE adds to it.
fn scope_condition(scope: &Scope) -> Option<Condition> {
    let resource = scope.resource.as_ref().map(|name| {
        let atom = Atom::Compare {
            path: Spanned::new("resource.type".to_owned(), name.span),
            operator: Comparison::Equal,
            right: Operand::Literal(Spanned::new(Literal::Text(name.node.clone()), name.span)),
        };
        Spanned::new(ConditionKind::Atom(atom), name.span)
    });
    match (resource, &scope.condition) {
        (Some(resource), Some(condition)) => {
            let span = resource.span.to(condition.span);
            Some(Spanned::new(ConditionKind::And(vec![resource, condition.clone()]), span))
        }
        (resource, condition) => resource.or_else(|| condition.clone()),
    }
}

fn report_repeated_fields(policy: &ast::Policy, findings: &mut Vec<Finding>) {
    let mut seen: Vec<(&str, Span)> = Vec::new();
    for field in &policy.fields {
        if matches!(field.node, Field::Mask { .. } | Field::Filter(_) | Field::Limit { .. }) {
            continue; // obligations add up
        }
        let keyword = field.node.keyword();
        match seen.iter().find(|(earlier, _)| *earlier == keyword) {
            Some((_, first)) => findings.push(
                Finding::error(
                    code::DUPLICATE_FIELD,
                    Kind::Duplicate,
                    field.span,
                    format!("`{keyword}` stands twice in policy `{}`", policy.name.node),
                )
                .here("the second")
                .also(*first, "the first"),
            ),
            None => seen.push((keyword, field.span)),
        }
    }
}

fn effective(from: Option<&Text>, until: Option<&Text>, findings: &mut Vec<Finding>) {
    let mut read = |text: &Text| {
        let parsed = text.node.parse::<Timestamp>().ok();
        if parsed.is_none() {
            let message = format!("`{}` is not a timestamp", text.node);
            findings.push(
                Finding::error(code::BAD_LITERAL, Kind::Type, text.span, message)
                    .try_instead("write RFC 3339, such as `\"2026-01-01T00:00:00Z\"`"),
            );
        }
        parsed.map(|time| (time, text.span))
    };
    let (from, until) = (from.and_then(&mut read), until.and_then(&mut read));
    if let (Some((from, from_at)), Some((until, until_at))) = (from, until)
        && from >= until
    {
        findings.push(
            Finding::error(
                code::BAD_LITERAL,
                Kind::Type,
                until_at,
                "the policy would never be in effect",
            )
            .here("ends here")
            .also(from_at, "begins here"),
        );
    }
}

fn limit(count: &Spanned<i64>, per: &Spanned<Literal>, findings: &mut Vec<Finding>) {
    if count.node < 1 {
        let message = format!("a LIMIT is 1 or more, not {}", count.node);
        findings.push(Finding::error(code::BAD_LITERAL, Kind::Type, count.span, message));
    }
    if !matches!(per.node, Literal::Duration { value, .. } if value.0 > 0) {
        findings.push(
            Finding::error(code::BAD_LITERAL, Kind::Type, per.span, "PER takes a duration above zero")
                .try_instead("write `PER 1m`"),
        );
    }
}
