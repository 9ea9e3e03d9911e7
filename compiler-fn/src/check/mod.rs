//! From syntax trees to a checked [`PolicySet`]: every name resolved, every type known, every error reported.

mod candidates;
#[cfg(test)]
mod cases;
mod fixtures;
mod literals;
mod obligations;
mod policies;
mod scope;
mod tests;
mod types;

use std::collections::BTreeMap;

use aecp_contract::{
    manifest::{AttributeDeclaration, ModuleInfo},
    slots::MAX_ATTRIBUTES,
    value::Type,
};

use crate::{
    findings::{self, Finding, Kind, code},
    language::{
        ast::{File, Spanned, Statement},
        parse::parse,
    },
    parallel::{self, in_parallel},
    set::{Invariant, PolicySet},
    source::{Source, Sources, Span},
};

/// The most policies that one set may have.
pub const MAX_POLICIES: usize = 100_000;

/// With less text than this, threads cost more than they save.
const MIN_PARALLEL_BYTES: usize = 64 << 10;

/// What checking a set gives.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The set, unless there are errors.
    pub set: Option<PolicySet>,
    /// The type of every attribute that is declared or used, as far as it can be told: for editors, which ask
    /// while there are errors.
    pub types: BTreeMap<String, Type>,
    /// Everything there is to say, in the order of the places.
    pub findings: Vec<Finding>,
}

/// Parses and checks every file of a set, and reports all errors of all of them at once.
#[must_use]
pub fn check(sources: &Sources) -> Checked {
    let (files, findings) = parse_files(sources);
    check_files(sources, &files, findings)
}

/// Parses every file of a set: the trees in the order of the files, and what was wrong.
#[must_use]
pub fn parse_files(sources: &Sources) -> (Vec<File>, Vec<Finding>) {
    let bytes: usize = sources.files().iter().map(|source| source.text.len()).sum();
    parse_with(sources, if bytes < MIN_PARALLEL_BYTES { 1 } else { parallel::threads() })
}

fn parse_with(sources: &Sources, threads: usize) -> (Vec<File>, Vec<Finding>) {
    let numbered: Vec<_> = (0..).zip(sources.files()).collect();
    let parsed = in_parallel(&numbered, threads, |(number, source)| parse(*number, &source.text));
    let (files, findings): (Vec<_>, Vec<_>) =
        parsed.into_iter().map(|parsed| (parsed.file, parsed.findings)).unzip();
    (files, findings.into_iter().flatten().collect())
}

/// Checks parsed files, beginning with what parsing found.
#[must_use]
pub fn check_files(sources: &Sources, files: &[File], mut findings: Vec<Finding>) -> Checked {
    let mut types = types::Types::new(scope::reserved());
    for statement in statements(files) {
        if let Statement::Schema(schema) = &statement.node {
            types.schema(schema.strict);
            for declaration in &schema.declarations {
                types.declare(&declaration.path, &declaration.ty, &mut findings);
            }
        }
    }
    let mut policies = Vec::new();
    for (module, file) in (0..).zip(files) {
        for statement in &file.statements {
            match &statement.node {
                Statement::Policy(policy) => {
                    policies.extend(policies::check(policy, module, &mut types, &mut findings));
                }
                Statement::Invariant(invariant) => types.condition(&invariant.never_allow, false),
                Statement::Schema(_) | Statement::Test(_) | Statement::Fixture(_) => {}
            }
        }
    }
    report_duplicates(files, &mut findings);
    let types = types.resolve(&mut findings);
    for statement in statements(files) {
        match &statement.node {
            Statement::Policy(policy) => policies::literals(policy, &types, &mut findings),
            Statement::Invariant(invariant) => types.literals(&invariant.never_allow, &mut findings),
            Statement::Schema(_) | Statement::Test(_) | Statement::Fixture(_) => {}
        }
    }
    policies.sort_by(|a, b| a.info.name.cmp(&b.info.name));
    let checked_tests = tests::check(files, &types, &mut findings);
    let min_coverage = min_coverage(files, &mut findings);
    let declaration =
        |path: &String, ty: &Type| AttributeDeclaration { path: path.clone(), ty: ty.clone() };
    let (mut attributes, mut others) = (Vec::new(), Vec::new());
    for (path, (ty, decides)) in &types.attributes {
        if *decides { &mut attributes } else { &mut others }.push(declaration(path, ty));
    }
    report_limits(policies.len(), attributes.len(), &mut findings);
    findings::sort(&mut findings);
    findings::limit(&mut findings);
    name_policies(files, &mut findings);
    let set = (!findings::has_errors(&findings)).then(|| PolicySet {
        source: sources.digest(),
        modules: files.iter().zip(sources.files()).map(module_info).collect(),
        attributes,
        policies,
        tests: checked_tests,
        invariants: statements(files).filter_map(invariant).collect(),
        others,
        proofs: Vec::new(),
        min_coverage,
    });
    let types = types.attributes.into_iter().map(|(path, (ty, _))| (path, ty)).collect();
    Checked { set, types, findings }
}

