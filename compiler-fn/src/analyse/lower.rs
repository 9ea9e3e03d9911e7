//! Questions about requests, brought down to what single attributes must be.
//!
//! Kleene's logic disappears here: that a condition is TRUE, or not FALSE, and so on, is a two-valued statement about
//! attributes being present, usable, and within sets of values. An atom is UNKNOWN exactly if an attribute that it looks
//! at is missing or unusable, so "not FALSE" of an atom with one attribute is "if usable, within the set".

use std::collections::BTreeSet;

use aecp_contract::value::{Cidr, Type, Value};

use super::{
    domain::{Domain, addresses},
    glob::Pattern,
    node::{Node, Presence, Relation, Want},
    text::TextSet,
};
use crate::{
    language::ast::{Atom, Comparison, Condition, ConditionKind, Literal, Operand, Path, Spanned},
    ranges::Ranges,
    set::{PolicySet, literal_value},
    source::Span,
};

/// One atom: what its attributes must be besides usable, if it shall hold or not.
enum Meaning {
    /// It never is UNKNOWN.
    Is(usize, Presence),
    In(usize, Domain),
    /// All of these relations hold, and the value of `low..high` lies in a set; else one of them does not.
    Related(Vec<(Relation, usize, usize)>, Vec<(usize, Domain)>),
}

/// Brings conditions of one set down to [`Node`]s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lower<'a> {
    pub(super) set: &'a PolicySet,
}

impl Lower<'_> {
    pub(super) fn condition(&self, condition: &Condition, want: Want) -> Node {
        if want == Want::Unknown {
            let both = [Want::NotFalse, Want::NotTrue].map(|want| self.condition(condition, want));
            return Node::All(both.into());
        }
        match &condition.node {
            ConditionKind::And(operands) | ConditionKind::Or(operands) => {
                let lowered = operands.iter().map(|operand| self.condition(operand, want)).collect();
                let conjunction = matches!(condition.node, ConditionKind::And(_));
                if conjunction == matches!(want, Want::True | Want::NotFalse) {
                    Node::All(lowered)
                } else {
                    Node::Any(lowered)
                }
            }
            ConditionKind::Not(operand) => self.condition(operand, want.negated()),
            ConditionKind::Atom(atom) => self.atom(atom, condition.span, want),
        }
    }

    fn atom(&self, atom: &Atom, span: Span, want: Want) -> Node {
        let holds = matches!(want, Want::True | Want::NotFalse);
        let known = matches!(want, Want::True | Want::False);
        let (meaning, turned) = self.meaning(atom);
        let holds = holds != turned;
        match meaning {
            Meaning::Is(slot, presence) => {
                Node::Is(slot, if holds { presence } else { Presence::ANY.without(presence) })
            }
            Meaning::In(slot, domain) => {
                let domain = if holds { domain } else { domain.not() };
                let within = Node::In(slot, domain, span);
                if known { Node::All(vec![Node::Is(slot, Presence::USABLE), within]) } else { within }
            }
            Meaning::Related(relations, domains) => {
                let mut slots: BTreeSet<usize> = domains.iter().map(|(slot, _)| *slot).collect();
                slots.extend(relations.iter().flat_map(|(_, left, right)| [*left, *right]));
                let relations = relations.into_iter().map(|(relation, left, right)| {
                    if holds {
                        Node::Related(relation, left, right, span)
                    } else {
                        let (relation, left, right) = negated(relation, left, right);
                        Node::Related(relation, left, right, span)
                    }
                });
                let domains = domains.into_iter().map(|(slot, domain)| {
                    Node::In(slot, if holds { domain } else { domain.not() }, span)
                });
                let parts: Vec<_> = relations.chain(domains).collect();
                let said = if holds { Node::All(parts) } else { Node::Any(parts) };
                let usable = slots.iter().map(|slot| Node::Is(*slot, Presence::USABLE));
                let decided = Node::All(usable.chain([said]).collect());
                if known {
                    return decided;
                }
                let unknown = slots.iter().map(|slot| Node::Is(*slot, Presence::UNKNOWN));
                Node::Any(unknown.chain([decided]).collect())
            }
        }
    }

    /// What an atom says, and whether that is turned about.
    fn meaning(&self, atom: &Atom) -> (Meaning, bool) {
        match atom {
            Atom::Compare { path, operator, right } => self.compare(path, *operator, right),
            Atom::Between { path, low, high } => (self.between(path, low, high), false),
            Atom::InList { path, negated, list } => {
                let (slot, ty) = self.slot(path);
                let values: Vec<_> = list.iter().map(|entry| constant(entry, ty)).collect();
                (Meaning::In(slot, Domain::values(&values)), *negated)
            }
            Atom::InPath { element, negated, list } => (self.holds(list, element), *negated),
            Atom::Contains { path, item } => match self.slot(path).1 {
                Type::List(_) => (self.holds(path, item), false),
                _ => (self.text(path, item, Relation::Has(true), (true, true)), false),
            },
            Atom::StartsWith { path, text } => {
                (self.text(path, text, Relation::Starts(true), (false, true)), false)
            }
            Atom::EndsWith { path, text } => {
                (self.text(path, text, Relation::Ends(true), (true, false)), false)
            }
            Atom::Matches { path, glob } => {
                let set = TextSet::like(Pattern::glob(&glob.node));
                (Meaning::In(self.slot(path).0, Domain::Texts(set)), false)
            }
            Atom::InCidr { path, negated, cidr } => {
                #[expect(clippy::expect_used, reason = "the checker refused every other text")]
                let (network, _) = Cidr::parse_lenient(&cidr.node).expect("a checked network");
                let last = network.network.0 | !network.mask();
                (Meaning::In(self.slot(path).0, addresses(network.network.0, last)), *negated)
            }
            Atom::Exists(path) => (Meaning::Is(self.slot(path).0, Presence::THERE), false),
            Atom::IsMissing(path) => (Meaning::Is(self.slot(path).0, Presence::MISSING), false),
            Atom::IsTrue(path) => {
                (Meaning::In(self.slot(path).0, Domain::values(&[Value::Bool(true)])), false)
            }
        }
    }

    fn compare(&self, path: &Path, operator: Comparison, right: &Operand) -> (Meaning, bool) {
        let (slot, ty) = self.slot(path);
        let turned = operator == Comparison::NotEqual;
        match right {
            Operand::Literal(literal) => {
                let domain = match operator {
                    Comparison::Equal | Comparison::NotEqual => Domain::values(&[constant(literal, ty)]),
                    operator => ordered(operator, &constant(literal, ty)),
                };
                (Meaning::In(slot, domain), turned)
            }
            Operand::Path(other) => {
                let other = self.slot(other).0;
                let relation = match operator {
                    Comparison::Equal | Comparison::NotEqual => (Relation::Equal, slot, other),
                    Comparison::Less => (Relation::Less, slot, other),
                    Comparison::LessOrEqual => (Relation::LessOrEqual, slot, other),
                    Comparison::Greater => (Relation::Less, other, slot),
                    Comparison::GreaterOrEqual => (Relation::LessOrEqual, other, slot),
                };
                (Meaning::Related(vec![relation], Vec::new()), turned)
            }
        }
    }

    fn between(&self, path: &Path, low: &Operand, high: &Operand) -> Meaning {
        let (slot, ty) = self.slot(path);
        let (mut relations, mut domain) = (Vec::new(), Domain::of(ty));
        for (operand, operator) in [(low, Comparison::GreaterOrEqual), (high, Comparison::LessOrEqual)] {
            match operand {
                Operand::Literal(literal) => {
                    domain = domain.and(&ordered(operator, &constant(literal, ty)));
                }
                Operand::Path(other) => {
                    let other = self.slot(other).0;
                    let below = operator == Comparison::LessOrEqual;
                    let (left, right) = if below { (slot, other) } else { (other, slot) };
                    relations.push((Relation::LessOrEqual, left, right));
                }
            }
        }
        if relations.is_empty() {
            Meaning::In(slot, domain)
        } else {
            Meaning::Related(relations, vec![(slot, domain)])
        }
    }

    fn holds(&self, list: &Path, element: &Operand) -> Meaning {
        let (slot, ty) = self.slot(list);
        match (element, ty) {
            (Operand::Literal(literal), Type::List(element)) => {
                Meaning::In(slot, Domain::holding(constant(literal, element)))
            }
            (Operand::Literal(_), _) => Meaning::In(slot, Domain::None),
            (Operand::Path(path), _) => {
                Meaning::Related(vec![(Relation::Holds(true), slot, self.slot(path).0)], Vec::new())
            }
        }
    }

    fn text(&self, path: &Path, text: &Operand, how: Relation, around: (bool, bool)) -> Meaning {
        let slot = self.slot(path).0;
        match text {
            Operand::Literal(Spanned { node: Literal::Text(text), .. }) => {
                let pattern = Pattern::around(around.0, text, around.1);
                Meaning::In(slot, Domain::Texts(TextSet::like(pattern)))
            }
            Operand::Literal(_) => Meaning::In(slot, Domain::Texts(TextSet::of([]))),
            Operand::Path(other) => Meaning::Related(vec![(how, slot, self.slot(other).0)], Vec::new()),
        }
    }

    fn slot(&self, path: &Path) -> (usize, &Type) {
        #[expect(clippy::expect_used, reason = "the checker gave every path of a policy its slot")]
        self.set.attribute(&path.node).expect("a checked path")
    }
}

