//! Two BLOCKING policies in conflict, in words.

use super::{
    Blame, Candidate, Claim, Finding, Kind, PolicySet, Request, Solver, code, decided, with_scope,
};
use crate::{
    analyse::{
        node::Node,
        subject::{Subject, conjuncts, core},
    },
    language::ast::Condition,
    source::Span,
};

/// Two policies of which no request can satisfy both, if there are requests to which both apply. The first is the one to
/// look at.
pub(in crate::analyse) fn contradiction(
    set: &PolicySet,
    solver: &Solver<'_>,
    a: &Subject<'_>,
    b: &Subject<'_>,
) -> Result<Option<Candidate>, Blame> {
    let Some((request, claims)) = denied_by_one(solver, a, b)? else { return Ok(None) };
    let message = format!(
        "`{}` and `{}` contradict each other: no request to which both apply can satisfy both",
        a.name(),
        b.name()
    );
    let mut labels = labels(set, solver, [a, b]).into_iter();
    let (place, label) = labels.next().unwrap_or((a.policy.span, String::new()));
    let finding = Finding::error(code::CONTRADICTION, Kind::Contradiction, place, message).here(label);
    let finding = labels
        .fold(finding, |finding, (span, label)| finding.also(span, label))
        .because("both are BLOCKING, so every request to which both apply is denied")
        .try_instead(
            "narrow one SCOPE so that they do not meet, or allow in one what the other asks for",
        )
        .about(a.name())
        .about(b.name());
    Ok(Some(Candidate { finding, request, claims, denied: true }))
}

type Shown = (Request, Vec<(usize, Claim)>);

/// A request to which both apply, that satisfies the one and violates the other if there is such a one.
fn denied_by_one(solver: &Solver<'_>, a: &Subject<'_>, b: &Subject<'_>) -> Result<Option<Shown>, Blame> {
    let shown: [(&[&Node], Claim, Claim); 5] = [
        (&[&a.violated, &b.satisfied], Claim::Violated, Claim::Satisfied),
        (&[&a.satisfied, &b.violated], Claim::Satisfied, Claim::Violated),
        (&[&a.violated], Claim::Violated, Claim::Applies),
        (&[&b.violated], Claim::Applies, Claim::Violated),
        (&[], Claim::Applies, Claim::Applies),
    ];
    for (nodes, of_a, of_b) in shown {
        let nodes: Vec<&Node> =
            [&a.applies, &b.applies].into_iter().chain(nodes.iter().copied()).collect();
        if let Some(request) = decided(solver.solve(&nodes))? {
            return Ok(Some((request, vec![(a.index, of_a), (b.index, of_b)])));
        }
    }
    Ok(None)
}

/// The places that make two policies contradict each other: the parts that cannot all be true, and whatever of a scope or
/// constraint has no such part, whole.
fn labels(set: &PolicySet, solver: &Solver<'_>, subjects: [&Subject<'_>; 2]) -> Vec<(Span, String)> {
    let all = subjects.iter().flat_map(|subject| {
        subject.policy.scope.iter().chain([&subject.policy.constraint]).flat_map(conjuncts)
    });
    let core: Vec<Span> = core(set, solver, all.collect()).iter().map(|part| part.span).collect();
    let involved = |condition: &Condition| {
        let parts = conjuncts(condition).into_iter().map(|part| part.span);
        let parts: Vec<Span> = parts.filter(|span| core.contains(span)).collect();
        if parts.is_empty() { vec![condition.span] } else { parts }
    };
    let mut labels = Vec::new();
    for subject in subjects {
        let name = subject.name();
        let asked = involved(&subject.policy.constraint).into_iter();
        labels.extend(asked.map(|span| (span, format!("`{name}` asks for this"))));
        let applied = subject.policy.scope.iter().flat_map(involved);
        labels.extend(applied.map(|span| (span, format!("`{name}` applies here"))));
    }
    labels
}

/// Two policies of which only the first takes a break-glass token, if there are requests to which both apply.
pub(in crate::analyse) fn exception_clash(
    solver: &Solver<'_>,
    taker: &Subject<'_>,
    other: &Subject<'_>,
) -> Result<Option<Candidate>, Blame> {
    let (request, claim) = match decided(solver.solve(&[&taker.violated, &other.violated]))? {
        Some(request) => (request, Claim::Violated),
        None => match decided(solver.solve(&[&taker.applies, &other.applies]))? {
            Some(request) => (request, Claim::Applies),
            None => return Ok(None),
        },
    };
    let message = format!(
        "`{}` takes a break-glass token, but `{}`, which applies to some of the same requests, does not",
        taker.name(),
        other.name()
    );
    let place = taker.policy.exception_span.unwrap_or(taker.policy.span);
    let finding = Finding::warning(code::EXCEPTION_CLASH, Kind::ExceptionClash, place, message)
        .here(format!("a token lifts a denial by `{}` …", taker.name()))
        .also(other.policy.span, "… but not one by this")
        .about(taker.name())
        .about(other.name());
    let finding = with_scope(with_scope(finding, taker), other);
    let claims = vec![(taker.index, claim), (other.index, claim)];
    Ok(Some(Candidate { finding, request, claims, denied: false }))
}
