//! Archives, read in memory and within limits.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, GzDecoder};
use rawzip::{CompressionMethod, ZipArchive, ZipFileHeaderRecord, ZipSliceArchive};
use tar::EntryType;

use super::{Code, Files, Refused, matters};
use crate::source::{MAX_BYTES, MAX_FILE_BYTES};

/// The most bytes of an archive as it is uploaded.
pub const MAX_ARCHIVE_BYTES: u64 = 8 << 20;

/// The most bytes of what is in it: a set's, and room for what is passed over.
pub const MAX_UNPACKED_BYTES: u64 = 2 * MAX_BYTES;

/// The most files and folders in it.
pub const MAX_ENTRIES: usize = 20_000;

/// How many times larger its content may be than it is itself; texts seldom reach 30.
pub const MAX_RATIO: u64 = 200;

/// What is so small is let through, whatever its ratio.
const SMALL: u64 = 1 << 20;

/// The most bytes of a path in it.
const MAX_PATH_BYTES: usize = 1024;

/// The files of a gzipped tar archive that matter.
///
/// # Errors
/// [`Refused`].
pub fn tar_gz(bytes: &[u8]) -> Result<Files, Refused> {
    let mut unpacked = Limited::new(bytes.len(), GzDecoder::new(bytes))?;
    let read = read_tar(&mut unpacked);
    // Behind the last entry there is padding, and gzip's checksum of everything.
    let rest = io::copy(&mut unpacked, &mut io::sink());
    if unpacked.left == 0 {
        return Err(unpacked.refused());
    }
    let files = read?;
    rest.map_err(|error| no_archive(&error))?;
    Ok(files)
}

fn read_tar(unpacked: &mut impl Read) -> Result<Files, Refused> {
    let mut archive = tar::Archive::new(unpacked);
    let mut files = Gathered::default();
    for entry in archive.entries().map_err(|error| no_archive(&error))? {
        let mut entry = entry.map_err(|error| no_archive(&error))?;
        let kind = entry.header().entry_type();
        // What `git archive` says of the whole archive.
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let path = entry.path_bytes();
        let shown = String::from_utf8_lossy(&path).into_owned();
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                if let Some(path) = files.admit(&path)? {
                    let bytes = read_file(&mut entry, &path)?;
                    files.files.insert(path, bytes);
                }
            }
            EntryType::Directory => files.folder(&path)?,
            EntryType::Symlink | EntryType::Link => return Err(link(&shown)),
            _ => return Err(no_file(&shown)),
        }
    }
    Ok(files.files)
}

/// The files of a zip archive that matter.
///
/// # Errors
/// [`Refused`].
pub fn zip(bytes: &[u8]) -> Result<Files, Refused> {
    // One budget for all of its files together, so that nothing is gained by many that share their bytes.
    let mut budget = Limited::new(bytes.len(), io::empty())?;
    let archive = ZipArchive::from_slice(bytes).map_err(|error| no_archive(&error))?;
    let (mut entries, mut files) = (archive.entries(), Gathered::default());
    while let Some(entry) = entries.next_entry().map_err(|error| no_archive(&error))? {
        let name = entry.file_path();
        let shown = String::from_utf8_lossy(name.as_bytes()).into_owned();
        if entry.mode().is_symlink() {
            return Err(link(&shown));
        }
        match entry.mode().value() & 0o170_000 {
            0o040_000 => files.folder(name.as_bytes())?,
            0o100_000 | 0 => {
                if let Some(path) = files.admit(name.as_bytes())? {
                    let bytes = read_zipped(&archive, &entry, &path, &mut budget)?;
                    files.files.insert(path, bytes);
                }
            }
            _ => return Err(no_file(&shown)),
        }
    }
    if files.entries as u64 != archive.entries_hint() {
        return Err(no_archive(&"its directory has not as many entries as it says"));
    }
    Ok(files.files)
}

fn read_zipped(
    archive: &ZipSliceArchive<&[u8]>,
    entry: &ZipFileHeaderRecord<'_>,
    path: &str,
    budget: &mut Limited<io::Empty>,
) -> Result<Vec<u8>, Refused> {
    if entry.flags().is_encrypted() {
        return Err(Refused::new(Code::Unsupported, format!("`{path}` is encrypted")));
    }
    let zipped = archive.get_entry(entry.wayfinder()).map_err(|error| no_archive(&error))?;
    let inflated: Box<dyn Read> = match entry.compression_method() {
        CompressionMethod::STORE => Box::new(zipped.data()),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(zipped.data())),
        _ => {
            let detail =
                format!("`{path}` is packed otherwise than by deflate; pack it with another tool");
            return Err(Refused::new(Code::Unsupported, detail));
        }
    };
    let inner = zipped.verifying_reader(inflated);
    let mut limited = Limited { inner, left: budget.left, bomb: budget.bomb };
    let bytes = read_file(&mut limited, path);
    budget.left = limited.left;
    if budget.left == 0 { Err(budget.refused()) } else { bytes }
}

