//! Why a release, root or module was refused: one constant code each, for logs, metrics and scripts.

use std::fmt;

/// A refusal: a constant [`Code`] and what exactly was wrong, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The constant code.
    pub code: Code,
    /// What was expected and what was found; never holds secrets.
    pub detail: String,
}

impl Refusal {
    /// A refusal with this code and detail.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The constant codes. They never change their meaning; new ones may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as logs, metrics and JSON show it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    /// A key that the root names signed something else than this.
    BadSignature = "bad_signature",
    /// No signature is by a key that the trust root gives this role.
    UnknownKey = "unknown_key",
    /// Good signatures, but by too few distinct keys.
    ThresholdNotMet = "threshold_not_met",
    /// The serial is lower than one already seen, or the same serial has other contents.
    SerialReplayed = "serial_replayed",
    /// The release is past its expiry: the store may be frozen.
    Expired = "expired",
    /// The release was issued in the future: one of the clocks is wrong.
    NotYetValid = "not_yet_valid",
    /// The bytes are not the ones that were named.
    DigestMismatch = "digest_mismatch",
    /// The object ends too early.
    Truncated = "truncated",
    /// The object is larger than its limit.
    TooLarge = "too_large",
    /// The bytes are not what the format asks for.
    Malformed = "malformed",
    /// A release of another channel.
    WrongChannel = "wrong_channel",
    /// The trust root in the store is not the pinned one nor its successor.
    RootMismatch = "root_mismatch",
    /// The channel's history is not the one that its releases name, or is not one chain.
    HistoryBroken = "history_broken",
    /// The module or manifest is of a calling convention that this host does not know.
    UnsupportedAbi = "unsupported_abi",
    /// The WebAssembly module is invalid or not of the shape that the contract asks for.
    InvalidModule = "invalid_module",
    /// The object is not in the store.
    NotFound = "not_found",
    /// The store did not answer.
    StoreUnavailable = "store_unavailable",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
