//! Conflicts in words: which places are involved, and which request shows it.

use super::{
    lower::Lower,
    node::{Node, Want},
    request::Request,
    solve::{Answer, Blame, Solver},
    subject::{Subject, conjuncts, core, request},
    witness::{Candidate, Claim},
};
use crate::{
    findings::{Finding, Kind, code},
    set::PolicySet,
};

mod pairs;

pub(super) use pairs::{contradiction, exception_clash};

/// So many policies that shadow one are shown with their places.
const MAX_SHOWN: usize = 4;

/// A policy whose scope is never TRUE. The request shows all of it that can be met.
pub(super) fn dead(
    set: &PolicySet,
    solver: &Solver<'_>,
    subject: &Subject<'_>,
) -> Result<Candidate, Blame> {
    let scope = subject.policy.scope.iter().flat_map(conjuncts).collect::<Vec<_>>();
    let core = core(set, solver, scope.clone());
    let last = core.last().copied();
    let name = subject.name();
    let message = format!("policy `{name}` applies to no request: its SCOPE is never true");
    let place = core.first().map_or(subject.policy.span, |part| part.span);
    let mut finding = Finding::warning(code::DEAD, Kind::Dead, place, message).about(name);
    finding = finding.here(if core.len() > 1 { "this …" } else { "this is never true" });
    for part in core.iter().skip(1) {
        finding = finding.also(part.span, "… and this are never true together");
    }
    if subject.blocking() && matches!(solver.solve(&[&subject.raised]), Answer::Yes(_)) {
        finding = finding.because("it still denies requests that leave out what it looks at");
    }
    // All of the scope but the last part of what cannot be, and that part false; or only as much as there is.
    let lower = Lower { set };
    let others: Vec<Node> = scope
        .iter()
        .filter(|part| last.is_none_or(|last| !std::ptr::eq(**part, last)))
        .map(|part| lower.condition(part, Want::True))
        .collect();
    let all = Node::All(others);
    let missed = last.map(|last| lower.condition(last, Want::False));
    let missed = missed.unwrap_or_else(|| Node::All(Vec::new()));
    let request = first_of(solver, &[&[&all, &missed], &[&all], &[&missed], &[]])?;
    let claims = vec![(subject.index, Claim::DoesNotApply)];
    Ok(Candidate { finding, request, claims, denied: false })
}

/// A policy that is never violated.
pub(super) fn vacuous(solver: &Solver<'_>, subject: &Subject<'_>, met: &Request) -> Candidate {
    let name = subject.name();
    let (code, kind) = (code::VACUOUS, Kind::Vacuous);
    let message = format!("policy `{name}` can never be violated");
    let mut finding = Finding::warning(code, kind, subject.policy.constraint.span, message).about(name);
    finding = match &subject.policy.scope {
        Some(scope) => finding
            .here("no request to which it applies makes this false")
            .also(scope.span, "it applies here"),
        None => finding.here("no request makes this false"),
    };
    if matches!(solver.solve(&[&subject.raised]), Answer::Yes(_)) {
        finding = finding.because(if subject.blocking() {
            "all it does is to deny requests that leave out what it looks at; EXISTS says that plainly"
        } else {
            "all it does is to tell of requests that leave out what it looks at; EXISTS says that plainly"
        });
    }
    let claims = vec![(subject.index, Claim::AppliesUnviolated)];
    Candidate { finding, request: met.clone(), claims, denied: false }
}

