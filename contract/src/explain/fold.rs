//! From the truths of atoms to the outcome of a policy, and back to the clauses that decided it.

use serde::{Deserialize, Serialize};

use super::{Atom, Clause, PolicyClauses};

/// Kleene's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Truth {
    /// Certainly not.
    False,
    /// An attribute that would decide it is missing or unusable.
    Unknown,
    /// Certainly.
    True,
}

use Truth::{False, True, Unknown};

const TRUTHS: [Truth; 3] = [False, Unknown, True];

impl Truth {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            False => "FALSE",
            Unknown => "UNKNOWN",
            True => "TRUE",
        }
    }

    /// NOT.
    #[must_use]
    pub const fn not(self) -> Self {
        match self {
            False => True,
            Unknown => Unknown,
            True => False,
        }
    }

    /// AND.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (False, _) | (_, False) => False,
            (True, True) => True,
            _ => Unknown,
        }
    }

    /// OR.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { True } else { False }
    }
}

/// What a policy says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its scope is TRUE and its constraint FALSE.
    Violated,
    /// It could be violated, if what is missing or unusable were known.
    Indeterminate,
    /// It applies, or could, and cannot be violated.
    Satisfied,
    /// Its scope is FALSE.
    NotInScope,
}

impl Outcome {
    /// The outcome of a policy whose scope and constraint are so.
    #[must_use]
    pub const fn of(scope: Truth, constraint: Truth) -> Self {
        match (scope, scope.and(constraint.not())) {
            (False, _) => Self::NotInScope,
            (_, True) => Self::Violated,
            (_, Unknown) => Self::Indeterminate,
            (_, False) => Self::Satisfied,
        }
    }
}

/// The truths of a policy's clauses for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTruths {
    /// Of each node of the scope.
    pub scope: Vec<Truth>,
    /// Of each node of the constraint.
    pub constraint: Vec<Truth>,
    /// What follows.
    pub outcome: Outcome,
}

impl PolicyTruths {
    /// Folds the truths of the policy's atoms; `atom` is asked for each once, in no promised order.
    #[must_use]
    pub fn of(policy: &PolicyClauses, atom: &mut dyn FnMut(&Atom) -> Truth) -> Self {
        let scope = truths(&policy.scope, atom);
        let constraint = truths(&policy.constraint, atom);
        let outcome = Outcome::of(whole(&scope), whole(&constraint));
        Self { scope, constraint, outcome }
    }

    /// Which nodes of scope and constraint decided: atoms that alone would change the outcome if their truth were
    /// another, or, where there are none, those that hold it up together.
    ///
    /// Only what the outcome is about is looked at: the scope if the policy is not in it, whatever is UNKNOWN if it
    /// is indeterminate, else the constraint.
    #[must_use]
    pub fn decisive(&self, policy: &PolicyClauses) -> (Vec<bool>, Vec<bool>) {
        let (scope, constraint) = (whole(&self.scope), whole(&self.constraint));
        let (about_scope, about_constraint) = match self.outcome {
            Outcome::NotInScope => (true, false),
            Outcome::Indeterminate => (scope == Unknown, constraint == Unknown),
            Outcome::Violated | Outcome::Satisfied => (false, true),
        };
        let changes = |outcome: Outcome| outcome != self.outcome;
        let scope_changes = TRUTHS.map(|truth| changes(Outcome::of(truth, constraint)));
        let constraint_changes = TRUTHS.map(|truth| changes(Outcome::of(scope, truth)));
        let unknown_only = self.outcome == Outcome::Indeterminate;
        let part = |about: bool, clauses: &[Clause], truths: &[Truth], changes: [bool; 3]| {
            if about {
                pivotal(clauses, truths, changes, unknown_only)
            } else {
                vec![false; clauses.len()]
            }
        };
        let alone = (
            part(about_scope, &policy.scope, &self.scope, scope_changes),
            part(about_constraint, &policy.constraint, &self.constraint, constraint_changes),
        );
        if alone.0.contains(&true) || alone.1.contains(&true) {
            return alone;
        }
        let part = |about: bool, clauses: &[Clause], truths: &[Truth]| {
            if about { causes(clauses, truths) } else { vec![false; clauses.len()] }
        };
        (
            part(about_scope, &policy.scope, &self.scope),
            part(about_constraint, &policy.constraint, &self.constraint),
        )
    }
}

