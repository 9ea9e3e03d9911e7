//! Which policies may meet: pairs whose scopes ask for different texts of one attribute need no look.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{domain::Domain, subject::Subject, text::TextSet};

/// The policies met so far, by the texts of one attribute that their scopes ask for.
pub(super) struct Index {
    /// The attribute that most scopes ask a text of.
    key: Option<usize>,
    all: Vec<usize>,
    by_text: BTreeMap<Arc<str>, Vec<usize>>,
    /// Those whose scopes ask for no text of it.
    others: Vec<usize>,
}

impl Index {
    pub(super) fn new(subjects: &[&Subject<'_>]) -> Self {
        let mut asked: BTreeMap<usize, usize> = BTreeMap::new();
        for bounds in subjects.iter().map(|subject| &subject.bounds) {
            for slot in bounds.keys().filter(|slot| texts(bounds, **slot).is_some()) {
                *asked.entry(*slot).or_default() += 1;
            }
        }
        let key = asked.into_iter().max_by_key(|(slot, count)| (*count, std::cmp::Reverse(*slot)));
        let key = key.map(|(slot, _)| slot);
        Self { key, all: Vec::new(), by_text: BTreeMap::new(), others: Vec::new() }
    }

    /// Adds a policy; the answer is those before it whose scopes may meet its own.
    pub(super) fn add(&mut self, subject: &Subject<'_>) -> Vec<usize> {
        let texts = self.key.and_then(|key| texts(&subject.bounds, key));
        let Some(texts) = texts else {
            let before = self.all.clone();
            self.all.push(subject.index);
            self.others.push(subject.index);
            return before;
        };
        let alike = texts.iter().filter_map(|text| self.by_text.get(text)).flatten();
        let before: BTreeSet<usize> = alike.chain(&self.others).copied().collect();
        self.all.push(subject.index);
        for text in texts {
            self.by_text.entry(text.clone()).or_default().push(subject.index);
        }
        before.into_iter().collect()
    }
}

/// The texts that an attribute must be one of.
fn texts(bounds: &BTreeMap<usize, Domain>, slot: usize) -> Option<&[Arc<str>]> {
    match bounds.get(&slot) {
        Some(Domain::Texts(TextSet::Some(texts))) => Some(texts),
        _ => None,
    }
}
