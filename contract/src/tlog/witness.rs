//! Witnesses: they cosign a checkpoint after they have seen that it continues the last one they cosigned, so that a log
//! cannot show different histories to different people.
//!
//! Source: <https://c2sp.org/tlog-witness>, the call `add-checkpoint`.

use super::{
    TlogError, base64,
    checkpoint::Checkpoint,
    hash_line,
    merkle::{MAX_PROOF, empty_root, verify_consistency},
    note::{MAX_NOTE_BYTES, Note, NoteKey, numbered},
    policy::LogPolicy,
};
use crate::digest::Digest;

/// The path of the call below a witness's own URL.
pub const ADD_CHECKPOINT: &str = "add-checkpoint";

/// The media type of an answer that says another size.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// The most bytes of a request.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 64 * 64;

/// A request to cosign a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the last checkpoint that this witness cosigned, 0 if none.
    pub old: u64,
    /// That the checkpoint continues it.
    pub proof: Vec<Digest>,
    /// The checkpoint as the log signed it.
    pub checkpoint: String,
}

/// Why a witness does not cosign; the HTTP status of its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCosigned {
    /// 400: it is no such request.
    #[error("{0}")]
    BadRequest(String),
    /// 403: the log's key did not sign it.
    #[error("the log's own key did not sign the checkpoint")]
    Forbidden,
    /// 404: it is of no log that this witness knows.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// 409: the last checkpoint that was cosigned has this size.
    #[error("the last checkpoint that was cosigned has the size {0}")]
    Conflict(u64),
    /// 422: it does not continue what was cosigned.
    #[error("the checkpoint does not continue the last one")]
    Inconsistent,
}

impl NotCosigned {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::Forbidden => 403,
            Self::UnknownLog => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent => 422,
        }
    }
}

