//! What a replay shows.

use aecp_contract::verdict::Decision;
use serde_json::{Value, json, value::RawValue};

use super::results::{Cause, Decided, Example, Flips, NotReplayed, Results};
use crate::terminal::{BAD, CARE, FAINT, GOOD, PLAIN, error};

pub(super) fn print(results: &Results, within: bool, has_root: bool) {
    for (serial, why) in &results.refused {
        error(&anyhow::anyhow!("what release {serial} looked at is not known: {why}"));
    }
    let colour = if within { GOOD } else { BAD };
    anstream::println!(
        "{colour}{} flips{PLAIN} in {} of {} decisions that could be replayed ({:.2} %)",
        results.flips(),
        results.replayed,
        results.decisions,
        100.0 * results.share()
    );
    for ((now, cause), Flips { count, example }) in &results.by_cause {
        let colour = if *now == Decided::NowDenied { BAD } else { GOOD };
        anstream::println!("  {colour}{}{PLAIN} by {}: {count}", arrow(*now), cause_text(cause));
        let Example { log, entry, request_id, request } = example;
        anstream::println!("    {FAINT}{log}#{entry} {request_id}{PLAIN} {request}");
    }
    let left_out: u64 = results.not_replayed.values().sum();
    if left_out > 0 {
        anstream::println!("{CARE}not replayed{PLAIN} {left_out}");
    }
    for (why, count) in &results.not_replayed {
        println!("  {count:>10}  {}", why_text(why));
    }
    let unknown = results.not_replayed.keys().any(|why| matches!(why, NotReplayed::Unknown(_)));
    if unknown && !has_root {
        println!("  give --root, and --releases where they are, to know what the releases looked at");
    }
}

fn arrow(now: Decided) -> String {
    let (before, after) = now.decisions();
    format!("{} → {}", before.as_str(), after.as_str())
}

fn cause_text(cause: &Cause) -> String {
    match cause {
        Cause::Policy(name) => name.clone(),
        Cause::DefaultDeny(module) => format!("default deny of {module}"),
        Cause::Omitted => "policies that the record omits".to_owned(),
    }
}

fn why_text(why: &NotReplayed) -> String {
    match why {
        NotReplayed::Masked(path) => format!("`{path}` is masked"),
        NotReplayed::Erased(path) => format!("`{path}` is erased"),
        NotReplayed::WrongOpening(path) => format!("`{path}` is not opened by what lies beside the log"),
        NotReplayed::Unusable(path) => format!("`{path}` was no value of its type, and is not kept"),
        NotReplayed::Unknown(path) => format!("it is not known whether the request had `{path}`"),
        NotReplayed::NoVerdict(reason) => format!("denied without a verdict ({reason})"),
        NotReplayed::Excepted => "a break-glass token lifted the denial".to_owned(),
        NotReplayed::Failed(why) => format!("the candidate gives no verdict ({why})"),
    }
}

pub(super) fn json(results: &Results, within: bool) -> Value {
    let flips = results.by_cause.iter().map(|((now, cause), flips)| {
        let (before, after) = now.decisions();
        flips_json(cause, (before, after), flips)
    });
    let not_replayed = results.not_replayed.iter().map(|(why, count)| {
        let (why, of) = why.parts();
        json!({ "why": why, "of": of, "count": count })
    });
    json!({
        "within": within,
        "decisions": results.decisions,
        "replayed": results.replayed,
        "flips": results.flips(),
        "now_denied": results.now_denied,
        "now_allowed": results.now_allowed,
        "by_policy": flips.collect::<Vec<_>>(),
        "not_replayed": not_replayed.collect::<Vec<_>>(),
        "unknown_releases": results.refused,
    })
}

fn flips_json(cause: &Cause, (before, after): (Decision, Decision), flips: &Flips) -> Value {
    let Example { log, entry, request_id, request } = &flips.example;
    let (policy, module) = match cause {
        Cause::Policy(name) => (Some(name), None),
        Cause::DefaultDeny(module) => (None, Some(module)),
        Cause::Omitted => (None, None),
    };
    let request = RawValue::from_string(request.clone()).ok();
    json!({
        "policy": policy,
        "default_deny": module,
        "recorded": before.as_str(),
        "candidate": after.as_str(),
        "count": flips.count,
        "example": { "log": log, "entry": entry, "request_id": request_id, "request": request },
    })
}
