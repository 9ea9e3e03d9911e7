//! The entries of one log on this disk: files of one JSON object a line, appended, never changed, each named by the
//! number of its first entry. What the store has taken is removed, file by file.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aecp_contract::value::Timestamp;
use serde::Deserialize;

use super::openings;

/// A file with more bytes is followed by a new one.
const SEGMENT_BYTES: u64 = 16 << 20;

/// A file that is older is followed by a new one, so that what was shipped and erased does not lie here for long.
const SEGMENT_AGE: Duration = Duration::from_secs(600);

/// The most bytes of a line: what opens an entry, and its line feed.
const MAX_LINE: usize = openings::MAX_LINE + 1;

/// What the last writer left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    /// The number of the next entry; the first one is 0.
    pub(super) next_seq: u64,
    /// The time of the last entry, after which all that is decided from now on comes.
    pub(super) last_time: Option<Timestamp>,
    /// Whether it stopped in order.
    pub(super) stopped: bool,
}

/// Where entries are written. A test's may fail.
pub(super) trait Log: Send {
    /// Appends `count` whole lines. After an error none of them is part of the log.
    fn append(&mut self, lines: &[u8], count: u64, durable: bool) -> io::Result<()>;

    /// Remembers that everything was written and the writer stops.
    fn stopped(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The entries of one log, to be appended to.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// The number of the last file's first entry.
    first: u64,
    /// `None` after a failed write, until the file could be opened and cut to `length` again.
    file: Option<File>,
    /// Bytes of good lines in the last file.
    length: u64,
    next_seq: u64,
    segment_bytes: u64,
    /// When the last file was begun, or opened.
    begun: Instant,
}

/// The log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system says no.
    #[error("the decision log `{}` cannot be used: {error}", .path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// Its last whole line is no entry. Such a line was never written by an enforcer, so none removes it.
    #[error("the decision log `{}` ends in a line that is no entry; move it away", .0.display())]
    NotAnEntry(PathBuf),
    /// The log's key cannot be read. Entries signed by another one would be another log.
    #[error("the log's key `{}` cannot be used: {reason}; restore it, or give the enforcer a new state folder", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The writer's thread cannot be started.
    #[error("the decision log's writer cannot start: {0}")]
    Thread(io::Error),
}

/// The file that says that the last writer stopped in order, and after which entry.
const STOPPED: &str = "stopped";

impl Spool {
    /// Opens the log, making it if need be. A last line that a crash cut off is removed: its answer never left, or did
    /// not need to be durable.
    ///
    /// # Errors
    /// [`LogError`].
    pub(super) fn open(folder: &Path) -> Result<(Self, Left), LogError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| LogError::Unusable { path, error }
        };
        fs::create_dir_all(folder).map_err(at(folder))?;
        let first = segments(folder).map_err(at(folder))?.last().copied().unwrap_or(0);
        let path = segment(folder, first);
        let mut file = open_or_make(&path).map_err(at(&path))?;
        let size = file.metadata().map_err(at(&path))?.len();
        let mut length = last_line_end(&mut file, size).map_err(at(&path))?;
        let mut last = last_line(&mut file, length).map_err(at(&path))?;
        // What opens an entry that did not get here opens nothing.
        while let Some(line) = last.take_if(|line| openings::is_line(line)) {
            length -= line.len() as u64 + 1;
            last = last_line(&mut file, length).map_err(at(&path))?;
        }
        let (next_seq, last_time) = match last {
            None => (first, None),
            Some(line) => {
                #[derive(Deserialize)]
                struct Numbered {
                    seq: u64,
                    #[serde(default)]
                    time: Option<Timestamp>,
                }
                let entry: Option<Numbered> = serde_json::from_slice(&line).ok();
                let next = entry.and_then(|entry| Some((entry.seq.checked_add(1)?, entry.time)));
                let next = next.filter(|(next, _)| *next > first);
                next.ok_or_else(|| LogError::NotAnEntry(path.clone()))?
            }
        };
        if length < size {
            tracing::warn!(bytes = size - length, "removing a decision record that a crash cut off");
            file.set_len(length).map_err(at(&path))?;
        }
        file.seek(SeekFrom::Start(length)).map_err(at(&path))?;
        let marker = folder.join(STOPPED);
        let stopped = fs::read_to_string(&marker).is_ok_and(|text| text.trim() == next_seq.to_string());
        let _ = fs::remove_file(&marker);
        // The file's own name must be durable too before an entry in it is.
        file.sync_all().map_err(at(&path))?;
        sync_folder(folder).map_err(at(folder))?;
        let spool = Self {
            folder: folder.to_owned(),
            first,
            file: Some(file),
            length,
            next_seq,
            segment_bytes: SEGMENT_BYTES,
            begun: Instant::now(),
        };
        Ok((spool, Left { next_seq, last_time, stopped }))
    }

    /// The number of the next entry; the first one is 0.
    #[cfg(test)]
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// As after a failed write.
    #[cfg(test)]
    pub(super) fn fail(&mut self) {
        self.file = None;
    }

    /// Starts a new file after so many bytes.
    #[cfg(test)]
    pub(super) fn with_segment_bytes(self, segment_bytes: u64) -> Self {
        Self { segment_bytes, ..self }
    }

    fn reopened(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = File::options().write(true).open(segment(&self.folder, self.first))?;
                file.set_len(self.length)?;
                file.seek(SeekFrom::Start(self.length))?;
                file
            }
        };
        Ok(self.file.insert(file))
    }

    /// Goes on in a new file. The one before is durable first, so that no entry is missing between the two.
    fn roll(&mut self) -> io::Result<()> {
        self.reopened()?.sync_all()?;
        let next = open_or_make(&segment(&self.folder, self.next_seq))?;
        sync_folder(&self.folder)?;
        self.file = Some(next);
        self.first = self.next_seq;
        self.length = 0;
        self.begun = Instant::now();
        Ok(())
    }
}