fn invariant(statement: &Spanned<Statement>) -> Option<Invariant> {
    let Statement::Invariant(invariant) = &statement.node else { return None };
    Some(Invariant {
        name: invariant.name.node.clone(),
        span: invariant.name.span,
        assumed: invariant.assumed,
        never_allow: invariant.never_allow.clone(),
    })
}

fn statements(files: &[File]) -> impl Iterator<Item = &Spanned<Statement>> {
    files.iter().flat_map(|file| &file.statements)
}

fn module_info((file, source): (&File, &Source)) -> ModuleInfo {
    let name = file.module.as_ref().map_or_else(
        || {
            let name = source.path.rsplit('/').next().unwrap_or(&source.path);
            name.strip_suffix(".aecp").unwrap_or(name).to_owned()
        },
        |name| name.node.clone(),
    );
    ModuleInfo { name, default_deny: file.default_deny }
}

/// Most findings know their place only; the policy that they are about is the one that stands there.
fn name_policies(files: &[File], findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.policies.is_empty()) {
        for label in &finding.labels {
            let Some(file) = files.get(label.span.file as usize) else { continue };
            let around = |at: Span| at.start <= label.span.start && label.span.end <= at.end;
            let name = file.statements.iter().find_map(|statement| match &statement.node {
                Statement::Policy(policy) if around(statement.span) => Some(&policy.name.node),
                _ => None,
            });
            if let Some(name) = name
                && !finding.policies.contains(name)
            {
                finding.policies.push(name.clone());
            }
        }
    }
}

fn report_duplicates(files: &[File], findings: &mut Vec<Finding>) {
    let mut seen = std::collections::BTreeMap::new();
    for statement in statements(files) {
        let (many, name) = match &statement.node {
            Statement::Policy(policy) => ("policies", &policy.name),
            Statement::Test(test) => ("tests or fixtures", &test.name),
            Statement::Fixture(fixture) => ("tests or fixtures", &fixture.name),
            Statement::Invariant(invariant) => ("invariants", &invariant.name),
            Statement::Schema(_) => continue,
        };
        if let Some(first) = seen.get(&(many, &name.node)) {
            let mut finding = Finding::error(
                code::DUPLICATE_NAME,
                Kind::Duplicate,
                name.span,
                format!("there are two {many} with the name `{}`", name.node),
            )
            .here("the second")
            .also(*first, "the first")
            .because("names are unique across the whole set");
            if many == "policies" {
                finding = finding.about(&name.node);
            }
            findings.push(finding);
        } else {
            seen.insert((many, &name.node), name.span);
        }
    }
}

/// The highest MIN_COVERAGE of the modules, and where it stands.
fn min_coverage(files: &[File], findings: &mut Vec<Finding>) -> Option<(u32, Span)> {
    let mut highest: Option<(u32, Span)> = None;
    for percent in files.iter().filter_map(|file| file.min_coverage.as_ref()) {
        match u32::try_from(percent.node) {
            Ok(number @ 1..=100) if highest.is_none_or(|(before, _)| before < number) => {
                highest = Some((number, percent.span));
            }
            Ok(1..=100) => {}
            _ => {
                let message = format!("`{}` is no percentage of clauses", percent.node);
                findings.push(
                    Finding::error(code::BAD_LITERAL, Kind::Type, percent.span, message)
                        .because("MIN_COVERAGE is a whole number from 1 to 100"),
                );
            }
        }
    }
    highest
}

fn report_limits(policies: usize, attributes: usize, findings: &mut Vec<Finding>) {
    let start = Span::default();
    let mut limit = |count: usize, limit: usize, what: &str| {
        if count > limit {
            let message = format!("the set has {count} {what}; the limit is {limit}");
            findings.push(
                Finding::error(code::LIMIT, Kind::Limit, start, message)
                    .try_instead("split it into several sets"),
            );
        }
    };
    limit(policies, MAX_POLICIES, "policies");
    limit(attributes, MAX_ATTRIBUTES, "attributes");
}