/// A policy that says nothing that others do not say.
pub(super) fn shadowed(subject: &Subject<'_>, by: &[&Subject<'_>]) -> Option<Candidate> {
    let (name, first) = (subject.name(), by.first()?);
    let others = match by.len() {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let message = format!(
        "policy `{name}` is shadowed by `{}`{others}: whatever violates it violates that too",
        first.name()
    );
    let constraint = &subject.policy.constraint;
    let mut finding = Finding::warning(code::SHADOWED, Kind::Shadowed, constraint.span, message)
        .here("whatever violates this …")
        .about(name);
    finding = with_scope(finding, subject);
    for other in by.iter().take(MAX_SHOWN) {
        let label = format!("… violates this too, which is {}", other.policy.info.enforcement.as_str());
        finding = with_scope(finding.also(other.policy.constraint.span, label), other);
    }
    finding.policies.extend(by.iter().map(|other| other.name().to_owned()));
    let (own, theirs) = (&subject.policy.info, &first.policy.info);
    let mut but = Vec::new();
    if own.break_glass != theirs.break_glass {
        let taker = if own.break_glass { name } else { first.name() };
        but.push(format!("only `{taker}` takes a break-glass token"));
    }
    if own.audit > theirs.audit {
        but.push(format!("only `{name}` asks for AUDIT: {}", own.audit.as_str()));
    }
    if !but.is_empty() {
        finding = finding.because(format!("they differ elsewhere: {}", but.join(", and ")));
    }
    let finding = finding
        .try_instead(format!("remove `{name}`, or ask in it for more than `{}` does", first.name()));
    let mut claims = vec![(subject.index, Claim::Violated)];
    claims.extend(by.iter().map(|other| (other.index, Claim::Violated)));
    Some(Candidate { finding, request: request(&subject.broken)?.clone(), claims, denied: false })
}

/// Two policies with one scope and constraint, and two ENFORCEMENTs.
pub(super) fn mode_clash(weak: &Subject<'_>, strong: &Subject<'_>) -> Option<Candidate> {
    let mode = |subject: &Subject<'_>| subject.policy.info.enforcement.as_str();
    let message = format!(
        "`{}` and `{}` ask for the same of the same requests, but one is {} and the other {}",
        weak.name(),
        strong.name(),
        mode(weak),
        mode(strong)
    );
    let place = weak.policy.enforcement_span;
    let mut finding = Finding::warning(code::MODE_CLASH, Kind::ModeClash, place, message)
        .here(format!("`{}` is {}", weak.name(), mode(weak)))
        .also(strong.policy.enforcement_span, format!("`{}` is {}", strong.name(), mode(strong)))
        .about(weak.name())
        .about(strong.name());
    for subject in [weak, strong] {
        let label = format!("`{}` asks for this", subject.name());
        finding = with_scope(finding.also(subject.policy.constraint.span, label), subject);
    }
    let finding = finding.try_instead("keep one of them");
    let claims = vec![(weak.index, Claim::Violated), (strong.index, Claim::Violated)];
    Some(Candidate { finding, request: request(&weak.broken)?.clone(), claims, denied: false })
}

/// A question that could not be decided.
pub(super) fn not_decided(subjects: &[&Subject<'_>], blame: &Blame) -> Finding {
    let names: Vec<_> = subjects.iter().map(|subject| format!("`{}`", subject.name())).collect();
    let message = match names.as_slice() {
        [name] => format!("it is not decided whether {name} can apply and be violated"),
        _ => format!("it is not decided whether {} are in conflict", names.join(" and ")),
    };
    let span = blame.span.or_else(|| subjects.first().map(|subject| subject.policy.span));
    let kind = Kind::NotDecided;
    let mut finding =
        Finding::warning(code::NOT_DECIDED, kind, span.unwrap_or_default(), message).because(blame.why);
    finding.policies = subjects.iter().map(|subject| subject.name().to_owned()).collect();
    finding
}

/// The analysis ends early.
pub(super) fn ended_early([a, b]: [&Subject<'_>; 2]) -> Finding {
    let message =
        "the set has too many policies that meet, or too many conflicts, to look at every pair";
    Finding::warning(code::NOT_DECIDED, Kind::NotDecided, b.policy.span, message)
        .here("pairs from here on were not looked at")
        .about(b.name())
        .about(a.name())
}

fn with_scope(finding: Finding, subject: &Subject<'_>) -> Finding {
    match &subject.policy.scope {
        Some(scope) => finding.also(scope.span, format!("`{}` applies here", subject.name())),
        None => finding,
    }
}

fn decided(answer: Answer) -> Result<Option<Request>, Blame> {
    match answer {
        Answer::Yes(request) => Ok(Some(request)),
        Answer::No => Ok(None),
        Answer::NotDecided(blame) => Err(blame),
    }
}

/// A request of which all of the first possible group hold.
fn first_of(solver: &Solver<'_>, groups: &[&[&Node]]) -> Result<Request, Blame> {
    for group in groups {
        if let Some(request) = decided(solver.solve(group))? {
            return Ok(request);
        }
    }
    Ok(Request::default())
}
