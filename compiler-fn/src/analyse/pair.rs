//! Two policies that may both apply to a request.

use super::{
    node::Node,
    report,
    request::{Request, holds},
    solve::{Answer, Blame, Solver},
    subject::{Subject, request},
    witness::Candidate,
};
use crate::set::PolicySet;

/// Two policies.
pub(super) struct Pair<'s, 'a> {
    pub(super) solver: &'s Solver<'s>,
    pub(super) a: &'s Subject<'a>,
    pub(super) b: &'s Subject<'a>,
}

/// One policy says nothing that the other does not say.
pub(super) struct Implied<'s, 'a> {
    pub(super) weak: &'s Subject<'a>,
    pub(super) strong: &'s Subject<'a>,
    /// They say the same of the same requests, with two ENFORCEMENTs.
    pub(super) same_scope_other_mode: bool,
}

impl<'s, 'a> Pair<'s, 'a> {
    /// Whether there may be a request to which both apply, as far as that is seen at once.
    pub(super) fn may_meet(&self) -> bool {
        !self.a.apart_from(self.b)
    }

    fn block(&self) -> bool {
        self.a.blocking() && self.b.blocking()
    }

    /// Whether what one looks at may bear on what the other looks at.
    fn share(&self) -> bool {
        !self.a.slots.is_disjoint(&self.b.slots) || self.solver.nests()
    }

    /// Two BLOCKING policies that can each be satisfied, but never both, though both apply to some requests.
    pub(super) fn contradiction(&self, set: &PolicySet) -> Result<Option<Candidate>, Blame> {
        let Self { solver, a, b } = *self;
        let candidates = self.block() && self.share() && !a.forbids() && !b.forbids();
        if !candidates || self.seen_satisfied() {
            return Ok(None);
        }
        if !never(solver, &[&a.applies, &b.applies, &a.satisfied, &b.satisfied])? {
            return Ok(None);
        }
        // The later one is the one to look at.
        if a.policy.span < b.policy.span {
            report::contradiction(set, solver, b, a)
        } else {
            report::contradiction(set, solver, a, b)
        }
    }

    /// Two BLOCKING policies of which only one takes a break-glass token, though both apply to some requests.
    pub(super) fn exception_clash(&self) -> Result<Option<Candidate>, Blame> {
        match (self.a.policy.info.break_glass, self.b.policy.info.break_glass) {
            (true, false) if self.block() => report::exception_clash(self.solver, self.a, self.b),
            (false, true) if self.block() => report::exception_clash(self.solver, self.b, self.a),
            _ => Ok(None),
        }
    }

    /// Which of the two says nothing that the other does not say: the weaker, or if they are alike the later one.
    pub(super) fn implied(&self) -> Result<Option<Implied<'s, 'a>>, Blame> {
        let Self { solver, a, b } = *self;
        if !self.share() && !a.forbids() && !b.forbids() {
            return Ok(None);
        }
        let mode = |subject: &Subject<'_>| subject.policy.info.enforcement;
        let place = |subject: &Subject<'_>| (mode(subject), subject.policy.span);
        let (weak, strong) = if place(a) < place(b) { (b, a) } else { (a, b) };
        let below = implied(solver, weak, strong)?;
        let alike = mode(weak) == mode(strong);
        let above = (below || alike) && implied(solver, strong, weak)?;
        let clash = below && above && !alike && same_scope(solver, weak, strong)?;
        Ok(if clash || below && obliges_no_more(solver, weak, strong)? {
            Some(Implied { weak, strong, same_scope_other_mode: clash })
        } else if above && alike && obliges_no_more(solver, strong, weak)? {
            Some(Implied { weak: strong, strong: weak, same_scope_other_mode: false })
        } else {
            None
        })
    }

    /// Whether the requests that are known to satisfy each already show that one may satisfy both.
    fn seen_satisfied(&self) -> bool {
        let (Some(one), Some(other)) = (request(&self.a.kept), request(&self.b.kept)) else {
            return false;
        };
        let fits = |request: &Request| {
            [self.a, self.b]
                .into_iter()
                .all(|subject| holds(&subject.applies, request) && holds(&subject.satisfied, request))
        };
        !self.solver.nests() && (fits(&one.joined(other)) || fits(&other.joined(one)))
    }
}

/// Whether whatever violates one policy violates the other, and whatever leaves the one undecided leaves the other
/// undecided or violates it.
fn implied(solver: &Solver<'_>, one: &Subject<'_>, other: &Subject<'_>) -> Result<bool, Blame> {
    match request(&one.broken) {
        Some(request) if holds(&other.violated, request) => {}
        // A policy that can never be violated is told as such.
        _ => return Ok(false),
    }
    Ok(never(solver, &[&one.violated, &other.not_violated])?
        && never(solver, &[&one.raised, &other.not_raised])?)
}

/// Whether whatever one policy obliges to, the other obliges to as well, wherever the first may apply.
fn obliges_no_more(solver: &Solver<'_>, one: &Subject<'_>, other: &Subject<'_>) -> Result<bool, Blame> {
    Ok(one.policy.actions.is_empty()
        || one.obliges_no_more_than(other) && never(solver, &[&one.may_apply, &other.never_applies])?)
}

fn same_scope(solver: &Solver<'_>, a: &Subject<'_>, b: &Subject<'_>) -> Result<bool, Blame> {
    Ok(never(solver, &[&a.applies, &b.not_applies])? && never(solver, &[&b.applies, &a.not_applies])?)
}

fn never(solver: &Solver<'_>, nodes: &[&Node]) -> Result<bool, Blame> {
    match solver.solve(nodes) {
        Answer::No => Ok(true),
        Answer::Yes(_) => Ok(false),
        Answer::NotDecided(blame) => Err(blame),
    }
}
