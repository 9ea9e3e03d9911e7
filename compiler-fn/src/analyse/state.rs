//! What is known of a request while it is searched for.

use std::collections::BTreeMap;

use aecp_contract::value::Type;

use super::{
    domain::Domain,
    node::{Node, Presence},
    relations::Related,
    solve::Solver,
};
use crate::source::Span;

/// What is known of one attribute.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) presence: Presence,
    pub(super) domain: Domain,
    /// The last atom that narrowed the domain.
    pub(super) atom: Option<Span>,
}

/// What is known so far.
#[derive(Debug, Clone, Default)]
pub(super) struct State<'n> {
    pub(super) facts: BTreeMap<usize, Fact>,
    pub(super) related: Vec<Related>,
    /// Choices that are not made yet.
    pub(super) open: Vec<&'n Vec<Node>>,
}

/// What is known of one alternative.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Holds,
    Fails,
    Open,
}

impl<'n> State<'n> {
    fn fact(&mut self, solver: &Solver<'_>, slot: usize) -> &mut Fact {
        self.facts.entry(slot).or_insert_with(|| {
            let ty = solver.ty(slot);
            // No value is usable where only presence is ever asked for.
            let presence = if *ty == Type::Any { Presence::UNKNOWN } else { Presence::ANY };
            Fact { presence, domain: Domain::of(ty), atom: None }
        })
    }

    /// Takes statements as true; `false` if they contradict what is known.
    pub(super) fn assume(&mut self, solver: &Solver<'_>, mut nodes: Vec<&'n Node>) -> bool {
        while let Some(node) = nodes.pop() {
            let sound = match node {
                Node::All(parts) => {
                    nodes.extend(parts);
                    true
                }
                Node::Any(choices) => match choices.as_slice() {
                    [only] => {
                        nodes.push(only);
                        true
                    }
                    _ => {
                        self.open.push(choices);
                        true
                    }
                },
                Node::Is(slot, presence) => self.is(solver, *slot, *presence),
                Node::In(slot, domain, atom) => {
                    let fact = self.fact(solver, *slot);
                    fact.domain = fact.domain.and(domain);
                    fact.atom = Some(*atom);
                    let possible = !fact.domain.is_empty();
                    possible || self.is(solver, *slot, Presence::UNKNOWN)
                }
                Node::Related(relation, left, right, atom) => {
                    self.related.push(Related {
                        relation: *relation,
                        left: *left,
                        right: *right,
                        atom: *atom,
                    });
                    true
                }
            };
            if !sound {
                return false;
            }
        }
        true
    }

    /// Narrows an attribute's presence, and what follows for those inside and around it.
    fn is(&mut self, solver: &Solver<'_>, slot: usize, presence: Presence) -> bool {
        let fact = self.fact(solver, slot);
        let before = fact.presence;
        fact.presence = before.and(presence);
        if fact.domain.is_empty() {
            fact.presence = fact.presence.without(Presence::USABLE);
        }
        let now = fact.presence;
        if now == before || !solver.nests() {
            return now.meets(Presence::ANY);
        }
        now.meets(Presence::ANY)
            && solver.nested.iter().all(|(outer, inner)| {
                if *inner == slot && !now.meets(Presence::MISSING) {
                    self.is(solver, *outer, Presence::UNUSABLE)
                } else if *outer == slot && !now.meets(Presence::UNUSABLE) {
                    self.is(solver, *inner, Presence::MISSING)
                } else {
                    true
                }
            })
    }

    /// Whether the parts ask for a usable value where none is left. Each part alone may still hold.
    fn excludes(&self, parts: &[Node]) -> bool {
        let [Node::Is(slot, Presence::USABLE), Node::In(of, domain, _)] = parts else { return false };
        let fact = self.facts.get(slot).filter(|_| slot == of);
        fact.is_some_and(|fact| fact.domain.and(domain).is_empty())
    }

    pub(super) fn status(&self, node: &Node) -> Status {
        match node {
            Node::All(parts) if self.excludes(parts) => Status::Fails,
            Node::All(parts) => {
                let mut all = Status::Holds;
                for part in parts {
                    match self.status(part) {
                        Status::Fails => return Status::Fails,
                        Status::Open => all = Status::Open,
                        Status::Holds => {}
                    }
                }
                all
            }
            Node::Any(choices) => {
                let mut any = Status::Fails;
                for choice in choices {
                    match self.status(choice) {
                        Status::Holds => return Status::Holds,
                        Status::Open => any = Status::Open,
                        Status::Fails => {}
                    }
                }
                any
            }
            Node::Is(slot, presence) => {
                let known = self.facts.get(slot).map_or(Presence::ANY, |fact| fact.presence);
                if known.within(*presence) {
                    Status::Holds
                } else if known.meets(*presence) {
                    Status::Open
                } else {
                    Status::Fails
                }
            }
            Node::In(slot, domain, _) => {
                let Some(fact) = self.facts.get(slot) else { return Status::Open };
                if !fact.presence.meets(Presence::USABLE) {
                    return Status::Holds;
                }
                let left = fact.domain.and(domain);
                if left == fact.domain {
                    Status::Holds
                } else if fact.presence.within(Presence::USABLE) && left.is_empty() {
                    Status::Fails
                } else {
                    Status::Open
                }
            }
            Node::Related(..) => Status::Open,
        }
    }
}
