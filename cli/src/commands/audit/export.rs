//! `aecp audit export`: the entries of one or many logs as a file for other tools.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use tempfile::NamedTempFile;

use crate::{
    Outcome,
    audit::{Filter, Merge, ParquetFile, Record, Sources},
    commands::block_on,
    terminal::{GOOD, PLAIN, progress},
};

/// Write what was recorded into a file, in the order of time, across the logs of one or several
/// stores
///
/// Only what the logs signed is written, and the file appears whole or not at all. JSON lines are
/// {"log", "entry"}, the entry as it was recorded; a Parquet file has one row an entry. The file is
/// readable by its owner alone.
///
/// Example: aecp audit export --store s3://eu --store gs://us --log-policy logs.txt --out march.parquet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    filter: Filter,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Its format, unless its name ends in .parquet or .jsonl
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// JSON lines
    Jsonl,
    /// Apache Parquet
    Parquet,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let out = &arguments.out;
    let cannot_write = || format!("cannot write `{}`", out.display());
    let format = arguments.format.or_else(|| by_name(out));
    let Some(format) = format else {
        bail!("`{}` ends neither in .parquet nor in .jsonl: give --format", out.display());
    };
    let folder = out.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(folder).with_context(cannot_write)?;
    let handle = file.reopen().with_context(cannot_write)?;
    let mut writer = match format {
        FileFormat::Jsonl => Writer::Lines(BufWriter::new(handle)),
        FileFormat::Parquet => Writer::Parquet(ParquetFile::new(handle)?),
    };
    let mut written = 0_u64;
    block_on(async {
        let (logs, policy) = arguments.sources.logs().await?;
        let mut logs = Merge::open(logs, &policy).await?;
        while let Some(record) = logs.next().await? {
            if arguments.filter.wants(&record.entry) {
                writer.write(&record).with_context(cannot_write)?;
                written += 1;
                if written.is_multiple_of(1 << 16) {
                    progress(format_args!("{written} entries …"));
                }
            }
        }
        Ok(())
    })?;
    writer.finish().with_context(cannot_write)?.sync_all().with_context(cannot_write)?;
    file.persist(out).with_context(cannot_write)?;
    anstream::println!("{GOOD}exported{PLAIN} {written} entries to {}", out.display());
    Ok(Outcome::Good)
}

fn by_name(path: &Path) -> Option<FileFormat> {
    FileFormat::from_str(path.extension()?.to_str()?, true).ok()
}

enum Writer {
    Lines(BufWriter<File>),
    Parquet(ParquetFile),
}

impl Writer {
    fn write(&mut self, record: &Record) -> anyhow::Result<()> {
        match self {
            Self::Lines(lines) => Ok(writeln!(lines, "{}", record.to_json())?),
            Self::Parquet(file) => file.write(record),
        }
    }

    fn finish(self) -> anyhow::Result<File> {
        match self {
            Self::Lines(lines) => Ok(lines.into_inner().map_err(|error| error.into_error())?),
            Self::Parquet(file) => file.finish(),
        }
    }
}
