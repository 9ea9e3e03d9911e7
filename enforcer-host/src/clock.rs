//! The one place where this crate reads the clock of the wall.

use std::time::{SystemTime, UNIX_EPOCH};

use aecp_contract::value::Timestamp;

/// The current time. A clock before 1970 reads as 1970, where no release is valid yet.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}
