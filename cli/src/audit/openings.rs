//! What opens the commitments of a log's entries, as long as it is not erased.

use std::collections::BTreeMap;

use aecp_contract::{audit::Opening, layout, refusal::Code};
use anyhow::Context as _;

use super::{LogReader, MAX_OPENINGS};

impl LogReader {
    /// The openings that are there for the entries of a bundle, by the entries' numbers. They are nothing that was signed:
    /// [`Opening::opens`] says whether one fits its entry.
    pub(crate) async fn openings(&self, bundle: u64) -> anyhow::Result<BTreeMap<u64, Opening>> {
        let key = layout::openings(&self.name, bundle);
        let bytes = match self.openings.get(&key, MAX_OPENINGS, None).await {
            Ok(object) => object.context("the store gave nothing")?.bytes,
            Err(refusal) if refusal.code == Code::NotFound => return Ok(BTreeMap::new()),
            Err(refusal) => return Err(refusal.into()),
        };
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let opening = |line| serde_json::from_slice(line).map(|opening: Opening| (opening.seq, opening));
        lines.map(opening).collect::<Result<_, _>>().with_context(|| format!("`{key}` cannot be read"))
    }
}
