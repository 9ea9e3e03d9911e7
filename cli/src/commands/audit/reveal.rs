//! `aecp audit reveal`: what an entry committed to, as long as it is not erased.

use std::collections::BTreeMap;

use aecp_contract::{
    audit::{Entry, Event, Opening, RecordedValue},
    layout::Name,
    tlog::tile::TILE_WIDTH,
};
use aecp_enforcer::Store;
use anyhow::bail;
use serde_json::{Map, Value, json};

use crate::{
    Outcome,
    audit::{LogReader, Prover, TrustArguments},
    commands::{Format, block_on},
    terminal::{BAD, CARE, FAINT, GOOD, PLAIN},
};

/// Show what a request said for the attributes of one decision
///
/// The entry is proven to be in its log, and each value to be the one that the entry committed to. A value whose opening
/// was erased (`aecp audit erase`) is shown as erased; the entry and its proofs hold all the same.
///
/// As JSON: {"entry":{…},"values":{"path":value}}, with only the values that are known.
///
/// Example: aecp audit reveal --store s3://bucket --log web-1 --entry 73894 --key VKEY
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The store with the log
    #[arg(long, value_name = "URL")]
    store: String,
    /// The store that older entries were moved to (`aecp audit archive`)
    #[arg(long, value_name = "URL")]
    archive: Option<String>,
    /// The store with what opens the log's commitments, if it is not the log's own
    #[arg(long, value_name = "URL")]
    openings: Option<String>,
    /// The log, by its name below audit/
    #[arg(long, value_name = "NAME")]
    log: Name,
    /// The entry's number
    #[arg(long, value_name = "N")]
    entry: u64,
    #[command(flatten)]
    trust: TrustArguments,
    /// For people or for machines
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = arguments.trust.policy()?;
    let log = LogReader::new(Store::open(&arguments.store)?, arguments.log.clone());
    let log = log.archived(arguments.archive.as_deref())?.opened_from(arguments.openings.as_deref())?;
    let (proof, opening) = block_on(async {
        let proof = Prover::new(log.clone(), &policy).await?.prove(arguments.entry).await?;
        let mut openings = log.openings(arguments.entry / TILE_WIDTH).await?;
        Ok((proof, openings.remove(&arguments.entry)))
    })?;
    let entry = Entry::from_json(&proof.entry).map_err(anyhow::Error::msg)?;
    let Event::Decision(record) = &entry.event else {
        bail!("entry {} is no decision", arguments.entry);
    };
    // Erasing leaves the entry's number; without that, the opening is somewhere else, or was never carried.
    let gone = if opening.is_some() { "erased" } else { "no opening here" };
    let opened = opening.unwrap_or_else(|| Opening { seq: arguments.entry, values: BTreeMap::new() });
    if !opened.opens(record) {
        anstream::println!("{BAD}not revealed{PLAIN} the opening is of other values than the entry");
        return Ok(Outcome::Bad);
    }
    let mut values = Map::new();
    for (path, recorded) in &record.attributes {
        let value = match recorded {
            RecordedValue::Clear(value) => serde_json::from_str(value.get())?,
            RecordedValue::Masked(text) => Value::from(text.as_str()),
            RecordedValue::Commitment(_) => match opened.values.get(path) {
                Some(opened) => serde_json::from_str(opened.value.get())?,
                None => continue,
            },
            RecordedValue::Unusable => continue,
        };
        values.insert(path.clone(), value);
    }
    match arguments.format {
        Format::Json => println!("{}", json!({ "entry": entry, "values": values })),
        Format::Text => {
            anstream::println!("{GOOD}proven{PLAIN} entry {} of {}", entry.seq, arguments.log);
            println!("  time      {}", entry.time);
            println!("  request   {}", record.request_id);
            println!("  decision  {}", record.decision.as_str());
            for (path, recorded) in &record.attributes {
                let (value, how) = match (recorded, values.get(path)) {
                    (RecordedValue::Clear(_), Some(value)) => (value.to_string(), "recorded in clear"),
                    (RecordedValue::Masked(text), _) => (text.clone(), "masked"),
                    (RecordedValue::Commitment(_), Some(value)) => (value.to_string(), "opened"),
                    (RecordedValue::Commitment(_), None) => (format!("{CARE}{gone}{PLAIN}"), ""),
                    _ => (format!("{CARE}not of its type{PLAIN}"), ""),
                };
                anstream::println!("  {path} = {value}  {FAINT}{how}{PLAIN}");
            }
            if record.omitted_attributes > 0 {
                println!("  and {} attributes that were not recorded", record.omitted_attributes);
            }
        }
    }
    Ok(Outcome::Good)
}
