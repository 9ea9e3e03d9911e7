//! Pieces that always stand on one line.

use std::fmt::Write as _;

use aecp_contract::value::Type;

use crate::language::ast::{Atom, Condition, ConditionKind, Literal, MaskMethod, Operand, Spanned};

/// A string with no more escapes than it needs.
pub(super) fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

pub(super) fn literal(value: &Literal) -> String {
    match value {
        Literal::Text(value) => text(value),
        Literal::Int(value) => value.to_string(),
        Literal::Decimal { text, .. } | Literal::Duration { text, .. } => text.clone(),
        Literal::Bool(value) => value.to_string(),
        Literal::List(entries) => list(entries),
    }
}

/// `[a, b]`
pub(super) fn list(entries: &[Spanned<Literal>]) -> String {
    let entries: Vec<_> = entries.iter().map(|entry| literal(&entry.node)).collect();
    format!("[{}]", entries.join(", "))
}

/// A type as SCHEMA spells it.
pub(super) fn ty(declared: &Type) -> String {
    match declared {
        Type::Enum(members) => {
            format!("ENUM({})", members.iter().map(|member| text(member)).collect::<Vec<_>>().join(", "))
        }
        Type::List(element) => format!("LIST<{}>", ty(element)),
        scalar => scalar.to_string(),
    }
}

pub(super) fn method(method: MaskMethod) -> String {
    match method {
        MaskMethod::Last(count) => format!("LAST({count})"),
        MaskMethod::Redact => "REDACT".to_owned(),
        MaskMethod::Hash => "HASH".to_owned(),
    }
}

fn operand(operand: &Operand) -> String {
    match operand {
        Operand::Literal(value) => literal(&value.node),
        Operand::Path(path) => path.node.clone(),
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// A list's atom up to its opening bracket: `path IN [`.
pub(super) fn list_opening(path: &str, negated: bool) -> String {
    format!("{path} {}IN [", not(negated))
}

pub(super) fn atom(atom: &Atom) -> String {
    match atom {
        Atom::Compare { path, operator, right } => {
            format!("{} {} {}", path.node, operator.as_str(), operand(right))
        }
        Atom::Between { path, low, high } => {
            format!("{} BETWEEN {} AND {}", path.node, operand(low), operand(high))
        }
        Atom::InList { path, negated, list: entries } => {
            format!("{} {}IN {}", path.node, not(*negated), list(entries))
        }
        Atom::InPath { element, negated, list } => {
            format!("{} {}IN {}", operand(element), not(*negated), list.node)
        }
        Atom::Contains { path, item } => format!("{} CONTAINS {}", path.node, operand(item)),
        Atom::StartsWith { path, text } => format!("{} STARTS WITH {}", path.node, operand(text)),
        Atom::EndsWith { path, text } => format!("{} ENDS WITH {}", path.node, operand(text)),
        Atom::Matches { path, glob } => format!("{} MATCHES {}", path.node, text(&glob.node)),
        Atom::InCidr { path, negated, cidr } => {
            format!("{} {}IN CIDR {}", path.node, not(*negated), text(&cidr.node))
        }
        Atom::Exists(path) => format!("{} EXISTS", path.node),
        Atom::IsMissing(path) => format!("{} IS MISSING", path.node),
        Atom::IsTrue(path) => path.node.clone(),
    }
}

/// A condition that nothing stands around.
pub(super) fn condition(whole: &Condition) -> String {
    let (operands, word) = match &whole.node {
        ConditionKind::And(operands) => (operands, " AND "),
        ConditionKind::Or(operands) => (operands, " OR "),
        _ => return clause(whole),
    };
    operands.iter().map(clause).collect::<Vec<_>>().join(word)
}

/// A condition within another one: chains in parentheses, also where precedence would do.
pub(super) fn clause(part: &Condition) -> String {
    match &part.node {
        ConditionKind::And(_) | ConditionKind::Or(_) => format!("({})", condition(part)),
        ConditionKind::Not(inner) if needs_parentheses(inner) => format!("NOT ({})", clause(inner)),
        ConditionKind::Not(inner) => format!("NOT {}", clause(inner)),
        ConditionKind::Atom(inner) => atom(inner),
    }
}

/// Whether NOT before this reads better with parentheses, `NOT (a IN b)`, though it means the same without.
pub(super) fn needs_parentheses(part: &Condition) -> bool {
    match &part.node {
        ConditionKind::Atom(inner) => {
            !matches!(inner, Atom::IsTrue(_) | Atom::Exists(_) | Atom::IsMissing(_))
        }
        _ => false,
    }
}
