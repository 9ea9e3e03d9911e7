//! Two sets at once: questions about requests that both of them may see.
//!
//! Conditions are brought down to statements with the types of their own set. Where the other set has another type for
//! an attribute, what was said of the one type is said of both: an ENUM is a STRING that is one of its members, and a
//! value that is none of them is there, but unusable. Other types have no values in common that the solver could speak
//! of, so statements about such an attribute's value are refused.

use std::collections::BTreeSet;

use aecp_contract::{manifest::AttributeDeclaration, value::Type};

use super::{
    domain::Domain,
    lower::Lower,
    node::{Node, Presence, Want},
    request::Request,
    solve::{Answer, Blame, Solver},
};
use crate::{language::ast::Condition, set::PolicySet};

/// Why a question about an attribute with two types is refused.
const TWO_TYPES: &str = "the old and the new type of an attribute have no values that could be compared";

/// So many statements in one question cost a step more.
const STATEMENTS_PER_STEP: u64 = 4;

/// Which of the two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that was.
    Old,
    /// The one that is to be.
    New,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Old, Self::New];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

/// A statement about requests, either true or not.
#[derive(Debug, Clone)]
pub(crate) struct Statement(Node);

impl Statement {
    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::All(parts.into_iter().map(|part| part.0).collect()))
    }

    pub(crate) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::Any(parts.into_iter().map(|part| part.0).collect()))
    }
}

/// How one set sees an attribute of both.
#[derive(Debug, Clone)]
struct View {
    /// Its slot in the table of both.
    slot: usize,
    seen: Seen,
}

#[derive(Debug, Clone)]
enum Seen {
    /// As the table does.
    Alike,
    /// Only these texts are usable.
    Members(Domain),
    /// Its type cannot be compared with the other set's.
    Foreign,
}

/// What two types of one attribute come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Joined {
    One(Type),
    /// Two kinds of text.
    Texts,
    Neither,
}

fn join(before: &Type, after: &Type) -> Joined {
    let members = |of: &[String]| of.iter().cloned().collect::<BTreeSet<_>>();
    match (before, after) {
        (Type::Any, ty) | (ty, Type::Any) => Joined::One(ty.clone()),
        (Type::Enum(a), Type::Enum(b)) if members(a) == members(b) => Joined::One(before.clone()),
        (before, after) if before == after => Joined::One(before.clone()),
        (before, after) if before.is_text() && after.is_text() => Joined::Texts,
        _ => Joined::Neither,
    }
}

/// Whether an attribute's values are others than they were. One that was only asked to be there had none.
pub(crate) fn type_differs(before: &Type, after: &Type) -> bool {
    !matches!(join(before, after), Joined::One(_))
}

/// The attributes of both sets, as a set without policies.
pub(crate) fn table(old: &PolicySet, new: &PolicySet) -> PolicySet {
    let mut attributes = Vec::new();
    for AttributeDeclaration { path, ty } in &old.attributes {
        let ty = match new.attribute(path).map(|(_, after)| join(ty, after)) {
            Some(Joined::One(ty)) => ty,
            Some(Joined::Texts) => Type::String,
            Some(Joined::Neither) | None => ty.clone(),
        };
        attributes.push(AttributeDeclaration { path: path.clone(), ty });
    }
    let added = new.attributes.iter().filter(|attribute| old.attribute(&attribute.path).is_none());
    attributes.extend(added.cloned());
    attributes.sort_by(|a, b| a.path.cmp(&b.path));
    let (source, modules) = (new.source, Vec::new());
    PolicySet {
        source,
        modules,
        attributes,
        policies: Vec::new(),
        tests: Vec::new(),
        invariants: Vec::new(),
        others: Vec::new(),
        proofs: Vec::new(),
        min_coverage: None,
    }
}

/// Answers questions about the requests that two sets may see.
#[derive(Debug)]
pub(crate) struct Joint<'a> {
    sets: [&'a PolicySet; 2],
    views: [Vec<View>; 2],
    types_differ: bool,
    solver: Solver<'a>,
}

impl<'a> Joint<'a> {
    /// Over the [`table`] of both.
    pub(crate) fn new(old: &'a PolicySet, new: &'a PolicySet, table: &'a PolicySet) -> Self {
        let view = |set: &PolicySet, other: &PolicySet| {
            let view = |AttributeDeclaration { path, ty }: &AttributeDeclaration| {
                let joined = other.attribute(path).map(|(_, other)| join(ty, other));
                let seen = match (joined, ty) {
                    (Some(Joined::Texts), Type::Enum(_)) => Seen::Members(Domain::of(ty)),
                    (Some(Joined::Neither), _) => Seen::Foreign,
                    _ => Seen::Alike,
                };
                View { slot: table.attribute(path).map_or(0, |(slot, _)| slot), seen }
            };
            set.attributes.iter().map(view).collect()
        };
        let views: [Vec<View>; 2] = [view(old, new), view(new, old)];
        let types_differ = views.iter().flatten().any(|view| !matches!(view.seen, Seen::Alike));
        Self { sets: [old, new], views, types_differ, solver: Solver::new(table) }
    }

