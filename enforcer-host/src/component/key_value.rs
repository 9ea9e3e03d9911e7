//! A key-value store in a folder: what a component keeps, one file for each key, each whole or not at all.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most bytes of one value.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// The most bytes of all values together.
pub const MAX_BYTES: u64 = 512 << 20;

/// The most keys.
pub const MAX_KEYS: usize = 20_000;

/// The most bytes of a key, in the form that it has as a file's name.
pub const MAX_KEY_BYTES: usize = 240;

/// How many keys are listed at once.
const PAGE: usize = 1000;

/// A name that no key has.
const TEMPORARY: &str = ".tmp";

/// A store, locked for this process. All of its keys, without their values, are in memory.
#[derive(Debug)]
pub struct KeyValueStore {
    folder: PathBuf,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// Until it is closed; released by the operating system when the process ends, however it ends.
    lock: Option<File>,
    /// The size of each key's value.
    sizes: BTreeMap<String, u64>,
    bytes: u64,
}

/// The store cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyValueError {
    /// A key that is empty or too long.
    #[error(
        "a key has from 1 to {MAX_KEY_BYTES} bytes, those that file names cannot have counted thrice"
    )]
    Key,
    /// The value is too large, or the store is full.
    #[error("{0}")]
    Full(&'static str),
    /// The operating system says no.
    #[error("the key-value store cannot be used: {0}")]
    Unusable(#[from] io::Error),
}

impl KeyValueStore {
    /// Opens the store, making its folder if need be, and locks it. What is no value's file stays and counts for nothing.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::ResourceBusy`] if another process has it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock =
            File::options().create(true).write(true).truncate(false).open(folder.join(".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut index = Index { lock: Some(lock), ..Index::default() };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Some(key) = entry.file_name().to_str().and_then(key_of) {
                index.insert(key, entry.metadata()?.len());
            }
        }
        Ok(Self { folder: folder.to_owned(), index: Mutex::new(index) })
    }

    /// Lets another process have it. Whoever still has it here writes nothing any more.
    pub fn close(&self) {
        self.index().lock = None;
    }

    /// The value of this key, if it has one.
    ///
    /// # Errors
    /// [`KeyValueError`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        match fs::read(self.folder.join(file_name(key)?)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the key this value, which is durable when this returns.
    ///
    /// # Errors
    /// [`KeyValueError`]; the key then has the value that it had.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), KeyValueError> {
        let name = file_name(key)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(KeyValueError::Full("the value is larger than 16 MiB"));
        }
        let size = value.len() as u64;
        let mut index = self.open_index()?;
        let old = index.sizes.get(key).copied();
        if old.is_none() && index.sizes.len() >= MAX_KEYS {
            return Err(KeyValueError::Full("the key-value store has as many keys as it may have"));
        }
        if index.bytes - old.unwrap_or(0) + size > MAX_BYTES {
            return Err(KeyValueError::Full("the key-value store is full"));
        }
        let temporary = self.folder.join(TEMPORARY);
        let mut file = File::create(&temporary)?;
        file.write_all(value)?;
        file.sync_data()?;
        fs::rename(&temporary, self.folder.join(name))?;
        index.insert(key.to_owned(), size);
        // The name too must be there after a power cut.
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// Removes the key, if it is there.
    ///
    /// # Errors
    /// [`KeyValueError`].
    pub fn delete(&self, key: &str) -> Result<(), KeyValueError> {
        let name = file_name(key)?;
        let mut index = self.open_index()?;
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        index.remove(key);
        Ok(())
    }

    /// Whether the key has a value.
    #[must_use]
    pub fn exists(&self, key: &str) -> bool {
        self.index().sizes.contains_key(key)
    }

    /// Up to 1,000 keys after this one, or from the first, in their order; and whether there are more.
    #[must_use]
    pub fn keys(&self, after: Option<&str>) -> (Vec<String>, bool) {
        let index = self.index();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest =
            index.sizes.range::<str, _>((start, Bound::Unbounded)).map(|(key, _)| key.clone());
        let page = rest.by_ref().take(PAGE).collect();
        (page, rest.next().is_some())
    }

    /// The index of a store that may be written.
    fn open_index(&self) -> Result<MutexGuard<'_, Index>, KeyValueError> {
        let index = self.index();
        match index.lock {
            Some(_) => Ok(index),
            None => Err(KeyValueError::Unusable(io::Error::other("it is closed"))),
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, key: String, size: u64) {
        self.bytes += size;
        if let Some(old) = self.sizes.insert(key, size) {
            self.bytes -= old;
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.sizes.remove(key) {
            self.bytes -= old;
        }
    }
}

