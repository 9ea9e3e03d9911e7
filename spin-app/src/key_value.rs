//! What outlives an instance: a key-value store, which other instances of the component use at the same time.

#[cfg(not(feature = "sealed"))]
use aecp_contract::refusal::{Code, Refusal};
#[cfg(not(feature = "sealed"))]
use aecp_enforcer::objects::{Object, Objects};

/// The store. Whoever writes reads what it wrote; others may see it later.
pub(crate) trait KeyValue {
    /// The value of this key, if it has one.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failed>;
    /// Gives the key this value.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed>;
    /// Removes the key, if it is there.
    fn delete(&self, key: &str) -> Result<(), Failed>;
    /// All keys, in no order.
    fn keys(&self) -> Result<Vec<String>, Failed>;
}

/// The store's own words for what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed(pub(crate) String);

/// The part of a store in which the last good release lies, in the layout of stores of releases: so it is read by the very
/// code that reads those, and believed no more than they are.
pub(crate) struct Kept<'k, K>(pub(crate) &'k K);

/// Where that part is.
const PREFIX: &str = "aecp/";

impl<K: KeyValue> Kept<'_, K> {
    #[cfg(feature = "sealed")]
    pub(crate) fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
        self.0.get(&format!("{PREFIX}{key}"))
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed> {
        self.0.set(&format!("{PREFIX}{key}"), value)
    }

    #[cfg(not(feature = "sealed"))]
    pub(crate) fn delete(&self, key: &str) -> Result<(), Failed> {
        self.0.delete(&format!("{PREFIX}{key}"))
    }
}

#[cfg(not(feature = "sealed"))]
impl<K: KeyValue> Objects for Kept<'_, K> {
    async fn get(&self, key: &str, limit: u64, _: Option<&str>) -> Result<Option<Object>, Refusal> {
        let refusal = |code, detail: &str| Refusal::new(code, format!("`{key}`: {detail}"));
        match self.0.get(&format!("{PREFIX}{key}")) {
            Err(Failed(why)) => Err(refusal(Code::StoreUnavailable, &why)),
            Ok(None) => Err(refusal(Code::NotFound, "the key-value store does not have it")),
            Ok(Some(value)) if value.len() as u64 > limit => {
                Err(refusal(Code::TooLarge, "it is larger than it may be"))
            }
            Ok(Some(value)) => Ok(Some(Object { bytes: value.into(), tag: None, version: None })),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{cell::RefCell, collections::BTreeMap};

    use super::*;

    /// A store in memory, which can be told to fail.
    #[derive(Default)]
    pub(crate) struct InMemory {
        pub(crate) values: RefCell<BTreeMap<String, Vec<u8>>>,
        pub(crate) fails: std::cell::Cell<bool>,
    }

    impl InMemory {
        fn check(&self) -> Result<(), Failed> {
            if self.fails.get() { Err(Failed("no".to_owned())) } else { Ok(()) }
        }
    }

    impl KeyValue for InMemory {
        fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failed> {
            self.check()?;
            Ok(self.values.borrow().get(key).cloned())
        }

        fn set(&self, key: &str, value: &[u8]) -> Result<(), Failed> {
            self.check()?;
            self.values.borrow_mut().insert(key.to_owned(), value.to_vec());
            Ok(())
        }

        fn delete(&self, key: &str) -> Result<(), Failed> {
            self.check()?;
            self.values.borrow_mut().remove(key);
            Ok(())
        }

        fn keys(&self) -> Result<Vec<String>, Failed> {
            self.check()?;
            Ok(self.values.borrow().keys().cloned().collect())
        }
    }
}
