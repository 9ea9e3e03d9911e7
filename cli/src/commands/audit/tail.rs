//! `aecp audit tail`: the entries of one or many logs, as one.

use std::io::{BufWriter, Write as _};

use aecp_contract::{
    audit::{DecisionRecord, Event},
    verdict::Decision,
};

use crate::{
    Outcome,
    audit::{FOLLOW_EVERY, Filter, Merge, Record, Sources, word},
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
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    filter: Filter,
    /// Go on with what is recorded from now on
    #[arg(long)]
    follow: bool,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    block_on(async {
        let (logs, policy) = arguments.sources.logs().await?;
        let mut logs = Merge::open(logs, &policy).await?;
        let mut out = BufWriter::new(anstream::stdout().lock());
        loop {
            match logs.next().await {
                Ok(Some(record)) => {
                    if arguments.filter.wants(&record.entry) {
                        writeln!(out, "{}", arguments.line(&record))?;
                    }
                    continue;
                }
                Ok(None) => {}
                // While following, a store may be away for a while.
                Err(error) if arguments.follow => {
                    crate::terminal::error(&error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            out.flush()?;
            if !arguments.follow {
                return Ok(Outcome::Good);
            }
            tokio::time::sleep(FOLLOW_EVERY).await;
            logs.refresh(&policy).await.iter().for_each(crate::terminal::error);
        }
    })
}

impl Arguments {
    fn line(&self, record: &Record) -> String {
        match self.format {
            Format::Json => record.to_json(),
            Format::Text => line(record),
        }
    }
}

fn line(Record { log, entry, .. }: &Record) -> String {
    let head = format!("{FAINT}{} {log}#{}{PLAIN}", entry.time, entry.seq);
    match &entry.event {
        Event::Start(start) => {
            let after = word(&start.after);
            format!("{head} {FAINT}{} started, after {after}{PLAIN}", start.enforcer)
        }
        Event::Gap(gap) => {
            let reason = word(&gap.reason);
            format!("{head} {CARE}gap{PLAIN} {} decisions not recorded ({reason})", gap.lost)
        }
        Event::Clock(step) => {
            format!("{head} {CARE}clock{PLAIN} stands {} ms behind the entry before", step.behind_ms)
        }
        Event::Counts(tally) => {
            let decided: u64 = tally.decided.iter().map(|part| part.decided).sum();
            format!("{head} {FAINT}{} requests seen, {decided} decided{PLAIN}", tally.seen)
        }
        Event::Decision(decided) => format!("{head} {}", decision_line(decided)),
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
