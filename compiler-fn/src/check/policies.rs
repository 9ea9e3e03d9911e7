//! The fields of one policy: each at most once, the required ones there, their values sound.

use aecp_contract::manifest::{AuditLevel, Enforcement, PolicyInfo};

use super::{literals::Resolved, obligations, scope, types::Types};
use crate::{
    compliance,
    findings::{Finding, Kind, code},
    language::ast::{self, Field},
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
        enforcement: Enforcement::Blocking,
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
    };
    let (mut has_scope, mut constraint, mut enforcement) = (false, None, None);
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
            Field::Scope(_) => has_scope = true,
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
                scope::check_at(points, findings);
                info.at = points.iter().map(|point| point.node).collect();
            }
            Field::Effective { from, until } => {
                (info.effective_from, info.effective_until) =
                    scope::check_effective(from.as_ref(), until.as_ref(), findings);
            }
            Field::Mask { .. } | Field::Filter(_) | Field::Limit { .. } => {}
        }
    }
    let scope = scope::condition(policy);
    if let Some(condition) = &scope {
        types.condition(condition, true);
    }
    let actions = obligations::check(policy, types, findings);
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
    require(!has_scope, "SCOPE", "requests");
    require(constraint.is_none(), "CONSTRAINT", "customer.region == \"EU\"");
    require(enforcement.is_none(), "ENFORCEMENT", "BLOCKING");
    let enforcement_span;
    (info.enforcement, enforcement_span) = enforcement?;
    if let Some(span) = exception_span
        && info.enforcement != Enforcement::Blocking
    {
        let message = format!("an EXCEPTION to an {} policy has no effect", info.enforcement.as_str());
        findings.push(
            Finding::warning(code::NO_EFFECT, Kind::Misplaced, span, message)
                .here("there is no denial that a token could lift")
                .also(enforcement_span, "it never denies"),
        );
    }
    let span = policy.name.span;
    let constraint = constraint?;
    has_scope.then_some(Policy {
        info,
        span,
        enforcement_span,
        exception_span,
        scope,
        constraint,
        actions,
    })
}

/// Checks the literals of a policy's conditions against their types, and its obligations.
pub(super) fn literals(policy: &ast::Policy, types: &Resolved, findings: &mut Vec<Finding>) {
    for field in &policy.fields {
        match &field.node {
            Field::Scope(written) => {
                for part in scope::written(written) {
                    types.literals(&part, findings);
                }
            }
            Field::Constraint(condition) => types.literals(condition, findings),
            _ => {}
        }
    }
    obligations::resolved(policy, types, findings);
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
