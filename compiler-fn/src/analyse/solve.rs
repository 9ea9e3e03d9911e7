//! Is there a request of which some statements hold? Exact, or an honest "not decided".
//!
//! What must hold is collected attribute by attribute: each is missing, unusable, or a value of a [`Domain`], and a
//! contradiction shows at once. Alternatives that the attributes rule out are struck, those left alone are taken, and
//! only where several remain are they tried in turn, the smallest choice first (the way of Davis, Putnam, Logemann and
//! Loveland). Comparisons between attributes are decided last, all together (`relations`).

use std::{cell::Cell, collections::BTreeMap};

use aecp_contract::value::{Attribute, Type, Value};

use super::{
    domain::{Domain, Empty},
    lower::Lower,
    node::{Node, Presence, Want},
    relations::{self, Outcome, Related},
    request::Request,
    state::{Fact, State, Status},
};
use crate::{language::ast::Condition, set::PolicySet, source::Span};

/// Choices that one question may take.
const MAX_STEPS: u32 = 20_000;

/// Steps that all questions put to one solver may take together: choices, and states of patterns.
const MAX_TOTAL_STEPS: u64 = 10_000_000;

/// What is asked: a combination of conditions, each with what it shall be.
#[derive(Debug, Clone)]
pub enum Goal<'a> {
    /// The condition is this.
    Is(&'a Condition, Want),
    /// All of these.
    All(Vec<Goal<'a>>),
    /// At least one of these; never, if there are none.
    Any(Vec<Goal<'a>>),
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is such a request: this one.
    Yes(Request),
    /// There is none.
    No,
    /// It could not be decided.
    NotDecided(Blame),
}

/// Why a question could not be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The atom that is to blame, if it is one.
    pub span: Option<Span>,
    /// Why, in the voice of the findings.
    pub why: &'static str,
}

/// Answers questions about the requests that one set's policies may see.
#[derive(Debug)]
pub struct Solver<'a> {
    set: &'a PolicySet,
    /// Slots of which the second's path begins with the first's and a dot: a request that has the second has an object
    /// for the first.
    pub(super) nested: Vec<(usize, usize)>,
    pub(super) left: Cell<u64>,
}

impl<'a> Solver<'a> {
    /// A solver over the attributes of this set.
    #[must_use]
    pub fn new(set: &'a PolicySet) -> Self {
        let mut nested = Vec::new();
        for (inner, attribute) in set.attributes.iter().enumerate() {
            for (at, _) in attribute.path.match_indices('.') {
                nested.extend(set.attribute(&attribute.path[..at]).map(|(outer, _)| (outer, inner)));
            }
        }
        Self { set, nested, left: Cell::new(MAX_TOTAL_STEPS) }
    }

    /// Whether there is a request for which the goal is met, and one if so.
    #[must_use]
    pub fn find(&self, goal: &Goal<'_>) -> Answer {
        self.solve(&[&self.lower(goal)])
    }

    fn lower(&self, goal: &Goal<'_>) -> Node {
        match goal {
            Goal::Is(condition, want) => Lower { set: self.set }.condition(condition, *want),
            Goal::All(goals) => Node::All(goals.iter().map(|goal| self.lower(goal)).collect()),
            Goal::Any(goals) => Node::Any(goals.iter().map(|goal| self.lower(goal)).collect()),
        }
    }

    /// Whether there is a request of which all of these hold.
    pub(super) fn solve(&self, nodes: &[&Node]) -> Answer {
        let mut search = Search { solver: self, steps: MAX_STEPS, blame: None };
        match search.run(State::default(), nodes.to_vec()) {
            Some(request) => Answer::Yes(request),
            None => search.blame.map_or(Answer::No, Answer::NotDecided),
        }
    }

    /// Whether an attribute of the set stands inside another.
    pub(super) fn nests(&self) -> bool {
        !self.nested.is_empty()
    }

    pub(super) fn ty(&self, slot: usize) -> &'a Type {
        &self.set.attributes[slot].ty
    }

    /// What statements without a choice leave of each attribute; `None` if they contradict each other.
    pub(super) fn bounds(&self, node: &Node) -> Option<BTreeMap<usize, Domain>> {
        let mut state = State::default();
        if !state.assume(self, vec![node]) {
            return None;
        }
        let usable = |(slot, fact): (usize, Fact)| {
            fact.presence.within(Presence::USABLE).then_some((slot, fact.domain))
        };
        Some(state.facts.into_iter().filter_map(usable).collect())
    }
}

