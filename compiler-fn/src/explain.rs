//! The conditions of a set as data, for explanations of its decisions (`aecp_contract::explain`).

use aecp_contract::explain::{Atom, Clause, Clauses, Operand, PolicyClauses, Test, shown};

use crate::{
    language::{
        ast::{self, Comparison, Condition, ConditionKind, Literal, Path},
        format,
    },
    set::PolicySet,
    source::Sources,
};

/// The clauses of a set that was checked out of these sources.
#[must_use]
pub fn clauses(set: &PolicySet, sources: &Sources) -> Clauses {
    let writer = Writer { set, sources };
    let policies = set.policies.iter().map(|policy| PolicyClauses {
        file: policy.span.file,
        line: sources.position(policy.span.file, policy.span.start).line as u32,
        scope: policy.scope.as_ref().map_or_else(Vec::new, |condition| writer.condition(condition)),
        constraint: writer.condition(&policy.constraint),
    });
    let files = sources.files().iter().map(|file| file.path.clone());
    Clauses { files: files.collect(), policies: policies.collect() }
}

struct Writer<'a> {
    set: &'a PolicySet,
    sources: &'a Sources,
}

impl Writer<'_> {
    fn condition(&self, condition: &Condition) -> Vec<Clause> {
        let mut clauses = Vec::new();
        self.add(condition, &mut clauses);
        clauses
    }

    fn add(&self, condition: &Condition, clauses: &mut Vec<Clause>) {
        match &condition.node {
            ConditionKind::And(_) | ConditionKind::Or(_) => {
                let mut operands = Vec::new();
                chain(condition, &condition.node, &mut operands);
                let count = operands.len() as u32;
                let and = matches!(condition.node, ConditionKind::And(_));
                clauses.push(if and { Clause::All(count) } else { Clause::Any(count) });
                operands.into_iter().for_each(|operand| self.add(operand, clauses));
            }
            ConditionKind::Not(operand) => {
                clauses.push(Clause::Not);
                self.add(operand, clauses);
            }
            ConditionKind::Atom(atom) => {
                let (test, negated) = self.test(atom);
                let line = self.sources.position(condition.span.file, condition.span.start).line as u32;
                clauses.push(Clause::Atom(Atom {
                    text: shown(format::atom(atom)),
                    line,
                    negated,
                    test,
                }));
            }
        }
    }

    /// What an atom asks, and whether it says the contrary.
    fn test(&self, atom: &ast::Atom) -> (Test, bool) {
        let slot = |path: &Path| self.slot(path);
        let operand = |operand: &ast::Operand| match operand {
            ast::Operand::Path(path) => Operand::Slot(self.slot(path)),
            ast::Operand::Literal(literal) => Operand::Value(plain(&literal.node)),
        };
        match atom {
            ast::Atom::Compare { path, operator, right } => {
                let (path, right) = (slot(path), operand(right));
                match operator {
                    Comparison::Equal => (Test::Equal(path, right), false),
                    Comparison::NotEqual => (Test::Equal(path, right), true),
                    Comparison::Less => (Test::Less(path, right), false),
                    Comparison::GreaterOrEqual => (Test::Less(path, right), true),
                    Comparison::Greater => (Test::Greater(path, right), false),
                    Comparison::LessOrEqual => (Test::Greater(path, right), true),
                }
            }
            ast::Atom::Between { path, low, high } => {
                (Test::Between(slot(path), operand(low), operand(high)), false)
            }
            ast::Atom::InList { path, negated, list } => {
                let entries = list.iter().map(|entry| plain(&entry.node)).collect();
                (Test::OneOf(slot(path), entries), *negated)
            }
            ast::Atom::InPath { element, negated, list } => {
                (Test::Element(slot(list), operand(element)), *negated)
            }
            ast::Atom::Contains { path, item } => {
                let (path, item, is_list) = (slot(path), operand(item), self.is_list(path));
                (if is_list { Test::Element(path, item) } else { Test::HasPart(path, item) }, false)
            }
            ast::Atom::StartsWith { path, text } => (Test::StartsWith(slot(path), operand(text)), false),
            ast::Atom::EndsWith { path, text } => (Test::EndsWith(slot(path), operand(text)), false),
            ast::Atom::Matches { path, glob } => (Test::Matches(slot(path), glob.node.clone()), false),
            ast::Atom::InCidr { path, negated, cidr } => {
                (Test::InNetwork(slot(path), cidr.node.clone()), *negated)
            }
            ast::Atom::Exists(path) => (Test::Exists(slot(path)), false),
            ast::Atom::IsMissing(path) => (Test::Exists(slot(path)), true),
            ast::Atom::IsTrue(path) => (Test::Holds(slot(path)), false),
        }
    }

    #[expect(clippy::expect_used, reason = "a checked set has every attribute of its policies")]
    fn slot(&self, path: &Path) -> u32 {
        self.set.attribute(&path.node).expect("an attribute of the set").0 as u32
    }

    fn is_list(&self, path: &Path) -> bool {
        use aecp_contract::value::Type;
        matches!(self.set.attribute(&path.node), Some((_, Type::List(_))))
    }
}

/// The operands of a chain; a chain of the same kind within it adds its own.
fn chain<'a>(condition: &'a Condition, kind: &ConditionKind, operands: &mut Vec<&'a Condition>) {
    match (&condition.node, kind) {
        (ConditionKind::And(parts), ConditionKind::And(_))
        | (ConditionKind::Or(parts), ConditionKind::Or(_)) => {
            parts.iter().for_each(|part| chain(part, kind, operands));
        }
        _ => operands.push(condition),
    }
}

/// A literal as plain text ([`aecp_contract::value::Value::from_text`]). Lists stand in no condition.
fn plain(literal: &Literal) -> String {
    match literal {
        Literal::Text(text) | Literal::Decimal { text, .. } | Literal::Duration { text, .. } => {
            text.clone()
        }
        Literal::Int(n) => n.to_string(),
        Literal::Bool(b) => b.to_string(),
        Literal::List(_) => String::new(),
    }
}
