//! The state folder of one enforcer: what must outlive a restart.
//!
//! It is laid out like a store ([`aecp_contract::layout`]) with one release in it: the last good one. So it is
//! read back by the very code that reads stores, and believed no more than they are, but for one thing: its
//! channel pointer is the highest serial ever taken up, which protects against an older release after a
//! restart. It also holds the trust roots that succeeded the pinned one, and the decision log.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    refusal::{Code, Refusal},
    release::ChannelPointer,
    trust::TrustRoot,
};

use crate::{
    source::{ReleaseSource, VerifiedRelease},
    store::Store,
};

/// A state folder, locked for this process.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    channel: Name,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
}

/// The state folder cannot be used. An enforcer does not start then: it would forget what it had seen.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system says no.
    #[error("the state folder `{}` cannot be used: {error}", .path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The cause.
        error: String,
    },
    /// Another process has it.
    #[error("the state folder `{}` is in use by another enforcer; give each its own", .0.display())]
    Locked(PathBuf),
    /// The highest serial cannot be read.
    #[error(
        "`{}` does not say which serial was the highest ({refusal}); restore the file, or remove it if \
         accepting an older release is no danger",
        .path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The roots in it do not descend from the pinned one.
    #[error(
        "the trust roots in `{}` do not succeed the pinned one ({refusal}); pin the right root, or remove them",
        .path.display()
    )]
    ForeignRoot {
        /// The folder of roots.
        path: PathBuf,
        /// What is wrong with them.
        refusal: Refusal,
    },
}

impl StateFolder {
    /// Opens the folder, making it if need be, and locks it.
    ///
    /// # Errors
    /// [`StateError::Unusable`] or [`StateError::Locked`].
    pub fn open(path: &Path, channel: Name) -> Result<Self, StateError> {
        let unusable =
            |error: io::Error| StateError::Unusable { path: path.to_owned(), error: error.to_string() };
        fs::create_dir_all(path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, channel, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(path)),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The folder of the decision log: what was not yet shipped of it.
    #[must_use]
    pub fn decisions(&self) -> PathBuf {
        self.path.join("decisions")
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that remembers what of the decision log a store has.
    #[must_use]
    pub fn shipped(&self) -> PathBuf {
        self.path.join("shipped.json")
    }

    /// The folder, read like any store.
    ///
    /// # Errors
    /// [`StateError::Unusable`] if its path is not Unicode.
    pub fn source(&self) -> Result<ReleaseSource<Store>, StateError> {
        let store = Store::folder(&self.path).map_err(|error| StateError::Unusable {
            path: self.path.clone(),
            error: error.to_string(),
        })?;
        Ok(ReleaseSource::new(store, self.channel.clone()))
    }

    /// The highest serial ever taken up and its release's digest; `None` in a new folder.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] if it was known once and cannot be read now.
    pub fn highest(&self) -> Result<Option<ChannelPointer>, StateError> {
        let path = self.path.join(layout::channel(&self.channel));
        let corrupt = |refusal| StateError::Corrupt { path: path.clone(), refusal };
        match fs::read(&path) {
            Ok(bytes) => ChannelPointer::from_json(&bytes, &self.channel).map(Some).map_err(corrupt),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(corrupt(Refusal::new(Code::StoreUnavailable, error.to_string()))),
        }
    }

    /// The newest root that was seen: `pinned` itself or a successor of it.
    ///
    /// # Errors
    /// [`StateError::ForeignRoot`].
    pub async fn newest_root(&self, pinned: &TrustRoot) -> Result<TrustRoot, StateError> {
        let foreign = |refusal| StateError::ForeignRoot { path: self.path.join("root"), refusal };
        let successions = self.source()?.successions(pinned).await.map_err(foreign)?;
        Ok(successions.into_iter().next_back().map_or_else(|| pinned.clone(), |last| last.root))
    }

    /// Remembers a root by its signed envelope.
    ///
    /// # Errors
    /// The operating system's.
    pub fn save_root(&self, version: u32, envelope: &[u8]) -> io::Result<()> {
        self.write(&layout::root(version), envelope)
    }

    /// Remembers a release as the last good one, and its serial as the highest. After a crash at any point
    /// the folder holds either the old one or the new one whole: the pointer is written last.
    ///
    /// # Errors
    /// The operating system's.
    pub fn save(&self, release: &VerifiedRelease) -> io::Result<()> {
        let mut keep = Vec::new();
        for (_, bytes) in release.artifacts() {
            let key = layout::blob(Digest::of(bytes));
            self.write(&key, bytes)?;
            keep.push(key);
        }
        let key = layout::release(&self.channel, release.pointer().serial);
        self.write(&key, release.envelope())?;
        keep.push(key);
        self.write(&layout::channel(&self.channel), &release.pointer().to_json())?;
        // What is left of older releases only takes space, so a failure to remove it is none of ours.
        for folder in ["blobs/sha256".to_owned(), format!("releases/{}", self.channel)] {
            let Ok(entries) = fs::read_dir(self.path.join(&folder)) else { continue };
            for entry in entries.flatten() {
                if !keep.iter().any(|key| self.path.join(key) == entry.path()) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }

    fn write(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.path.join(key), bytes)
    }
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
///
/// # Errors
/// The operating system's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
