//! The requests of tests, read once for everything that is asked of them.

use aecp_contract::{
    request::AttributeTable,
    slots::SlotBuffer,
    value::{Attribute, Type},
};

use crate::{
    language::ast::Condition,
    reference::{self, Attributes, Truth},
    set::{Policy, PolicySet},
};

/// What one test gives: the attributes that its request has, in byte order of their paths.
pub(super) struct Given<'a>(Vec<(&'a str, Attribute)>);

impl Attributes for Given<'_> {
    fn attribute(&self, path: &str, _: &Type) -> Attribute {
        let found = self.0.binary_search_by(|(given, _)| (*given).cmp(path));
        found.map_or(Attribute::Missing, |at| self.0[at].1.clone())
    }
}

/// The requests of a set's tests, in their order; `None` for one that cannot be read.
pub(super) fn requests(set: &PolicySet) -> Vec<Option<Given<'_>>> {
    let table = AttributeTable::new(&set.attributes);
    let mut slots = SlotBuffer::new(set.attributes.len());
    let read = |test: &crate::set::Test| {
        table.read_json(test.request.as_bytes(), &mut slots).ok()?;
        let there = set.attributes.iter().enumerate().filter(|(slot, _)| !slots.is_missing(*slot));
        let given =
            there.map(|(slot, declared)| (declared.path.as_str(), slots.get(slot, &declared.ty)));
        Some(Given(given.collect()))
    };
    set.tests.iter().map(read).collect()
}

/// What a policy is for a request: the truth of its scope, and of `scope AND NOT constraint`.
pub(super) fn outcome(
    set: &PolicySet,
    scope: Option<&Condition>,
    constraint: &Condition,
    request: &impl Attributes,
) -> (Truth, Truth) {
    let scope = scope.map_or(Truth::True, |condition| reference::evaluate(set, condition, request));
    if scope == Truth::False {
        return (scope, Truth::False);
    }
    (scope, scope.and(reference::evaluate(set, constraint, request).not()))
}

/// Whether it matters, besides the policy's own outcome, that its scope is TRUE: under `DEFAULT: DENY`.
pub(super) fn covers(set: &PolicySet, policy: &Policy) -> bool {
    policy.info.enforcement == aecp_contract::manifest::Enforcement::Blocking
        && set.modules[policy.info.module as usize].default_deny
}
