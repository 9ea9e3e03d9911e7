//! What releases are read from.

use aecp_contract::refusal::Refusal;
use bytes::Bytes;

/// Objects by the keys of [`aecp_contract::layout`]: a store, or what a host without sockets of its own has instead.
#[allow(async_fn_in_trait, reason = "whoever needs a future that can be sent knows the type")]
pub trait Objects {
    /// The object of this key, at most `limit` bytes of it; `None` if it still has the entity tag `unless`.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::TooLarge`] (before more than `limit` bytes were read) or [`Code::StoreUnavailable`].
    ///
    /// [`Code::NotFound`]: aecp_contract::refusal::Code::NotFound
    /// [`Code::TooLarge`]: aecp_contract::refusal::Code::TooLarge
    /// [`Code::StoreUnavailable`]: aecp_contract::refusal::Code::StoreUnavailable
    async fn get(&self, key: &str, limit: u64, unless: Option<&str>) -> Result<Option<Object>, Refusal>;
}

impl<O: Objects> Objects for &O {
    async fn get(&self, key: &str, limit: u64, unless: Option<&str>) -> Result<Option<Object>, Refusal> {
        O::get(self, key, limit, unless).await
    }
}

/// An object as it was read.
#[derive(Debug, Clone)]
pub struct Object {
    /// All of it.
    pub bytes: Bytes,
    /// Its entity tag, where the store has them.
    pub tag: Option<String>,
    /// Its version, where the store has them: Google Cloud Storage's generation.
    pub version: Option<String>,
}
