//! What enforcers write into their logs ([`crate::tlog`]), one JSON object an entry, and how a log is checked.
//!
//! ```json
//! {"seq":7,"time":"2026-03-01T09:30:00.25Z","event":{"decision":{"request_id":"…","point":"v1/decision",
//!  "release":{"serial":3,"digest":"…"},"decision":"DENY","violated":[{"policy":"…","enforcement":"BLOCKING"}],
//!  "indeterminate":[],"latency_us":4}}}
//! {"seq":8,"time":"…","event":{"gap":{"lost":12,"reason":"disk"}}}
//! {"seq":9,"time":"…","event":{"counts":{"seen":13,"decided":[{"point":"v1/decision","release":{"serial":3,"digest":"…"},
//!  "decided":13}],"last":true}}}
//! ```
//!
//! The number of an entry is its place in the log, from 0. An entry has a place for what a request said
//! ([`RecordedValue`]): in clear, masked, or as a commitment whose opening lies beside the log and can be erased without
//! breaking a proof.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, de};
use serde_json::value::RawValue;

use crate::{
    digest::Digest, manifest::Enforcement, tlog::tile::MAX_ENTRY_BYTES, value::Timestamp,
    verdict::Decision,
};

pub mod check;

/// An entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: its place in the log.
    pub seq: u64,
    /// When it was made, by the enforcer's clock.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What an entry tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An enforcer began to write.
    Start(Start),
    /// A request was decided.
    Decision(Box<DecisionRecord>),
    /// Decisions were answered, or denied, whose records could not be kept.
    Gap(Gap),
    /// The enforcer's clock stands behind the time of the entry before this one. The entries keep their order.
    Clock(ClockStep),
    /// What the enforcer counted since the last such entry, or since it began to write.
    Counts(Tally),
}

/// The enforcer's clock was set back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStep {
    /// By so many milliseconds, as far as the times of entries tell.
    pub behind_ms: u64,
}

/// An enforcer began to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its name and version, such as `aecp-enforcer 0.1.0`.
    pub enforcer: String,
    /// Whether the one before it stopped in order. After a crash, decisions that did not have to be recorded before
    /// they were answered (`AUDIT: OPTIONAL`) may be missing.
    pub after: Before,
}

/// How the writer before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// There was none: the log begins.
    Nothing,
    /// All that it had was written.
    Stop,
    /// It did not come to write all that it had.
    Crash,
}

/// A decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The caller's id for the request, or one that was made for it.
    pub request_id: String,
    /// The trace that the request is part of: the trace id of a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The point of enforcement, such as `access/v1/evaluation`.
    pub point: String,
    /// The release that decided; `None` if there was none.
    pub release: Option<ReleaseRef>,
    /// The decision as it was answered.
    pub decision: Decision,
    /// The violated policies, in byte order of their names.
    pub violated: Vec<PolicyRef>,
    /// The policies that a missing or unusable attribute left undecided, in byte order of their names.
    pub indeterminate: Vec<PolicyRef>,
    /// How many policies of these two lists are left out, since a log's entry cannot be longer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u64,
    /// The policies whose denial a break-glass token lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excepted: Vec<String>,
    /// The modules that deny by default and that no policy covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_deny: Vec<String>,
    /// Why it was denied without, or in spite of, a verdict: a constant code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long it took to decide, in microseconds.
    pub latency_us: u64,
    /// What the request had for the attributes that the policies look at, by their paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, RecordedValue>,
    /// How many attributes are left out: by the enforcer's configuration, or since a log's entry cannot be longer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_attributes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(b: &bool) -> bool {
    !b
}

/// Which release decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// Its serial in its channel.
    pub serial: u64,
    /// SHA-256 of its signed envelope.
    pub digest: Digest,
}

/// A policy that had a part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Its name.
    pub policy: String,
    /// What its violation does.
    pub enforcement: Enforcement,
}

/// Decisions that were answered, or denied, without being recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many.
    pub lost: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why records were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// More decisions than the queue holds, none of which had to be recorded before it was answered.
    Queue,
    /// The disk refused them; those that had to be recorded were denied.
    Disk,
    /// The spool was full because the store did not take its entries.
    Spool,
    /// Nobody waited for the record any more: the request was denied meanwhile, or its caller was gone.
    Late,
    /// The record is longer than a log's entries can be, even without its policies.
    Size,
    /// The enforcer failed, and what it could not decide or record passed, as it was configured to.
    Undecided,
}

/// What an enforcer counted where requests come in and where decisions are handed to the record. Each decision of a run
/// is in an entry, in a gap, or unrecorded because its policies say `AUDIT: NONE`; whatever is not is unaccounted for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were to be decided.
    pub seen: u64,
    /// Decisions, by point and release, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decided: Vec<PointTally>,
    /// Whether the enforcer stops in order: nothing comes after it until the next start.
    #[serde(default, skip_serializing_if = "is_false")]
    pub last: bool,
}

