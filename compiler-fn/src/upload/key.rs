//! Where an upload lies, and what that says of it.

use aecp_contract::layout::{INBOX, Name};

use super::{MANIFEST, SUBMISSION, is_source};

/// The most bytes of an object's key: the smallest limit of the three clouds.
pub const MAX_KEY_BYTES: usize = 1024;

/// The key of an upload: `inbox/<set>/<name>`, of which the name of a folder ends before its `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The set that it is of.
    pub set: Name,
    /// What it is called there, such as `2026-11.tar.gz`.
    pub name: String,
    /// What it is.
    pub form: Form,
}

/// What an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A gzipped tar archive.
    TarGz,
    /// A zip archive.
    Zip,
    /// One policy file.
    File,
    /// A folder, complete once its request is there.
    Folder,
}

impl Key {
    /// What the object at `key`, relative to the store, is an upload of.
    ///
    /// # Errors
    /// Why it starts nothing, in words for a log.
    pub fn parse(key: &str) -> Result<Self, String> {
        let nothing = |why: &str| Err(format!("`{:.200}` starts nothing: {why}", key.escape_debug()));
        if key.len() > MAX_KEY_BYTES {
            return nothing("its key is too long");
        }
        let mut parts = key.split('/');
        if parts.next() != Some(INBOX) {
            return nothing("it is not below inbox/");
        }
        let Some(set) = parts.next().and_then(|set| set.parse().ok()) else {
            return nothing("inbox/ is followed by no name of a set (a-z 0-9 - _ .)");
        };
        let rest: Vec<&str> = parts.collect();
        if rest.iter().any(|part| matches!(*part, "" | "." | "..") || part.contains(char::is_control)) {
            return nothing("it is no file below the set's inbox");
        }
        let (name, form) = match rest[..] {
            [name] if name.ends_with(".tar.gz") || name.ends_with(".tgz") => (name, Form::TarGz),
            [name] if name.ends_with(".zip") => (name, Form::Zip),
            [name] if is_source(name) => (name, Form::File),
            [folder, MANIFEST | SUBMISSION] => (folder, Form::Folder),
            [_, _, ..] => {
                return nothing("a folder is compiled when its aecp.json or submission.json comes");
            }
            _ => return nothing("it is no .tar.gz, .tgz, .zip or .aecp file"),
        };
        Ok(Self { set, name: name.to_owned(), form })
    }

    /// The key of the object, or of the folder without a `/` at its end.
    #[must_use]
    pub fn object(&self) -> String {
        format!("{INBOX}/{}/{}", self.set, self.name)
    }
}
