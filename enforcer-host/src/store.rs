//! Object stores by URL, the same on every cloud and in a local folder, and reads that cannot grow too large.

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use aecp_contract::{
    layout,
    refusal::{Code, Refusal},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::{
    BackoffConfig, ClientConfigKey, GetOptions, ObjectStore, ObjectStoreScheme, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    path::Path,
};
use url::Url;

pub use crate::objects::{Object, Objects};

/// How long a connection may take.
const CONNECT_TIMEOUT: &str = "3 seconds";

/// How long one whole request may take, its body included.
const REQUEST_TIMEOUT: &str = "20 seconds";

/// Retries after the first attempt; the next poll is a retry too.
const RETRIES: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(1),
        base: 2.0,
    },
    max_retries: 2,
    retry_timeout: Duration::from_secs(10),
};

/// An object store and the folder in it under which the keys of [`aecp_contract::layout`] lie.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its URL, without credentials.
    name: String,
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Whether it is a local folder.
    is_folder: bool,
}

/// The store's URL or the environment does not describe a store.
#[derive(Debug, thiserror::Error)]
#[error("the store `{url}` cannot be opened: {detail}")]
pub struct StoreError {
    url: String,
    detail: String,
}

impl Store {
    /// Opens `file:///…`, `s3://bucket/…`, `gs://bucket/…` or `az://container/…`. Clouds are configured by
    /// their usual environment variables (`AWS_…`, `GOOGLE_…`, `AZURE_…`). Nothing is contacted yet, and a
    /// folder need not exist yet.
    ///
    /// # Errors
    /// [`StoreError`] for another scheme or an incomplete configuration.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let shown = without_credentials(url);
        let fail =
            |detail: String| StoreError { detail: detail.replace(url, &shown), url: shown.clone() };
        let another = || fail("use file://, s3://, gs:// or az://".to_owned());
        let parsed = Url::parse(url).map_err(|error| fail(error.to_string()))?;
        let (scheme, prefix) = ObjectStoreScheme::parse(&parsed).map_err(|_| another())?;
        let objects: Arc<dyn ObjectStore> = match scheme {
            ObjectStoreScheme::Local => Arc::new(LocalFileSystem::new().with_fsync(true)),
            ObjectStoreScheme::AmazonS3 => {
                let client = AmazonS3ConfigKey::Client;
                let builder = AmazonS3Builder::from_env()
                    .with_url(url)
                    .with_retry(RETRIES)
                    .with_config(client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                    .with_config(client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
                Arc::new(builder.build().map_err(|error| fail(error.to_string()))?)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let client = GoogleConfigKey::Client;
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_url(url)
                    .with_retry(RETRIES)
                    .with_config(client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                    .with_config(client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
                Arc::new(builder.build().map_err(|error| fail(error.to_string()))?)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let client = AzureConfigKey::Client;
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_url(url)
                    .with_retry(RETRIES)
                    .with_config(client(ClientConfigKey::ConnectTimeout), CONNECT_TIMEOUT)
                    .with_config(client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
                Arc::new(builder.build().map_err(|error| fail(error.to_string()))?)
            }
            _ => return Err(another()),
        };
        Ok(Self { name: shown, objects, prefix, is_folder: parsed.scheme() == "file" })
    }

    /// Opens stores by their URLs, each text with one or, separated by commas and white space, several of them.
    ///
    /// # Errors
    /// [`StoreError`], also where there is none, or one stands twice.
    pub fn open_all<T: AsRef<str>>(urls: &[T]) -> Result<Vec<Self>, StoreError> {
        let mut stores: Vec<Self> = Vec::new();
        for url in urls.iter().flat_map(|urls| layout::store_urls(urls.as_ref())) {
            let store = Self::open(url)?;
            if stores.iter().any(|other| other.name == store.name) {
                let detail = "it is given twice".to_owned();
                return Err(StoreError { url: store.name, detail });
            }
            stores.push(store);
        }
        if stores.is_empty() {
            return Err(StoreError { url: String::new(), detail: "none is given".to_owned() });
        }
        Ok(stores)
    }

    /// The store in a local folder, by its absolute path.
    ///
    /// # Errors
    /// [`StoreError`] if the path is relative or not Unicode.
    pub fn folder(folder: &FilePath) -> Result<Self, StoreError> {
        let prefix = Path::from_absolute_path(folder).map_err(|error| StoreError {
            url: folder.display().to_string(),
            detail: error.to_string(),
        })?;
        let objects = Arc::new(LocalFileSystem::new().with_fsync(true));
        Ok(Self { name: folder.display().to_string(), objects, prefix, is_folder: true })
    }

    /// Its URL, without credentials.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store itself.
    #[must_use]
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The path of a key of [`aecp_contract::layout`] in the store.
    #[must_use]
    pub fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }

    /// Writes an object in the place of the version that was read, or where none was (`None`); `false` if it was changed
    /// meanwhile. A local folder knows no versions: there the last one to write wins.
    ///
    /// # Errors
    /// The store's own.
    pub async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        read: Option<UpdateVersion>,
    ) -> Result<bool, object_store::Error> {
        let mode = match read {
            None => PutMode::Create,
            Some(_) if self.is_folder => PutMode::Overwrite,
            Some(version) => PutMode::Update(version),
        };
        let (path, options) = (self.path(key), PutOptions { mode, ..PutOptions::default() });
        match self.objects.put_opts(&path, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The object of this key, at most `limit` bytes of it; `None` if it still has the entity tag `unless`.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::TooLarge`] (before more than `limit` bytes were read) or
    /// [`Code::StoreUnavailable`].
    pub async fn get(
        &self,
        key: &str,
        limit: u64,
        unless: Option<&str>,
    ) -> Result<Option<Object>, Refusal> {
        let options = GetOptions { if_none_match: unless.map(str::to_owned), ..GetOptions::default() };
        let result = match self.objects.get_opts(&self.path(key), options).await {
            Ok(result) => result,
            Err(object_store::Error::NotModified { .. }) => return Ok(None),
            Err(error) => return Err(refusal(key, &error)),
        };
        let too_large = || Refusal::new(Code::TooLarge, format!("`{key}` is larger than {limit} bytes"));
        if result.meta.size > limit {
            return Err(too_large());
        }
        let (tag, version) = (result.meta.e_tag.clone(), result.meta.version.clone());
        let mut bytes = BytesMut::with_capacity(result.meta.size as usize);
        let mut body = result.into_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| refusal(key, &error))?;
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(Object { bytes: bytes.freeze(), tag, version }))
    }

    /// The names directly below a key: of objects and of folders, in byte order.
    ///
    /// # Errors
    /// [`Code::StoreUnavailable`].
    pub async fn names(&self, key: &str) -> Result<Vec<String>, Refusal> {
        let below = self.path(key);
        let listed = self.objects.list_with_delimiter(Some(&below)).await;
        let listed = listed.map_err(|error| refusal(key, &error))?;
        let objects = listed.objects.iter().filter_map(|object| object.location.filename());
        let folders = listed.common_prefixes.iter().filter_map(Path::filename);
        let mut names: Vec<_> = objects.chain(folders).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }
}

impl Objects for Store {
    async fn get(&self, key: &str, limit: u64, unless: Option<&str>) -> Result<Option<Object>, Refusal> {
        Self::get(self, key, limit, unless).await
    }
}

impl Object {
    /// What [`Store::replace`] asks for.
    #[must_use]
    pub fn read(&self) -> UpdateVersion {
        UpdateVersion { e_tag: self.tag.clone(), version: self.version.clone() }
    }
}

fn refusal(key: &str, error: &object_store::Error) -> Refusal {
    match error {
        object_store::Error::NotFound { .. } => {
            Refusal::new(Code::NotFound, format!("the store has no `{key}`"))
        }
        error => Refusal::new(
            Code::StoreUnavailable,
            format!("`{key}` cannot be read: {:.400}", error.to_string()),
        ),
    }
}

/// The URL without a user and password, which some clouds allow in it.
fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_a_store_before_it_exists_and_its_objects_have_limits() {
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_directory_path(folder.path().join("a b")).unwrap();
        let store = Store::open(url.as_str()).unwrap();
        let get = async |limit, tag: Option<String>| store.get("x/y.json", limit, tag.as_deref()).await;
        assert_eq!(get(9, None).await.unwrap_err().code, Code::NotFound);
        std::fs::create_dir_all(folder.path().join("a b/x")).unwrap();
        std::fs::write(folder.path().join("a b/x/y.json"), b"12345").unwrap();
        let object = get(5, None).await.unwrap().unwrap();
        assert_eq!(&object.bytes[..], b"12345");
        assert_eq!(get(4, None).await.unwrap_err().code, Code::TooLarge);
        assert!(get(5, object.tag).await.unwrap().is_none(), "the same tag is not sent again");
    }

    #[test]
    fn other_schemes_are_refused_without_showing_credentials() {
        for url in ["ftp://user:secret@host/x", "http://host/x", "nonsense", "memory:///"] {
            let error = Store::open(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_unavailable_within_seconds() {
        // Port 9 (discard) is closed on any sane machine, so connecting fails at once; retries are bounded.
        let builder = AmazonS3Builder::new()
            .with_endpoint("http://127.0.0.1:9")
            .with_bucket_name("b")
            .with_region("r")
            .with_skip_signature(true)
            .with_allow_http(true)
            .with_retry(RETRIES);
        let store = Store {
            name: "s3://b".to_owned(),
            objects: Arc::new(builder.build().unwrap()),
            prefix: Path::default(),
            is_folder: false,
        };
        let get = tokio::time::timeout(Duration::from_secs(15), store.get("x", 1, None));
        assert_eq!(get.await.unwrap().unwrap_err().code, Code::StoreUnavailable);
    }
}
