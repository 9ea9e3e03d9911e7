//! `aecp audit tail`: the entries of one or many logs, as one.

use std::io::Write as _;

use aecp_contract::{
    audit::{DecisionRecord, Entry, Event},
    layout::Name,
    value::Timestamp,
    verdict::Decision,
};
use anyhow::bail;

use crate::{
    Outcome,
    audit::{FOLLOW_EVERY, LogReader, Tail, TrustArguments},
    commands::{Format, block_on},
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN},
};

/// Show what was decided, in the order of time, across the logs of one or several stores
///
/// Only what the logs signed is shown. With --format json each line is {"log", "entry"}, the entry as it was recorded.
///
/// Example: aecp audit tail --store s3://eu --store gs://us --log-policy logs.txt --decision DENY --follow
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The stores with the logs
    #[arg(long = "store", value_name = "URL", required = true)]
    stores: Vec<String>,
    /// One log alone, by its name below audit/
    #[arg(long, value_name = "NAME")]
    log: Option<Name>,
    /// The store that older entries were moved to (`aecp audit archive`)
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    #[command(flatten)]
    trust: TrustArguments,
    /// Only decisions that this policy had a part in
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only ALLOW or only DENY
    #[arg(long, value_name = "DECISION", value_parser = decision)]
    decision: Option<Decision>,
    /// Only from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Go on with what is recorded from now on
    #[arg(long)]
    follow: bool,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn decision(text: &str) -> Result<Decision, String> {
    match text.to_ascii_uppercase().as_str() {
        "ALLOW" => Ok(Decision::Allow),
        "DENY" => Ok(Decision::Deny),
        _ => Err("expected ALLOW or DENY".to_owned()),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected RFC 3339, such as 2026-03-01T00:00:00Z".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = arguments.trust.policy()?;
    block_on(async {
        let mut logs = Vec::new();
        for store in &arguments.stores {
            for log in LogReader::all(store, arguments.log.as_ref()).await? {
                logs.push((log.archived(arguments.archive.as_deref())?, Tail::default()));
            }
        }
        loop {
            let mut lines: Vec<(Timestamp, String)> = Vec::new();
            for (log, tail) in &mut logs {
                let name = log.name.clone();
                let mut seen = |entry: &Entry, bytes: &[u8]| {
                    if arguments.wants(entry) {
                        lines.push((entry.time, arguments.line(&name, entry, bytes)));
                    }
                };
                let read = log.follow(&policy, tail, &mut seen).await;
                match read {
                    Ok(()) => {}
                    // While following, a store may be away for a while.
                    Err(error) if arguments.follow => crate::terminal::error(&error),
                    Err(error) => bail!(error),
                }
            }
            // Stable, so that entries of one log keep their order whatever its clock does.
            lines.sort_by_key(|(time, _)| *time);
            let mut out = anstream::stdout().lock();
            for (_, line) in lines {
                writeln!(out, "{line}")?;
            }
            out.flush()?;
            if !arguments.follow {
                return Ok(Outcome::Good);
            }
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    })
}

impl Arguments {
    fn wants(&self, entry: &Entry) -> bool {
        let in_time = self.from.is_none_or(|from| entry.time >= from)
            && self.until.is_none_or(|until| entry.time < until);
        let Event::Decision(decided) = &entry.event else {
            return in_time && self.policy.is_none() && self.decision.is_none();
        };
        let has = |policy: &String| {
            let parts = decided.violated.iter().chain(&decided.indeterminate);
            parts.map(|part| &part.policy).chain(&decided.excepted).any(|name| name == policy)
        };
        in_time
            && self.policy.as_ref().is_none_or(has)
            && self.decision.is_none_or(|decision| decision == decided.decision)
    }

    fn line(&self, log: &Name, entry: &Entry, bytes: &[u8]) -> String {
        if self.format == Format::Json {
            return format!("{{\"log\":\"{log}\",\"entry\":{}}}", String::from_utf8_lossy(bytes));
        }
        let head = format!("{FAINT}{} {log}#{}{PLAIN}", entry.time, entry.seq);
        match &entry.event {
            Event::Start(start) => {
                let after = serde_json::to_string(&start.after).unwrap_or_default();
                format!(
                    "{head} {FAINT}{} started, after {}{PLAIN}",
                    start.enforcer,
                    after.trim_matches('"')
                )
            }
            Event::Gap(gap) => {
                let reason = serde_json::to_string(&gap.reason).unwrap_or_default();
                format!(
                    "{head} {CARE}gap{PLAIN} {} decisions not recorded ({})",
                    gap.lost,
                    reason.trim_matches('"')
                )
            }
            Event::Decision(decided) => format!("{head} {}", decision_line(decided)),
        }
    }
}

fn decision_line(decided: &DecisionRecord) -> String {
    let word = match decided.decision {
        Decision::Allow => format!("{GOOD}ALLOW{PLAIN}"),
        Decision::Deny => format!("{BAD}DENY{PLAIN} "),
    };
    let mut line = format!("{word} {}", decided.point);
    let mut part = |what: &str, names: Vec<&str>| {
        if !names.is_empty() {
            line.push_str(&format!("  {what} {}", names.join(", ")));
        }
    };
    part("violated", decided.violated.iter().map(|one| one.policy.as_str()).collect());
    part("indeterminate", decided.indeterminate.iter().map(|one| one.policy.as_str()).collect());
    part("excepted", decided.excepted.iter().map(String::as_str).collect());
    part("default deny of", decided.default_deny.iter().map(String::as_str).collect());
    part("because", decided.reason.as_deref().into_iter().collect());
    if let Some(release) = decided.release {
        line.push_str(&format!("  release {}", release.serial));
    }
    line.push_str(&format!("  {} us  {}", decided.latency_us, decided.request_id));
    line
}
