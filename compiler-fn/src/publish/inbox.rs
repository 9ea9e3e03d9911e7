//! What the hosted compiler reads and writes beside releases: uploads and reports.

use std::collections::BTreeMap;

use aecp_contract::{
    digest::Digest,
    layout::{self, Name},
    legislation::{EntryRef, UploadRef},
    refusal::{Code, Refusal},
    report::{MAX_REPORT_BYTES, Report},
    value::Timestamp,
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{Attribute, ObjectStore as _, ObjectStoreExt as _, path::Path};

use super::{PublishError, Published, Roots, Store, newest::gone, store::body};

/// How far the store's clock may be ahead of a publisher's, in seconds.
const CLOCK_SKEW_SECONDS: i64 = 3600;

/// An object of an inbox.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes; `None` if it is larger than was asked for.
    pub bytes: Option<Bytes>,
    /// When the store got it.
    pub uploaded: Timestamp,
    /// What its uploader wrote on it, by names in lower case.
    pub metadata: BTreeMap<String, String>,
}

impl Store {
    /// An object of an inbox, if it is there, of `limit` bytes at most.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub async fn uploaded(&self, key: &str, limit: u64) -> Result<Option<Object>, PublishError> {
        let failed = |error| PublishError::Store { doing: format!("reading `{key}`"), error };
        let object = match self.objects.get(&self.inbox_path(key)?).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let time = object.meta.last_modified;
        let uploaded = Timestamp {
            seconds: time.timestamp(),
            nanoseconds: time.timestamp_subsec_nanos().min(999_999_999),
        };
        let metadata = object.attributes.iter().filter_map(|(name, value)| match name {
            Attribute::Metadata(name) => Some((name.to_lowercase(), value.to_string())),
            _ => None,
        });
        let metadata = metadata.collect();
        let bytes = body(object, limit).await.map_err(failed)?;
        Ok(Some(Object { bytes, uploaded, metadata }))
    }

    /// The paths of the objects below a folder of an inbox, relative to it, in byte order, at most `limit` and one more.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub async fn below(&self, folder: &str, limit: usize) -> Result<Vec<String>, PublishError> {
        let failed = |error| PublishError::Store { doing: format!("listing `{folder}`"), error };
        let path = self.inbox_path(folder)?;
        let mut listed = self.objects.list(Some(&path));
        let mut keys = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            let below = object.location.as_ref().strip_prefix(path.as_ref());
            keys.extend(below.map(|key| key.trim_start_matches('/').to_owned()));
            if keys.len() > limit {
                break;
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The release that was made of an upload, if one was.
    ///
    /// # Errors
    /// [`PublishError::Store`] and [`PublishError::Damaged`].
    pub async fn release_of(
        &self,
        channel: &Name,
        upload: &UploadRef,
        roots: &Roots,
    ) -> Result<Option<Published>, PublishError> {
        let newest = self.newest(channel, roots).await?;
        let mut named = newest.and_then(|newest| newest.statement.release().legislation);
        while let Some(reference) = named {
            let entry = self.named_entry(channel, reference).await?;
            // Nothing was made of it before it was there, by the two clocks.
            if entry.time.seconds.saturating_add(CLOCK_SKEW_SECONDS) < upload.uploaded.seconds {
                return Ok(None);
            }
            if entry.upload.as_ref() == Some(upload) {
                let key = layout::release(channel, entry.serial);
                let (envelope, _) = self.get(&key).await?.ok_or_else(|| gone(&key, "is not there"))?;
                let statement = self.signed(channel, entry.serial, &envelope, roots)?;
                // Of several entries for one serial, one was released.
                if statement.release().legislation == Some(reference) {
                    let release = Digest::of(&envelope);
                    return Ok(Some(Published { serial: entry.serial, release }));
                }
            }
            let number = entry.number.saturating_sub(1);
            named = entry.previous.map(|digest| EntryRef { number, digest });
        }
        Ok(None)
    }

    /// A report, signed by a root that is known, if it is there.
    ///
    /// # Errors
    /// [`PublishError::Store`], and [`PublishError::Damaged`] for what is no signed report.
    pub async fn report(&self, key: &str, roots: &Roots) -> Result<Option<Report>, PublishError> {
        let Some((bytes, _)) = self.get(key).await? else { return Ok(None) };
        let report = roots.any(|root| Report::verify(&bytes, root));
        report.map(Some).map_err(PublishError::Damaged)
    }

    /// Writes a signed report; `false` if one is there already.
    ///
    /// # Errors
    /// [`PublishError::Store`], and [`PublishError::TooLarge`].
    pub async fn put_report(&self, key: &str, json: Vec<u8>) -> Result<bool, PublishError> {
        if json.len() > MAX_REPORT_BYTES {
            let detail = format!("its report is larger than {MAX_REPORT_BYTES} bytes");
            return Err(PublishError::TooLarge(Refusal::new(Code::TooLarge, detail)));
        }
        self.create(key, json.into()).await
    }

    /// Writes a page that is made of a report.
    ///
    /// # Errors
    /// [`PublishError::Store`].
    pub async fn put_page(&self, key: &str, page: String) -> Result<(), PublishError> {
        let written = self.objects.put(&self.path(key), page.into()).await;
        let failed = |error| PublishError::Store { doing: format!("writing `{key}`"), error };
        written.map(|_| ()).map_err(failed)
    }

    /// The path of a key that somebody else chose, as it is.
    fn inbox_path(&self, key: &str) -> Result<Path, PublishError> {
        let failed = |error: object_store::path::Error| PublishError::Store {
            doing: format!("reading `{key}`"),
            error: error.into(),
        };
        let prefix = self.prefix.as_ref();
        Path::parse(if prefix.is_empty() { key.to_owned() } else { format!("{prefix}/{key}") })
            .map_err(failed)
    }
}