/// The truth of a condition whose nodes are so; one without nodes is TRUE.
fn whole(truths: &[Truth]) -> Truth {
    truths.first().copied().unwrap_or(True)
}

/// The truth of each node.
fn truths(clauses: &[Clause], atom: &mut dyn FnMut(&Atom) -> Truth) -> Vec<Truth> {
    let mut truths = vec![True; clauses.len()];
    // Backwards, operands come before their connective; the first operand is the last on the stack.
    let mut stack: Vec<Truth> = Vec::new();
    for (clause, truth) in clauses.iter().zip(&mut truths).rev() {
        let operands = stack.split_off(stack.len().saturating_sub(clause.operands()));
        *truth = match clause {
            Clause::All(_) => operands.into_iter().fold(True, Truth::and),
            Clause::Any(_) => operands.into_iter().fold(False, Truth::or),
            Clause::Not => operands.into_iter().fold(True, Truth::and).not(),
            Clause::Atom(clause) => atom(clause),
        };
        stack.push(*truth);
    }
    truths
}

/// The operands of each node, by their places.
fn operands(clauses: &[Clause]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); clauses.len()];
    let mut stack: Vec<usize> = Vec::new();
    for (place, clause) in clauses.iter().enumerate().rev() {
        let mut operands = stack.split_off(stack.len().saturating_sub(clause.operands()));
        operands.reverse();
        all[place] = operands;
        stack.push(place);
    }
    all
}

/// Which atoms change the outcome if they alone had another truth. `changes` says it of the whole condition being
/// FALSE, UNKNOWN or TRUE.
fn pivotal(clauses: &[Clause], truths: &[Truth], changes: [bool; 3], unknown_only: bool) -> Vec<bool> {
    let operands = operands(clauses);
    let mut pivotal = vec![false; clauses.len()];
    // The same as `changes` for each node, its connective's other operands staying as they are.
    let mut if_it_were = vec![changes; clauses.len()];
    for (place, clause) in clauses.iter().enumerate() {
        let above = if_it_were[place];
        let through =
            |change: &dyn Fn(Truth) -> Truth| TRUTHS.map(|truth| above[change(truth) as usize]);
        match clause {
            Clause::Atom(_) => {
                let others =
                    TRUTHS.iter().filter(|truth| **truth != Unknown && **truth != truths[place]);
                pivotal[place] = (truths[place] == Unknown || !unknown_only)
                    && others.into_iter().any(|truth| above[*truth as usize]);
            }
            Clause::Not => {
                for operand in &operands[place] {
                    if_it_were[*operand] = through(&Truth::not);
                }
            }
            Clause::All(_) | Clause::Any(_) => {
                let (join, neutral): (fn(Truth, Truth) -> Truth, _) = if matches!(clause, Clause::All(_))
                {
                    (Truth::and, True)
                } else {
                    (Truth::or, False)
                };
                let of = |place: &usize| truths[*place];
                let mut behind = vec![neutral];
                for operand in operands[place].iter().rev() {
                    behind.push(join(of(operand), behind.last().copied().unwrap_or(neutral)));
                }
                let mut before = neutral;
                for (operand, behind) in operands[place].iter().zip(behind.iter().rev().skip(1)) {
                    let others = join(before, *behind);
                    if_it_were[*operand] = through(&|truth| join(truth, others));
                    before = join(before, of(operand));
                }
            }
        }
    }
    pivotal
}

/// The atoms that together give the condition its truth.
fn causes(clauses: &[Clause], truths: &[Truth]) -> Vec<bool> {
    let operands = operands(clauses);
    let mut cause = vec![false; clauses.len()];
    if let Some(first) = cause.first_mut() {
        *first = true;
    }
    for (place, clause) in clauses.iter().enumerate() {
        if matches!(clause, Clause::Atom(_)) || !cause[place] {
            continue;
        }
        cause[place] = false;
        // A connective has its truth of the operands that share it (NOT: of the one).
        let shares = |operand: &usize| *clause == Clause::Not || truths[*operand] == truths[place];
        for operand in operands[place].iter().filter(|operand| shares(operand)) {
            cause[*operand] = true;
        }
    }
    cause
}

#[cfg(test)]
mod tests;
