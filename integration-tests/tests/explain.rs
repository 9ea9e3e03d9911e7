//! Explanations agree with the reference evaluator on every clause, and with the module on every policy.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what fails must fail loudly")]

use std::path::Path;

use aecp_compiler::{
    check::check,
    compile::{Results, manifest},
    explain::clauses,
    language::ast::{Condition, ConditionKind},
    reference,
    set::PolicySet,
    source::{Source, Sources},
};
use aecp_contract::{
    explain::{Clause, Clauses, ExplainError, Outcome, PolicyTruths, Select, Truth, explain},
    manifest::Manifest,
    request::AttributeTable,
    slots::SlotBuffer,
    value::Attribute,
    verdict::Verdict,
};
use aecp_integration_tests::generated::{self, Random};
use serde_json::Value as Json;

struct Subject {
    set: PolicySet,
    manifest: Manifest,
    clauses: Clauses,
    slots: SlotBuffer,
    table: AttributeTable,
}

impl Subject {
    fn new(sources: &Sources) -> Self {
        let set = check(sources).set.unwrap();
        let manifest = manifest(&set, Results::default());
        // As an enforcer reads them.
        let clauses = Clauses::from_json(&clauses(&set, sources).to_json(), &manifest).unwrap();
        let slots = SlotBuffer::new(set.attributes.len());
        let table = AttributeTable::new(&manifest.attributes);
        Self { set, manifest, clauses, slots, table }
    }

    /// Compares every clause of every policy, and gives the verdict.
    fn compare(&mut self, request: &str, counts: &mut [usize; 3]) -> Verdict {
        let json: Json = serde_json::from_str(request).unwrap();
        self.table.read_json(request.as_bytes(), &mut self.slots).unwrap();
        let declared = self.manifest.attributes.iter().enumerate();
        let values: Vec<Attribute> = declared.map(|(i, a)| self.slots.get(i, &a.ty)).collect();
        for (policy, clauses) in self.set.policies.iter().zip(&self.clauses.policies) {
            let atom = &mut |atom: &_| {
                aecp_contract::explain::Atom::truth(atom, &self.manifest.attributes, &values)
            };
            let truths = PolicyTruths::of(clauses, atom);
            let mut expected = Vec::new();
            if let Some(scope) = &policy.scope {
                truths_of(&self.set, scope, None, &json, &mut expected);
            }
            truths_of(&self.set, &policy.constraint, None, &json, &mut expected);
            let all = clauses.scope.iter().chain(&clauses.constraint);
            let found = truths.scope.iter().chain(&truths.constraint);
            assert_eq!(found.clone().count(), expected.len());
            for ((clause, found), expected) in all.zip(found).zip(expected) {
                assert_eq!(*found, expected, "{clause:?} of {} on {request}", policy.info.name);
                counts[*found as usize] += usize::from(matches!(clause, Clause::Atom(_)));
            }
        }
        reference::decide(&self.set, &json)
    }
}

/// The truth of every node by the reference evaluator, in preorder; a chain within one of its own kind is no node.
fn truths_of(
    set: &PolicySet,
    condition: &Condition,
    around: Option<&ConditionKind>,
    request: &Json,
    truths: &mut Vec<Truth>,
) {
    let kind = &condition.node;
    let same = |around| std::mem::discriminant(kind) == std::mem::discriminant(around);
    let chained =
        matches!(kind, ConditionKind::And(_) | ConditionKind::Or(_)) && around.is_some_and(same);
    if !chained {
        truths.push(truth_of(set, condition, request));
    }
    match kind {
        ConditionKind::And(operands) | ConditionKind::Or(operands) => {
            for operand in operands {
                truths_of(set, operand, Some(kind), request, truths);
            }
        }
        ConditionKind::Not(operand) => truths_of(set, operand, Some(kind), request, truths),
        ConditionKind::Atom(_) => {}
    }
}

fn truth_of(set: &PolicySet, condition: &Condition, request: &Json) -> Truth {
    match reference::evaluate(set, condition, request) {
        reference::Truth::False => Truth::False,
        reference::Truth::Unknown => Truth::Unknown,
        reference::Truth::True => Truth::True,
    }
}

fn sources(files: &[(String, String)]) -> Sources {
    let source = |(path, text): &(String, String)| Source { path: path.clone(), text: text.clone() };
    Sources::new(files.iter().map(source).collect())
}

