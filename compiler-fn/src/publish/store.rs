//! A store as publishers use it: objects that are created once, and a pointer that moves on a condition.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use aecp_contract::{
    digest::Digest,
    layout,
    refusal::{Code, Refusal},
    release::{ChannelPointer, MAX_ARTIFACT_BYTES},
};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use object_store::{
    GetResult, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion,
    local::LocalFileSystem, path::Path,
};
use url::Url;

use super::PublishError;

/// How long another publisher to the same folder is waited for before looking again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A store to publish to.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its URL, without credentials.
    name: String,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    /// The folder of a `file://` store.
    folder: Option<PathBuf>,
}

impl Store {
    /// Opens stores by their URLs, each text with one or, separated by commas and white space, several of them: the first,
    /// which gives the serials, and its replicas.
    ///
    /// # Errors
    /// [`PublishError::Url`], also where there is none, or one stands twice.
    pub fn open_all<T: AsRef<str>>(urls: &[T]) -> Result<(Self, Vec<Self>), PublishError> {
        let wrong = |url: &str, reason: &str| PublishError::Url {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let mut stores: Vec<Self> = Vec::new();
        for url in urls.iter().flat_map(|urls| layout::store_urls(urls.as_ref())) {
            let store = Self::open(url)?;
            if stores.iter().any(|other| other.name == store.name) {
                return Err(wrong(&store.name, "it is given twice"));
            }
            stores.push(store);
        }
        if stores.is_empty() {
            return Err(wrong("", "none is given"));
        }
        let replicas = stores.split_off(1);
        Ok((stores.remove(0), replicas))
    }

    /// Opens a store by its URL, with the clouds' usual environment variables for credentials.
    ///
    /// # Errors
    /// [`PublishError::Url`].
    pub fn open(url: &str) -> Result<Self, PublishError> {
        let wrong = |reason: String| PublishError::Url { url: url.to_owned(), reason };
        let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if parsed.scheme() == "file" {
            let folder = parsed.to_file_path().map_err(|()| wrong("not an absolute path".to_owned()))?;
            let prefix = Path::from_absolute_path(&folder).map_err(|error| wrong(error.to_string()))?;
            // What was published is on disk when `publish` says so.
            let objects = Arc::new(LocalFileSystem::new().with_fsync(true));
            return Ok(Self {
                name: without_credentials(&parsed),
                objects,
                prefix,
                folder: Some(folder),
            });
        }
        // Each back end takes its own variables and passes over the rest. It would also take names without a cloud's, such
        // as TOKEN, ENDPOINT or TIMEOUT, which say nothing of stores.
        let options = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?.to_lowercase();
            let of_a_cloud = ["aws_", "google_", "azure_"].iter().any(|cloud| name.starts_with(cloud))
                || ["identity_endpoint", "msi_endpoint", "service_account"].contains(&name.as_str());
            of_a_cloud.then_some((name, value.into_string().ok()?))
        });
        let (objects, prefix) =
            object_store::parse_url_opts(&parsed, options).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { name: without_credentials(&parsed), objects: objects.into(), prefix, folder: None })
    }

    /// Its URL, without credentials.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self, key: &str) -> Path {
        key.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// An object and its version, if it is there.
    pub(super) async fn get(&self, key: &str) -> Result<Option<(Bytes, UpdateVersion)>, PublishError> {
        let failed = |error| PublishError::Store { doing: format!("reading `{key}`"), error };
        match self.objects.get(&self.path(key)).await {
            Ok(object) => {
                let version = UpdateVersion {
                    e_tag: object.meta.e_tag.clone(),
                    version: object.meta.version.clone(),
                };
                let bytes = body(object, MAX_ARTIFACT_BYTES).await.map_err(failed)?;
                Ok(Some((bytes.ok_or_else(|| too_large(key))?, version)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes an object that must not be there yet; `false` if it is.
    pub(super) async fn create(&self, key: &str, bytes: Bytes) -> Result<bool, PublishError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(key), bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(PublishError::Store { doing: format!("writing `{key}`"), error }),
        }
    }

    /// Writes a blob under its digest. One that is there already is kept if it is sound, else mended.
    pub(super) async fn put_blob(&self, bytes: &[u8]) -> Result<(), PublishError> {
        let key = layout::blob(Digest::of(bytes));
        let body = Bytes::copy_from_slice(bytes);
        if self.create(&key, body.clone()).await? {
            return Ok(());
        }
        let sound = self.get(&key).await?.is_some_and(|(there, _)| there == body);
        if !sound {
            let written = self.objects.put(&self.path(&key), body.into()).await;
            written.map_err(|error| PublishError::Store { doing: format!("mending `{key}`"), error })?;
        }
        Ok(())
    }

    /// Moves the channel's pointer from the version that was read; `false` if it has moved meanwhile.
    pub(super) async fn move_pointer(
        &self,
        pointer: &ChannelPointer,
        from: Option<UpdateVersion>,
    ) -> Result<bool, PublishError> {
        let key = layout::channel(&pointer.channel);
        let mode = match (from, &self.folder) {
            (None, _) => PutMode::Create,
            // The lock keeps other publishers out, so a folder needs no condition (and could not keep it).
            (Some(_), Some(_)) => PutMode::Overwrite,
            (Some(version), None) => PutMode::Update(version),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(&key), pointer.to_json().into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. },
            ) => Ok(false),
            Err(error) => Err(PublishError::Store { doing: format!("writing `{key}`"), error }),
        }
    }

    /// Keeps other publishers out of a local folder until the file is dropped, also by a crash.
    pub(super) async fn lock(&self) -> Result<Option<File>, PublishError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let failed = |error| PublishError::Folder { folder: folder.clone(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file = File::create(folder.join(".publish.lock")).map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                // Waited for in such a way that it can be given up.
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

/// The body of an object, whatever size the store tells; `None` if it is larger than `limit` bytes.
pub(super) async fn body(object: GetResult, limit: u64) -> Result<Option<Bytes>, object_store::Error> {
    let (mut bytes, mut chunks) = (BytesMut::new(), object.into_stream());
    while let Some(chunk) = chunks.try_next().await? {
        if bytes.len() as u64 + chunk.len() as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

fn too_large(key: &str) -> PublishError {
    let detail = format!("`{key}` is larger than {MAX_ARTIFACT_BYTES} bytes");
    PublishError::Damaged(Refusal::new(Code::TooLarge, detail))
}

/// The URL without what may be a secret in it: a user's name and password, a query.
fn without_credentials(url: &Url) -> String {
    let (scheme, host, path) = (url.scheme(), url.host_str().unwrap_or_default(), url.path());
    format!("{scheme}://{host}{path}").trim_end_matches('/').to_owned()
}
