//! Carrying logs to their store: entries in bundles, hashes in tiles, and a signed checkpoint over them, as
//! `aecp audit verify` reads them (<https://c2sp.org/tlog-tiles>).
//!
//! The same entries give the same files, whoever carries them. So an instance carries its own log while it lives, and any
//! other one what it left behind in the key-value store.

use std::{collections::BTreeMap, str::FromStr as _};

use aecp_contract::{
    audit::GapReason,
    layout::{self, Name},
    refusal::{Code, Refusal},
    tlog::{
        checkpoint::Checkpoint,
        edge::Edge,
        merkle::leaf_hash,
        note::{self, NoteKey},
        tile::{TILE_WIDTH, Tile, push_entry},
    },
};
use aecp_enforcer::{Objects, now, record::openings};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    audit::Audit,
    key_value::{Failed, KeyValue},
    log,
    record::{PREFIX, Recorder, Waiting, edge_key},
};

/// A log whose last entry is so many seconds old is carried by whoever finds it.
const LEFT_BEHIND_SECONDS: i64 = 300;

/// The most values of the key-value store that logs may take before what must be recorded is denied.
const MAX_BLOCKS: usize = 20_000;

/// The most logs that are taken over at once.
const MAX_TAKEN_OVER: usize = 8;

/// The most bytes of the openings of one bundle.
const MAX_OPENINGS: u64 = 16 << 20;

/// A store that takes objects.
pub(crate) trait Writable: Objects {
    /// Writes an object, in the place of any other.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Refusal>;
}

/// The key of the first entry in a block, and how the line of an entry begins.
#[derive(Deserialize)]
struct Dated {
    time: aecp_contract::value::Timestamp,
}

/// Carries what this instance recorded and others left behind.
pub(crate) async fn ship(
    audit: &Audit,
    channel: &Name,
    recorder: &Recorder,
    store: &impl Writable,
    kept: &impl KeyValue,
) -> Result<(), Refusal> {
    recorder.flush(kept);
    let (name, waiting, signed) = recorder.waiting();
    if waiting.end() > signed {
        let signer = signer(audit, channel, &name)?;
        carry(&signer, &name, &waiting, signed, store).await?;
        recorder.carried(waiting.end(), kept);
    }
    take_over(audit, channel, recorder, store, kept).await
}

fn signer(audit: &Audit, channel: &Name, log: &Name) -> Result<NoteKey, Refusal> {
    let signer = audit.signer(channel, log);
    signer.ok_or_else(|| Refusal::new(Code::Malformed, "the log's name cannot be a key's"))
}

/// Carries logs that nobody writes any more.
async fn take_over(
    audit: &Audit,
    channel: &Name,
    recorder: &Recorder,
    store: &impl Writable,
    kept: &impl KeyValue,
) -> Result<(), Refusal> {
    let failed = |Failed(why)| Refusal::new(Code::StoreUnavailable, why);
    let mut logs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let keys = kept.keys().map_err(failed)?;
    let blocks = keys.into_iter().filter(|key| key.starts_with(PREFIX));
    let mut count = 0;
    for key in blocks {
        count += 1;
        let Some((log, _)) = key[PREFIX.len()..].split_once('/') else { continue };
        logs.entry(log.to_owned()).or_default().push(key);
    }
    recorder.set_full(count > MAX_BLOCKS);
    logs.remove(&recorder.name().to_string());
    let mut taken = 0;
    for (name, keys) in logs {
        let Ok(name) = Name::from_str(&name) else { continue };
        let Some(waiting) = left_behind(&name, keys.clone(), recorder, kept).map_err(failed)? else {
            continue;
        };
        let signer = signer(audit, channel, &name)?;
        let signed = size_in_store(&name, store).await?;
        if waiting.end() > signed {
            carry(&signer, &name, &waiting, signed, store).await?;
        }
        for key in keys {
            kept.delete(&key).map_err(failed)?;
        }
        log::info("log_taken_over", &name.to_string());
        taken += 1;
        if taken == MAX_TAKEN_OVER {
            break;
        }
    }
    Ok(())
}

