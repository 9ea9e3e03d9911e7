//! The file of decisions: one JSON object a line, appended, never changed.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// Where decisions are written. A test's log may fail.
pub(super) trait Log: Send {
    /// Appends whole lines. After an error none of them is part of the log.
    fn append(&mut self, lines: &[u8], durable: bool) -> io::Result<()>;
}

/// The decision log of one state folder.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    /// `None` after a failed write, until the file could be opened and cut to `length` again.
    file: Option<File>,
    /// Bytes of good lines.
    length: u64,
    next_seq: u64,
}

/// The decision log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system says no.
    #[error("the decision log `{}` cannot be opened: {error}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Its last whole line is no record. Such a line was never written by an enforcer, so none removes it.
    #[error("the decision log `{}` ends in a line that is no record; move it away", .0.display())]
    NotARecord(PathBuf),
    /// The writer's thread cannot be started.
    #[error("the decision log's writer cannot start: {0}")]
    Thread(io::Error),
}

impl LogFile {
    /// Opens the log, making it if need be. A last line that a crash cut off is removed: its answer never
    /// left, or did not need to be durable.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let unusable = |error| LogError::Unusable { path: path.to_owned(), error };
        let mut file = File::options()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(unusable)?;
        let size = file.metadata().map_err(unusable)?.len();
        let length = last_line_end(&mut file, size).map_err(unusable)?;
        let next_seq = if length == 0 {
            1
        } else {
            let start = last_line_end(&mut file, length - 1).map_err(unusable)?;
            let mut line = vec![0; (length - start) as usize];
            file.seek(SeekFrom::Start(start)).map_err(unusable)?;
            file.read_exact(&mut line).map_err(unusable)?;
            #[derive(Deserialize)]
            struct Numbered {
                seq: u64,
            }
            let record: Numbered =
                serde_json::from_slice(&line).map_err(|_| LogError::NotARecord(path.to_owned()))?;
            record.seq.saturating_add(1)
        };
        if length < size {
            tracing::warn!(bytes = size - length, "removing a decision record that a crash cut off");
            file.set_len(length).map_err(unusable)?;
        }
        file.seek(SeekFrom::Start(length)).map_err(unusable)?;
        // The file's own name must be durable too before a record in it is.
        file.sync_all().map_err(unusable)?;
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;
        }
        Ok(Self { path: path.to_owned(), file: Some(file), length, next_seq })
    }

    /// The sequence number of the next record; the first one is 1.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// As after a failed write.
    #[cfg(test)]
    pub(super) fn fail(&mut self) {
        self.file = None;
    }

    fn reopened(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = File::options().write(true).open(&self.path)?;
                file.set_len(self.length)?;
                file.seek(SeekFrom::Start(self.length))?;
                file
            }
        };
        Ok(self.file.insert(file))
    }
}

impl Log for LogFile {
    fn append(&mut self, lines: &[u8], durable: bool) -> io::Result<()> {
        let file = self.reopened()?;
        let written =
            file.write_all(lines).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => self.length += lines.len() as u64,
            // What the kernel still holds of it is unknown, so the next write starts from the good lines.
            Err(_) => self.file = None,
        }
        written
    }
}

/// The end of the last line that ends before `end`: just after its line feed, or 0.
fn last_line_end(file: &mut File, mut end: u64) -> io::Result<u64> {
    let mut block = vec![0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