    /// The set of that side.
    pub(crate) fn set(&self, side: Side) -> &'a PolicySet {
        self.sets[side as usize]
    }

    /// That a condition of that side's set is this.
    ///
    /// # Errors
    /// It asks for the value of an attribute with two types.
    pub(crate) fn is(&self, side: Side, condition: &Condition, want: Want) -> Result<Statement, Blame> {
        let node = Lower { set: self.set(side) }.condition(condition, want);
        self.translate(side, node).map(Statement)
    }

    /// A request with all of one and what another has besides; `None` where attributes stand inside others, so that it
    /// might be no request.
    pub(crate) fn joined(&self, request: &Request, other: &Request) -> Option<Request> {
        (!self.solver.nests()).then(|| request.joined(other))
    }

    /// Whether the condition looks at an attribute that has another type in the other set.
    pub(crate) fn sees_otherwise(&self, side: Side, condition: &Condition) -> bool {
        if !self.types_differ {
            return false;
        }
        let mut slots = BTreeSet::new();
        Lower { set: self.set(side) }.condition(condition, Want::True).attributes(&mut slots);
        slots.into_iter().any(|slot| {
            let AttributeDeclaration { path, ty } = &self.set(side).attributes[slot];
            let other = self.set(side.other()).attribute(path);
            other.is_some_and(|(_, other)| type_differs(ty, other))
        })
    }

    /// Whether there is a request of which all of these hold, in slots of the table.
    pub(crate) fn find(&self, statements: &[Statement]) -> Answer {
        let nodes: Vec<&Node> = statements.iter().map(|statement| &statement.0).collect();
        let before = self.solver.left.get();
        let answer = self.solver.solve(&nodes);
        // Every step looks at all that is still open.
        let steps = before - self.solver.left.get();
        let more = steps.saturating_mul(nodes.len() as u64 / STATEMENTS_PER_STEP);
        self.solver.left.set(self.solver.left.get().saturating_sub(more));
        answer
    }

    fn translate(&self, side: Side, node: Node) -> Result<Node, Blame> {
        let view = |slot: usize| &self.views[side as usize][slot];
        let each = |nodes: Vec<Node>| -> Result<Vec<Node>, Blame> {
            nodes.into_iter().map(|node| self.translate(side, node)).collect()
        };
        let foreign = || Blame { span: None, why: TWO_TYPES };
        Ok(match node {
            Node::All(nodes) => Node::All(each(nodes)?),
            Node::Any(nodes) => Node::Any(each(nodes)?),
            Node::Is(slot, presence) => {
                let View { slot, seen } = view(slot);
                match seen {
                    Seen::Members(members) => usable_within(*slot, presence, members),
                    Seen::Foreign if asks_for_a_value(presence) => return Err(foreign()),
                    Seen::Alike | Seen::Foreign => Node::Is(*slot, presence),
                }
            }
            Node::In(slot, domain, span) => {
                let View { slot, seen } = view(slot);
                let within = Node::In(*slot, domain, span);
                match seen {
                    Seen::Members(members) => {
                        Node::Any(vec![within, Node::In(*slot, members.not(), span)])
                    }
                    Seen::Foreign => return Err(foreign()),
                    Seen::Alike => within,
                }
            }
            Node::Related(relation, left, right, span) => {
                let (left, right) = (view(left), view(right));
                if [left, right].iter().any(|view| matches!(view.seen, Seen::Foreign)) {
                    return Err(foreign());
                }
                Node::Related(relation, left.slot, right.slot, span)
            }
        })
    }
}

/// Whether it is more than that the attribute is there or not.
fn asks_for_a_value(presence: Presence) -> bool {
    presence.meets(Presence::USABLE) != presence.meets(Presence::UNUSABLE)
}

/// That a text is this, where only the members are usable.
fn usable_within(slot: usize, presence: Presence, members: &Domain) -> Node {
    if !asks_for_a_value(presence) {
        return Node::Is(slot, presence);
    }
    let span = Default::default();
    let usable = presence.meets(Presence::USABLE);
    let domain = if usable { members.clone() } else { members.not() };
    let text = Node::All(vec![Node::Is(slot, Presence::USABLE), Node::In(slot, domain, span)]);
    match presence.without(Presence::USABLE) {
        rest if rest.meets(Presence::ANY) => Node::Any(vec![text, Node::Is(slot, rest)]),
        _ => text,
    }
}
