//! Transparency logs as C2SP specifies them: what an enforcer's record of decisions is written in, and what an auditor
//! checks it with, offline and trusting nobody but a public key.
//!
//! - [`merkle`]: the tree's hashes and proofs (RFC 6962, section 2.1)
//! - [`tile`]: how the tree and its entries are cut into files (<https://c2sp.org/tlog-tiles>)
//! - [`edge`]: what a writer keeps of the tree to go on
//! - [`note`]: signed texts and verifier keys (<https://c2sp.org/signed-note>), the cosignatures of witnesses among the
//!   signatures (<https://c2sp.org/tlog-cosignature>)
//! - [`checkpoint`]: the signed head of a tree (<https://c2sp.org/tlog-checkpoint>)
//! - [`witness`]: those who see to it that there is one history (<https://c2sp.org/tlog-witness>)
//! - [`policy`]: which logs and witnesses are trusted (<https://c2sp.org/tlog-policy>)
//! - [`proof`]: that one entry is in a log, in one small file (<https://c2sp.org/tlog-proof>)

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::digest::Digest;

pub mod checkpoint;
pub mod edge;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod witness;

/// Something of a log is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogError {
    /// The bytes are not of the format.
    #[error("{what} cannot be read: {why}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A key that is known by its name and id did not make this signature.
    #[error("the signature of `{0}` is not good")]
    BadSignature(String),
    /// No signature is by a key that is trusted.
    #[error("no trusted key signed {0}")]
    NotSigned(&'static str),
    /// The witnesses that must have seen a checkpoint have not all cosigned it.
    #[error("the witnesses that the policy asks for have not cosigned (quorum `{0}`)")]
    NoQuorum(String),
    /// The hashes do not come to the root that was signed.
    #[error("{0} does not lead to the root that was signed")]
    WrongRoot(&'static str),
}

impl TlogError {
    pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { what, why: why.into() }
    }
}

/// A decimal number without leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A hash as one line of base64.
pub(crate) fn hash_line(line: &str) -> Option<Digest> {
    let bytes: [u8; 32] = STANDARD.decode(line).ok()?.try_into().ok()?;
    Some(bytes.into())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
