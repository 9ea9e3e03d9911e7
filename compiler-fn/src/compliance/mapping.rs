//! From a set, its references and its tests to a coverage map.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    catalogue::{Control, Framework},
    coverage::{
        ControlCoverage, CoverageMap, FrameworkCoverage, Outcomes, PolicyCoverage, SectionCoverage,
        State,
    },
    reference::{Reference, resolve},
};
use crate::{
    compile::COMPILER,
    parallel::{self, in_parallel},
    reference::{Truth, evaluate},
    set::{Policy, PolicySet},
    source::Sources,
    testing::TestResult,
};

/// The most pairs of a policy and a test that a map looks at.
pub const MAX_PAIRS: usize = 20_000_000;

/// The set is beyond [`MAX_PAIRS`].
#[derive(Debug, thiserror::Error)]
#[error(
    "{policies} policies and {tests} tests are more than {MAX_PAIRS} pairs to look at; ask for one framework \
     with `--framework`, or map parts of the set"
)]
pub struct TooManyPairs {
    policies: usize,
    tests: usize,
}

/// What the references of a set come to.
#[derive(Default)]
struct References<'a> {
    controls: BTreeMap<(Framework, &'static str), BTreeSet<&'a str>>,
    parts: BTreeMap<(Framework, String), BTreeSet<&'a str>>,
    unknown: BTreeMap<(Framework, &'a str), BTreeSet<&'a str>>,
    other: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> References<'a> {
    fn of(set: &'a PolicySet) -> Self {
        let mut all = Self::default();
        let mut known: BTreeMap<&str, Reference> = BTreeMap::new();
        for info in set.policies.iter().map(|policy| &policy.info) {
            for text in &info.compliance {
                let named = match known.entry(text).or_insert_with(|| resolve(text)) {
                    Reference::Control { framework, control, .. } => {
                        all.controls.entry((*framework, control)).or_default()
                    }
                    Reference::Part { framework, canonical } => {
                        all.parts.entry((*framework, canonical.clone())).or_default()
                    }
                    Reference::Unknown { framework, .. } => {
                        all.unknown.entry((*framework, text)).or_default()
                    }
                    Reference::Other => all.other.entry(text).or_default(),
                };
                named.insert(&info.name);
            }
        }
        all
    }

    /// The frameworks that are named, and by whom.
    fn frameworks(&self) -> BTreeMap<Framework, BTreeSet<&'a str>> {
        let mut frameworks: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        let controls = self.controls.iter().map(|((framework, _), names)| (framework, names));
        let parts = self.parts.iter().map(|((framework, _), names)| (framework, names));
        let unknown = self.unknown.iter().map(|((framework, _), names)| (framework, names));
        for (framework, names) in controls.chain(parts).chain(unknown) {
            frameworks.entry(*framework).or_default().extend(names);
        }
        frameworks
    }
}

/// Maps the controls of `frameworks`, or of those that the set refers to where none is given, to its policies and the
/// tests that passed.
///
/// # Errors
/// [`TooManyPairs`].
pub fn coverage_map<'a>(
    sources: &'a Sources,
    set: &'a PolicySet,
    results: &[TestResult<'a>],
    frameworks: &[Framework],
) -> Result<CoverageMap<'a>, TooManyPairs> {
    let references = References::of(set);
    let mut named = references.frameworks();
    if !frameworks.is_empty() {
        named.retain(|framework, _| frameworks.contains(framework));
        named.extend(
            frameworks
                .iter()
                .filter(|one| !named.contains_key(one))
                .map(|one| (*one, BTreeSet::new()))
                .collect::<Vec<_>>(),
        );
    }
    let names: BTreeSet<&str> = named.values().flatten().copied().collect();
    let policies: Vec<_> =
        set.policies.iter().filter(|policy| names.contains(&*policy.info.name)).collect();
    let policies = tested(sources, set, &policies, results)?;
    let by_name: BTreeMap<_, _> = policies.iter().map(|policy| (policy.name, policy)).collect();
    let frameworks = named.keys().map(|framework| mapped(*framework, &references, &by_name)).collect();
    let listed = |names: &BTreeSet<&'a str>| names.iter().copied().collect::<Vec<_>>();
    let unknown = references.unknown.iter().filter(|((framework, _), _)| named.contains_key(framework));
    let passed_tests = results.iter().filter(|result| result.failure.is_none()).count();
    Ok(CoverageMap {
        compiler: COMPILER,
        source: set.source,
        policies_in_set: set.policies.len(),
        passed_tests,
        failed_tests: results.len() - passed_tests,
        frameworks,
        unknown: unknown.map(|((_, text), names)| (*text, listed(names))).collect(),
        other: references.other.iter().map(|(text, names)| (*text, listed(names))).collect(),
        policies,
    })
}

