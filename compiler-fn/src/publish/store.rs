//! A store as publishers use it: objects that are created once, and a pointer that moves on a condition.

use std::{
    collections::BTreeSet,
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
    BackoffConfig, ClientConfigKey, GetResult, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme,
    PutMode, PutOptions, RetryConfig, UpdateVersion,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    path::Path,
};
use url::Url;

use super::PublishError;

/// How long another publisher to the same folder is waited for before looking again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How long a connection to a cloud may take.
const CONNECT_TIMEOUT: &str = "3 seconds";

/// How long one whole request may take, its body included.
const REQUEST_TIMEOUT: &str = "20 seconds";

/// Retries after the first attempt. A store that is down is told before a platform ends the function, and the event then
/// comes again.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    },
    max_retries: 4,
    retry_timeout: Duration::from_secs(10),
};

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
        let (objects, prefix) = cloud(&parsed).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { name: without_credentials(&parsed), objects, prefix, folder: None })
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

    /// The numbers of the objects `<folder>/<number>.json`.
    pub(super) async fn numbers(&self, folder: &str) -> Result<BTreeSet<u64>, PublishError> {
        Ok(self.names(folder).await?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The names of the objects `<folder>/<name>.json`.
    pub(super) async fn names(&self, folder: &str) -> Result<BTreeSet<String>, PublishError> {
        let listed = self.objects.list_with_delimiter(Some(&self.path(folder))).await;
        let listed = listed
            .map_err(|error| PublishError::Store { doing: format!("listing `{folder}`"), error })?;
        let names = listed.objects.iter().filter_map(|object| object.location.filename());
        Ok(names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect())
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

/// A store in a cloud, by the variables that the cloud's own tools take.
fn cloud(url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), object_store::Error> {
    let (scheme, prefix) = ObjectStoreScheme::parse(url)?;
    let objects: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::GoogleCloudStorage => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(RETRIES)
                .with_config(GoogleConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                .with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
                .build()?,
        ),
        ObjectStoreScheme::MicrosoftAzure => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(RETRIES)
                .with_config(AzureConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                .with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
                .build()?,
        ),
        // Of any other scheme it says that it is not S3's.
        _ => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(url.as_str())
                .with_retry(RETRIES)
                .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT)
                .build()?,
        ),
    };
    Ok((objects, prefix))
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
