//! Entries as rows of a Parquet file.

use std::{fs::File, sync::Arc};

use aecp_contract::{
    audit::{DecisionRecord, Event, PolicyRef},
    value::Timestamp,
};
use anyhow::Context as _;
use parquet::{
    basic::Compression,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::{Record, word};

/// The columns, in the order of [`cells`].
const SCHEMA: &str = "message entry {
    REQUIRED BINARY log (STRING);
    REQUIRED INT64 seq (INTEGER(64,false));
    REQUIRED INT64 time (TIMESTAMP(MICROS,true));
    REQUIRED BINARY event (STRING);
    OPTIONAL BINARY request_id (STRING);
    OPTIONAL BINARY trace_id (STRING);
    OPTIONAL BINARY point (STRING);
    OPTIONAL INT64 serial (INTEGER(64,false));
    OPTIONAL BINARY release (STRING);
    OPTIONAL BINARY decision (STRING);
    REQUIRED GROUP violated (LIST) { REPEATED GROUP list { REQUIRED BINARY element (STRING); } }
    REQUIRED GROUP indeterminate (LIST) { REPEATED GROUP list { REQUIRED BINARY element (STRING); } }
    REQUIRED GROUP excepted (LIST) { REPEATED GROUP list { REQUIRED BINARY element (STRING); } }
    REQUIRED GROUP default_deny (LIST) { REPEATED GROUP list { REQUIRED BINARY element (STRING); } }
    OPTIONAL INT64 omitted (INTEGER(64,false));
    OPTIONAL BINARY reason (STRING);
    OPTIONAL INT64 latency_us (INTEGER(64,false));
    OPTIONAL BINARY attributes (STRING);
    OPTIONAL INT64 lost (INTEGER(64,false));
    OPTIONAL BINARY gap_reason (STRING);
}";

/// The most rows that are held in memory, and about the most bytes of text.
const GROUP_ROWS: usize = 1 << 16;
const GROUP_BYTES: usize = 32 << 20;

/// A file that is being written.
pub(crate) struct ParquetFile {
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

/// The values of one column, with the levels that say which are there and which begin a row.
#[derive(Default)]
struct Column {
    numbers: Vec<i64>,
    texts: Vec<ByteArray>,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

enum Cell {
    Number(Option<i64>),
    Text(Option<String>),
    List(Vec<String>),
}

impl ParquetFile {
    pub(crate) fn new(file: File) -> anyhow::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(Self { writer, columns: Vec::new(), rows: 0, bytes: 0 })
    }

    pub(crate) fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        let cells = cells(record)?;
        self.columns.resize_with(cells.len(), Column::default);
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.rows += 1;
        self.bytes += record.bytes.len();
        if self.rows == GROUP_ROWS || self.bytes > GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<File> {
        if self.rows > 0 {
            self.end_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    fn end_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for column in std::mem::take(&mut self.columns) {
            let mut writer = group.next_column()?.context("the file has fewer columns than a row")?;
            let levels = (Some(column.defined.as_slice()), Some(column.repeated.as_slice()));
            match writer.untyped() {
                ColumnWriter::Int64ColumnWriter(writer) => {
                    writer.write_batch(&column.numbers, levels.0, levels.1)?
                }
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    writer.write_batch(&column.texts, levels.0, levels.1)?
                }
                _ => anyhow::bail!("the file has a column of another type"),
            };
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Column {
    fn push(&mut self, cell: Cell) {
        match cell {
            Cell::Number(number) => {
                self.level(number.is_some(), false);
                self.numbers.extend(number);
            }
            Cell::Text(text) => {
                self.level(text.is_some(), false);
                self.texts.extend(text.map(|text| text.into_bytes().into()));
            }
            Cell::List(list) if list.is_empty() => self.level(false, false),
            Cell::List(list) => {
                for (at, text) in list.into_iter().enumerate() {
                    self.level(true, at > 0);
                    self.texts.push(text.into_bytes().into());
                }
            }
        }
    }

    fn level(&mut self, defined: bool, repeated: bool) {
        self.defined.push(defined.into());
        self.repeated.push(repeated.into());
    }
}

fn cells(Record { log, entry, .. }: &Record) -> anyhow::Result<Vec<Cell>> {
    let (name, decided, gap) = match &entry.event {
        Event::Start(_) => ("start", None, None),
        Event::Clock(_) => ("clock", None, None),
        Event::Decision(decided) => ("decision", Some(decided), None),
        Event::Gap(gap) => ("gap", None, Some(gap)),
        Event::Counts(_) => ("counts", None, None),
    };
    let text = |text: fn(&DecisionRecord) -> Option<String>| {
        Cell::Text(decided.and_then(|decided| text(decided)))
    };
    let number = |number: fn(&DecisionRecord) -> Option<u64>| {
        Cell::Number(decided.and_then(|decided| number(decided)).map(unsigned))
    };
    let list = |list: fn(&DecisionRecord) -> Vec<String>| {
        Cell::List(decided.map_or_else(Vec::new, |decided| list(decided)))
    };
    let attributes = decided.map(|decided| serde_json::to_string(&decided.attributes)).transpose()?;
    Ok(vec![
        Cell::Text(Some(log.to_string())),
        Cell::Number(Some(unsigned(entry.seq))),
        Cell::Number(Some(microseconds(entry.time))),
        Cell::Text(Some(name.to_owned())),
        text(|decided| Some(decided.request_id.clone())),
        text(|decided| decided.trace_id.clone()),
        text(|decided| Some(decided.point.clone())),
        number(|decided| decided.release.map(|release| release.serial)),
        text(|decided| decided.release.map(|release| release.digest.to_string())),
        text(|decided| Some(decided.decision.as_str().to_owned())),
        list(|decided| names(&decided.violated)),
        list(|decided| names(&decided.indeterminate)),
        list(|decided| decided.excepted.clone()),
        list(|decided| decided.default_deny.clone()),
        number(|decided| Some(decided.omitted)),
        text(|decided| decided.reason.clone()),
        number(|decided| Some(decided.latency_us)),
        Cell::Text(attributes),
        Cell::Number(gap.map(|gap| unsigned(gap.lost))),
        Cell::Text(gap.map(|gap| word(&gap.reason))),
    ])
}

fn names(policies: &[PolicyRef]) -> Vec<String> {
    policies.iter().map(|policy| policy.policy.clone()).collect()
}

/// The bits of an unsigned number, which is how Parquet keeps it.
fn unsigned(number: u64) -> i64 {
    number.cast_signed()
}

fn microseconds(time: Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanoseconds / 1_000))
}
