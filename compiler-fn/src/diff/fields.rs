//! The fields of a policy that say something else: those that have a meaning of their own, and those that are there to
//! be read.

use std::collections::BTreeSet;

use aecp_contract::{
    manifest::{Action, ModuleInfo, Point, PolicyInfo},
    value::{Duration, Timestamp},
};

use super::FieldChange;
use crate::{
    language::{
        ast::{Condition, Field, Scope, Spanned},
        format,
    },
    set::Policy,
};

/// Where a policy stands and what its module says, as one field.
const DEFAULT: &str = "DEFAULT";

/// The fields whose every change changes the policy's meaning. SCOPE and CONSTRAINT are not among them: what they say of
/// requests decides.
const WITH_MEANING: [&str; 7] =
    ["ENFORCEMENT", "AUDIT", "EXCEPTION", "AT", "EFFECTIVE", "OBLIGATIONS", DEFAULT];

/// What a field says, as text.
type Said<'s> = &'s dyn Fn(&PolicyInfo) -> Option<String>;

/// Whether the change of this field is one of meaning.
pub(super) fn has_meaning(change: &FieldChange) -> bool {
    WITH_MEANING.contains(&change.field)
}

/// The fields in which two policies differ, in a fixed order. `modules` are those of the two sets.
pub(super) fn compare(modules: [&[ModuleInfo]; 2], before: &Policy, after: &Policy) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let mut push = |field, differs: bool, texts: [Option<String>; 2]| {
        if differs {
            let [before, after] = texts;
            changes.push(FieldChange { field, before, after });
        }
    };
    let (a, b) = (&before.info, &after.info);
    let both = |text: Said<'_>| [text(a), text(b)];
    let plain: [(&str, Said<'_>); 7] = [
        ("DESCRIPTION", &|info| info.description.clone()),
        ("VERSION", &|info| Some(info.version?.to_string())),
        ("AUTHOR", &|info| info.author.clone()),
        ("JUSTIFICATION", &|info| info.justification.clone()),
        ("COMPLIANCE", &|info| (!info.compliance.is_empty()).then(|| info.compliance.join(", "))),
        ("ENFORCEMENT", &|info| Some(info.enforcement.as_str().to_owned())),
        ("AUDIT", &|info| Some(info.audit.as_str().to_owned())),
    ];
    for (field, text) in plain {
        let texts = both(text);
        push(field, texts[0] != texts[1], texts);
    }
    if before.scope != after.scope {
        push("SCOPE", true, [scope(before), scope(after)]);
    }
    if before.constraint != after.constraint {
        push("CONSTRAINT", true, [constraint(&before.constraint), constraint(&after.constraint)]);
    }
    push(
        "EXCEPTION",
        a.break_glass != b.break_glass,
        both(&|info| info.break_glass.then(|| "break_glass_token_required".to_owned())),
    );
    push("AT", points(a) != points(b), both(&points_text));
    push("EFFECTIVE", effective(a) != effective(b), both(&effective_text));
    let actions = [actions(before), actions(after)];
    push("OBLIGATIONS", actions[0] != actions[1], actions.map(text_of_actions));
    let [ours, theirs] = modules;
    let module = |modules: &[ModuleInfo], info: &PolicyInfo| modules.get(info.module as usize).cloned();
    let (ours, theirs) = (module(ours, a), module(theirs, b));
    let denies = |module: &Option<ModuleInfo>| module.as_ref().is_some_and(|m| m.default_deny);
    let default = |module: &Option<ModuleInfo>| denies(module).then(|| "DENY".to_owned());
    push(DEFAULT, denies(&ours) != denies(&theirs), [default(&ours), default(&theirs)]);
    let name = |module: Option<ModuleInfo>| module.map(|module| module.name);
    let names = [name(ours), name(theirs)];
    push("MODULE", names[0] != names[1], names);
    changes
}

fn scope(policy: &Policy) -> Option<String> {
    let scope = Scope { resource: None, condition: policy.scope.clone() };
    Some(written(Field::Scope(scope)))
}

fn constraint(condition: &Condition) -> Option<String> {
    Some(written(Field::Constraint(condition.clone())))
}

/// A field in one line, without its keyword.
fn written(field: Field) -> String {
    let keyword = field.keyword();
    let text = format::field(&Spanned::new(field, Default::default()));
    text.strip_prefix(keyword).and_then(|text| text.strip_prefix(": ")).unwrap_or(&text).to_owned()
}

/// The points at which it is in force; `None` if it is at all of them.
fn points(info: &PolicyInfo) -> Option<BTreeSet<Point>> {
    let points: BTreeSet<Point> = info.at.iter().copied().collect();
    (!points.is_empty() && points.len() < Point::ALL.len()).then_some(points)
}

fn points_text(info: &PolicyInfo) -> Option<String> {
    let words: Vec<_> = info.at.iter().map(|point| point.as_str()).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn effective(info: &PolicyInfo) -> [Option<Timestamp>; 2] {
    [info.effective_from, info.effective_until]
}

fn effective_text(info: &PolicyInfo) -> Option<String> {
    let end = |word: &str, time: Option<Timestamp>| Some(format!("{word} {}", time?));
    let ends = [end("FROM", info.effective_from), end("UNTIL", info.effective_until)];
    let ends: Vec<String> = ends.into_iter().flatten().collect();
    (!ends.is_empty()).then(|| ends.join(" "))
}

/// What it obliges to, in any order, in the language's own words.
fn actions(policy: &Policy) -> BTreeSet<String> {
    let words = |action: &Action| match action {
        Action::Mask { attribute, last } => format!("MASK: {attribute} WITH LAST({last})"),
        Action::Redact { attribute } => format!("REDACT: {attribute}"),
        Action::Hash { attribute } => format!("HASH: {attribute}"),
        Action::Filter { condition } => format!("FILTER: {condition}"),
        Action::Limit { count, per_ms, by } => {
            format!("LIMIT: {count} PER {} BY {by}", Duration(*per_ms as i64))
        }
    };
    policy.actions.iter().map(words).collect()
}

fn text_of_actions(actions: BTreeSet<String>) -> Option<String> {
    let words: Vec<_> = actions.into_iter().collect();
    (!words.is_empty()).then(|| words.join("; "))
}