#[test]
fn every_clause_has_the_truth_that_the_reference_evaluator_gives_it() {
    let mut counts = [0; 3];
    let (mut explained, mut decisive) = (0, 0);
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut subject = Subject::new(&sources(&generated::set(&mut random, 24)));
        for _ in 0..15 {
            let request = generated::request(&mut random);
            let verdict = subject.compare(&request, &mut counts);
            let Subject { manifest, clauses, slots, .. } = &subject;
            let why = explain(manifest, clauses, slots, (&verdict).into(), Select::Auditor).unwrap();
            let outcome = |index: &u32| manifest.policies[*index as usize].name.as_str();
            let names = |wanted: Outcome| {
                let policies = why.policies.iter().filter(move |policy| policy.outcome == wanted);
                let mut names: Vec<_> = policies.map(|policy| policy.policy.as_str()).collect();
                names.sort_unstable();
                names
            };
            assert_eq!(
                names(Outcome::Violated),
                verdict.violated.iter().map(outcome).collect::<Vec<_>>()
            );
            let indeterminate: Vec<_> = verdict.indeterminate.iter().map(outcome).collect();
            assert_eq!(names(Outcome::Indeterminate), indeterminate);
            for policy in &why.policies {
                let mut clauses = policy.scope.iter().chain(&policy.constraint);
                assert!(clauses.any(|clause| clause.decisive), "seed {seed}: {policy:?}");
                decisive += 1;
            }
            explained += why.policies.len();
        }
    }
    assert_eq!(decisive, explained);
    assert!(explained > 2_000, "{explained}");
    // The generator must not have become one-sided.
    assert!(counts.iter().all(|count| *count > 10_000), "{counts:?}");
}

#[test]
fn the_shipped_sets_explain_their_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut tests = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let mut subject = Subject::new(&Sources::read(&path).unwrap());
        for test in subject.set.tests.clone() {
            let verdict = subject.compare(&test.request, &mut [0; 3]);
            let Subject { manifest, clauses, slots, .. } = &subject;
            let why = explain(manifest, clauses, slots, (&verdict).into(), Select::Auditor).unwrap();
            assert_eq!(why.decision, verdict.decision, "{}", test.name);
            tests += 1;
        }
    }
    assert!(tests > 100, "{tests}");
}

#[test]
fn an_explanation_that_disagrees_with_the_module_is_never_shown() {
    let text = "POLICY p { SCOPE: requests CONSTRAINT: a == 1 ENFORCEMENT: BLOCKING }";
    let mut subject = Subject::new(&sources(&[("p.aecp".to_owned(), text.to_owned())]));
    let mut verdict = subject.compare(r#"{"a":2}"#, &mut [0; 3]);
    let Subject { manifest, clauses, slots, .. } = &subject;
    let why = |verdict: &Verdict| explain(manifest, clauses, slots, verdict.into(), Select::Auditor);
    assert!(why(&verdict).is_ok());
    verdict.violated.clear();
    assert_eq!(why(&verdict), Err(ExplainError::Disagrees("p".to_owned())));
}

#[test]
fn what_would_take_too_long_is_refused_and_deep_conditions_are_not() {
    let long = "*a".repeat(500);
    let atoms = vec![format!("a MATCHES \"{long}\""); 100].join(" OR ");
    let deep = format!("{}b == 1{}", "NOT (".repeat(100), ")".repeat(100));
    let text = format!(
        "POLICY deep {{ SCOPE: requests CONSTRAINT: {deep} ENFORCEMENT: BLOCKING }}\n\
         POLICY wide {{ SCOPE: requests CONSTRAINT: {atoms} ENFORCEMENT: BLOCKING }}"
    );
    let mut subject = Subject::new(&sources(&[("p.aecp".to_owned(), text)]));
    let request = |length: usize| format!(r#"{{"a":"{}","b":2}}"#, "b".repeat(length));
    let verdict = subject.compare(&request(100), &mut [0; 3]);
    let why = |subject: &Subject, select| {
        let Subject { manifest, clauses, slots, .. } = subject;
        explain(manifest, clauses, slots, (&verdict).into(), select)
    };
    let told = why(&subject, Select::Auditor).unwrap();
    assert_eq!(told.policies.len(), 2);
    let deepest = told.policies[0].constraint.last().unwrap();
    assert_eq!((deepest.depth, deepest.decisive), (100, true));
    subject.table.read_json(request(1000).as_bytes(), &mut subject.slots).unwrap();
    assert_eq!(why(&subject, Select::Auditor), Err(ExplainError::TooDear));
    let told = why(&subject, Select::Policy(0)).unwrap();
    assert_eq!(told.policies[0].policy, "deep");
}
