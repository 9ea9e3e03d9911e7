//! Why a test failed: what was expected, what the set says, and the clauses of the policies that this is about.

use aecp_contract::{
    explain::{Explanation, Select, explain},
    manifest::Enforcement,
    request::AttributeTable,
    slots::SlotBuffer,
    verdict::{Decision, Verdict},
};

use super::TestResult;
use crate::{
    compile::{Results, manifest},
    explain::clauses,
    language::ast::Expect,
    set::PolicySet,
    source::Sources,
};

/// Policies of one failure that are explained at most.
const MAX_POLICIES: usize = 4;

/// Explains failed tests of one set.
pub struct Failures<'a> {
    set: &'a PolicySet,
    manifest: aecp_contract::manifest::Manifest,
    clauses: aecp_contract::explain::Clauses,
    table: AttributeTable,
    slots: SlotBuffer,
}

impl<'a> Failures<'a> {
    /// For the tests of a set that was checked out of these sources.
    #[must_use]
    pub fn new(set: &'a PolicySet, sources: &Sources) -> Self {
        Self {
            set,
            manifest: manifest(set, Results::default()),
            clauses: clauses(set, sources),
            table: AttributeTable::new(&set.attributes),
            slots: SlotBuffer::new(set.attributes.len()),
        }
    }

    /// The policies that the test names and those that deny, each with its clauses, their truths and their values.
    /// `None` if the request got no verdict, or is too large to be explained.
    #[must_use]
    pub fn explain(&mut self, result: &TestResult<'_>) -> Option<Explanation> {
        let verdict = result.verdict.as_ref()?;
        self.table.read_json(result.test.request.as_bytes(), &mut self.slots).ok()?;
        let involved = involved(self.set, &result.test.expect, verdict);
        let mut whole: Option<Explanation> = None;
        for policy in involved.iter().take(MAX_POLICIES) {
            let select = Select::Policy(*policy);
            let one =
                explain(&self.manifest, &self.clauses, &self.slots, verdict.into(), select).ok()?;
            match &mut whole {
                None => whole = Some(one),
                Some(whole) => whole.policies.extend(one.policies),
            }
        }
        let mut whole = whole?;
        whole.left_out = involved.len().saturating_sub(MAX_POLICIES);
        Some(whole)
    }
}

/// The policies that a failure is about: those that the test names, and if it is denied those that deny.
fn involved(set: &PolicySet, expect: &Expect, verdict: &Verdict) -> Vec<usize> {
    let named = match expect {
        Expect::Allow => &[],
        Expect::Deny(names) | Expect::AllowWithAdvisory(names) => names.as_slice(),
    };
    let mut involved: Vec<usize> = named.iter().filter_map(|name| set.policy(&name.node)).collect();
    if verdict.decision == Decision::Deny {
        let raised = verdict.violated.iter().chain(&verdict.indeterminate).map(|index| *index as usize);
        let blocks = |index: &usize| set.policies[*index].info.enforcement == Enforcement::Blocking;
        for index in raised.filter(blocks) {
            if !involved.contains(&index) {
                involved.push(index);
            }
        }
    }
    involved
}