/// What is left of a log, if it is old enough that nobody writes it any more.
fn left_behind(
    name: &Name,
    mut keys: Vec<String>,
    recorder: &Recorder,
    kept: &impl KeyValue,
) -> Result<Option<Waiting>, Failed> {
    keys.sort_unstable();
    let edge = kept.get(&edge_key(name))?;
    let edge = edge.and_then(|json| serde_json::from_slice(&json).ok()).filter(Edge::is_sound);
    let mut waiting = Waiting::after(edge.unwrap_or_default());
    for key in keys {
        let Some(first) = key.rsplit('/').next().and_then(|first| first.parse::<u64>().ok()) else {
            continue;
        };
        let Some(lines) = kept.get(&key)? else { continue };
        if first < waiting.base.size() {
            // Part of it is in a bundle that was carried whole.
            let mut block = Waiting { first, ..Waiting::default() };
            block.push_block(&lines);
            waiting.push_rest(block);
            continue;
        }
        if first != waiting.end() {
            log::warn("key_value_forgot", &format!("entries of the log `{name}`"));
            recorder.lost(GapReason::Disk, first.saturating_sub(waiting.end()));
            break;
        }
        waiting.push_block(&lines);
    }
    let last = waiting.entries.last().and_then(|entry| serde_json::from_slice::<Dated>(entry).ok());
    let is_old = last.is_none_or(|last| now().seconds - last.time.seconds > LEFT_BEHIND_SECONDS);
    Ok(is_old.then_some(waiting))
}

/// How many entries of the log the store's checkpoint covers.
async fn size_in_store(name: &Name, store: &impl Objects) -> Result<u64, Refusal> {
    let key = layout::audit(name, "checkpoint");
    match store.get(&key, note::MAX_NOTE_BYTES as u64, None).await {
        Ok(object) => {
            let text = object.map(|object| String::from_utf8_lossy(&object.bytes).into_owned());
            let size = text.as_deref().and_then(|text| text.lines().nth(1)?.parse().ok());
            Ok(size.unwrap_or(0))
        }
        Err(refusal) if refusal.code == Code::NotFound => Ok(0),
        Err(refusal) => Err(refusal),
    }
}

/// Writes the files of all that waits, and last the checkpoint.
async fn carry(
    signer: &NoteKey,
    name: &Name,
    waiting: &Waiting,
    signed: u64,
    store: &impl Writable,
) -> Result<(), Refusal> {
    carry_openings(name, waiting, signed, store).await?;
    let put = async |path: &str, bytes: Bytes| store.put(&layout::audit(name, path), bytes).await;
    let too_long = || Refusal::new(Code::TooLarge, "an entry is longer than a log takes");
    let bundles = waiting.entries.chunks(TILE_WIDTH as usize);
    for (index, entries) in (waiting.first / TILE_WIDTH..).zip(bundles) {
        let mut bytes = Vec::new();
        for entry in entries {
            push_entry(&mut bytes, entry).ok_or_else(too_long)?;
        }
        put(&Tile { level: None, index, width: entries.len() as u64 }.path(), bytes.into()).await?;
    }
    let mut edge = waiting.base.clone();
    let mut files = Vec::new();
    for entry in &waiting.entries {
        edge.push(leaf_hash(entry), &mut |tile, bytes| files.push((tile, bytes)));
    }
    files.extend(edge.unfinished());
    for (tile, bytes) in files {
        put(&tile.path(), bytes.into()).await?;
    }
    put("vkey", signer.verifier().to_string().into()).await?;
    let origin = signer.verifier().name().to_owned();
    let text = Checkpoint { origin, size: edge.size(), root: edge.root() }.to_text();
    let note = Bytes::from(note::write(&text, &[signer.sign(&text, 0)]));
    put(&format!("checkpoints/{:020}", edge.size()), note.clone()).await?;
    put("checkpoint", note).await
}

