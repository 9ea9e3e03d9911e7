//! The documents that the client has open, and the sets that they belong to.
//!
//! A document's set is the highest folder, from its own up to the workspace's, that itself holds `.aecp` files; without
//! a workspace folder around it, its own folder. What is open counts as the client has it, everything else as it is on
//! the disk. A document that is no `.aecp` file on the disk is a set by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

use aecp_compiler::{
    editor::Snapshot,
    source::{EXTENSION, MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, Source, Sources},
};
use url::Url;

/// A document that the client has open.
pub(super) struct Document {
    /// The set that it belongs to.
    pub(super) set: PathBuf,
    /// Its path in the set.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) version: i32,
}

/// A set that has a document open.
pub(super) struct Set {
    pub(super) snapshot: Arc<Snapshot>,
    /// Why what the set holds is not all in the snapshot.
    pub(super) problem: Option<String>,
    /// Documents that changed since the snapshot.
    changed: BTreeSet<String>,
}

/// What the client has open.
#[derive(Default)]
pub(super) struct Workspace {
    pub(super) folders: Vec<PathBuf>,
    /// By URI.
    pub(super) documents: BTreeMap<String, Document>,
    /// By folder, or by URI if there is none.
    pub(super) sets: BTreeMap<PathBuf, Set>,
}

impl Workspace {
    /// Takes a document up; [`Workspace::read`] has to follow.
    pub(super) fn open(&mut self, uri: String, text: String, version: i32) {
        let document = Document { set: PathBuf::new(), path: String::new(), text, version };
        self.documents.insert(uri, document);
    }

    /// Notes that a document has another text.
    pub(super) fn changed(&mut self, uri: &str) {
        if let Some(document) = self.documents.get(uri)
            && let Some(set) = self.sets.get_mut(&document.set)
        {
            set.changed.insert(uri.to_owned());
        }
    }

    /// Reads every set that has a document open from the disk anew. Gives the sets that changed.
    pub(super) fn read(&mut self) -> Vec<PathBuf> {
        for (uri, document) in &mut self.documents {
            (document.set, document.path) = place(uri, &self.folders);
        }
        let before = mem::take(&mut self.sets);
        let folders: BTreeSet<PathBuf> =
            self.documents.values().map(|document| document.set.clone()).collect();
        let mut changed: Vec<PathBuf> = Vec::new();
        for folder in folders {
            let (sources, problem) = self.sources(&folder);
            let set = match before.get(&folder) {
                Some(set) if *set.snapshot.sources() == sources && set.problem == problem => {
                    Set { snapshot: Arc::clone(&set.snapshot), problem, changed: BTreeSet::new() }
                }
                _ => {
                    changed.push(folder.clone());
                    Set { snapshot: Arc::new(Snapshot::new(sources)), problem, changed: BTreeSet::new() }
                }
            };
            self.sets.insert(folder, set);
        }
        changed.extend(before.into_keys().filter(|folder| !self.sets.contains_key(folder)));
        changed
    }

    /// Brings the snapshots up to what the client has. Gives the sets that changed.
    pub(super) fn update(&mut self) -> Vec<PathBuf> {
        let mut updated = Vec::new();
        for (folder, set) in &mut self.sets {
            if set.changed.is_empty() {
                continue;
            }
            updated.push(folder.clone());
            let documents = mem::take(&mut set.changed);
            let documents = documents.iter().filter_map(|uri| self.documents.get(uri));
            let texts: Vec<_> = documents
                .filter_map(|document| Some((set.snapshot.file(&document.path)?, document.text.clone())))
                .collect();
            let grown: u64 = texts.iter().map(|(_, text)| text.len() as u64).sum();
            let files = set.snapshot.sources().files().iter();
            let total = files.map(|file| file.text.len() as u64).sum::<u64>() + grown;
            let fits = texts.iter().all(|(_, text)| text.len() as u64 <= MAX_FILE_BYTES);
            if set.problem.is_none() && fits && total <= MAX_BYTES {
                set.snapshot = Arc::new(set.snapshot.with(texts));
            } else {
                // What is too large, or was, is looked at from the ground up.
                set.problem = None;
                set.snapshot = Arc::new(Snapshot::new(Sources::default()));
            }
        }
        let emptied = |set: &Set| set.snapshot.sources().files().is_empty();
        if updated.iter().any(|folder| self.sets.get(folder).is_some_and(emptied)) {
            updated.extend(self.read());
            updated.sort();
            updated.dedup();
        }
        updated
    }

