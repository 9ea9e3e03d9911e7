//! FIXTUREs and EXTENDS: what the request of a test has in the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    findings::{Finding, Kind, code, suggested},
    language::ast::{Cell, File, Given, Path, Statement, Text},
    source::Span,
};

/// The most steps that EXTENDS may take from a test to the last fixture.
const MAX_STEPS: usize = 32;

/// The tests and fixtures of a set by name; of two with one name the first.
pub(super) struct Fixtures<'a> {
    by_name: BTreeMap<&'a str, Shared<'a>>,
    /// All names behind EXTENDS.
    targets: Vec<&'a Text>,
}

/// What EXTENDS can name.
struct Shared<'a> {
    name: &'a Text,
    given: &'a Given,
    is_fixture: bool,
}

impl<'a> Fixtures<'a> {
    pub(super) fn of(files: &'a [File]) -> Self {
        let mut by_name = BTreeMap::new();
        let mut targets = Vec::new();
        for statement in files.iter().flat_map(|file| &file.statements) {
            let shared = match &statement.node {
                Statement::Test(test) => {
                    Shared { name: &test.name, given: &test.given, is_fixture: false }
                }
                Statement::Fixture(fixture) => {
                    Shared { name: &fixture.name, given: &fixture.given, is_fixture: true }
                }
                _ => continue,
            };
            targets.extend(&shared.given.extends);
            by_name.entry(shared.name.node.as_str()).or_insert(shared);
        }
        Self { by_name, targets }
    }

    /// Reports unknown names, cycles, too many steps, and fixtures that nobody extends.
    pub(super) fn check(&self, findings: &mut Vec<Finding>) {
        for target in &self.targets {
            if !self.by_name.contains_key(target.node.as_str()) {
                let message = format!("no test or fixture has the name `{}`", target.node);
                let near = suggested(&target.node, self.by_name.keys().copied(), findings);
                let finding = Finding::error(code::UNKNOWN_FIXTURE, Kind::Unknown, target.span, message);
                findings.push(match near {
                    Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
                    None => finding,
                });
            }
        }
        // The steps from each name that has been followed; 0 in a cycle, which has been reported.
        let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.by_name.keys() {
            self.follow(name, &mut depths, findings);
        }
        let extended: BTreeSet<&str> = self.targets.iter().map(|name| name.node.as_str()).collect();
        for (name, shared) in &self.by_name {
            if shared.is_fixture && !extended.contains(name) {
                let message = format!("no test extends the fixture `{name}`");
                findings.push(Finding::warning(
                    code::UNUSED_FIXTURE,
                    Kind::Unknown,
                    shared.name.span,
                    message,
                ));
            }
        }
    }

    /// Follows EXTENDS from a name on; reports a cycle once, and the first step that is too many.
    fn follow(&self, from: &'a str, depths: &mut BTreeMap<&'a str, usize>, findings: &mut Vec<Finding>) {
        let mut steps: Vec<(&'a str, &'a Text)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut at = from;
        while let Some(shared) = self.by_name.get(at)
            && let Some(target) = &shared.given.extends
            && !depths.contains_key(at)
        {
            if let Some(start) = places.insert(at, steps.len()) {
                let (before, cyclic) = steps.split_at(start);
                findings.push(cycle(cyclic));
                depths.extend(cyclic.iter().map(|(name, _)| (*name, 0)));
                steps.truncate(before.len());
                break;
            }
            steps.push((at, target));
            at = &target.node;
        }
        let mut depth = depths.get(at).copied().unwrap_or(0);
        for (name, target) in steps.into_iter().rev() {
            depth += 1;
            depths.insert(name, depth);
            if depth == MAX_STEPS + 1 {
                let message = format!("`EXTENDS` takes more than {MAX_STEPS} steps from `{name}` on");
                findings.push(
                    Finding::error(code::LIMIT, Kind::Limit, target.span, message)
                        .try_instead("extend a fixture that is nearer to the end"),
                );
            }
        }
    }

    /// Everything that a test's GIVEN comes to, in byte order of the paths: its own entries before inherited ones.
    pub(super) fn resolve(&self, given: &'a Given) -> BTreeMap<&'a str, (&'a Path, &'a Cell)> {
        let mut all = BTreeMap::new();
        let mut next = Some(given);
        for _ in 0..=MAX_STEPS {
            let Some(given) = next else { break };
            for entry in &given.entries {
                all.entry(entry.path.node.as_str()).or_insert((&entry.path, &entry.value));
            }
            let target = given.extends.as_ref();
            next = target.and_then(|name| Some(self.by_name.get(name.node.as_str())?.given));
        }
        all
    }
}

/// The error of a cycle, whose steps are the names and what each extends.
fn cycle(steps: &[(&str, &Text)]) -> Finding {
    let place = steps.first().map_or_else(Span::default, |(_, target)| target.span);
    let message = match steps {
        [(only, _)] => format!("`{only}` extends itself"),
        several => format!("{} tests and fixtures extend each other in a circle", several.len()),
    };
    let finding = Finding::error(code::EXTENDS_CYCLE, Kind::Cycle, place, message);
    let label = |(name, target): &(&str, &Text)| format!("`{name}` extends `{}`", target.node);
    let mut labels = steps.iter().take(MAX_STEPS).map(|step| (step.1.span, label(step)));
    let first = labels.next().map_or_else(String::new, |(_, text)| text);
    labels.fold(finding.here(first), |finding, (span, text)| finding.also(span, text))
}
