//! Source files: where they come from, their order, their digest, and places in them.

use std::{
    borrow::Cow,
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    path::Path,
};

use aecp_contract::digest::Digest;
use serde::{Deserialize, Serialize};

/// The ending of source files.
pub const EXTENSION: &str = "aecp";

/// The most bytes that one source file may have.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// The most bytes that the files of one set may have together: what a release can carry, with room for escapes.
pub const MAX_BYTES: u64 = 32 << 20;

/// The most files that one set may have.
pub const MAX_FILES: usize = 10_000;

/// One source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The path relative to the set's folder, with `/` between its parts.
    pub path: String,
    /// The text.
    pub text: String,
}

/// The source files of one policy set, in byte order of their paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    files: Vec<Source>,
    /// Where the lines of each file start.
    lines: Vec<Vec<u32>>,
}

/// The form of an archive.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive<'a> {
    files: Cow<'a, [Source]>,
}

/// Where something stands in the sources: bytes `start..end` of file number `file`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Index into [`Sources::files`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `other`, which stand in one file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { end: other.end, ..self }
    }
}

/// A line and column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Why the sources could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read `{path}`: {error}")]
    Read {
        /// Which.
        path: String,
        /// The system's reason.
        error: io::Error,
    },
    /// A file is not UTF-8.
    #[error("`{path}` is not UTF-8: byte {at} starts no character; save the file as UTF-8")]
    NotUtf8 {
        /// Which file.
        path: String,
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A file or the folder is beyond its limit.
    #[error("{0}")]
    TooLarge(String),
    /// An archive is none, or holds what no folder could.
    #[error("the archive of sources cannot be read: {0}")]
    Archive(String),
    /// There is nothing to compile.
    #[error("`{0}` holds no `.aecp` file; a policy set is a folder of `.aecp` files")]
    Empty(String),
}

impl Sources {
    /// The given files, put into the set's order.
    #[must_use]
    pub fn new(mut files: Vec<Source>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self::in_order(files)
    }

    fn in_order(files: Vec<Source>) -> Self {
        let lines = files.iter().map(|file| line_starts(&file.text)).collect();
        Self { files, lines }
    }

    /// Reads every `.aecp` file below `folder`, or the one file that `folder` is. Links are followed for
    /// files but not for folders, and hidden folders are passed over.
    ///
    /// # Errors
    /// [`SourceError`], naming the file.
    pub fn read(folder: &Path) -> Result<Self, SourceError> {
        let mut files = Vec::new();
        if folder.is_file() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(read_file(folder, name)?);
        } else {
            read_folder(folder, "", &mut 0, &mut files)?;
        }
        if files.is_empty() {
            return Err(SourceError::Empty(folder.display().to_string()));
        }
        Ok(Self::new(files))
    }

    /// The files in order.
    #[must_use]
    pub fn files(&self) -> &[Source] {
        &self.files
    }

    /// SHA-256 over one line per file, `<sha256 of its bytes>  <path>\n`: what `sha256sum` prints, in order.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut lines = String::new();
        for file in &self.files {
            // Writing to a String does not fail.
            let _ = writeln!(lines, "{}  {}", Digest::of(file.text.as_bytes()), file.path);
        }
        Digest::of(lines.as_bytes())
    }

    /// The files as one JSON document, which a release carries beside what was compiled from it.
    #[must_use]
    pub fn to_archive(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "text always serialises")]
        serde_json::to_vec(&Archive { files: Cow::Borrowed(&self.files) })
            .expect("sources are plain data")
    }

    /// The files out of such a document. Their paths stay below the folder that somebody may write them to.
    ///
    /// # Errors
    /// [`SourceError::Archive`] and [`SourceError::TooLarge`].
    pub fn from_archive(json: &[u8]) -> Result<Self, SourceError> {
        let archive: Archive<'_> =
            serde_json::from_slice(json).map_err(|error| SourceError::Archive(error.to_string()))?;
        let files = archive.files.into_owned();
        let sizes = || files.iter().map(|file| file.text.len() as u64);
        if files.len() > MAX_FILES
            || sizes().any(|size| size > MAX_FILE_BYTES)
            || sizes().sum::<u64>() > MAX_BYTES
        {
            let detail = format!(
                "the archive has more than {MAX_FILES} files or {MAX_BYTES} bytes, or a file of more than \
                 {MAX_FILE_BYTES} bytes"
            );
            return Err(SourceError::TooLarge(detail));
        }
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if let Some(file) = files.iter().find(|file| !file.path.split('/').all(plain)) {
            return Err(SourceError::Archive(format!("`{:.80}` is no path below a folder", file.path)));
        }
        if !files.is_sorted_by(|a, b| a.path < b.path) {
            return Err(SourceError::Archive(
                "its files are not in order, or one stands twice".to_owned(),
            ));
        }
        Ok(Self::in_order(files))
    }

    /// The same files, one of them with another text.
    #[must_use]
    pub fn with_text(mut self, file: u32, text: String) -> Self {
        if let (Some(source), Some(lines)) =
            (self.files.get_mut(file as usize), self.lines.get_mut(file as usize))
        {
            *lines = line_starts(&text);
            source.text = text;
        }
        self
    }

    /// The text at `span`; empty if there is none.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        self.files
            .get(span.file as usize)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize))
            .unwrap_or_default()
    }

    /// The line and column of a byte of a file.
    #[must_use]
    pub fn position(&self, file: u32, byte: u32) -> Position {
        let text = self.files.get(file as usize).map_or("", |file| file.text.as_str());
        let starts = self.lines.get(file as usize).map_or(&[0][..], Vec::as_slice);
        let line = starts.partition_point(|start| *start <= byte);
        let start = starts.get(line.wrapping_sub(1)).map_or(0, |start| *start as usize);
        let before = text.get(start..byte as usize).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    let ends = text.bytes().zip(1..).filter(|(byte, _)| *byte == b'\n');
    [0].into_iter().chain(ends.map(|(_, next)| next)).collect()
}

