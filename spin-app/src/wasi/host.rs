//! The key-value store and the settings, as the host gives them.

use super::bindings::host::wasi::{
    config::store as config,
    keyvalue::store::{self as keyvalue, Bucket, Error},
};
use crate::{
    key_value::{Failed, KeyValue},
    settings::{SettingError, Settings},
};

/// All settings that the host has.
///
/// # Errors
/// In words, what is missing or wrong.
pub(super) fn settings() -> Result<Settings, String> {
    let all = config::get_all().map_err(|error| format!("the settings cannot be read: {error:?}"))?;
    Settings::read(all).map_err(|error: SettingError| error.to_string())
}

/// A store of the host, opened once.
pub(super) struct Store(Bucket);

impl Store {
    pub(super) fn open(name: &str) -> Result<Self, Failed> {
        keyvalue::open(name).map(Self).map_err(failed)
    }
}

impl KeyValue for Store {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.0.get(key).map_err(failed)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed> {
        self.0.set(key, value).map_err(failed)
    }

    fn delete(&self, key: &str) -> Result<(), Failed> {
        self.0.delete(key).map_err(failed)
    }

    fn keys(&self) -> Result<Vec<String>, Failed> {
        let mut keys = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.0.list_keys(cursor.as_deref()).map_err(failed)?;
            keys.extend(page.keys);
            match page.cursor {
                // A host that gives the same page again has no end.
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(keys),
            }
        }
    }
}

fn failed(error: Error) -> Failed {
    Failed(match error {
        Error::NoSuchStore => "there is no such key-value store".to_owned(),
        Error::AccessDenied => "the component may not use this key-value store".to_owned(),
        Error::Other(why) => why,
    })
}
