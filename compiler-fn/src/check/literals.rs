//! Literals against the types of their places, once every attribute's type is known.

use std::collections::BTreeMap;

use aecp_contract::value::{Cidr, Type};

use crate::{
    findings::{Finding, Kind, code, suggested},
    language::ast::{Atom, Condition, ConditionKind, Literal, Operand, Path, Spanned},
    set::literal_value,
};

/// The attributes of a set with their types.
#[derive(Debug)]
pub(super) struct Resolved {
    /// By path: the type, and whether a policy's decision depends on it.
    pub(super) attributes: BTreeMap<String, (Type, bool)>,
    pub(super) strict: bool,
}

impl Resolved {
    pub(super) fn ty(&self, path: &Path) -> &Type {
        self.attributes.get(&path.node).map_or(&Type::Any, |(ty, _)| ty)
    }

    /// Checks every literal of a condition against the type of its place.
    pub(super) fn literals(&self, condition: &Condition, findings: &mut Vec<Finding>) {
        match &condition.node {
            ConditionKind::And(operands) | ConditionKind::Or(operands) => {
                operands.iter().for_each(|operand| self.literals(operand, findings));
            }
            ConditionKind::Not(operand) => self.literals(operand, findings),
            ConditionKind::Atom(atom) => self.atom_literals(atom, findings),
        }
    }

    fn atom_literals(&self, atom: &Atom, findings: &mut Vec<Finding>) {
        let mut check = |operand: &Operand, path: &Path, ty: &Type| {
            if let Operand::Literal(literal) = operand {
                literal_fits(literal, path, ty, findings);
            }
        };
        match atom {
            Atom::Compare { path, right, .. } => check(right, path, self.ty(path)),
            Atom::Between { path, low, high } => {
                check(low, path, self.ty(path));
                check(high, path, self.ty(path));
            }
            Atom::InList { path, list, .. } => {
                list.iter().for_each(|entry| literal_fits(entry, path, self.ty(path), findings));
            }
            Atom::InPath { element: item, list: path, .. } | Atom::Contains { path, item } => {
                match self.ty(path) {
                    Type::List(element) => check(item, path, element),
                    ty => check(item, path, if ty.is_text() { &Type::String } else { ty }),
                }
            }
            Atom::InCidr { cidr, .. } => match Cidr::parse_lenient(&cidr.node) {
                Ok((_, false)) => {}
                Ok((network, true)) => findings.push(
                    Finding::error(
                        code::BAD_LITERAL,
                        Kind::Type,
                        cidr.span,
                        format!("`{}` is an address inside a network, not a network", cidr.node),
                    )
                    .because("bits after the prefix are set")
                    .try_instead(format!("write `\"{network}\"`")),
                ),
                Err(_) => findings.push(
                    Finding::error(
                        code::BAD_LITERAL,
                        Kind::Type,
                        cidr.span,
                        format!("`{}` is not a network", cidr.node),
                    )
                    .try_instead("write an address and a prefix length, such as `\"10.0.0.0/8\"`"),
                ),
            },
            Atom::StartsWith { .. }
            | Atom::EndsWith { .. }
            | Atom::Matches { .. }
            | Atom::Exists(_)
            | Atom::IsMissing(_)
            | Atom::IsTrue(_) => {}
        }
    }
}

/// Reports a literal that is not a value of `path`'s type, where the kind of literal alone could be.
fn literal_fits(literal: &Spanned<Literal>, path: &Path, ty: &Type, findings: &mut Vec<Finding>) {
    let Literal::Text(text) = &literal.node else { return };
    if literal_value(&literal.node, ty).is_some() {
        return;
    }
    let finding = |message| Finding::error(code::BAD_LITERAL, Kind::Type, literal.span, message);
    findings.push(match ty {
        Type::Enum(members) => {
            let error = finding(format!("`{text}` is not a value of `{}`", path.node))
                .because(format!("it is {ty}"));
            match suggested(text, members.iter().map(String::as_str), findings) {
                Some(near) => error.try_instead(format!("did you mean `{near}`?")),
                None => error,
            }
        }
        Type::Timestamp => finding(format!("`{text}` is not a timestamp"))
            .because(format!("`{}` is TIMESTAMP", path.node))
            .try_instead("write RFC 3339, such as `\"2026-01-01T00:00:00Z\"`"),
        Type::Ip => {
            finding(format!("`{text}` is not an IP address")).because(format!("`{}` is IP", path.node))
        }
        // Any other type has been reported as a mismatch of this use.
        _ => return,
    });
}