struct Search<'s, 'a> {
    solver: &'s Solver<'a>,
    steps: u32,
    blame: Option<Blame>,
}

impl Search<'_, '_> {
    fn run<'n>(&mut self, mut state: State<'n>, nodes: Vec<&'n Node>) -> Option<Request> {
        if !state.assume(self.solver, nodes) {
            return None;
        }
        let left = self.solver.left.get();
        if self.steps == 0 || left == 0 {
            let why = match left {
                0 => "the questions before this one took all the steps that there are",
                _ => "there are too many alternatives to try",
            };
            self.blame.get_or_insert(Blame { span: None, why });
            return None;
        }
        self.steps -= 1;
        self.solver.left.set(left - 1);
        let choices = match self.narrow(&mut state) {
            Narrowed::Contradiction => return None,
            Narrowed::Settled => return self.settle(&state),
            Narrowed::Choices(choices) => choices,
        };
        // What no choice can mend need not be tried with each.
        if matches!(self.relate(&state), Outcome::None) {
            return None;
        }
        choices.into_iter().find_map(|choice| self.run(state.clone(), vec![choice]))
    }

    /// Strikes alternatives that cannot be, and takes those that are left alone, until nothing changes. What remains is
    /// the choice with the fewest alternatives, taken out of the state.
    fn narrow<'n>(&self, state: &mut State<'n>) -> Narrowed<'n> {
        loop {
            let mut forced: Vec<&'n Node> = Vec::new();
            let mut best: Option<(usize, Vec<&'n Node>)> = None;
            let mut open = Vec::new();
            for choices in std::mem::take(&mut state.open) {
                let mut possible = Vec::new();
                let mut holds = false;
                for choice in choices {
                    match state.status(choice) {
                        Status::Holds => holds = true,
                        Status::Open => possible.push(choice),
                        Status::Fails => {}
                    }
                }
                match possible.as_slice() {
                    _ if holds => continue,
                    [] => return Narrowed::Contradiction,
                    [only] => forced.push(only),
                    _ => {
                        if best.as_ref().is_none_or(|(_, fewest)| possible.len() < fewest.len()) {
                            best = Some((open.len(), possible));
                        }
                        open.push(choices);
                    }
                }
            }
            state.open = open;
            if !forced.is_empty() {
                if !state.assume(self.solver, forced) {
                    return Narrowed::Contradiction;
                }
                continue;
            }
            return match best {
                Some((at, possible)) => {
                    state.open.swap_remove(at);
                    Narrowed::Choices(possible)
                }
                None => Narrowed::Settled,
            };
        }
    }

    /// A request of which everything known holds, once no choice is left.
    fn settle(&mut self, state: &State<'_>) -> Option<Request> {
        let mut values = match self.relate(state) {
            Outcome::Values(values) => values,
            Outcome::None => return None,
            Outcome::NotDecided(blame) => {
                self.blame.get_or_insert(blame);
                return None;
            }
        };
        let mut request = Request::default();
        for (slot, fact) in &state.facts {
            let attribute = match values.remove(slot) {
                Some(value) => Attribute::Present(value),
                None if fact.presence.meets(Presence::MISSING) => continue,
                None => self.attribute(*slot, fact)?,
            };
            request.0.insert(*slot, attribute);
        }
        Some(request)
    }

    /// Values for the attributes that are compared with each other.
    fn relate(&self, state: &State<'_>) -> Outcome<BTreeMap<usize, Value>> {
        let mut domains = BTreeMap::new();
        for Related { left, right, .. } in &state.related {
            for slot in [left, right] {
                domains.insert(*slot, state.facts[slot].domain.clone());
            }
        }
        relations::assign(self.solver, domains, &state.related)
    }

    fn attribute(&mut self, slot: usize, fact: &Fact) -> Option<Attribute> {
        if !fact.presence.meets(Presence::USABLE) {
            return Some(Attribute::Invalid);
        }
        match fact.domain.pick(self.solver.ty(slot), &self.solver.left) {
            Ok(value) => Some(Attribute::Present(value)),
            Err(_) if fact.presence.meets(Presence::UNUSABLE) => Some(Attribute::Invalid),
            Err(Empty::Certainly) => None,
            Err(Empty::Perhaps) => {
                self.blame.get_or_insert(Blame { span: fact.atom, why: relations::PATTERNS });
                None
            }
        }
    }
}

enum Narrowed<'n> {
    Contradiction,
    Settled,
    Choices(Vec<&'n Node>),
}
