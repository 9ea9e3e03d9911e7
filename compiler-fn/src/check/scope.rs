//! What SCOPE, AT and EFFECTIVE mean as one condition: to which requests a policy applies, at which points, and when.

use std::collections::BTreeMap;

use aecp_contract::{
    manifest::{POINT_ATTRIBUTE, Point, TIME_ATTRIBUTE},
    value::{Timestamp, Type},
};

use crate::{
    findings::{Finding, Kind, code},
    language::ast::{
        self, Atom, Comparison, Condition, ConditionKind, Field, Literal, Operand, Scope, Spanned, Text,
    },
    source::Span,
};

/// The attributes that every set has without declaring them, with their types.
pub(super) fn reserved() -> [(&'static str, Type); 2] {
    let points = Point::ALL.map(|point| point.as_str().to_owned()).to_vec();
    [(TIME_ATTRIBUTE, Type::Timestamp), (POINT_ATTRIBUTE, Type::Enum(points))]
}

/// All that a policy's SCOPE, AT and EFFECTIVE ask of a request; `None` if nothing.
pub(super) fn condition(policy: &ast::Policy) -> Option<Condition> {
    let mut parts = Vec::new();
    for field in &policy.fields {
        match &field.node {
            Field::Scope(scope) => parts.extend(written(scope)),
            Field::At(points) => parts.extend(at(points, field.span)),
            Field::Effective { from, until } => {
                let bound = |text: &Text, operator| compare(TIME_ATTRIBUTE, operator, text, text.span);
                parts.extend(from.as_ref().map(|text| bound(text, Comparison::GreaterOrEqual)));
                parts.extend(until.as_ref().map(|text| bound(text, Comparison::Less)));
            }
            _ => {}
        }
    }
    let span = parts.iter().map(|part| part.span).reduce(Span::to)?;
    if parts.len() > 1 {
        return Some(Spanned::new(ConditionKind::And(parts), span));
    }
    parts.pop()
}

/// `name` is `resource.type == "name"`, and WHERE adds to it.
pub(super) fn written(scope: &Scope) -> Vec<Condition> {
    let resource = scope.resource.as_ref();
    let resource = resource.map(|name| compare("resource.type", Comparison::Equal, name, name.span));
    resource.into_iter().chain(scope.condition.clone()).collect()
}

fn compare(path: &str, operator: Comparison, text: &Text, span: Span) -> Condition {
    let atom = Atom::Compare {
        path: Spanned::new(path.to_owned(), span),
        operator,
        right: Operand::Literal(Spanned::new(Literal::Text(text.node.clone()), span)),
    };
    Spanned::new(ConditionKind::Atom(atom), span)
}

fn at(points: &[Spanned<Point>], span: Span) -> Option<Condition> {
    // In a fixed order, so that another order is no other condition.
    let named =
        Point::ALL.into_iter().filter_map(|point| points.iter().find(|named| named.node == point));
    let points: Vec<&Spanned<Point>> = named.collect();
    if points.len() == Point::ALL.len() {
        return None;
    }
    let word =
        |point: &Spanned<Point>| Spanned::new(Literal::Text(point.node.as_str().to_owned()), point.span);
    let path = Spanned::new(POINT_ATTRIBUTE.to_owned(), span);
    let atom = Atom::InList { path, negated: false, list: points.into_iter().map(word).collect() };
    Some(Spanned::new(ConditionKind::Atom(atom), span))
}

/// Reports a point that AT names twice.
pub(super) fn check_at(points: &[Spanned<Point>], findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<Point, Span> = BTreeMap::new();
    for point in points {
        if let Some(first) = seen.insert(point.node, point.span) {
            let message = format!("`{}` stands twice", point.node.as_str());
            findings.push(
                Finding::error(code::DUPLICATE_FIELD, Kind::Duplicate, point.span, message)
                    .here("the second")
                    .also(first, "the first"),
            );
        }
    }
}

/// Reads the ends of EFFECTIVE, and reports those that are no timestamps or no span of time.
pub(super) fn check_effective(
    from: Option<&Text>,
    until: Option<&Text>,
    findings: &mut Vec<Finding>,
) -> (Option<Timestamp>, Option<Timestamp>) {
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
        let message = "the policy would never be in effect";
        findings.push(
            Finding::error(code::BAD_LITERAL, Kind::Type, until_at, message)
                .here("ends here")
                .also(from_at, "begins here"),
        );
    }
    (from.map(|(time, _)| time), until.map(|(time, _)| time))
}
