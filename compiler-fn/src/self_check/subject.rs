//! One policy as the self-check sees it: its atoms, the boundary values of its attributes, and what the reference
//! evaluator says of any choice among them.

use aecp_contract::value::{Attribute, Type};

use super::boundaries::{self, Constants};
use crate::{
    language::ast::{Atom, Condition},
    reference::{self, Attributes, Truth},
    set::PolicySet,
};

/// Atoms of one policy that are tried; of more, so many evenly spread ones.
pub(super) const MAX_TRIED: usize = 64;

/// The most combinations of values for which an atom's truth is kept.
const MAX_TABLE: usize = 1024;

/// A policy with the values to try.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    set: &'a PolicySet,
    /// Its index in the set.
    pub(super) policy: usize,
    /// The attributes that it looks at, in order of their slots.
    pub(super) attributes: Vec<Tried<'a>>,
    /// Those of the scope, then those of the constraint.
    pub(super) atoms: Vec<Known<'a>>,
}

/// An attribute and the values to try for it.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    pub(super) slot: usize,
    pub(super) path: &'a str,
    pub(super) ty: &'a Type,
    /// The last two are [`Attribute::Missing`] and [`Attribute::Invalid`].
    pub(super) values: Vec<Attribute>,
}

/// An atom and what is known of it.
#[derive(Debug)]
pub(super) struct Known<'a> {
    atom: &'a Atom,
    /// Whether it is among those that are taken through their values.
    pub(super) is_tried: bool,
    /// The attributes that it looks at, and its own boundary values of each; both by index.
    pub(super) looks_at: Vec<(usize, Vec<u16>)>,
    /// Its truth by the choice of values for these attributes; empty if there are too many.
    truths: Vec<Truth>,
}

/// Which value each of a policy's attributes has, by index into [`Tried::values`].
pub(super) type Choice = Box<[u16]>;

impl<'a> Subject<'a> {
    pub(super) fn new(set: &'a PolicySet, constants: &Constants<'_>, policy: usize) -> Self {
        let mut subject = Self { set, policy, attributes: Vec::new(), atoms: Vec::new() };
        let (scope, constraint) = subject.conditions();
        let mut atoms = Vec::new();
        for condition in scope.into_iter().chain([constraint]) {
            boundaries::each_atom(condition, &mut |atom| atoms.push(atom));
        }
        for atom in &atoms {
            for path in boundaries::paths(atom) {
                let Some((slot, ty)) = set.attribute(&path.node) else { continue };
                if let Err(at) = subject.attributes.binary_search_by_key(&slot, |tried| tried.slot) {
                    let tried = Tried { slot, path: &set.attributes[slot].path, ty, values: Vec::new() };
                    subject.attributes.insert(at, tried);
                }
            }
        }
        let step = atoms.len().div_ceil(MAX_TRIED).max(1);
        for (number, atom) in atoms.into_iter().enumerate() {
            let is_tried = number.is_multiple_of(step);
            let looks_at = subject.looks_at(atom, constants, is_tried);
            subject.atoms.push(Known { atom, is_tried, looks_at, truths: Vec::new() });
        }
        for tried in &mut subject.attributes {
            tried.values.extend([Attribute::Missing, Attribute::Invalid]);
        }
        let tables: Vec<_> = subject.atoms.iter().map(|known| subject.table(known)).collect();
        for (known, truths) in subject.atoms.iter_mut().zip(tables) {
            known.truths = truths;
        }
        subject
    }

    /// Scope and constraint.
    pub(super) fn conditions(&self) -> (Option<&'a Condition>, &'a Condition) {
        let policy = &self.set.policies[self.policy];
        (policy.scope.as_ref(), &policy.constraint)
    }

    /// The attributes of an atom, and its own boundary values if it is tried.
    fn looks_at(
        &mut self,
        atom: &Atom,
        constants: &Constants<'_>,
        is_tried: bool,
    ) -> Vec<(usize, Vec<u16>)> {
        let mut looks_at = Vec::new();
        for path in boundaries::paths(atom) {
            let Some((slot, ty)) = self.set.attribute(&path.node) else { continue };
            let at = self.attributes.partition_point(|tried| tried.slot < slot);
            let mut own = Vec::new();
            if is_tried {
                let all = &mut self.attributes[at].values;
                for value in boundaries::values(self.set, constants, atom, (slot, ty)) {
                    let value = Attribute::Present(value);
                    let index = all.iter().position(|there| *there == value).unwrap_or_else(|| {
                        all.push(value);
                        all.len() - 1
                    });
                    if !own.contains(&(index as u16)) {
                        own.push(index as u16);
                    }
                }
            }
            looks_at.push((at, own));
        }
        looks_at
    }