impl Log for Spool {
    fn append(&mut self, lines: &[u8], count: u64, durable: bool) -> io::Result<()> {
        let aged = self.length > 0 && self.begun.elapsed() >= SEGMENT_AGE;
        if self.length >= self.segment_bytes || aged {
            self.roll()?;
        }
        let file = self.reopened()?;
        let written =
            file.write_all(lines).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                self.next_seq += count;
            }
            // What the kernel still holds of it is unknown, so the next write starts from the good lines.
            Err(_) => self.file = None,
        }
        written
    }

    fn stopped(&mut self) -> io::Result<()> {
        self.reopened()?.sync_all()?;
        let mut marker = File::create(self.folder.join(STOPPED))?;
        marker.write_all(self.next_seq.to_string().as_bytes())?;
        marker.sync_all()?;
        sync_folder(&self.folder)
    }
}

/// What was read of a log.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The entries.
    pub(super) entries: Vec<Vec<u8>>,
    /// What opens them, by their numbers: JSON of an [`aecp_contract::audit::Opening`].
    pub(super) openings: Vec<(u64, Vec<u8>)>,
}

/// The entries of one log, to be read while they are written.
#[derive(Debug)]
pub(super) struct SpoolReader {
    folder: PathBuf,
    /// Where the last read ended: the entry that comes next, its file and its place there.
    place: Option<(u64, u64, u64)>,
}

impl SpoolReader {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), place: None }
    }

    /// The entries from `from` up to `end`, without their line feeds. All of them must have been written.
    pub(super) fn read(&mut self, from: u64, end: u64) -> io::Result<Read> {
        let (mut entries, mut opened) = (Vec::new(), Vec::new());
        while from + (entries.len() as u64) < end {
            let next = from + entries.len() as u64;
            let (mut at, first, offset) = match self.place.take() {
                Some(place) if place.0 == next => place,
                _ => {
                    let segments = segments(&self.folder)?;
                    let first = segments.into_iter().rfind(|first| *first <= next);
                    let gone = || io::Error::other(format!("entry {next} is no longer on this disk"));
                    let first = first.ok_or_else(gone)?;
                    (first, first, 0)
                }
            };
            let mut file = File::open(segment(&self.folder, first))?;
            let mut offset = file.seek(SeekFrom::Start(offset))?;
            let mut lines = BufReader::new(file);
            let before = at;
            while at < end {
                let mut line = Vec::new();
                (&mut lines).take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
                if line.pop() != Some(b'\n') {
                    break;
                }
                offset += line.len() as u64 + 1;
                if let Some(opening) = openings::of_line(&line) {
                    if at >= next {
                        opened.push((at, opening.to_vec()));
                    }
                    continue;
                }
                if at >= next {
                    entries.push(line);
                }
                at += 1;
            }
            if at == before {
                // The file ends here; the next one begins with this entry.
                if segments(&self.folder)?.contains(&at) && first != at {
                    self.place = Some((at, at, 0));
                    continue;
                }
                return Err(io::Error::other(format!("entry {at} is not in the decision log")));
            }
            self.place = Some((at, first, offset));
        }
        Ok(Read { entries, openings: opened })
    }

    /// Removes the files that hold only entries before `seq`.
    pub(super) fn remove_before(&mut self, seq: u64) -> io::Result<()> {
        let segments = segments(&self.folder)?;
        for [first, next] in segments.array_windows() {
            if *next <= seq {
                fs::remove_file(segment(&self.folder, *first))?;
            }
        }
        Ok(())
    }

    /// The bytes of all files.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        segments(&self.folder)?
            .into_iter()
            .map(|first| Ok(fs::metadata(segment(&self.folder, first))?.len()))
            .sum()
    }
}

fn segment(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

/// The files by the numbers of their first entries, ascending.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok());
        segments.extend(number);
    }
    segments.sort_unstable();
    Ok(segments)
}

fn open_or_make(path: &Path) -> io::Result<File> {
    File::options().create(true).read(true).write(true).truncate(false).open(path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The last line before `end`, where a line ends, without its line feed.
fn last_line(file: &mut File, end: u64) -> io::Result<Option<Vec<u8>>> {
    if end == 0 {
        return Ok(None);
    }
    let start = last_line_end(file, end - 1)?;
    let mut line = vec![0; (end - 1 - start) as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut line)?;
    Ok(Some(line))
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
