//! TESTs: their requests become JSON, their expectations name policies that can do what is expected.

use std::collections::BTreeMap;

use aecp_contract::manifest::Enforcement;

use super::literals::Resolved;
use crate::{
    findings::{Finding, Kind, code, suggested},
    language::ast::{Expect, Field, File, Literal, Name, Policy, Statement, Test},
    set::{self, literal_value},
    source::Span,
};

/// The policies of a set by name; of two with one name the first.
pub(super) type ByName<'a> = BTreeMap<&'a str, &'a Policy>;

pub(super) fn by_name(files: &[File]) -> ByName<'_> {
    let mut by_name = ByName::new();
    for statement in files.iter().flat_map(|file| &file.statements) {
        if let Statement::Policy(policy) = &statement.node {
            by_name.entry(&policy.name.node).or_insert(policy);
        }
    }
    by_name
}

/// Checks one test.
pub(super) fn check(
    test: &Test,
    policies: &ByName<'_>,
    types: &Resolved,
    findings: &mut Vec<Finding>,
) -> set::Test {
    let mut request = String::from("{");
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for given in &test.given {
        let path = &given.path;
        if let Some(first) = seen.insert(&path.node, path.span) {
            findings.push(
                Finding::error(
                    code::DUPLICATE_FIELD,
                    Kind::Duplicate,
                    path.span,
                    format!("`{}` is given twice", path.node),
                )
                .here("the second")
                .also(first, "the first"),
            );
            continue;
        }
        match types.attributes.get(&path.node) {
            None => {
                let names = types.attributes.keys().map(String::as_str);
                let near = suggested(&path.node, names, findings);
                findings.push(unknown_attribute(path, types.strict, near));
            }
            Some((ty, _)) if literal_value(&given.value.node, ty).is_none() => {
                // A request may hold such a value, so a test may too; but it is rarely meant.
                if *ty != aecp_contract::value::Type::Any {
                    findings.push(
                        Finding::warning(
                            code::GIVEN,
                            Kind::Type,
                            given.value.span,
                            format!("this value is not usable as `{}`", path.node),
                        )
                        .because(format!("the attribute is {ty}: atoms on it will be UNKNOWN")),
                    );
                }
            }
            Some(_) => {}
        }
        if request.len() > 1 {
            request.push(',');
        }
        push_json(&mut request, &Literal::Text(path.node.clone()));
        request.push(':');
        push_json(&mut request, &given.value.node);
    }
    request.push('}');
    match &test.expect.node {
        Expect::Allow => {}
        Expect::Deny(names) => {
            expect_policies(names, Enforcement::Blocking, "deny a request", policies, findings);
        }
        Expect::AllowWithAdvisory(names) => {
            expect_policies(names, Enforcement::Advisory, "advise", policies, findings);
        }
    }
    set::Test {
        name: test.name.node.clone(),
        span: test.name.span,
        request,
        expect: test.expect.node.clone(),
        expect_span: test.expect.span,
    }
}

fn unknown_attribute(path: &Name, strict: bool, near: Option<&str>) -> Finding {
    let finding = if strict {
        let message = format!("unknown attribute `{}`", path.node);
        Finding::error(code::UNKNOWN_ATTRIBUTE, Kind::Unknown, path.span, message)
            .because("the set's SCHEMA is STRICT, and does not declare it")
    } else {
        let message = format!("nothing in the set looks at `{}`", path.node);
        Finding::warning(code::GIVEN, Kind::Unknown, path.span, message)
    };
    match near {
        Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
        None => finding,
    }
}

/// Each named policy must exist and have the enforcement that the expectation speaks of.
fn expect_policies(
    names: &[Name],
    needed: Enforcement,
    what: &str,
    policies: &ByName<'_>,
    findings: &mut Vec<Finding>,
) {
    for name in names {
        let error = |message| {
            Finding::error(code::UNKNOWN_POLICY, Kind::Unknown, name.span, message).about(&name.node)
        };
        let Some(policy) = policies.get(name.node.as_str()) else {
            let finding = error(format!("unknown policy `{}`", name.node));
            let near = suggested(&name.node, policies.keys().copied(), findings);
            findings.push(match near {
                Some(near) => finding.try_instead(format!("did you mean `{near}`?")),
                None => finding,
            });
            continue;
        };
        let enforcement = policy.fields.iter().find_map(|field| match &field.node {
            Field::Enforcement(word) => Some(word),
            _ => None,
        });
        if let Some(word) = enforcement
            && word.node != needed
        {
            findings.push(
                error(format!("policy `{}` cannot {what}", name.node))
                    .also(word.span, format!("its ENFORCEMENT is {}", word.node.as_str())),
            );
        }
    }
}

/// The literal as JSON; a duration is text, as requests carry it.
fn push_json(json: &mut String, literal: &Literal) {
    match literal {
        Literal::Text(text) | Literal::Duration { text, .. } => {
            json.push_str(&serde_json::Value::from(text.as_str()).to_string());
        }
        Literal::Int(n) => json.push_str(&n.to_string()),
        Literal::Decimal { text, .. } => json.push_str(text),
        Literal::Bool(b) => json.push_str(if *b { "true" } else { "false" }),
        Literal::List(elements) => {
            json.push('[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                push_json(json, &element.node);
            }
            json.push(']');
        }
    }
}
