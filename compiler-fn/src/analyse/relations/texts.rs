//! Texts that must differ, and texts that are parts of others.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use aecp_contract::value::Value;

use super::{Domain, Outcome, PATTERNS, Related, Relation, Solved, Variables, with_part};
use crate::analyse::{solve::Blame, text::TextSet};

/// So many candidates are tried for a text that is a part of another.
const MAX_PARTS: usize = 16;

/// So many parts of texts are listed to be candidates.
const MAX_LISTED: usize = 400;

impl Variables<'_> {
    /// A value for every text, different where it must be.
    pub(super) fn texts(&self) -> Outcome<BTreeMap<usize, Value>> {
        let mut texts = Vec::new();
        for (variable, domain) in self.domains.iter().enumerate() {
            let Domain::Texts(set) = domain else { continue };
            let differ = |r: &&Related| r.relation == Relation::Differ;
            let neighbours: BTreeSet<usize> = self
                .related
                .iter()
                .filter(differ)
                .filter_map(|r| match (r.left == variable, r.right == variable) {
                    (true, _) => Some(r.right),
                    (_, true) => Some(r.left),
                    _ => None,
                })
                .collect();
            // With one candidate more than neighbours, one is always free.
            let Some(candidates) = set.some(neighbours.len() + 1, self.left) else {
                return Outcome::NotDecided(self.blame(variable));
            };
            texts.push((variable, neighbours, candidates));
        }
        texts.sort_by_key(|(_, neighbours, candidates)| {
            (candidates.len() > neighbours.len(), candidates.len())
        });
        let mut chosen = BTreeMap::new();
        match choose(&texts, &mut chosen, &mut 10_000) {
            Some(true) => Outcome::Values(
                chosen.into_iter().map(|(at, text)| (at, Value::Text(text.to_owned()))).collect(),
            ),
            Some(false) => Outcome::None,
            None => Outcome::NotDecided(Blame {
                span: self.related.first().map(|r| r.atom),
                why: "there are too many texts to tell apart",
            }),
        }
    }

    pub(super) fn blame(&self, variable: usize) -> Blame {
        let of = self.related.iter().find(|r| r.left == variable || r.right == variable);
        Blame { span: of.map(|r| r.atom), why: PATTERNS }
    }

    /// Tries candidates for the text that is, or is not, a part of another.
    pub(super) fn part(&self, at: usize, steps: &mut u32) -> Solved {
        let Related { relation, left, right, .. } = self.related[at];
        let (Domain::Texts(whole), Domain::Texts(part)) = (&self.domains[left], &self.domains[right])
        else {
            return Outcome::None;
        };
        let (candidates, all) = candidates(relation, whole, part, self.left);
        let blame = Blame {
            span: Some(self.related[at].atom),
            why: "not every text that could be a part of another can be tried",
        };
        let changes = candidates.into_iter().map(|text| {
            move |variables: &mut Self| {
                variables.related.remove(at);
                let whole = &variables.domains[left];
                variables.domains[left] = whole.and(&with_part(relation, &text));
                variables.domains[right] = Domain::Texts(TextSet::of([text.as_str()]));
            }
        });
        self.first_of(changes, steps, (!all).then_some(blame))
    }
}

/// Backtracks over candidates; `None` if that takes too long.
fn choose<'t>(
    texts: &'t [(usize, BTreeSet<usize>, Vec<String>)],
    chosen: &mut BTreeMap<usize, &'t str>,
    steps: &mut u32,
) -> Option<bool> {
    let Some(((variable, neighbours, candidates), rest)) = texts.split_first() else {
        return Some(true);
    };
    for candidate in candidates {
        *steps = steps.checked_sub(1)?;
        let taken = |other: &usize| chosen.get(other).is_some_and(|text| text == candidate);
        if neighbours.iter().any(taken) {
            continue;
        }
        chosen.insert(*variable, candidate);
        if choose(rest, chosen, steps)? {
            return Some(true);
        }
        chosen.remove(variable);
    }
    Some(false)
}

/// Texts that `part` may be, and whether they are all that matter.
fn candidates(
    relation: Relation,
    whole: &TextSet,
    part: &TextSet,
    left: &Cell<u64>,
) -> (Vec<String>, bool) {
    let few = |set: &TextSet| set.some(MAX_PARTS + 1, left).filter(|texts| texts.len() <= MAX_PARTS);
    if let Some(texts) = few(part) {
        return (texts, true);
    }
    let mut texts = whole.and(part).some(2, left).unwrap_or_default();
    let positive =
        matches!(relation, Relation::Starts(true) | Relation::Ends(true) | Relation::Has(true));
    if positive && let Some(wholes) = few(whole) {
        let listed = wholes.iter().flat_map(|whole| parts(relation, whole)).take(MAX_LISTED + 1);
        let listed: BTreeSet<&str> = listed.collect();
        if listed.len() <= MAX_LISTED {
            let fits = listed.into_iter().filter(|text| part.contains(text));
            return (fits.map(str::to_owned).collect(), true);
        }
    }
    texts.extend(part.some(MAX_PARTS, left).unwrap_or_default());
    (texts, false)
}

/// The beginnings, ends or parts of a text, the longest first.
fn parts(relation: Relation, text: &str) -> impl Iterator<Item = &str> {
    let bounds = move || (0..=text.len()).filter(|at| text.is_char_boundary(*at));
    bounds().flat_map(move |from| bounds().rev().map(move |to| (from, to))).filter_map(
        move |(from, to)| {
            let fits = match relation {
                Relation::Starts(_) => from == 0,
                Relation::Ends(_) => to == text.len(),
                _ => true,
            };
            (fits && from <= to).then(|| &text[from..to])
        },
    )
}
