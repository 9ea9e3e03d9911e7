//! Uploads: what people put below `inbox/<set>/` of a store for the hosted compiler.
//!
//! An upload is one archive (`.tar.gz`, `.tgz`, `.zip`), one folder, or one `.aecp` file. An archive or folder holds
//! `.aecp` files and says what is asked for, in one of two files beside them: [`MANIFEST`], or [`SUBMISSION`], which
//! `aecp sign` writes. A single file says it in the metadata of its object. Whoever uploads is not trusted: every size is
//! limited, nothing is ever written to a disk, and what could mean two things is refused.

mod archive;
mod key;
mod request;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

pub use self::{
    archive::{MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_RATIO, MAX_UNPACKED_BYTES, tar_gz, zip},
    key::{Form, Key, MAX_KEY_BYTES},
    request::{MANIFEST, MAX_REQUEST_BYTES, METADATA, Request, SUBMISSION},
};
use crate::source::{EXTENSION, MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, Source, Sources};

/// The files of an upload by their paths, which have no `.`, `..` or empty parts.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An upload that can be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The policy set.
    pub sources: Sources,
    /// What is asked for.
    pub request: Request,
}

/// Why an upload was refused: a constant [`Code`] and what exactly was wrong, in words for who uploaded it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refused {
    /// The constant code.
    pub code: Code,
    /// What was found, where, and what to do.
    pub detail: String,
}

impl Refused {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// The constant codes of refused uploads. They never change their meaning; new ones may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// It cannot be read as the archive that its name says.
    NotAnArchive,
    /// It is packed or encrypted in a way that is not read here.
    Unsupported,
    /// A file, the archive, or what is in it is larger than its limit.
    TooLarge,
    /// It grows more on unpacking than texts do.
    Bomb,
    /// It holds too many files and folders.
    TooManyFiles,
    /// A path leads out of the archive, is absolute, or is none.
    Path,
    /// A symbolic or hard link.
    Link,
    /// Neither a file nor a folder.
    NotAFile,
    /// Two files have one path.
    Duplicate,
    /// A path or text is not UTF-8.
    NotUtf8,
    /// Nothing says what is asked for.
    NoRequest,
    /// What says so is not of its form.
    BadRequest,
    /// There is no policy file.
    Empty,
}

impl Code {
    /// The code as reports and logs show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAnArchive => "upload_not_an_archive",
            Self::Unsupported => "upload_unsupported",
            Self::TooLarge => "upload_too_large",
            Self::Bomb => "upload_bomb",
            Self::TooManyFiles => "upload_too_many_files",
            Self::Path => "upload_path",
            Self::Link => "upload_link",
            Self::NotAFile => "upload_not_a_file",
            Self::Duplicate => "upload_duplicate",
            Self::NotUtf8 => "upload_not_utf8",
            Self::NoRequest => "upload_no_request",
            Self::BadRequest => "upload_bad_request",
            Self::Empty => "upload_empty",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Upload {
    /// The set and the request out of the files of an archive or folder. Where all of it lies in one folder, that is the
    /// set's; files that are neither policies nor the request are passed over, and so are hidden folders.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn of_files(files: Files) -> Result<Self, Refused> {
        let mut files = without_outer_folder(files);
        let request = match (files.remove(MANIFEST), files.remove(SUBMISSION)) {
            (Some(json), None) => Request::of_manifest(&json)?,
            (None, Some(json)) => Request::of_submission(json)?,
            (Some(_), Some(_)) => {
                let detail =
                    format!("it holds {MANIFEST} and {SUBMISSION}; one of them says what is asked for");
                return Err(Refused::new(Code::BadRequest, detail));
            }
            (None, None) => {
                let detail = format!(
                    "it holds neither {MANIFEST} nor {SUBMISSION} (see `aecp sign`) beside its policies"
                );
                return Err(Refused::new(Code::NoRequest, detail));
            }
        };
        Ok(Self { sources: sources(files)?, request })
    }

    /// The set that one file is.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn of_file(name: &str, text: Vec<u8>, request: Request) -> Result<Self, Refused> {
        Ok(Self { sources: sources(Files::from([(name.to_owned(), text)]))?, request })
    }
}

/// Whether a file of an upload is looked at: a policy that no hidden folder holds, or the request.
pub(crate) fn matters(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    // The Finder of macOS packs its own notes beside every file.
    let hidden = |part: &str| part.starts_with('.') || part == "__MACOSX";
    !folders.split('/').any(hidden) && (name == MANIFEST || name == SUBMISSION || is_source(name))
}

fn is_source(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|ending| ending == EXTENSION)
}

/// The files, with their paths below the one folder in which all of them lie, if they do.
fn without_outer_folder(mut files: Files) -> Files {
    files.retain(|path, _| matters(path));
    let outer = files.keys().next().and_then(|path| path.split_once('/'));
    let Some(outer) = outer.map(|(folder, _)| format!("{folder}/")) else { return files };
    if !files.keys().all(|path| path.starts_with(&outer)) {
        return files;
    }
    files.into_iter().map(|(path, bytes)| (path[outer.len()..].to_owned(), bytes)).collect()
}

/// The set, with the limits that it has on a disk too.
fn sources(files: Files) -> Result<Sources, Refused> {
    let mut sources = Vec::new();
    let mut bytes = 0;
    for (path, text) in files.into_iter().filter(|(path, _)| is_source(path)) {
        bytes += text.len() as u64;
        if text.len() as u64 > MAX_FILE_BYTES || bytes > MAX_BYTES || sources.len() == MAX_FILES {
            let detail = format!(
                "a set has at most {MAX_FILES} files and {MAX_BYTES} bytes, and a file {MAX_FILE_BYTES}; `{path}` is \
                 beyond that"
            );
            return Err(Refused::new(Code::TooLarge, detail));
        }
        let text = String::from_utf8(text).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let detail =
                format!("`{path}` is not UTF-8: byte {at} starts no character; save it as UTF-8");
            Refused::new(Code::NotUtf8, detail)
        })?;
        // An editor's byte order mark is no part of the text.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        sources.push(Source { path, text });
    }
    if sources.is_empty() {
        let detail = format!("it holds no `.{EXTENSION}` file");
        return Err(Refused::new(Code::Empty, detail));
    }
    Ok(Sources::new(sources))
}
