//! Many logs read as one, in the order of time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use aecp_contract::{audit::Entry, layout::Name, tlog::policy::LogPolicy, value::Timestamp};
use anyhow::anyhow;
use bytes::Bytes;

use super::{LogReader, stream::LogStream};

/// An entry of one of the logs.
pub(crate) struct Record {
    pub(crate) log: Name,
    pub(crate) entry: Entry,
    /// The entry as it was signed.
    pub(crate) bytes: Bytes,
}

impl Record {
    /// As one line of JSON: `{"log", "entry"}`, the entry as it was signed.
    pub(crate) fn to_json(&self) -> String {
        format!("{{\"log\":\"{}\",\"entry\":{}}}", self.log, String::from_utf8_lossy(&self.bytes))
    }
}

/// The logs. Entries of one log keep their order whatever its clock does.
pub(crate) struct Merge {
    logs: Vec<(LogStream, VecDeque<Record>)>,
    /// The time of each log's next entry, and the log's place.
    due: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Logs whose next entry is to be read.
    behind: Vec<usize>,
}

impl Merge {
    pub(crate) async fn open(logs: Vec<LogReader>, policy: &LogPolicy) -> anyhow::Result<Self> {
        let mut open = Vec::new();
        for log in logs {
            open.push((LogStream::open(log, policy).await?, VecDeque::new()));
        }
        let behind = (0..open.len()).collect();
        Ok(Self { logs: open, due: BinaryHeap::new(), behind })
    }

    /// Looks for what the logs signed since. A log that cannot be read is left out until the next time.
    pub(crate) async fn refresh(&mut self, policy: &LogPolicy) -> Vec<anyhow::Error> {
        let mut failed = Vec::new();
        for (place, (log, _)) in self.logs.iter_mut().enumerate() {
            match log.refresh(policy).await {
                Ok(()) => self.behind.push(place),
                Err(error) => failed.push(error),
            }
        }
        failed
    }

    /// The next entry; `None` after the last. After an error the others can still be read.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Record>> {
        while let Some(place) = self.behind.pop() {
            let (log, waiting) = &mut self.logs[place];
            if waiting.is_empty() {
                read(log, waiting).await?;
            }
            if let Some(record) = waiting.front() {
                self.due.push(Reverse((record.entry.time, place)));
            }
        }
        let Some(Reverse((_, place))) = self.due.pop() else { return Ok(None) };
        self.behind.push(place);
        Ok(self.logs[place].1.pop_front())
    }
}

async fn read(log: &mut LogStream, waiting: &mut VecDeque<Record>) -> anyhow::Result<()> {
    let Some(bundle) = log.next().await? else { return Ok(()) };
    let name = &log.log.name;
    for (index, bytes) in bundle.entries()? {
        let entry = Entry::from_json(bytes)
            .map_err(|why| anyhow!("log `{name}`, entry {index} cannot be read: {why}"))?;
        let bytes = Bytes::copy_from_slice(bytes);
        waiting.push_back(Record { log: name.clone(), entry, bytes });
    }
    Ok(())
}
