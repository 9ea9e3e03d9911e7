//! Requests of several policies made as one.
//!
//! A policy's request says nothing of the attributes that the policy does not look at, so others may fill them in.
//! Cases are grouped by their value of the attribute that most policies look at, then each joins the first request
//! of its group that it does not contradict. A set of many policies is thus asked many times fewer, above all where
//! that attribute is missing and the module must look at every policy.

use std::collections::BTreeMap;

use aecp_contract::value::{Attribute, Type, Value};

use super::{
    search::{Case, Cases},
    subject::{Subject, usable},
};
use crate::{reference::Attributes, set::PolicySet};

/// Cases that one instance of the module decides at least, where there are so many.
const BATCH: usize = 512;

/// Requests of a group that more cases may join, newest first.
const OPEN: usize = 32;

/// The most attributes of a request that policies share, so that it fits the module's arena.
const MAX_SHARED: usize = 64;

/// Groups of cases; each group has one value of the attribute that most policies look at.
pub(super) type Batch<'a> = Vec<Vec<&'a Case>>;

/// The attribute's value in a group: not looked at, missing, unusable, or a value.
type Key<'a> = (u8, Option<&'a Value>);

/// Sorts the cases into batches, which depend on the set alone.
pub(super) fn batches<'a>(
    set: &PolicySet,
    subjects: &[Subject<'_>],
    cases: &'a [Cases],
) -> Vec<Batch<'a>> {
    let mut users = vec![0usize; set.attributes.len()];
    for tried in subjects.iter().flat_map(|subject| &subject.attributes) {
        users[tried.slot] += 1;
    }
    let most = users.iter().copied().max().unwrap_or(0);
    let common = users.iter().position(|users| *users == most).unwrap_or(0);
    let mut groups: BTreeMap<Key<'_>, Vec<&Case>> = BTreeMap::new();
    for (subject, cases) in subjects.iter().zip(cases) {
        let at = subject.attributes.binary_search_by_key(&common, |tried| tried.slot).ok();
        // Cases of one value one after the other, so that their group is looked for once.
        let mut own: Vec<&Case> = cases.cases.iter().collect();
        own.sort_by_key(|case| at.map(|at| case.choice[at]));
        for cases in own.chunk_by(|a, b| at.is_none_or(|at| a.choice[at] == b.choice[at])) {
            let value = at.map(|at| &subject.attributes[at].values[usize::from(cases[0].choice[at])]);
            let key = match value {
                None => (0, None),
                Some(Attribute::Missing) => (1, None),
                Some(Attribute::Invalid) => (2, None),
                Some(Attribute::Present(value)) => (3, Some(value)),
            };
            groups.entry(key).or_default().extend(cases);
        }
    }
    let mut batches: Vec<Batch<'_>> = Vec::new();
    let mut room = 0;
    for group in groups.into_values() {
        let size = group.len();
        match batches.last_mut() {
            Some(batch) if room > 0 => batch.push(group),
            _ => {
                room = BATCH;
                batches.push(vec![group]);
            }
        }
        room = room.saturating_sub(size);
    }
    batches
}

/// A request, and the cases that it serves.
pub(super) struct Request<'a> {
    /// Slot, path, type, and what the request has for it; in order of slots, which is that of paths.
    pub(super) attributes: Vec<(usize, &'a str, &'a Type, &'a Attribute)>,
    pub(super) cases: Vec<&'a Case>,
}

/// Makes as few requests of a group as finding the first that fits gives.
pub(super) fn pack<'a>(subjects: &'a [Subject<'a>], group: &[&'a Case]) -> Vec<Request<'a>> {
    let mut requests: Vec<Request<'_>> = Vec::new();
    for case in group {
        let subject = &subjects[case.policy];
        let open = requests.len().saturating_sub(OPEN);
        match requests[open..].iter_mut().find(|request| request.has_room_for(subject, case)) {
            Some(request) => request.add(subject, case),
            None => requests.push(Request::of(subject, case)),
        }
    }
    requests
}

impl<'a> Request<'a> {
    /// The request that is about one case alone.
    pub(super) fn of(subject: &'a Subject<'a>, case: &'a Case) -> Self {
        let mut request = Self { attributes: Vec::new(), cases: Vec::new() };
        request.add(subject, case);
        request
    }

    fn find(&self, slot: usize) -> Result<usize, usize> {
        self.attributes.binary_search_by_key(&slot, |(slot, ..)| *slot)
    }

    fn has_room_for(&self, subject: &Subject<'_>, case: &Case) -> bool {
        let mut more = 0;
        subject.chosen(&case.choice).all(|(tried, attribute)| match self.find(tried.slot) {
            Ok(at) => same(self.attributes[at].3, attribute),
            Err(_) => {
                more += 1;
                self.attributes.len() + more <= MAX_SHARED
            }
        })
    }

    fn add(&mut self, subject: &'a Subject<'a>, case: &'a Case) {
        for (tried, attribute) in subject.chosen(&case.choice) {
            if let Err(at) = self.find(tried.slot) {
                self.attributes.insert(at, (tried.slot, tried.path, tried.ty, attribute));
            }
        }
        self.cases.push(case);
    }

    /// As the interpreter takes it.
    pub(super) fn slots(&self) -> impl Iterator<Item = (usize, &'a Type, &'a Attribute)> {
        self.attributes.iter().map(|(slot, _, ty, attribute)| (*slot, *ty, *attribute))
    }
}

/// Equality that looks at the ends of texts first, which is where values of one attribute differ.
fn same(a: &Attribute, b: &Attribute) -> bool {
    match (a, b) {
        (Attribute::Present(Value::Text(a)), Attribute::Present(Value::Text(b))) => {
            a.len() == b.len() && a.as_bytes().last() == b.as_bytes().last() && a == b
        }
        (a, b) => a == b,
    }
}

/// The request as the reference evaluator reads it.
impl Attributes for Request<'_> {
    fn attribute(&self, path: &str, ty: &Type) -> Attribute {
        match self.attributes.binary_search_by(|(_, other, ..)| (*other).cmp(path)) {
            Ok(at) => usable(self.attributes[at].3, ty),
            Err(_) => Attribute::Missing,
        }
    }
}
