//! Which attributes the releases looked at that decided, as their signed manifests say.

use std::{collections::BTreeMap, sync::Arc};

use aecp_contract::{
    audit::ReleaseRef,
    layout,
    manifest::Manifest,
    release::{MANIFEST, MAX_ARTIFACT_BYTES},
    value::Type,
};

use super::Releases;

/// The attributes of one release by their paths.
pub(crate) type Attributes = Arc<BTreeMap<String, Type>>;

/// The attributes of releases, each read once.
#[derive(Clone)]
pub(crate) struct Manifests {
    /// Where they are, if the user said whom to believe.
    releases: Option<Releases>,
    known: BTreeMap<ReleaseRef, Option<Attributes>>,
    /// Releases that are not there or not believed, by serial, and why.
    pub(crate) refused: BTreeMap<u64, String>,
}

impl Manifests {
    pub(crate) fn new(releases: Option<Releases>) -> Self {
        Self { releases, known: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// What was read before; `None` if the release is to be asked for first.
    pub(crate) fn known(&self, release: ReleaseRef) -> Option<Option<Attributes>> {
        self.known.get(&release).cloned()
    }

    /// The attributes that this release of a log's channel looked at, if they can be known.
    pub(crate) async fn read(&mut self, origin: &str, release: ReleaseRef) -> Option<Attributes> {
        let attributes = match &mut self.releases {
            None => None,
            Some(releases) => match releases.attributes(origin, release).await {
                Ok(attributes) => Some(Arc::new(attributes)),
                Err(why) => {
                    self.refused.insert(release.serial, why);
                    None
                }
            },
        };
        self.known.insert(release, attributes.clone());
        attributes
    }
}

impl Releases {
    async fn attributes(
        &mut self,
        origin: &str,
        release: ReleaseRef,
    ) -> Result<BTreeMap<String, Type>, String> {
        let statement = self.statement(origin, release).await?;
        let artifact = statement.artifact(MANIFEST).map_err(|refusal| refusal.to_string())?;
        let object = self.store.get(&layout::blob(artifact.digest), MAX_ARTIFACT_BYTES, None).await;
        let object = object.map_err(|refusal| refusal.to_string())?;
        let bytes = object.ok_or("the store gave nothing")?.bytes;
        artifact.check(MANIFEST, &bytes).map_err(|refusal| refusal.to_string())?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| format!("`{MANIFEST}`: {error}"))?;
        let looked_at = manifest.all_attributes().into_iter();
        Ok(looked_at.map(|attribute| (attribute.path.clone(), attribute.ty.clone())).collect())
    }
}
