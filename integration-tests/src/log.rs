//! Logs of decisions as enforcers carry them into a store, of any events.

use std::{fs, path::Path};

use aecp_contract::{
    audit::{Entry, Event},
    digest::Digest,
    tlog::{
        checkpoint::Checkpoint,
        edge::Edge,
        merkle::leaf_hash,
        note::{self, KeyKind, NoteKey},
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

fn put(folder: &Path, tile: &Tile, bytes: &[u8]) {
    let path = folder.join(tile.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
