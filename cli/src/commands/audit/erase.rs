//! `aecp audit erase`: personal data out of the trail, while its proofs hold.

use std::{collections::BTreeMap, fs, path::Path};

use aecp_contract::{
    audit::Opening,
    layout::{self, Name},
    refusal::Code,
    tlog::tile::TILE_WIDTH,
};
use aecp_enforcer::Store;
use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    Outcome,
    audit::MAX_OPENINGS,
    commands::block_on,
    terminal::{GOOD, PLAIN, count, progress},
};

/// How often a file is read again because its enforcer wrote to it meanwhile.
const ATTEMPTS: usize = 10;

/// Erase what requests said (GDPR Art. 17), of one entry or wherever an attribute has a value
///
/// Entries hold salted commitments to values, not the values: these lie beside the log, below openings/, and are what this
/// erases. The entries, their proofs and `aecp audit verify` hold as before, and nobody can tell the values any more. What
/// an enforcer records in clear or masked is in the log itself and cannot be erased.
///
/// Where a bucket keeps older versions of objects, the values stay in those until a rule deletes them. Entries that wait
/// on an enforcer's own disk are not touched: it keeps them in files of up to ten minutes or 16 MiB, which go when all
/// their entries are in full bundles of 256 in the store.
///
/// In a folder (file:///…), stop the enforcer first: a folder cannot tell that both wrote at once.
///
/// Example: aecp audit erase --store s3://bucket --where customer.id=\"c-7081\"
/// Example: aecp audit erase --store s3://bucket --log web-1 --entry 73894
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The store with the openings: the logs' own, or the enforcers' --audit-openings
    #[arg(long, value_name = "URL")]
    store: String,
    /// One log alone, by its name below openings/
    #[arg(long, value_name = "NAME")]
    log: Option<Name>,
    /// The entry's number
    #[arg(long, value_name = "N", requires = "log", required_unless_present = "wanted")]
    entry: Option<u64>,
    /// The attribute and its value as JSON, such as customer.id=\"c-7081\" or age=17; may repeat, then any of them
    #[arg(id = "wanted", long = "where", value_name = "PATH=VALUE", value_parser = wanted,
          conflicts_with = "entry")]
    wanted: Vec<(String, Value)>,
}

fn wanted(text: &str) -> Result<(String, Value), String> {
    let (path, value) = text.split_once('=').ok_or("expected PATH=VALUE")?;
    let value = serde_json::from_str(value)
        .map_err(|_| format!("`{value}` is no JSON; texts stand in quotes: {path}=\\\"{value}\\\""))?;
    Ok((path.to_owned(), value))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let erased = block_on(async {
        let store = Store::open(&arguments.store)?;
        let logs = match &arguments.log {
            Some(log) => vec![log.clone()],
            None => {
                let names = store.names("openings").await?;
                names.into_iter().filter_map(|name| name.parse().ok()).collect()
            }
        };
        if let Some(folder) = arguments.store.strip_prefix("file://") {
            for log in &logs {
                remove_cut_off(&Path::new(folder).join("openings").join(log.to_string()))?;
            }
        }
        let mut erased = 0;
        for log in logs {
            erased += erase_in(&store, &log, arguments).await?;
        }
        Ok(erased)
    })?;
    anstream::println!("{GOOD}erased{PLAIN} {}", count(erased, "entry's values", "entries' values"));
    Ok(Outcome::Good)
}

async fn erase_in(store: &Store, log: &Name, arguments: &Arguments) -> anyhow::Result<usize> {
    let bundles: Vec<u64> = match arguments.entry {
        Some(entry) => vec![entry / TILE_WIDTH],
        None => {
            let names = store.names(&format!("openings/{log}")).await?;
            names.iter().filter_map(|name| name.strip_suffix(".jsonl")?.parse().ok()).collect()
        }
    };
    let mut erased = 0;
    for bundle in bundles {
        progress(format_args!("{log}: entries from {} …", bundle * TILE_WIDTH));
        erased += erase_bundle(store, &layout::openings(log, bundle), arguments).await?;
    }
    Ok(erased)
}

/// Removes what uploads to a folder left that a crash cut off: no object, so that nothing else finds it.
fn remove_cut_off(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot clear `{}`", folder.display());
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.with_context(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let upload = name.rsplit_once('#').is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()));
        if upload {
            fs::remove_file(&path).with_context(failed)?;
        }
    }
    Ok(())
}

/// Writes the file without what is erased. The number of an entry stays, so that its enforcer does not carry it again.
async fn erase_bundle(store: &Store, key: &str, arguments: &Arguments) -> anyhow::Result<usize> {
    for _ in 0..ATTEMPTS {
        let object = match store.get(key, MAX_OPENINGS, None).await {
            Ok(object) => object.context("the store gave nothing")?,
            Err(refusal) if refusal.code == Code::NotFound => return Ok(0),
            Err(refusal) => return Err(refusal.into()),
        };
        let mut bytes = Vec::with_capacity(object.bytes.len());
        let mut erased = 0;
        for line in object.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let opening: Opening =
                serde_json::from_slice(line).with_context(|| format!("`{key}` cannot be read"))?;
            if arguments.wants(&opening) {
                erased += 1;
                let none = Opening { seq: opening.seq, values: BTreeMap::new() };
                bytes.extend(serde_json::to_vec(&none)?);
            } else {
                bytes.extend_from_slice(line);
            }
            bytes.push(b'\n');
        }
        if erased == 0 || store.replace(key, bytes.into(), Some(object.read())).await? {
            return Ok(erased);
        }
    }
    bail!("`{key}` is being written all the time; try again")
}

impl Arguments {
    fn wants(&self, opening: &Opening) -> bool {
        let has = |(path, value): &(String, Value)| {
            let there = opening.values.get(path);
            there.is_some_and(|there| {
                serde_json::from_str::<Value>(there.value.get()).is_ok_and(|there| there == *value)
            })
        };
        let named = self.entry == Some(opening.seq) && !opening.values.is_empty();
        named || self.wanted.iter().any(has)
    }
}