/// The name of a key's file: what is not a small letter, a digit, `-` or `_` is written `%2F`, so that no key leads out of
/// the folder and no two keys have one name, on any file system.
fn file_name(key: &str) -> Result<String, KeyValueError> {
    let mut name = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    if (1..=MAX_KEY_BYTES).contains(&name.len()) { Ok(name) } else { Err(KeyValueError::Key) }
}

/// The key of a file; `None` if it is not a key's.
fn key_of(name: &str) -> Option<String> {
    let mut key = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        key.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?
            }
            byte => byte,
        });
    }
    let key = String::from_utf8(key).ok()?;
    (file_name(&key).ok()? == name).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_there_after_a_restart_and_listed_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyValueStore::open(folder.path()).unwrap();
        let keys = ["aecp/highest", "../../etc/passwd", "Upper", "upper", ".tmp", ".lock", "ä", "a%2Fb"];
        for key in keys {
            store.set(key, key.as_bytes()).unwrap();
        }
        store.set("upper", b"again").unwrap();
        store.delete("aecp/highest").unwrap();
        store.delete("never there").unwrap();
        let busy = KeyValueStore::open(folder.path()).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        let closed = store;
        closed.close();

        let store = KeyValueStore::open(folder.path()).unwrap();
        assert!(closed.set("upper", b"late").is_err() && closed.delete("upper").is_err());
        let mut expected: Vec<&str> = keys[1..].to_vec();
        expected.sort_unstable();
        assert_eq!(store.keys(None), (expected.iter().map(|key| (*key).to_owned()).collect(), false));
        assert_eq!(store.get("aecp/highest").unwrap(), None);
        assert!(!store.exists("aecp/highest") && store.exists("Upper"));
        for key in expected {
            let value = if key == "upper" { "again" } else { key };
            assert_eq!(store.get(key).unwrap().as_deref(), Some(value.as_bytes()), "{key}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeyValueStore::open(folder.path()).unwrap();
        for key in ["", &"k".repeat(241), &"/".repeat(81)] {
            assert!(matches!(store.set(key, b""), Err(KeyValueError::Key)), "{key}");
            assert!(store.get(key).is_err());
        }
        store.set("k", b"kept").unwrap();
        let large = vec![0; MAX_VALUE_BYTES + 1];
        assert!(matches!(store.set("k", &large), Err(KeyValueError::Full(_))));
        assert_eq!(store.get("k").unwrap().as_deref(), Some(b"kept".as_slice()));

        store.index().bytes = MAX_BYTES - 1;
        assert!(matches!(store.set("l", b"no"), Err(KeyValueError::Full(_))));
        // In the place of a value there is room for another.
        store.set("k", b"other").unwrap();
        store.index().sizes.extend((0..MAX_KEYS).map(|n| (n.to_string(), 0)));
        assert!(matches!(store.set("new", b""), Err(KeyValueError::Full(_))));
        store.set("0", b"").unwrap();
        let (page, more) = store.keys(Some("k0"));
        assert_eq!((page.len(), more), (0, false));
        let (page, more) = store.keys(None);
        assert_eq!((page.len(), more), (1000, true));
    }
}
