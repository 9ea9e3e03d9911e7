//! MASK, REDACT, HASH, FILTER and LIMIT: what each asks for, and where it can be done.

use aecp_contract::{
    manifest::{Action, Point},
    value::Type,
};

use super::{literals::Resolved, types::Types};
use crate::{
    findings::{Finding, Kind, code},
    language::{
        ast::{self, Field, Literal, MaskMethod, Path, Spanned},
        format,
    },
    source::Span,
};

/// The most characters that LAST may keep: more hide nothing.
const MAX_LAST: u32 = 64;

/// The actions of a policy in their order, as far as they are sound in themselves.
pub(super) fn check(
    policy: &ast::Policy,
    types: &mut Types,
    findings: &mut Vec<Finding>,
) -> Vec<Action> {
    let mut masked: Vec<&Path> = Vec::new();
    let mut actions = Vec::new();
    for field in &policy.fields {
        match &field.node {
            Field::Mask { path, method } => {
                types.mention(path);
                if let Some(first) = masked.iter().find(|first| first.node == path.node) {
                    let message =
                        format!("`{}` is masked twice in policy `{}`", path.node, policy.name.node);
                    findings.push(
                        Finding::error(code::DUPLICATE_FIELD, Kind::Duplicate, path.span, message)
                            .here("the second")
                            .also(first.span, "the first"),
                    );
                }
                masked.push(path);
                actions.extend(mask(path, *method, field.span, findings));
            }
            Field::Filter(condition) => {
                types.condition(condition, false);
                actions.push(Action::Filter { condition: format::condition(condition) });
            }
            Field::Limit { count, per, by } => {
                types.mention(by);
                actions.extend(limit(count, per, by, findings));
            }
            _ => {}
        }
    }
    report_out_of_place(policy, findings);
    actions
}

fn mask(path: &Path, method: MaskMethod, span: Span, findings: &mut Vec<Finding>) -> Option<Action> {
    let attribute = path.node.clone();
    let wrong = |message: &str, instead: &str| {
        Finding::error(code::BAD_LITERAL, Kind::Type, span, message).try_instead(instead)
    };
    match method {
        MaskMethod::Redact => Some(Action::Redact { attribute }),
        MaskMethod::Hash => Some(Action::Hash { attribute }),
        MaskMethod::Last(0) => {
            findings.push(wrong("LAST(0) keeps nothing", "write `WITH REDACT`"));
            None
        }
        MaskMethod::Last(last @ ..=MAX_LAST) => Some(Action::Mask { attribute, last }),
        MaskMethod::Last(_) => {
            let message = format!("LAST keeps at most {MAX_LAST} characters");
            findings.push(wrong(&message, "write `WITH LAST(4)`"));
            None
        }
    }
}

fn limit(
    count: &Spanned<i64>,
    per: &Spanned<Literal>,
    by: &Path,
    findings: &mut Vec<Finding>,
) -> Option<Action> {
    let sound = u64::try_from(count.node).ok().filter(|count| *count > 0);
    if sound.is_none() {
        let message = format!("a LIMIT is 1 or more, not {}", count.node);
        findings.push(Finding::error(code::BAD_LITERAL, Kind::Type, count.span, message));
    }
    let per_ms = match per.node {
        Literal::Duration { value, .. } => u64::try_from(value.0).ok().filter(|per| *per > 0),
        _ => None,
    };
    if per_ms.is_none() {
        findings.push(
            Finding::error(code::BAD_LITERAL, Kind::Type, per.span, "PER takes a duration above zero")
                .try_instead("write `PER 1m`"),
        );
    }
    Some(Action::Limit { count: sound?, per_ms: per_ms?, by: by.node.clone() })
}

/// What is to be done to data can only be done where the data is.
fn report_out_of_place(policy: &ast::Policy, findings: &mut Vec<Finding>) {
    let at = policy.fields.iter().find_map(|field| match &field.node {
        Field::At(points) => Some((points, field.span)),
        _ => None,
    });
    let Some((points, span)) = at else { return };
    if points.iter().any(|point| matches!(point.node, Point::Data | Point::Egress)) {
        return;
    }
    for field in &policy.fields {
        if matches!(field.node, Field::Mask { .. } | Field::Filter(_)) {
            let message = format!("`{}` can only be done at DATA and EGRESS", field.node.keyword());
            findings.push(
                Finding::error(code::MISPLACED, Kind::Misplaced, field.span, message)
                    .here("this would never be done")
                    .also(span, "the policy is evaluated here alone")
                    .try_instead("add DATA or EGRESS to AT"),
            );
        }
    }
}

/// Checks the attributes and literals of a policy's obligations, once the types are known.
pub(super) fn resolved(policy: &ast::Policy, types: &Resolved, findings: &mut Vec<Finding>) {
    for field in &policy.fields {
        match &field.node {
            Field::Mask { path, method } => {
                let ty = types.ty(path);
                let (fits, needs) = match method {
                    MaskMethod::Last(_) => (ty.is_text() || *ty == Type::Any, "STRING"),
                    MaskMethod::Hash => (!matches!(ty, Type::List(_)), "a single value"),
                    MaskMethod::Redact => (true, ""),
                };
                if !fits {
                    findings.push(mismatch(path, ty, field.node.keyword(), needs));
                }
            }
            Field::Filter(condition) => types.literals(condition, findings),
            Field::Limit { by, .. } => {
                let ty = types.ty(by);
                if matches!(ty, Type::List(_)) {
                    findings.push(mismatch(by, ty, "LIMIT … BY", "a single value"));
                }
            }
            _ => {}
        }
    }
}

fn mismatch(path: &Path, ty: &Type, what: &str, needs: &str) -> Finding {
    let message = format!("`{}` is {ty}, but {what} needs {needs}", path.node);
    Finding::error(code::TYPE_MISMATCH, Kind::Type, path.span, message)
}