    fn table(&self, known: &Known<'_>) -> Vec<Truth> {
        let size = known.looks_at.iter().try_fold(1usize, |size, (attribute, _)| {
            size.checked_mul(self.attributes[*attribute].values.len())
        });
        let Some(size) = size.filter(|size| *size <= MAX_TABLE) else { return Vec::new() };
        let mut choice = vec![0; self.attributes.len()];
        let truth = |mut index: usize| {
            for (attribute, _) in known.looks_at.iter().rev() {
                let values = self.attributes[*attribute].values.len();
                choice[*attribute] = (index % values) as u16;
                index /= values;
            }
            self.asked(known.atom, &choice)
        };
        (0..size).map(truth).collect()
    }

    /// What the reference evaluator says of an atom.
    fn asked(&self, atom: &Atom, choice: &[u16]) -> Truth {
        reference::evaluate_atom(self.set, atom, &Chosen { subject: self, choice })
    }

    /// The truth of an atom under a choice.
    pub(super) fn truth(&self, atom: usize, choice: &[u16]) -> Truth {
        let known = &self.atoms[atom];
        let index = known.looks_at.iter().fold(0, |index, (attribute, _)| {
            index * self.attributes[*attribute].values.len() + usize::from(choice[*attribute])
        });
        known.truths.get(index).copied().unwrap_or_else(|| self.asked(known.atom, choice))
    }

    /// The truth of the scope, and that of `scope AND NOT constraint`.
    pub(super) fn outcome(&self, choice: &[u16]) -> (Truth, Truth) {
        let (scope, constraint) = self.conditions();
        let mut next = 0;
        let mut atom = |_: &Atom| {
            next += 1;
            self.truth(next - 1, choice)
        };
        let scope = scope.map_or(Truth::True, |scope| reference::fold(scope, &mut atom));
        (scope, scope.and(reference::fold(constraint, &mut atom).not()))
    }

    /// The value that stands for leaving the attribute out; the next one is what is not usable.
    pub(super) fn missing(&self, attribute: usize) -> u16 {
        (self.attributes[attribute].values.len() - 2) as u16
    }

    /// The attributes whose text the scope compares with constants: those that the module may index.
    pub(super) fn keys(&self) -> Vec<usize> {
        let (scope, _) = self.conditions();
        let mut keys = Vec::new();
        let mut visit = |atom: &Atom| {
            let (Atom::Compare { path, .. } | Atom::InList { path, .. }) = atom else { return };
            let at =
                self.attributes.iter().position(|tried| tried.path == path.node && tried.ty.is_text());
            if let Some(at) = at
                && !keys.contains(&at)
            {
                keys.push(at);
            }
        };
        if let Some(scope) = scope {
            boundaries::each_atom(scope, &mut visit);
        }
        keys
    }

    /// The attributes of a choice.
    pub(super) fn chosen(&self, choice: &[u16]) -> impl Iterator<Item = (&Tried<'a>, &Attribute)> {
        let values = self.attributes.iter().zip(choice);
        values.map(|(tried, value)| (tried, &tried.values[usize::from(*value)]))
    }
}

/// A choice as the reference evaluator reads it.
struct Chosen<'s, 'a> {
    subject: &'s Subject<'a>,
    choice: &'s [u16],
}

impl Attributes for Chosen<'_, '_> {
    fn attribute(&self, path: &str, ty: &Type) -> Attribute {
        let attributes = &self.subject.attributes;
        match attributes.binary_search_by(|tried| tried.path.cmp(path)) {
            Ok(at) => usable(&attributes[at].values[usize::from(self.choice[at])], ty),
            Err(_) => Attribute::Missing,
        }
    }
}

/// What the reference evaluator is to see of a value that a slot holds.
pub(super) fn usable(attribute: &Attribute, ty: &Type) -> Attribute {
    match attribute {
        Attribute::Present(value) if !reference::is_usable(value, ty) => Attribute::Invalid,
        other => other.clone(),
    }
}
