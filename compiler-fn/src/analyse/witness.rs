//! No finding without proof: its request is run through the generated module and the reference evaluator.

use aecp_contract::verdict::{Decision, Verdict};

use crate::{
    findings::{Finding, Kind, code},
    generate,
    interpret::{InterpretError, Interpreter},
    reference::{Truth, evaluate},
    set::PolicySet,
};

use super::request::Request;

/// What a request shows of one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Its scope is TRUE.
    Applies,
    /// Its scope is not TRUE.
    DoesNotApply,
    /// Its scope is TRUE and its constraint FALSE.
    Violated,
    /// Its scope is TRUE and its constraint is not FALSE.
    AppliesUnviolated,
    /// Its scope and its constraint are TRUE.
    Satisfied,
}

/// A finding and the request that must show it before anybody sees it.
pub(super) struct Candidate {
    pub(super) finding: Finding,
    pub(super) request: Request,
    /// What it shows, by the policies' indexes.
    pub(super) claims: Vec<(usize, Claim)>,
    /// Whether it is denied by one of these policies.
    pub(super) denied: bool,
}

/// The findings whose requests show what they claim; a fault of the compiler in place of any other.
pub(super) fn confirm(set: &PolicySet, candidates: Vec<Candidate>) -> Vec<Finding> {
    if candidates.is_empty() {
        return Vec::new();
    }
    let core = match generate::core_module(set) {
        Ok(core) => core,
        Err(error) => {
            let span = set.policies.first().map(|policy| policy.span).unwrap_or_default();
            return vec![Finding::error(code::LIMIT, Kind::Limit, span, error.to_string())];
        }
    };
    let mut module = match Interpreter::new(set, &core) {
        Ok(module) => module,
        Err(error) => {
            return candidates.into_iter().map(|of| fault(of.finding, &error.to_string())).collect();
        }
    };
    let confirmed = candidates.into_iter().map(|candidate| {
        let json = candidate.request.to_json(set);
        match module.decide(&json) {
            Err(InterpretError::Request(error)) => too_large(candidate.finding, &error.to_string()),
            Err(error) => fault(candidate.finding.shown_by(json), &error.to_string()),
            Ok(verdict) => match shows(set, &verdict, &candidate, &json) {
                Ok(()) => candidate.finding.shown_by(json),
                Err(why) => fault(candidate.finding.shown_by(json), &why),
            },
        }
    });
    confirmed.collect()
}

/// Whether a request shows what it is said to.
fn shows(set: &PolicySet, verdict: &Verdict, candidate: &Candidate, json: &str) -> Result<(), String> {
    let tree: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    // The reference reads numbers as floating point; some decimals are finer.
    let exact = candidate.request.survives_floating_point();
    let mut raised = false;
    for (index, claim) in &candidate.claims {
        let policy = &set.policies[*index];
        let scope = match &policy.scope {
            Some(scope) => evaluate(set, scope, &tree),
            None => Truth::True,
        };
        let constraint = evaluate(set, &policy.constraint, &tree);
        let violated = verdict.violated.contains(&(*index as u32));
        let indeterminate = verdict.indeterminate.contains(&(*index as u32));
        raised |= violated || indeterminate;
        let expected = match (scope, constraint) {
            (Truth::False, _) | (_, Truth::True) => (false, false),
            (Truth::True, Truth::False) => (true, false),
            _ => (false, true),
        };
        let name = &policy.info.name;
        if exact && (violated, indeterminate) != expected {
            return Err(format!("the module and the reference evaluator disagree on `{name}`"));
        }
        let shown = match claim {
            Claim::Applies => !exact || scope == Truth::True,
            Claim::DoesNotApply => !violated && (!exact || scope != Truth::True),
            Claim::Violated => violated,
            Claim::AppliesUnviolated => !violated && (!exact || scope == Truth::True),
            Claim::Satisfied => {
                let both = scope == Truth::True && constraint == Truth::True;
                !violated && !indeterminate && (!exact || both)
            }
        };
        if !shown {
            return Err(format!("of `{name}` the request does not show {claim:?}"));
        }
    }
    let denied = verdict.decision == Decision::Deny && raised;
    if candidate.denied && !denied {
        return Err("the request is not denied".to_owned());
    }
    Ok(())
}

/// What stands in place of a finding whose request is beyond the limits of requests.
fn too_large(finding: Finding, why: &str) -> Finding {
    let span = finding.labels.first().map(|label| label.span).unwrap_or_default();
    let message = format!("not decided, since no request shows it: {}", finding.message);
    Finding {
        policies: finding.policies,
        cause: Some(why.to_owned()),
        ..Finding::warning(code::NOT_DECIDED, Kind::NotDecided, span, message)
    }
}

/// What stands in place of a finding that its own request does not show.
fn fault(finding: Finding, why: &str) -> Finding {
    let span = finding.labels.first().map(|label| label.span).unwrap_or_default();
    let message = format!("the compiler is at fault, please report this: {why}");
    Finding {
        policies: finding.policies,
        witness: finding.witness,
        cause: Some(format!("it was about to say: {}", finding.message)),
        ..Finding::error(code::INTERNAL, Kind::Internal, span, message)
    }
}
