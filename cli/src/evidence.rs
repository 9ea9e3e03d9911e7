//! Evidence packs: what an auditor asks about one control, in one signed file that is checked offline.
//!
//! A pack holds what others signed, as they signed it: trust roots, the channel's history, its releases, the logs'
//! checkpoints and proofs of single entries. What is said of them ([`report`]) is worked out from that each time and
//! never stored. Only the sums over the logs ([`Sums`]) are the word of whoever made the pack; whoever has the logs counts
//! again.

mod collect;
mod page;
mod report;
mod verify;

use std::collections::BTreeMap;

use aecp_contract::{digest::Digest, layout::Name, value::Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    collect::{Asked, collect},
    page::page,
    report::{Report, report},
    verify::{Verified, verify},
};

/// The payload type of packs, in a DSSE envelope.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.aecp.evidence+json";

/// The most bytes of a pack.
pub(crate) const MAX_BYTES: usize = 256 << 20;

/// A pack.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pack {
    /// The control, as it was asked for.
    pub(crate) control: String,
    /// The channel.
    pub(crate) channel: Name,
    /// From this instant on …
    pub(crate) from: Timestamp,
    /// … and before this one.
    pub(crate) to: Timestamp,
    /// When the pack was made.
    pub(crate) made: Timestamp,
    /// What made it.
    pub(crate) compiler: String,
    /// The trust roots, each the successor of the one before it.
    pub(crate) roots: Vec<String>,
    /// The channel's history from its first entry on.
    pub(crate) history: Vec<String>,
    /// The releases of the history, by their serials.
    pub(crate) releases: BTreeMap<u64, PackedRelease>,
    /// The sources of the releases that were in force, by the digests that releases name.
    pub(crate) sources: BTreeMap<Digest, String>,
    /// The logs of the enforcers, by the names of their folders.
    pub(crate) logs: BTreeMap<Name, PackedLog>,
}

/// A release.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackedRelease {
    /// Its signed envelope.
    pub(crate) envelope: String,
    /// Its manifest, if it was in force in the time that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<String>,
}

/// A log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackedLog {
    /// Its public key.
    pub(crate) key: String,
    /// The checkpoint that it signed.
    pub(crate) checkpoint: String,
    /// What was counted in it.
    pub(crate) sums: Sums,
    /// Proofs (C2SP tlog-proof) of the entries that are shown.
    pub(crate) proofs: Vec<String>,
}

/// What a log holds of the time that was asked about.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sums {
    /// All entries of the log that were read, whatever their time.
    pub(crate) entries: u64,
    /// Decisions.
    pub(crate) decisions: u64,
    /// Denials among them.
    pub(crate) denials: u64,
    /// Decisions by the serial of the release; 0 for those that no release decided.
    pub(crate) by_release: BTreeMap<u64, u64>,
    /// The part that policies of the control had, by their names.
    pub(crate) by_policy: BTreeMap<String, PolicySums>,
    /// Decisions in which a policy of the control had a part that denied or was lifted.
    pub(crate) shown_of: u64,
    /// Gaps.
    pub(crate) gaps: u64,
    /// Decisions that they count.
    pub(crate) lost: u64,
    /// Times that the enforcer began again after a crash.
    pub(crate) crashes: u64,
}

/// The part that a policy had in decisions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySums {
    /// It was violated.
    pub(crate) violated: u64,
    /// An attribute that it needs was missing or unusable.
    pub(crate) indeterminate: u64,
    /// Of both, those that were denied.
    pub(crate) denied: u64,
    /// Its denial was lifted by a token.
    pub(crate) excepted: u64,
}
