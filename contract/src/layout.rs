//! The keys of objects in a store, the same on every cloud and in a local folder.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The name of a channel or set: 1 to 63 of `a-z 0-9 - _ .`, starting with a letter or digit, so that it is
/// one plain path segment in every store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

/// The text is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 63 characters of `a-z 0-9 - _ .`, starting with a letter or digit")]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let valid = text.len() <= 63
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|b| plain(b) || b"-_.".contains(&b));
        if valid { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

/// An artifact: `blobs/sha256/<hex>`.
#[must_use]
pub fn blob(digest: Digest) -> String {
    format!("blobs/sha256/{digest}")
}

/// A signed release, never changed: `releases/<channel>/<serial>.json`.
#[must_use]
pub fn release(channel: &Name, serial: u64) -> String {
    format!("releases/{channel}/{serial}.json")
}

/// The newest release, the only mutable object: `channels/<channel>.json`.
#[must_use]
pub fn channel(channel: &Name) -> String {
    format!("channels/{channel}.json")
}

/// A trust root, never changed: `root/<n>.json`.
#[must_use]
pub fn root(version: u32) -> String {
    format!("root/{version}.json")
}

/// The entry of this number in a channel's history ([`crate::legislation::Entry`]); never changed once written.
#[must_use]
pub fn legislation(channel: &Name, number: u64) -> String {
    format!("legislation/{channel}/{number}.json")
}

/// Below which people upload sets for the hosted compiler: `inbox/<set>/…`.
pub const INBOX: &str = "inbox";

/// What the hosted compiler said of an upload: `reports/<set>/<upload>.<ending>`.
#[must_use]
pub fn report(set: &Name, upload: &str, ending: &str) -> String {
    format!("reports/{set}/{upload}.{ending}")
}

/// A file of an enforcer's log: `audit/<instance>/<path>`.
#[must_use]
pub fn audit(instance: &Name, path: &str) -> String {
    format!("audit/{instance}/{path}")
}

/// What opens the commitments of a bundle of 256 entries of an enforcer's log ([`crate::audit::Opening`], one a line). It
/// lies beside `audit/`, since it is there to be erased.
#[must_use]
pub fn openings(instance: &Name, bundle: u64) -> String {
    format!("openings/{instance}/{bundle}.jsonl")
}

/// The URLs of stores in a text such as the variable `AECP_STORE`: one, or several, separated by commas and white space (in a
/// URL itself those are `%2C` and `%20`).
pub fn store_urls(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_stores_are_listed_with_commas_and_white_space() {
        let urls: Vec<_> = store_urls(" s3://a/b,gs://c , az://d\n").collect();
        assert_eq!(urls, ["s3://a/b", "gs://c", "az://d"]);
        assert_eq!(store_urls(" , ").count(), 0);
    }

    #[test]
    fn names_are_one_plain_path_segment() {
        for good in ["prod", "eu-west-1", "a", "7.x_y"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "..", ".x", "a/b", "A", "ä", &"x".repeat(64)] {
            assert_eq!(bad.parse::<Name>(), Err(NotAName), "{bad}");
        }
    }
}
