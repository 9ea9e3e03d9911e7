//! Which logs, and what of them.

use aecp_contract::{
    audit::{Entry, Event},
    layout::Name,
    tlog::policy::LogPolicy,
    value::Timestamp,
    verdict::Decision,
};

use super::{LogReader, TrustArguments};

/// Where logs are read.
#[derive(Debug, clap::Args)]
pub(crate) struct Sources {
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
}

impl Sources {
    pub(crate) fn of(
        stores: &[String],
        log: Option<&Name>,
        archive: Option<&str>,
        trust: TrustArguments,
    ) -> Self {
        Self { stores: stores.to_vec(), log: log.cloned(), archive: archive.map(str::to_owned), trust }
    }

    /// The first of the stores.
    pub(crate) fn first(&self) -> &str {
        self.stores.first().map_or("", String::as_str)
    }

    /// The logs, and whom to believe.
    pub(crate) async fn logs(&self) -> anyhow::Result<(Vec<LogReader>, LogPolicy)> {
        let mut logs = Vec::new();
        for store in &self.stores {
            for log in LogReader::all(store, self.log.as_ref()).await? {
                logs.push(log.archived(self.archive.as_deref())?);
            }
        }
        Ok((logs, self.trust.policy()?))
    }
}

/// Which time.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Span {
    /// Only from this time on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

impl Span {
    pub(crate) fn has(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time < until)
    }
}

/// Which entries.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only decisions that this policy had a part in
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only ALLOW or only DENY
    #[arg(long, value_name = "DECISION", value_parser = decision)]
    decision: Option<Decision>,
    #[command(flatten)]
    span: Span,
}

impl Filter {
    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        let in_time = self.span.has(entry.time);
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
