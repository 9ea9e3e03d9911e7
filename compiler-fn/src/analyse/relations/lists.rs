//! Lists: what they must hold and lack, and lists that must differ.

use std::collections::BTreeMap;

use aecp_contract::value::{Type, Value};

use super::{Domain, Related, Relation, Solved, Variables};

impl Variables<'_> {
    /// Narrows what lists hold and lack by each other; `false` if they cannot.
    pub(super) fn lists(&mut self) -> bool {
        let memberships: Vec<(Related, bool)> = self
            .related
            .iter()
            .filter_map(|related| match related.relation {
                Relation::Holds(yes) => Some((*related, yes)),
                _ => None,
            })
            .collect();
        for (Related { left, right, atom, .. }, yes) in &memberships {
            let Domain::Lists { has, lacks } = &self.domains[*left] else { continue };
            let mut element = self.domains[*right].clone();
            if *yes && let Type::List(ty) = &self.types[*left] {
                element = element.and(&Domain::of(ty));
            }
            for other in if *yes { lacks } else { has } {
                element = element.without(other);
            }
            self.domains[*right] = element;
            for (other, holds) in &memberships {
                if *yes && !holds && other.left == *left {
                    if other.right == *right {
                        return false;
                    }
                    let (left, right) = (*right, other.right);
                    let differ = Related { relation: Relation::Differ, left, right, atom: *atom };
                    let known =
                        |r: &Related| (r.relation, r.left, r.right) == (Relation::Differ, left, right);
                    if !self.related.iter().any(known) {
                        self.related.push(differ);
                    }
                }
            }
        }
        true
    }

    /// Two lists that must differ, and of which nothing says that one has an element.
    pub(super) fn empty_pair(&self) -> Option<Related> {
        let has_element = |list: usize| {
            matches!(&self.domains[list], Domain::Lists { has, .. } if !has.is_empty())
                || self.related.iter().any(|r| r.relation == Relation::Holds(true) && r.left == list)
        };
        self.related.iter().copied().find(|r| {
            r.relation == Relation::Differ
                && matches!(self.types[r.left], Type::List(_))
                && !has_element(r.left)
                && !has_element(r.right)
        })
    }

    /// Gives one of two lists an element.
    pub(super) fn fill_one(&self, pair: Related, steps: &mut u32) -> Solved {
        let changes = [pair.left, pair.right].map(|list| {
            move |variables: &mut Self| {
                let Type::List(element) = variables.types[list].clone() else { return };
                variables.domains.push(Domain::of(&element));
                variables.types.push(*element);
                let right = variables.class.len();
                variables.class.push(right);
                let holds =
                    Related { relation: Relation::Holds(true), left: list, right, atom: pair.atom };
                variables.related.push(holds);
            }
        });
        self.first_of(changes, steps, None)
    }

    /// Lists with the elements that they must hold, and some of them longer so that they differ.
    pub(super) fn fill_lists(&self, values: &mut BTreeMap<usize, Value>) {
        let mut longer = 0;
        for (list, domain) in self.domains.iter().enumerate() {
            let Domain::Lists { has, .. } = domain else { continue };
            let mut elements = has.clone();
            let held =
                self.related.iter().filter(|r| r.relation == Relation::Holds(true) && r.left == list);
            elements.extend(held.filter_map(|r| values.get(&r.right).cloned()));
            let mut elements: Vec<Value> = elements.into_iter().collect();
            let differs =
                |r: &Related| r.relation == Relation::Differ && (r.left == list || r.right == list);
            if self.related.iter().any(differs)
                && let Some(last) = elements.last().cloned()
            {
                elements.extend(std::iter::repeat_n(last, longer));
                longer += 1;
            }
            values.insert(list, Value::List(elements));
        }
    }
}