/// Decisions at one point by one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointTally {
    /// The point of enforcement, such as `access/v1/evaluation`.
    pub point: String,
    /// The release that decided; `None` if there was none.
    pub release: Option<ReleaseRef>,
    /// How many.
    pub decided: u64,
    /// Of these, those that no policy wants recorded (`AUDIT: NONE`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrecorded: u64,
}

/// What a request had for an attribute, as the log keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedValue {
    /// The value in clear, in the form of the request's JSON.
    Clear(Box<RawValue>),
    /// The value with all but its last characters hidden.
    Masked(String),
    /// [`commitment`] to the value. Whoever has the [`Opening`] can show what it was; once that is erased, nobody can.
    Commitment(Digest),
    /// A value that is none of the attribute's type. It is not kept.
    Unusable,
}

/// What opens the commitments of one entry. It lies beside the log, where it can be erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opening {
    /// The entry.
    pub seq: u64,
    /// By the attributes' paths.
    pub values: BTreeMap<String, OpenedValue>,
}

/// What one commitment is to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenedValue {
    /// Chance, so that nobody can find the value by trying.
    pub salt: Salt,
    /// The value as in [`RecordedValue::Clear`].
    pub value: Box<RawValue>,
}

/// 16 random bytes; base64 as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// The commitment to what a request had for the attribute at `path`: `value` is its JSON, byte by byte. It hides the
/// value as long as the salt is unknown, and binds to it: no other opens it.
#[must_use]
pub fn commitment(salt: &Salt, path: &str, value: &str) -> Digest {
    let length = u32::try_from(path.len()).unwrap_or(u32::MAX).to_be_bytes();
    let parts = [b"aecp-commitment/v1\n", &salt.0[..], &length, path.as_bytes(), value.as_bytes()];
    Digest::of_parts(&parts)
}

impl Opening {
    /// Whether these values are those that the decision committed to: each one that is opened must fit.
    #[must_use]
    pub fn opens(&self, record: &DecisionRecord) -> bool {
        self.values.iter().all(|(path, OpenedValue { salt, value })| {
            matches!(
                record.attributes.get(path),
                Some(RecordedValue::Commitment(digest)) if *digest == commitment(salt, path, value.get())
            )
        })
    }
}

impl Entry {
    /// The entry's bytes; `None` if they are more than a log takes ([`MAX_ENTRY_BYTES`]).
    #[must_use]
    pub fn to_json(&self) -> Option<Vec<u8>> {
        let bytes = serde_json::to_vec(self).ok()?;
        (bytes.len() <= MAX_ENTRY_BYTES).then_some(bytes)
    }

    /// The entry's bytes, with as many of a decision's attributes and policies as a log takes, the policies before the
    /// attributes and the violated before the indeterminate; the rest is counted as omitted. `None` if it is too long even
    /// without them.
    #[must_use]
    pub fn fit(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(bytes) = self.to_json() {
                return Some(bytes);
            }
            let Event::Decision(decision) = &mut self.event else { return None };
            if !decision.attributes.is_empty() {
                let kept = decision.attributes.len() / 2;
                decision.omitted_attributes += (decision.attributes.len() - kept) as u64;
                while decision.attributes.len() > kept {
                    decision.attributes.pop_last();
                }
                continue;
            }
            let list = match (decision.indeterminate.len(), decision.violated.len()) {
                (0, 0) => return None,
                (0, _) => &mut decision.violated,
                _ => &mut decision.indeterminate,
            };
            let kept = list.len() / 2;
            decision.omitted += (list.len() - kept) as u64;
            list.truncate(kept);
        }
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// In words, what does not fit.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

impl Serialize for Salt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| de::Error::custom("a salt is 16 bytes in base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn decision(attributes: BTreeMap<String, RecordedValue>) -> DecisionRecord {
        DecisionRecord {
            request_id: "r1".into(),
            trace_id: None,
            point: "v1/decision".into(),
            release: Some(ReleaseRef { serial: 3, digest: Digest::of(b"release") }),
            decision: Decision::Deny,
            violated: vec![PolicyRef { policy: "p".into(), enforcement: Enforcement::Blocking }],
            indeterminate: Vec::new(),
            omitted: 0,
            excepted: Vec::new(),
            default_deny: Vec::new(),
            reason: None,
            latency_us: 4,
            attributes,
            omitted_attributes: 0,
        }
    }