/// What was seen of an archive so far.
#[derive(Default)]
struct Gathered {
    files: Files,
    /// Paths of files that do not matter and yet must not stand twice.
    others: std::collections::BTreeSet<String>,
    entries: usize,
}

impl Gathered {
    fn folder(&mut self, path: &[u8]) -> Result<(), Refused> {
        self.count()?;
        plain(path).map(|_| ())
    }

    /// The path of a file, if it matters.
    fn admit(&mut self, path: &[u8]) -> Result<Option<String>, Refused> {
        self.count()?;
        let shown = String::from_utf8_lossy(path);
        let path = plain(path)?.ok_or_else(|| no_file(&shown))?;
        let new = !self.files.contains_key(&path) && self.others.insert(path.clone());
        if !new {
            let detail =
                format!("`{path}` stands in it twice; which one counts would be anybody's guess");
            return Err(Refused::new(Code::Duplicate, detail));
        }
        Ok(matters(&path).then_some(path))
    }

    fn count(&mut self) -> Result<(), Refused> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            let detail =
                format!("it holds more than {MAX_ENTRIES} files and folders; make several sets");
            return Err(Refused::new(Code::TooManyFiles, detail));
        }
        Ok(())
    }
}

/// A path below the archive; `None` for the archive's own folder.
fn plain(path: &[u8]) -> Result<Option<String>, Refused> {
    let shown = || format!("`{:.200}`", String::from_utf8_lossy(path).escape_debug());
    let Ok(text) = std::str::from_utf8(path) else {
        let detail = format!("the path {} is not UTF-8; rename the file, or use another tool", shown());
        return Err(Refused::new(Code::NotUtf8, detail));
    };
    let mut inner = text;
    while let Some(rest) = inner.strip_prefix("./") {
        inner = rest;
    }
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if text.starts_with("./") && inner.is_empty() || text == "." {
        return Ok(None);
    }
    let odd = |part: &str| matches!(part, "" | "." | "..");
    let strange = |c: char| c == '\\' || c.is_control();
    if inner.split('/').any(odd) || text.contains(strange) || text.len() > MAX_PATH_BYTES {
        let detail = format!("the path {} is no path below the archive's own folder", shown());
        return Err(Refused::new(Code::Path, detail));
    }
    Ok(Some(inner.to_owned()))
}

fn read_file(file: &mut impl Read, path: &str) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| no_archive(&format!("`{path}`: {error}")))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let detail = format!("`{path}` is larger than {MAX_FILE_BYTES} bytes; split it");
        return Err(Refused::new(Code::TooLarge, detail));
    }
    Ok(bytes)
}

/// Gives at most as many bytes as `left`, then fails.
struct Limited<R> {
    inner: R,
    left: u64,
    /// Whether the ratio sets the limit, not the size.
    bomb: bool,
}

impl<R> Limited<R> {
    /// What unpacks to as much as an archive of this size may.
    fn new(packed: usize, inner: R) -> Result<Self, Refused> {
        let packed = packed as u64;
        if packed > MAX_ARCHIVE_BYTES {
            let detail =
                format!("the archive is larger than {MAX_ARCHIVE_BYTES} bytes; make several sets");
            return Err(Refused::new(Code::TooLarge, detail));
        }
        let by_ratio = SMALL.max(packed.saturating_mul(MAX_RATIO));
        Ok(Self { inner, left: by_ratio.min(MAX_UNPACKED_BYTES), bomb: by_ratio < MAX_UNPACKED_BYTES })
    }

    fn refused(&self) -> Refused {
        if self.bomb {
            let detail =
                format!("it unpacks to more than {MAX_RATIO} times its size, as no policies do");
            return Refused::new(Code::Bomb, detail);
        }
        let detail = format!("it unpacks to {MAX_UNPACKED_BYTES} bytes or more; make several sets");
        Refused::new(Code::TooLarge, detail)
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("it unpacks to too much"));
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

fn no_archive(error: &dyn std::fmt::Display) -> Refused {
    Refused::new(
        Code::NotAnArchive,
        format!("it cannot be read as the archive that its name says: {error}"),
    )
}

fn link(path: &str) -> Refused {
    let detail = format!("`{:.200}` is a link; pack the file itself", path.escape_debug());
    Refused::new(Code::Link, detail)
}

fn no_file(path: &str) -> Refused {
    let detail = format!("`{:.200}` is neither a plain file nor a folder", path.escape_debug());
    Refused::new(Code::NotAFile, detail)
}