impl AddCheckpoint {
    /// The body of the request.
    #[must_use]
    pub fn to_text(&self) -> String {
        let proof: String = self.proof.iter().map(|hash| base64(hash.as_bytes()) + "\n").collect();
        format!("old {}\n{proof}\n{}", self.old, self.checkpoint)
    }

    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`TlogError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, TlogError> {
        let wrong = |why| TlogError::malformed("the request", why);
        let (head, checkpoint) = text.split_once("\n\n").ok_or_else(|| wrong("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| numbered(line, "old"));
        let old = old.ok_or_else(|| wrong("its first line is not `old` and a size"))?;
        let proof: Option<Vec<_>> = lines.map(hash_line).collect();
        let proof = proof.ok_or_else(|| wrong("a line of the proof is no hash"))?;
        if proof.len() > MAX_PROOF {
            return Err(wrong("the proof is longer than any can be"));
        }
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }

    /// Which log the request is about. Not to be believed before [`Self::cosign`].
    ///
    /// # Errors
    /// [`NotCosigned::BadRequest`].
    pub fn origin(&self) -> Result<String, NotCosigned> {
        let bad = |error: TlogError| NotCosigned::BadRequest(error.to_string());
        let note = Note::read(self.checkpoint.as_bytes()).map_err(bad)?;
        Ok(Checkpoint::from_text(note.text()).map_err(bad)?.origin)
    }

    /// The cosignature line, if the checkpoint is a known log's and continues the one that was cosigned `last`: its size
    /// and root. `now` is in seconds since 1970. Whoever gives the line away must have kept the checkpoint's size and
    /// root first, as the new `last`.
    ///
    /// # Errors
    /// [`NotCosigned`].
    pub fn cosign(
        &self,
        logs: &LogPolicy,
        last: Option<(u64, Digest)>,
        witness: &NoteKey,
        now: u64,
    ) -> Result<(Checkpoint, String), NotCosigned> {
        let origin = self.origin()?;
        if !logs.logs().iter().any(|log| log.name() == origin) {
            return Err(NotCosigned::UnknownLog);
        }
        let own = LogPolicy::of_logs(logs.logs().to_vec());
        let trusted = own.trusted(self.checkpoint.as_bytes()).map_err(|_| NotCosigned::Forbidden)?;
        let head = trusted.checkpoint;
        if self.old > head.size {
            return Err(NotCosigned::BadRequest("the old size is above the checkpoint's".to_owned()));
        }
        let (old, old_root) = last.unwrap_or_else(|| (0, empty_root()));
        if self.old != old {
            return Err(NotCosigned::Conflict(old));
        }
        let empty = head.size == 0 && self.proof.is_empty() && head.root == empty_root();
        if !empty {
            verify_consistency((old, &old_root), (head.size, &head.root), &self.proof)
                .map_err(|_| NotCosigned::Inconsistent)?;
        }
        // The note's own text, extension lines and all.
        let note = Note::read(self.checkpoint.as_bytes()).map_err(|_| NotCosigned::Forbidden)?;
        Ok((head, witness.sign(note.text(), now)))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::tlog::{
        merkle::{Frontier, Subtree, consistency_proof, leaf_hash, root},
        note::{self, KeyKind, VerifierKey},
    };

    fn key(seed: u8, name: &str, kind: KeyKind) -> NoteKey {
        NoteKey::new(name, kind, SigningKey::from_bytes(&[seed; 32])).unwrap()
    }

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn head(leaves: &[Digest]) -> (u64, Digest) {
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        (tree.size(), tree.root())
    }

    fn proof(old: u64, leaves: &[Digest]) -> Vec<Digest> {
        let mut read = |Subtree { level, index }| -> Result<Digest, std::convert::Infallible> {
            let start = (index << level) as usize;
            Ok(head(&leaves[start..start + (1 << level)]).1)
        };
        assert_eq!(root(leaves.len() as u64, &mut read), Ok(head(leaves).1));
        let Ok(proof) = consistency_proof(old, leaves.len() as u64, &mut read);
        proof
    }

    #[test]
    fn a_witness_cosigns_what_continues_and_says_with_the_right_status_why_not() {
        let (log, witness) = (key(1, "log", KeyKind::Signer), key(2, "w", KeyKind::Cosigner));
        let logs = LogPolicy::of_logs(vec![log.verifier()]);
        let leaves = leaves(20);
        let signed = |by: &NoteKey, origin: &str, (size, root): (u64, Digest)| {
            let text = Checkpoint { origin: origin.into(), size, root }.to_text();
            note::write(&text, &[by.sign(&text, 0)])
        };
        let ask = |old, proof: Vec<Digest>, checkpoint: String, last| {
            let request = AddCheckpoint { old, proof, checkpoint };
            let request = AddCheckpoint::from_text(&request.to_text()).unwrap();
            request.cosign(&logs, last, &witness, 77).map_err(|not| not.status())
        };
        let (seven, all) = (head(&leaves[..7]), head(&leaves));
        let (first, line) = ask(0, vec![], signed(&log, "log", seven), None).unwrap();
        assert_eq!(first.size, 7);
        let note = signed(&log, "log", seven) + &line;
        let keys: [VerifierKey; 2] = [log.verifier(), witness.verifier()];
        let signers = Note::read(note.as_bytes()).unwrap().verify(&keys).unwrap();
        assert_eq!(signers, [(0, None), (1, Some(77))]);

        let grown = || signed(&log, "log", all);
        assert!(ask(7, proof(7, &leaves), grown(), Some(seven)).is_ok());
        assert!(ask(20, vec![], grown(), Some(all)).is_ok(), "the same again");
        assert_eq!(ask(0, vec![], grown(), Some(seven)), Err(409));
        assert_eq!(ask(7, vec![], grown(), Some(seven)), Err(422));
        assert_eq!(ask(0, proof(7, &leaves), grown(), None), Err(422));
        assert_eq!(ask(20, vec![], signed(&log, "log", (20, seven.1)), Some(all)), Err(422));
        assert_eq!(ask(21, vec![], grown(), Some(all)), Err(400));
        assert_eq!(ask(0, vec![], signed(&log, "other", seven), None), Err(404));
        let forger = key(3, "log", KeyKind::Signer);
        assert_eq!(ask(0, vec![], signed(&forger, "log", seven), None), Err(403));
        assert_eq!(ask(0, vec![], "no note".to_owned(), None), Err(400));
        for bad in ["", "old 07\n\nx", "old 7\nAAAA\n\nx", "new 7\n\nx", "old 7\nx"] {
            assert!(AddCheckpoint::from_text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_specifications_request_reads_back() {
        let text = "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
            jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
            /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\nexample.com/behind-the-sofa\n20852163\n\
            CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa \
            Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let request = AddCheckpoint::from_text(text).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert_eq!(request.origin().unwrap(), "example.com/behind-the-sofa");
        assert_eq!(request.to_text(), text);
    }
}