fn mapped<'a>(
    framework: Framework,
    references: &References<'a>,
    policies: &BTreeMap<&str, &PolicyCoverage<'a>>,
) -> FrameworkCoverage<'a> {
    let catalogue = framework.catalogue();
    let mut summary: BTreeMap<_, _> = State::ALL.into_iter().map(|state| (state, 0)).collect();
    let mut control = |control: &'static Control| {
        let names = references.controls.get(&(framework, control.id.as_str()));
        let names: Vec<&str> = names.into_iter().flatten().copied().collect();
        let mut tested = names.iter().filter_map(|name| policies.get(name));
        let state = if names.is_empty() {
            State::None
        } else if tested.clone().all(|policy| policy.is_fully_tested()) {
            State::Tested
        } else if tested.any(|policy| policy.is_tested()) {
            State::PartlyTested
        } else {
            State::Untested
        };
        *summary.entry(state).or_default() += 1;
        let name = framework.canonical(&control.id);
        ControlCoverage { name, id: &control.id, title: &control.title, state, policies: names }
    };
    let sections = catalogue.sections.iter().map(|section| SectionCoverage {
        id: &section.id,
        title: &section.title,
        controls: section.controls.iter().map(&mut control).collect(),
    });
    let sections = sections.collect();
    let parts = references.parts.iter().filter(|((of, _), _)| *of == framework);
    FrameworkCoverage {
        framework,
        name: &catalogue.name,
        title: &catalogue.title,
        edition: &catalogue.edition,
        note: &catalogue.note,
        summary,
        sections,
        parts: parts.map(|((_, name), names)| (name.clone(), names.iter().copied().collect())).collect(),
    }
}

/// What the tests that passed do to each of these policies, by the reference evaluator.
fn tested<'a>(
    sources: &'a Sources,
    set: &'a PolicySet,
    policies: &[&'a Policy],
    results: &[TestResult<'a>],
) -> Result<Vec<PolicyCoverage<'a>>, TooManyPairs> {
    let passed = results.iter().filter(|result| result.failure.is_none()).map(|result| result.test);
    let requests: Vec<(&str, Value)> = passed
        .filter_map(|test| Some((test.name.as_str(), serde_json::from_str(&test.request).ok()?)))
        .collect();
    if policies.len().saturating_mul(requests.len()) > MAX_PAIRS {
        return Err(TooManyPairs { policies: policies.len(), tests: requests.len() });
    }
    Ok(in_parallel(policies, parallel::threads(), |policy| {
        let span = policy.span;
        let mut coverage = PolicyCoverage {
            name: &policy.info.name,
            file: sources.files().get(span.file as usize).map_or("", |file| file.path.as_str()),
            line: sources.position(span.file, span.start).line,
            enforcement: policy.info.enforcement,
            references: &policy.info.compliance,
            satisfied: Outcomes::default(),
            violated: Outcomes::default(),
            undecided: Outcomes::default(),
        };
        for (test, request) in &requests {
            let applies = |scope| evaluate(set, scope, request) == Truth::True;
            if policy.scope.as_ref().is_none_or(applies) {
                match evaluate(set, &policy.constraint, request) {
                    Truth::True => coverage.satisfied.add(test),
                    Truth::False => coverage.violated.add(test),
                    Truth::Unknown => coverage.undecided.add(test),
                }
            }
        }
        coverage
    }))
}
