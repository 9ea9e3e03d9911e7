//! The interfaces that a component finds beside WASI itself: its settings and its key-value store.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::spawn_blocking;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::key_value::{KeyValueError, KeyValueStore};

mod bindings {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "wit",
        world: "aecp:host/host",
        imports: {
            "wasi:keyvalue/store.[method]bucket.set": async | trappable,
            "wasi:keyvalue/store.[method]bucket.delete": async | trappable,
            default: trappable,
        },
        with: { "wasi:keyvalue/store.bucket": super::Bucket },
    });
}

use bindings::wasi::{
    config::store as config,
    keyvalue::store::{self as keyvalue, Error, KeyResponse},
};

/// The only store that a component has.
const DEFAULT: &str = "default";

/// An open store.
#[expect(unreachable_pub, reason = "the bindings export it again")]
pub struct Bucket;

/// What all instances share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) settings: Arc<BTreeMap<String, String>>,
    pub(super) key_value: Arc<KeyValueStore>,
}

/// An instance's view of it.
pub(super) struct View<'a> {
    pub(super) shared: &'a Shared,
    pub(super) table: &'a mut ResourceTable,
}

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

/// Adds these interfaces.
pub(super) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> View<'_>,
) -> wasmtime::Result<()> {
    config::add_to_linker::<T, HasView>(linker, view)?;
    keyvalue::add_to_linker::<T, HasView>(linker, view)
}

impl config::Host for View<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, config::Error>> {
        Ok(Ok(self.shared.settings.get(&key).cloned()))
    }

    fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, config::Error>> {
        let all = self.shared.settings.iter();
        Ok(Ok(all.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }
}

/// An inner error is the component's to handle.
type Answered<T> = wasmtime::Result<Result<T, Error>>;

fn failed(error: KeyValueError) -> Error {
    Error::Other(error.to_string())
}

/// Does what waits for a disk, on a thread that may wait.
async fn write(
    store: Arc<KeyValueStore>,
    work: impl FnOnce(&KeyValueStore) -> Result<(), KeyValueError> + Send + 'static,
) -> Answered<()> {
    Ok(spawn_blocking(move || work(&store)).await?.map_err(failed))
}

impl keyvalue::Host for View<'_> {
    fn open(&mut self, identifier: String) -> Answered<Resource<Bucket>> {
        match identifier.as_str() {
            DEFAULT => Ok(Ok(self.table.push(Bucket)?)),
            _ => Ok(Err(Error::NoSuchStore)),
        }
    }
}

impl keyvalue::HostBucket for View<'_> {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> Answered<Option<Vec<u8>>> {
        Ok(self.shared.key_value.get(&key).map_err(failed))
    }

    async fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Answered<()> {
        write(Arc::clone(&self.shared.key_value), move |store| store.set(&key, &value)).await
    }

    async fn delete(&mut self, _: Resource<Bucket>, key: String) -> Answered<()> {
        write(Arc::clone(&self.shared.key_value), move |store| store.delete(&key)).await
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> Answered<bool> {
        Ok(Ok(self.shared.key_value.exists(&key)))
    }

    fn list_keys(&mut self, _: Resource<Bucket>, cursor: Option<String>) -> Answered<KeyResponse> {
        let (keys, more) = self.shared.key_value.keys(cursor.as_deref());
        let cursor = keys.last().filter(|_| more).cloned();
        Ok(Ok(KeyResponse { keys, cursor }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}
