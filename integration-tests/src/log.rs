//! Logs of decisions in stores: written, of any events, as enforcers carry them; and read, checked as `aecp audit verify`
//! checks them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aecp_contract::{
    audit::{Entry, Event, check::LogCheck},
    digest::Digest,
    tlog::{
        checkpoint::Checkpoint,
        edge::Edge,
        merkle::leaf_hash,
        note::{self, KeyKind, NoteKey},
        policy::LogPolicy,
        tile::{TILE_WIDTH, Tile, push_entry},
    },
    value::Timestamp,
};
use ed25519_dalek::SigningKey;

/// Writes the log `name` of the channel `prod` below `store/audit`, and gives its public key. The same events in the same
/// order, and more after them, are the same log, grown.
pub fn write(store: &Path, name: &str, events: impl IntoIterator<Item = (Timestamp, Event)>) -> String {
    let folder = store.join("audit").join(name);
    let origin = format!("aecp/prod/{name}");
    let key = SigningKey::from_bytes(Digest::of(origin.as_bytes()).as_bytes());
    let key = NoteKey::new(&origin, KeyKind::Signer, key).unwrap();
    let mut edge = Edge::default();
    let (mut bundle, mut width) = (Vec::new(), 0);
    for (seq, (time, event)) in (0..).zip(events) {
        let json = Entry { seq, time, event }.to_json().unwrap();
        edge.push(leaf_hash(&json), &mut |tile, bytes| put(&folder, &tile, &bytes));
        push_entry(&mut bundle, &json).unwrap();
        width += 1;
        if width == TILE_WIDTH {
            put(&folder, &Tile { level: None, index: seq / TILE_WIDTH, width }, &bundle);
            bundle.clear();
            width = 0;
        }
    }
    if width > 0 {
        put(&folder, &Tile { level: None, index: edge.size() / TILE_WIDTH, width }, &bundle);
    }
    edge.unfinished().for_each(|(tile, bytes)| put(&folder, &tile, &bytes));
    let text = Checkpoint { origin, size: edge.size(), root: edge.root() }.to_text();
    let note = note::write(&text, &[key.sign(&text, 0)]);
    fs::create_dir_all(folder.join("checkpoints")).unwrap();
    fs::write(folder.join(format!("checkpoints/{:020}", edge.size())), &note).unwrap();
    fs::write(folder.join("checkpoint"), note).unwrap();
    let vkey = key.verifier().to_string();
    fs::write(folder.join("vkey"), &vkey).unwrap();
    vkey
}

/// All entries of the log in `folder`, after its newest checkpoint was verified by its own key, and all else by it and by
/// all earlier ones.
///
/// # Panics
/// If anything does not hold.
#[must_use]
pub fn verified(folder: &Path) -> Vec<Entry> {
    let vkey = fs::read_to_string(folder.join("vkey")).unwrap().trim().parse().unwrap();
    let policy = LogPolicy::of_logs(vec![vkey]);
    let trusted = |path: &Path| policy.trusted(&fs::read(path).unwrap()).unwrap().checkpoint;
    let earlier = fs::read_dir(folder.join("checkpoints")).unwrap();
    // What a process that was killed left half-written stands under another name until then.
    let is_whole = |path: &PathBuf| !path.to_string_lossy().contains('#');
    let earlier = earlier.map(|file| file.unwrap().path()).filter(is_whole);
    let earlier = earlier.map(|path| trusted(&path)).collect();
    let mut check = LogCheck::new(trusted(&folder.join("checkpoint")), earlier);
    let mut entries = Vec::new();
    while let Some(bundle) = check.next() {
        let hashes = Tile { level: Some(0), ..bundle };
        let [bundle, hashes] = [bundle, hashes].map(|tile| fs::read(folder.join(tile.path())).ok());
        check.take(bundle.as_deref(), hashes.as_deref(), &mut |entry, _| entries.push(entry.clone()));
    }
    let (_, faults) = check.finish();
    assert!(faults.is_empty(), "{faults:?}");
    entries
}

fn put(folder: &Path, tile: &Tile, bytes: &[u8]) {
    let path = folder.join(tile.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