fn constant(literal: &Spanned<Literal>, ty: &Type) -> Value {
    #[expect(clippy::expect_used, reason = "the checker refused every literal of another type")]
    literal_value(&literal.node, ty).expect("a checked literal")
}

/// The values on one side of a bound.
fn ordered(operator: Comparison, bound: &Value) -> Domain {
    let bound = super::domain::number(bound).unwrap_or_default();
    let (low, high) = (i128::MIN, i128::MAX);
    Domain::Numbers(match operator {
        Comparison::Less => Ranges::between(bound, high).not(),
        Comparison::LessOrEqual => Ranges::between(low, bound),
        Comparison::Greater => Ranges::between(low, bound).not(),
        Comparison::GreaterOrEqual => Ranges::between(bound, high),
        Comparison::Equal | Comparison::NotEqual => Ranges::between(bound, bound),
    })
}

const fn negated(relation: Relation, left: usize, right: usize) -> (Relation, usize, usize) {
    match relation {
        Relation::Equal => (Relation::Differ, left, right),
        Relation::Differ => (Relation::Equal, left, right),
        Relation::Less => (Relation::LessOrEqual, right, left),
        Relation::LessOrEqual => (Relation::Less, right, left),
        Relation::Holds(yes) => (Relation::Holds(!yes), left, right),
        Relation::Starts(yes) => (Relation::Starts(!yes), left, right),
        Relation::Ends(yes) => (Relation::Ends(!yes), left, right),
        Relation::Has(yes) => (Relation::Has(!yes), left, right),
    }
}
