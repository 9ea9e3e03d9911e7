//! The rule of versions: a policy that states its VERSION states another where it means something else.

use super::{Change, Diff, PolicyDiff, fields::has_meaning};
use crate::{
    findings::{Finding, Kind, code},
    set::PolicySet,
};

/// What breaks the rule of versions from `old` to `new`, in the order of the policies' names; places are in the sources
/// of `new`. `diff` is what [`super::compare`] says of them.
///
/// What is not decided counts as changed. A policy that did not state a VERSION, or that is not there any more, is not
/// held to it.
#[must_use]
pub fn versions(old: &PolicySet, new: &PolicySet, diff: &Diff) -> Vec<Finding> {
    diff.policies.iter().filter_map(|policy| version(old, new, policy)).collect()
}

fn version(old: &PolicySet, new: &PolicySet, diff: &PolicyDiff) -> Option<Finding> {
    let name = &diff.policy;
    let before = old.policies[old.policy(name)?].info.version?;
    let policy = &new.policies[new.policy(name)?];
    let span = policy.span;
    let lost = |message: String, version| {
        Finding::error(code::VERSION_LOST, Kind::Version, span, message)
            .about(name)
            .because("whoever knew the policy by its VERSION would take it for an older one")
            .try_instead(format!("write `VERSION: {version}`"))
    };
    let changed = matches!(diff.change, Change::Changed | Change::NotDecided);
    let next = before.saturating_add(i64::from(changed));
    match policy.info.version {
        None => {
            Some(lost(format!("policy `{name}` states no VERSION any more, which was {before}"), next))
        }
        Some(after) if after < before => {
            Some(lost(format!("the VERSION of policy `{name}` was {before} and is {after}"), next))
        }
        Some(after) if after == before && changed => {
            let message = match diff.change {
                Change::NotDecided => {
                    format!(
                        "whether policy `{name}` means the same is not decided, but its VERSION is still {before}"
                    )
                }
                _ => format!("policy `{name}` means something else, but its VERSION is still {before}"),
            };
            let mut finding = Finding::error(code::SAME_VERSION, Kind::Version, span, message)
                .about(name)
                .because(cause(diff))
                .try_instead(format!("write `VERSION: {next}`"));
            finding.witness = diff.shown.first().map(|shown| shown.request.clone());
            Some(finding)
        }
        Some(_) => None,
    }
}

/// What changed, in words.
fn cause(diff: &PolicyDiff) -> String {
    let mut causes: Vec<String> = diff.reason.iter().cloned().collect();
    if let Some(shown) = diff.shown.first() {
        let (before, after) = (shown.before.as_str(), shown.after.as_str());
        causes.push(format!("to the request below it was {before}, and is {after}"));
    }
    for change in diff.fields.iter().filter(|change| has_meaning(change)) {
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "not there".to_owned());
        let (before, after) = (said(&change.before), said(&change.after));
        causes.push(format!("{} was {before}, and is {after}", change.field));
    }
    causes.join("; ")
}
