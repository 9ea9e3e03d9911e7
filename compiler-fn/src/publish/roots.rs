//! The trust roots that a publisher believes: the one that it was given and those that succeed it in the store.

use aecp_contract::{
    layout,
    refusal::{Code, Refusal},
    trust::TrustRoot,
};
use bytes::Bytes;

use super::{PublishError, Store};

/// The most successions of the trust root that are followed at once.
const MAX_SUCCESSIONS: usize = 64;

/// Trust roots that follow each other, oldest first.
#[derive(Debug, Clone)]
pub struct Roots {
    roots: Vec<TrustRoot>,
    /// The one that was given, and its bytes.
    given: (u32, Bytes),
}

impl Roots {
    /// The newest: whose keys sign.
    #[must_use]
    pub fn newest(&self) -> &TrustRoot {
        // There is always the one that was given.
        &self.roots[self.roots.len() - 1]
    }

    /// The root of this version.
    #[must_use]
    pub fn version(&self, version: u32) -> Option<&TrustRoot> {
        self.roots.iter().find(|root| root.version() == version)
    }

    /// What some root says to it, the newest first: what was signed before a succession stays what it was. The newest
    /// root's refusal if none accepts it.
    ///
    /// # Errors
    /// What the newest root says.
    pub fn any<T>(&self, check: impl Fn(&TrustRoot) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let newest = check(self.newest());
        match &newest {
            Err(refusal) if matches!(refusal.code, Code::UnknownKey | Code::ThresholdNotMet) => {
                let older = self.roots.iter().rev().skip(1);
                older.map(check).find_map(Result::ok).map_or(newest, Ok)
            }
            _ => newest,
        }
    }
}

impl Store {
    /// The trust roots from `given` on, with the one before it where the store has it: what that signed is still to be
    /// read when its successor comes into use.
    ///
    /// # Errors
    /// [`PublishError::NotTrusted`] for a root that is none, or that the store's roots do not lead to;
    /// [`PublishError::Store`].
    pub async fn roots(&self, given: &[u8]) -> Result<Roots, PublishError> {
        let root = TrustRoot::pinned(given).map_err(PublishError::NotTrusted)?;
        let (version, mismatch) = (root.version(), PublishError::NotTrusted);
        if let Some(there) = self.root(version).await?
            && TrustRoot::pinned(&there).ok().as_ref() != Some(&root)
        {
            let detail = format!("the store's root {version} is not the given one");
            return Err(mismatch(Refusal::new(Code::RootMismatch, detail)));
        }
        let mut roots = Vec::new();
        if let Some(before) = self.root(version.saturating_sub(1)).await? {
            // Its keys signed the bytes that were given, so it is what they succeed.
            let before = TrustRoot::pinned(&before).map_err(mismatch)?;
            before.successor(given).map_err(mismatch)?;
            roots.push(before);
        }
        roots.push(root);
        let mut roots = Roots { roots, given: (version, Bytes::copy_from_slice(given)) };
        for _ in 0..MAX_SUCCESSIONS {
            let newest = roots.newest();
            let Some(next) = self.root(newest.version().saturating_add(1)).await? else {
                return Ok(roots);
            };
            let next = newest.successor(&next).map_err(mismatch)?;
            roots.roots.push(next);
        }
        let detail = format!("more than {MAX_SUCCESSIONS} roots succeed the given one; use a newer one");
        Err(mismatch(Refusal::new(Code::RootMismatch, detail)))
    }

    /// Writes the root that was given, if the store has it not yet: enforcers that trust the one before it then follow. Where
    /// the store has roots, it must be next to one of them: nobody could follow over a gap.
    pub(super) async fn put_root(&self, roots: &Roots) -> Result<(), PublishError> {
        let (version, bytes) = &roots.given;
        if roots.version(version.saturating_sub(1)).is_none() {
            let there = self.numbers("root").await?;
            let near = u64::from(version.saturating_sub(1))..=u64::from(version.saturating_add(1));
            if let Some(newest) = there.last()
                && there.range(near).next().is_none()
            {
                return Err(PublishError::RootGap { given: *version, newest: *newest });
            }
        }
        self.create(&layout::root(*version), bytes.clone()).await?;
        Ok(())
    }

    async fn root(&self, version: u32) -> Result<Option<Bytes>, PublishError> {
        Ok(self.get(&layout::root(version)).await?.map(|(bytes, _)| bytes))
    }
}