/// Adds the files below a folder; `bytes` are those of all files so far.
fn read_folder(
    folder: &Path,
    prefix: &str,
    bytes: &mut u64,
    files: &mut Vec<Source>,
) -> Result<(), SourceError> {
    let failed = |path: &Path, error| SourceError::Read { path: path.display().to_string(), error };
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let relative = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(|error| failed(&path, error))?;
        if kind.is_dir() {
            if !name.starts_with('.') {
                read_folder(&path, &format!("{relative}/"), bytes, files)?;
            }
        } else if path.extension().is_some_and(|ending| ending == EXTENSION) {
            if files.len() == MAX_FILES {
                let detail = format!("`{}` holds more than {MAX_FILES} files", folder.display());
                return Err(SourceError::TooLarge(detail));
            }
            let file = read_file(&path, relative)?;
            *bytes += file.text.len() as u64;
            if *bytes > MAX_BYTES {
                let detail = format!(
                    "the files up to `{}` are larger than {MAX_BYTES} bytes together; make several sets",
                    path.display()
                );
                return Err(SourceError::TooLarge(detail));
            }
            files.push(file);
        }
    }
    Ok(())
}

fn read_file(path: &Path, relative: String) -> Result<Source, SourceError> {
    let shown = || path.display().to_string();
    let failed = |error| SourceError::Read { path: shown(), error };
    let mut bytes = Vec::new();
    // Not by the size that the system tells: a device has none, and a file may grow meanwhile.
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let detail = format!("`{}` is larger than {MAX_FILE_BYTES} bytes; split it", shown());
        return Err(SourceError::TooLarge(detail));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| SourceError::NotUtf8 { path: shown(), at: error.utf8_error().valid_up_to() })?;
    // An editor's byte order mark is no part of the text.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(Source { path: relative, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_byte_order_of_their_paths_and_hashed_as_sha256sum_would() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for (path, text) in [("z.aecp", "Z"), ("b/a.aecp", "A"), ("B.aecp", "B"), ("x.txt", "no")] {
            fs::write(folder.path().join(path), text).unwrap();
        }
        let sources = Sources::read(folder.path()).unwrap();
        let paths: Vec<_> = sources.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["B.aecp", "b/a.aecp", "z.aecp"]);
        let lines = format!(
            "{}  B.aecp\n{}  b/a.aecp\n{}  z.aecp\n",
            Digest::of(b"B"),
            Digest::of(b"A"),
            Digest::of(b"Z")
        );
        assert_eq!(sources.digest(), Digest::of(lines.as_bytes()));
    }

    #[test]
    fn an_archive_gives_the_same_sources_back_and_holds_nothing_else() {
        let source =
            |path: &str| Source { path: path.to_owned(), text: format!("text of \"{path}\"\n") };
        let sources = Sources::new(vec![source("b/c.aecp"), source("a b.aecp")]);
        let archive = sources.to_archive();
        let again = Sources::from_archive(&archive).unwrap();
        assert_eq!((again.digest(), &again), (sources.digest(), &sources));
        for path in ["", "../a.aecp", "/a.aecp", "a//b.aecp", "a/../b.aecp", "a/./b.aecp", "a\0.aecp"] {
            let archive = Sources::new(vec![source(path)]).to_archive();
            assert!(matches!(Sources::from_archive(&archive), Err(SourceError::Archive(_))), "{path}");
        }
        let twice = Sources::new(vec![source("a.aecp"), source("a.aecp")]).to_archive();
        assert!(Sources::from_archive(&twice).is_err());
        assert!(Sources::from_archive(&archive[..archive.len() - 1]).is_err());
    }

    #[test]
    fn what_is_no_set_is_said_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Sources::read(folder.path()), Err(SourceError::Empty(_))));
        fs::write(folder.path().join("a.aecp"), b"ab\xff").unwrap();
        let error = Sources::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("a.aecp` is not UTF-8: byte 2"), "{error}");
    }
}
