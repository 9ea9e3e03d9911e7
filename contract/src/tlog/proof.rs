//! Proofs that one entry is in a log, each a small file of its own that anybody checks offline.
//!
//! Source: <https://c2sp.org/tlog-proof> v1.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    TlogError, base64, hash_line,
    merkle::{MAX_PROOF, leaf_hash, verify_inclusion},
    note::{MAX_NOTE_BYTES, numbered},
    policy::{LogPolicy, Trusted},
    tile::MAX_ENTRY_BYTES,
};
use crate::digest::Digest;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof. Its extra data is the entry itself, so that the file says what it proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Its number in the log, from 0.
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<Digest>,
    /// The signed checkpoint, as the log wrote it.
    pub checkpoint: String,
}

impl EntryProof {
    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let path: String = self.path.iter().map(|hash| base64(hash.as_bytes()) + "\n").collect();
        let (extra, index, checkpoint) = (base64(&self.entry), self.index, &self.checkpoint);
        format!("{FIRST_LINE}\nextra {extra}\nindex {index}\n{path}\n{checkpoint}")
    }

    /// Reads the file; nothing of it is verified yet.
    ///
    /// # Errors
    /// [`TlogError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, TlogError> {
        let wrong = |why| TlogError::malformed("the proof", why);
        if text.len() > MAX_NOTE_BYTES + 2 * MAX_ENTRY_BYTES {
            return Err(wrong("it is too large"));
        }
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| wrong("it holds no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong("its first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let entry = lines.next().and_then(|line| STANDARD.decode(line.strip_prefix("extra ")?).ok());
        let entry = entry
            .filter(|entry| entry.len() <= MAX_ENTRY_BYTES)
            .ok_or_else(|| wrong("its second line is not `extra` and the entry in base64"))?;
        let index = lines.next().and_then(|line| numbered(line, "index"));
        let index = index.ok_or_else(|| wrong("its third line is not `index` and a number"))?;
        let path: Option<Vec<_>> = lines.map(hash_line).collect();
        let path = path.ok_or_else(|| wrong("a line of its path is no hash"))?;
        if path.len() > MAX_PROOF {
            return Err(wrong("its path is longer than any can be"));
        }
        Ok(Self { entry, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that the entry is in the log at its place, and that the policy believes the log's checkpoint.
    ///
    /// # Errors
    /// [`TlogError`].
    pub fn verify(&self, policy: &LogPolicy) -> Result<Trusted, TlogError> {
        let trusted = policy.trusted(self.checkpoint.as_bytes())?;
        let head = &trusted.checkpoint;
        verify_inclusion(&leaf_hash(&self.entry), self.index, head.size, &head.root, &self.path)?;
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::tlog::{
        checkpoint::Checkpoint,
        merkle::{Frontier, node_hash},
        note::{self, KeyKind, NoteKey},
    };

    #[test]
    fn a_proof_file_holds_and_every_changed_byte_breaks_it() {
        let key = NoteKey::new("log", KeyKind::Signer, SigningKey::from_bytes(&[1; 32])).unwrap();
        let mut tree = Frontier::default();
        let leaves = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry));
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        let text = Checkpoint { origin: "log".into(), size: 3, root: tree.root() }.to_text();
        let proof = EntryProof {
            entry: b"b".to_vec(),
            index: 1,
            path: vec![leaves[0], leaves[2]],
            checkpoint: note::write(&text, &[key.sign(&text, 0)]),
        };
        assert_eq!(tree.root(), node_hash(&node_hash(&leaves[0], &leaves[1]), &leaves[2]));
        let policy = LogPolicy::of_logs(vec![key.verifier()]);
        let file = proof.to_text();
        let read = EntryProof::from_text(&file).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(&policy).unwrap().checkpoint.size, 3);
        for at in 0..file.len() {
            let mut bytes = file.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let outcome = EntryProof::from_text(&changed).and_then(|proof| proof.verify(&policy));
            assert!(outcome.is_err(), "byte {at}: {changed}");
        }
    }
}
