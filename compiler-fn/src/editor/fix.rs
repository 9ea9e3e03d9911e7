//! The one word that a finding says was meant.

use super::Snapshot;
use crate::{findings::Finding, source::Span};

/// Where to write what instead, if the finding knows one word that was meant for the one that stands there. It is read
/// off the suggestion, whose form is the same wherever the compiler makes one.
#[must_use]
pub fn fix(snapshot: &Snapshot, finding: &Finding) -> Option<(Span, String)> {
    let suggestion = finding.suggestion.as_deref()?;
    let meant = suggestion
        .strip_prefix("did you mean `")
        .and_then(|rest| rest.strip_suffix("`?"))
        .or_else(|| suggestion.strip_prefix("keywords are upper case: `")?.strip_suffix('`'))?;
    let place = finding.labels.first()?.span;
    let there = snapshot.sources.text(place);
    if there.starts_with('"') {
        // A member of an ENUM, which the finding names without its quotes.
        let plain = !meant.contains(['"', '\\', '`']) && !meant.contains(char::is_control);
        return plain.then(|| (place, format!("\"{meant}\"")));
    }
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    };
    (is_word(there) && is_word(meant)).then(|| (place, meant.to_owned()))
}
