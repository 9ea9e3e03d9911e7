//! What was said of uploads, in replicas too: who has lost the first store still has its reports.

use std::collections::BTreeSet;

use aecp_contract::{refusal::Code, report::Report};
use futures_util::TryStreamExt as _;
use object_store::ObjectStore as _;

use super::Copying;
use crate::{
    hosted::{page::page, sarif::sarif},
    publish::{PublishError, Store},
};

/// Where reports lie.
const FOLDER: &str = "reports";

/// How signed reports end.
const ENDING: &str = ".json";

/// The most reports of a store that are looked at.
const MAX_REPORTS: usize = 1_000_000;

impl Copying<'_> {
    /// The reports that the replica lacks, as far as known roots signed them. Their pages are made again, since nothing vouches
    /// for those that are there.
    pub(super) async fn reports(&self) -> Result<usize, PublishError> {
        let (ours, theirs) = (self.first.reports().await?, self.replica.reports().await?);
        let mut copied = 0;
        for name in ours.difference(&theirs) {
            let key = format!("{name}{ENDING}");
            let bytes = self.needed(self.first, &key).await?;
            let Ok(report) = self.roots.any(|root| Report::verify(&bytes, root)) else { continue };
            self.replica.put_page(&format!("{name}.html"), page(&report)).await?;
            self.replica.put_page(&format!("{name}.sarif"), sarif(&report)).await?;
            // Last, since whoever finds it takes the report for copied.
            copied += self.once(&key, &bytes, Code::Malformed).await?;
        }
        Ok(copied)
    }
}

impl Store {
    /// The keys of signed reports, without their ending.
    async fn reports(&self) -> Result<BTreeSet<String>, PublishError> {
        let failed = |error| PublishError::Store { doing: format!("listing `{FOLDER}`"), error };
        let (below, mut reports) = (self.path(FOLDER), BTreeSet::new());
        let mut listed = self.objects.list(Some(&below));
        while let Some(object) = listed.try_next().await.map_err(failed)?
            && reports.len() < MAX_REPORTS
        {
            let name = object.location.as_ref().strip_prefix(below.as_ref());
            let name = name.and_then(|name| name.strip_suffix(ENDING));
            reports.extend(name.map(|name| format!("{FOLDER}{name}")));
        }
        Ok(reports)
    }
}