    /// The files of a set as the client has them, and what keeps this from being all of them.
    fn sources(&self, folder: &Path) -> (Sources, Option<String>) {
        let mut problem = None;
        let on_disk = match Sources::read(folder) {
            _ if !folder.is_absolute() => Sources::default(),
            Ok(sources) => sources,
            // Nothing is saved yet.
            Err(aecp_compiler::source::SourceError::Empty(_)) => Sources::default(),
            Err(error) => {
                problem = Some(error.to_string());
                Sources::default()
            }
        };
        let mut files: BTreeMap<String, String> =
            on_disk.files().iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        for document in self.documents.values().filter(|document| document.set == folder) {
            let Document { path, text, .. } = document;
            if text.len() as u64 > MAX_FILE_BYTES {
                problem = Some(format!("`{path}` is larger than {MAX_FILE_BYTES} bytes; split it"));
                files.remove(path);
            } else {
                files.insert(path.clone(), text.clone());
            }
        }
        let bytes: usize = files.values().map(String::len).sum();
        if bytes as u64 > MAX_BYTES || files.len() > MAX_FILES {
            problem = Some(format!(
                "the set has more than {MAX_FILES} files or {MAX_BYTES} bytes; make several sets"
            ));
            files.clear();
        }
        let files = files.into_iter().map(|(path, text)| Source { path, text }).collect();
        (Sources::new(files), problem)
    }

    /// The URI of a file of a set: the client's own if it has the file open.
    pub(super) fn uri(&self, folder: &Path, path: &str) -> Option<String> {
        let open =
            self.documents.iter().find(|(_, document)| document.set == folder && document.path == path);
        match open {
            Some((uri, _)) => Some(uri.clone()),
            None => Url::from_file_path(folder.join(path)).ok().map(String::from),
        }
    }
}

/// The set of a document and its path there.
fn place(uri: &str, folders: &[PathBuf]) -> (PathBuf, String) {
    let path = Url::parse(uri).ok().and_then(|url| url.to_file_path().ok());
    let by_itself = || (PathBuf::from(uri), uri.rsplit('/').next().unwrap_or(uri).to_owned());
    let Some(path) = path.filter(|path| path.extension().is_some_and(|ending| ending == EXTENSION))
    else {
        return by_itself();
    };
    let Some(parent) = path.parent() else { return by_itself() };
    let mut set = parent;
    let workspace = folders.iter().filter(|folder| parent.starts_with(folder)).max();
    if let Some(workspace) = workspace {
        for folder in parent.ancestors() {
            if folder != parent && holds_sources(folder) {
                set = folder;
            }
            // Sets do not reach into hidden folders.
            let hidden = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if folder == workspace || hidden {
                break;
            }
        }
    }
    let relative = path.strip_prefix(set).unwrap_or(&path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    (set.to_owned(), parts.join("/"))
}

fn holds_sources(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths.any(|path| path.extension().is_some_and(|ending| ending == EXTENSION) && path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_highest_folder_of_the_workspace_that_holds_sources_itself() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in ["top.aecp", "a/b/c/x.aecp", "a/b/y.aecp", "a/.h/set/z.aecp", "lone/q.aecp"] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let placed = |file: &str, workspace: &[&str]| {
            let folders: Vec<_> = workspace.iter().map(|folder| root.join(folder)).collect();
            let uri = Url::from_file_path(root.join(file)).unwrap();
            let (set, path) = place(uri.as_str(), &folders);
            (set.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), path)
        };
        let of = |set: &str, path: &str| (set.to_owned(), path.to_owned());
        assert_eq!(placed("a/b/c/x.aecp", &["a"]), of("a/b", "c/x.aecp"));
        assert_eq!(placed("a/b/c/x.aecp", &["a", "a/b/c"]), of("a/b/c", "x.aecp"));
        assert_eq!(placed("a/b/c/x.aecp", &[""]), of("", "a/b/c/x.aecp"));
        assert_eq!(placed("a/b/c/x.aecp", &[]), of("a/b/c", "x.aecp"));
        assert_eq!(placed("a/.h/set/z.aecp", &[""]), of("a/.h/set", "z.aecp"));
        assert_eq!(placed("a/new.aecp", &["a"]), of("a", "new.aecp"));
        let (set, path) = place("untitled:Untitled-1", &[root.to_owned()]);
        assert_eq!((set.to_str(), path.as_str()), (Some("untitled:Untitled-1"), "untitled:Untitled-1"));
    }
}
