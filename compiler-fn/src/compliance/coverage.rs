//! What a coverage map holds: which controls have policies, and which of these have tests.

use std::collections::BTreeMap;

use aecp_contract::{digest::Digest, manifest::Enforcement};
use serde::Serialize;

use super::catalogue::Framework;

/// The most names of tests that are kept for one policy and outcome; all are counted.
const MAX_NAMES: usize = 50;

/// How a set covers frameworks. Serialises to what `aecp coverage-map --format json` prints.
#[derive(Debug, Serialize)]
pub struct CoverageMap<'a> {
    /// What made it.
    pub compiler: &'static str,
    /// The digest of the sources.
    pub source: Digest,
    /// How many policies the set has.
    pub policies_in_set: usize,
    /// How many of its tests passed; only these count.
    pub passed_tests: usize,
    /// How many failed.
    pub failed_tests: usize,
    /// The frameworks in question.
    pub frameworks: Vec<FrameworkCoverage<'a>>,
    /// The policies that name a control or part of them, in byte order of their names.
    pub policies: Vec<PolicyCoverage<'a>>,
    /// References to these frameworks that name none of their controls (W080), with their policies.
    pub unknown: BTreeMap<&'a str, Vec<&'a str>>,
    /// References of the set to frameworks without a catalogue, with their policies.
    pub other: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> CoverageMap<'a> {
    /// What is said of a policy that names a control.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&PolicyCoverage<'a>> {
        let index = self.policies.binary_search_by(|policy| policy.name.cmp(name)).ok()?;
        self.policies.get(index)
    }
}

/// How a set covers one framework.
#[derive(Debug, Serialize)]
pub struct FrameworkCoverage<'a> {
    /// Which.
    pub framework: Framework,
    /// As references write it.
    pub name: &'static str,
    /// In full.
    pub title: &'static str,
    /// Which edition.
    pub edition: &'static str,
    /// What the catalogue lists and what not.
    pub note: &'static str,
    /// How many controls are in each state.
    pub summary: BTreeMap<State, usize>,
    /// The parts, in the framework's order.
    pub sections: Vec<SectionCoverage<'a>>,
    /// References to whole parts, with their policies. They count for no control.
    pub parts: BTreeMap<String, Vec<&'a str>>,
}

/// A part of a framework.
#[derive(Debug, Serialize)]
pub struct SectionCoverage<'a> {
    /// Its identifier.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Its controls.
    pub controls: Vec<ControlCoverage<'a>>,
}

/// One control.
#[derive(Debug, Serialize)]
pub struct ControlCoverage<'a> {
    /// As reports name it.
    pub name: String,
    /// Its identifier in the framework.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// How far it is tested.
    pub state: State,
    /// The policies that name it or something below it, in byte order.
    pub policies: Vec<&'a str>,
}

/// How far a control is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Each policy that names it has a test that satisfies it and one that violates it.
    Tested,
    /// Some of its policies have tests, but not all of them both.
    PartlyTested,
    /// None of its policies applies in any test.
    Untested,
    /// No policy names it.
    None,
}

/// A policy that names controls.
#[derive(Debug, Serialize)]
pub struct PolicyCoverage<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its file in the set.
    pub file: &'a str,
    /// The line of its name, from 1.
    pub line: usize,
    /// What a violation does.
    pub enforcement: Enforcement,
    /// Its references as they are written.
    pub references: &'a [String],
    /// Tests to whose requests it applies and that satisfy its constraint.
    pub satisfied: Outcomes<'a>,
    /// Tests to whose requests it applies and that violate it.
    pub violated: Outcomes<'a>,
    /// Tests to whose requests it applies and that leave its constraint open, since an attribute is missing.
    pub undecided: Outcomes<'a>,
}

/// Tests, counted, and the first of them by name.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes<'a> {
    /// How many.
    pub count: usize,
    /// The first 50, in the order of the sources.
    pub tests: Vec<&'a str>,
}

impl State {
    /// All of them, best first.
    pub const ALL: [Self; 4] = [Self::Tested, Self::PartlyTested, Self::Untested, Self::None];

    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tested => "tested",
            Self::PartlyTested => "partly tested",
            Self::Untested => "untested",
            Self::None => "no policy",
        }
    }
}

impl<'a> Outcomes<'a> {
    pub(super) fn add(&mut self, test: &'a str) {
        self.count += 1;
        if self.tests.len() < MAX_NAMES {
            self.tests.push(test);
        }
    }
}

impl PolicyCoverage<'_> {
    pub(super) fn is_fully_tested(&self) -> bool {
        self.satisfied.count > 0 && self.violated.count > 0
    }

    pub(super) fn is_tested(&self) -> bool {
        self.satisfied.count + self.violated.count + self.undecided.count > 0
    }
}