    #[test]
    fn entries_read_back_and_keep_numbers_as_they_were() {
        let salt = Salt([7; 16]);
        let attributes = BTreeMap::from([
            ("a".to_owned(), RecordedValue::Clear(raw("0.10000000000000000001"))),
            ("b".to_owned(), RecordedValue::Masked("***1234".into())),
            ("c".to_owned(), RecordedValue::Commitment(commitment(&salt, "c", "\"EU\""))),
            ("d".to_owned(), RecordedValue::Unusable),
        ]);
        for event in [
            Event::Start(Start { enforcer: "aecp-enforcer 0.1.0".into(), after: Before::Crash }),
            Event::Decision(Box::new(decision(attributes))),
            Event::Gap(Gap { lost: 12, reason: GapReason::Disk }),
            Event::Clock(ClockStep { behind_ms: 1500 }),
            Event::Counts(Tally {
                seen: 2,
                decided: vec![PointTally {
                    point: "v1/decision".into(),
                    release: None,
                    decided: 2,
                    unrecorded: 1,
                }],
                last: true,
            }),
        ] {
            let entry = Entry { seq: 7, time: "2026-03-01T09:30:00.25Z".parse().unwrap(), event };
            let json = entry.to_json().unwrap();
            let again = Entry::from_json(&json).unwrap().to_json().unwrap();
            assert_eq!(String::from_utf8(again), String::from_utf8(json));
        }
    }

    #[test]
    fn what_is_too_long_for_a_log_leaves_policies_out_and_says_how_many() {
        let policies = |count: usize, name: &str| {
            let policy =
                |n| PolicyRef { policy: format!("{name}_{n}"), enforcement: Enforcement::Blocking };
            (0..count).map(policy).collect::<Vec<_>>()
        };
        let mut record = decision(BTreeMap::new());
        record.violated = policies(3_000, "violated");
        record.indeterminate = policies(2_000, "indeterminate");
        let time = "2026-03-01T09:30:00Z".parse().unwrap();
        let entry = |record| Entry { seq: 1, time, event: Event::Decision(Box::new(record)) };
        let bytes = entry(record).fit().unwrap();
        assert!(bytes.len() <= MAX_ENTRY_BYTES);
        let Event::Decision(read) = Entry::from_json(&bytes).unwrap().event else { panic!() };
        assert!(!read.violated.is_empty());
        let listed = (read.violated.len() + read.indeterminate.len()) as u64;
        assert_eq!(listed + read.omitted, 5_000);
        let short = entry(decision(BTreeMap::new())).fit().unwrap();
        assert!(!String::from_utf8(short).unwrap().contains("omitted"));
        let mut endless = decision(BTreeMap::new());
        endless.request_id = "x".repeat(MAX_ENTRY_BYTES);
        assert_eq!(entry(endless).fit(), None);
        let mut wide = decision(BTreeMap::new());
        let value = |n: usize| (format!("attribute{n}"), RecordedValue::Masked("x".repeat(100)));
        wide.attributes = (0..2_000).map(value).collect();
        let bytes = entry(wide).fit().unwrap();
        let Event::Decision(read) = Entry::from_json(&bytes).unwrap().event else { panic!() };
        assert!(!read.attributes.is_empty() && read.violated.len() == 1);
        assert_eq!(read.attributes.len() as u64 + read.omitted_attributes, 2_000);
    }

    proptest::proptest! {
        #[test]
        fn a_commitment_binds_to_its_salt_path_and_value(
            salts in proptest::array::uniform2(proptest::prelude::any::<[u8; 16]>()),
            texts in proptest::array::uniform2("[a-z.]{0,6}"),
            values in proptest::array::uniform2("\"[a-z]{0,6}\""),
        ) {
            let all = |salt: usize, text: usize, value: usize| {
                (salts[salt], &texts[text], &values[value])
            };
            let commit = |(salt, path, value): ([u8; 16], &String, &String)| commitment(&Salt(salt), path, value);
            for other in 1..8 {
                let (one, two) = (all(0, 0, 0), all(other & 1, other >> 1 & 1, other >> 2));
                proptest::prop_assert_eq!(commit(one) == commit(two), one == two);
            }
        }
    }

    #[test]
    fn an_opening_opens_what_was_committed_to_and_nothing_else() {
        let salt = Salt([7; 16]);
        let committed = RecordedValue::Commitment(commitment(&salt, "c", "\"EU\""));
        let record = decision(BTreeMap::from([("c".to_owned(), committed)]));
        let opening = |path: &str, salt, value| Opening {
            seq: 0,
            values: BTreeMap::from([(path.to_owned(), OpenedValue { salt, value: raw(value) })]),
        };
        assert!(opening("c", salt, "\"EU\"").opens(&record));
        assert!(!opening("c", salt, "\"US\"").opens(&record));
        assert!(!opening("c", Salt([8; 16]), "\"EU\"").opens(&record));
        assert!(!opening("d", salt, "\"EU\"").opens(&record));
        // Path and value cannot trade bytes.
        assert_ne!(commitment(&salt, "c", "\"EU\""), commitment(&salt, "c\"", "EU\""));
    }
}