/// Writes what opens commitments that the store's checkpoint does not cover yet. What is there already stays as it is,
/// erased or not.
async fn carry_openings(
    name: &Name,
    waiting: &Waiting,
    signed: u64,
    store: &impl Writable,
) -> Result<(), Refusal> {
    let new = waiting.openings.iter().filter(|(seq, _)| *seq >= signed).cloned().collect();
    for (bundle, openings) in openings::by_bundle(new) {
        let key = layout::openings(name, bundle);
        let there = match store.get(&key, MAX_OPENINGS, None).await {
            Ok(object) => object.map(|object| object.bytes).unwrap_or_default(),
            Err(refusal) if refusal.code == Code::NotFound => Bytes::new(),
            Err(refusal) => return Err(refusal),
        };
        if let Some(bytes) = openings::merged(&there, &openings) {
            store.put(&key, bytes.into()).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, time::Instant};

    use aecp_contract::{
        audit::{Entry, Event},
        tlog::{
            checkpoint::Checkpoint,
            note::Note,
            tile::{read_entries, read_hashes},
        },
    };
    use aecp_enforcer::{
        Decided, Reason,
        objects::Object,
        record::{AttributeRules, RequestContext},
    };
    use ed25519_dalek::SigningKey;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{key_value::tests::InMemory, record::block_key};

    #[derive(Default)]
    struct Objects(RefCell<BTreeMap<String, Bytes>>);

    impl aecp_enforcer::Objects for Objects {
        async fn get(&self, key: &str, _: u64, _: Option<&str>) -> Result<Option<Object>, Refusal> {
            let bytes = self.0.borrow().get(key).cloned();
            let bytes = bytes.ok_or_else(|| Refusal::new(Code::NotFound, key))?;
            Ok(Some(Object { bytes, tag: None, version: None }))
        }
    }

    impl Writable for Objects {
        async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Refusal> {
            self.0.borrow_mut().insert(key.to_owned(), bytes);
            Ok(())
        }
    }

    fn audit() -> Audit {
        Audit { key: Some(SigningKey::from_bytes(&[3; 32])), ..Audit::default() }
    }

    fn recorder(name: &str) -> Recorder {
        Recorder::new(name.parse().unwrap(), AttributeRules::default())
    }

    /// A denial, which must be recorded; whether it was.
    fn settle(recorder: &Recorder, kept: &InMemory) -> bool {
        let context = RequestContext {
            request_id: "r".into(),
            trace_id: None,
            point: "http/request",
            started: Instant::now(),
        };
        let answer = recorder.settle(Decided::denied(Reason::NoRelease), &context, kept);
        assert!(answer.permit().is_err());
        answer.decided().reason() == Some(Reason::NoRelease)
    }

    fn shipped(recorder: &Recorder, store: &Objects, kept: &InMemory) -> Result<(), Refusal> {
        ship(&audit(), &"prod".parse().unwrap(), recorder, store, kept).now_or_never().unwrap()
    }

    /// The entries of a log in the store, under its newest checkpoint: signed, and leading to the entries.
    fn entries(name: &str, store: &Objects) -> Vec<Entry> {
        let store = store.0.borrow();
        let file = |path: &str| store[&format!("audit/{name}/{path}")].clone();
        let note = file("checkpoint");
        let signer = audit().signer(&"prod".parse().unwrap(), &name.parse().unwrap()).unwrap();
        let note = Note::read(&note).unwrap();
        note.verify(&[signer.verifier()]).unwrap();
        let head = Checkpoint::from_text(note.text()).unwrap();
        let mut entries = Vec::new();
        let mut edge = Edge::default();
        for start in (0..head.size).step_by(TILE_WIDTH as usize) {
            let bundle = Tile::bundle(start, head.size);
            let bytes = file(&bundle.path());
            let leaves =
                read_hashes(&file(&Tile { level: Some(0), ..bundle }.path()), bundle.width).unwrap();
            for (entry, leaf) in read_entries(&bytes, bundle.width).unwrap().into_iter().zip(leaves) {
                assert_eq!(leaf_hash(entry), leaf);
                edge.push(leaf, &mut |_, _| ());
                entries.push(Entry::from_json(entry).unwrap());
            }
        }
        assert_eq!(edge.root(), head.root);
        assert!(entries.iter().zip(0..).all(|(entry, seq)| entry.seq == seq));
        entries
    }

    #[test]
    fn what_must_be_recorded_is_in_the_key_value_store_or_does_not_leave_and_the_gap_is_told() {
        let (kept, store, recorder) = (InMemory::default(), Objects::default(), recorder("edge-1"));
        assert!(settle(&recorder, &kept));
        kept.fails.set(true);
        assert!(!settle(&recorder, &kept) && !settle(&recorder, &kept));
        kept.fails.set(false);
        assert!(settle(&recorder, &kept));
        shipped(&recorder, &store, &kept).unwrap();
        let entries = entries("edge-1", &store);
        let decisions = entries.iter().filter(|entry| matches!(entry.event, Event::Decision(_)));
        assert_eq!(decisions.count(), 2);
        let gaps: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.event {
                Event::Gap(gap) => Some((gap.lost, gap.reason)),
                _ => None,
            })
            .collect();
        assert_eq!(gaps, [(2, GapReason::Disk)]);
        assert!(
            entries
                .iter()
                .any(|entry| matches!(&entry.event, Event::Counts(counts) if counts.seen == 4))
        );
    }

    #[test]
    fn a_log_of_several_bundles_is_carried_step_by_step_and_leaves_the_key_value_store() {
        let (kept, store, recorder) = (InMemory::default(), Objects::default(), recorder("edge-1"));
        for decisions in [1, 100, 300, 5] {
            for _ in 0..decisions {
                assert!(settle(&recorder, &kept));
            }
            shipped(&recorder, &store, &kept).unwrap();
        }
        let entries = entries("edge-1", &store);
        let decisions = entries.iter().filter(|entry| matches!(entry.event, Event::Decision(_)));
        assert_eq!(decisions.count(), 406);
        assert!(kept.values.borrow().len() < 200, "{}", kept.values.borrow().len());
    }

    #[test]
    fn a_log_that_was_left_behind_is_carried_by_another_instance_with_what_is_there_of_it() {
        let (kept, store) = (InMemory::default(), Objects::default());
        let gone = recorder("edge-gone");
        for _ in 0..4 {
            assert!(settle(&gone, &kept));
        }
        let mine = recorder("edge-mine");
        shipped(&mine, &store, &kept).unwrap();
        assert!(!store.0.borrow().contains_key("audit/edge-gone/checkpoint"), "it may still be written");
        // An hour ago. And the store forgot an entry in the middle: `start` and a decision, then one a block.
        let name = "edge-gone".parse().unwrap();
        kept.delete(&block_key(&name, 3)).unwrap();
        for block in kept.values.borrow_mut().values_mut() {
            let text = String::from_utf8(block.clone()).unwrap();
            let year = &text[text.find("\"time\":\"").unwrap() + 8..][..4];
            *block = text.replace(&format!("\"time\":\"{year}"), "\"time\":\"2001").into_bytes();
        }
        shipped(&mine, &store, &kept).unwrap();
        assert_eq!(entries("edge-gone", &store).len(), 3);
        assert!(kept.values.borrow().keys().all(|key| !key.contains("edge-gone")));
        assert!(settle(&mine, &kept));
        shipped(&mine, &store, &kept).unwrap();
        let told = entries("edge-mine", &store);
        assert!(told.iter().any(|entry| matches!(&entry.event, Event::Gap(gap) if gap.lost == 1)));
    }
}
