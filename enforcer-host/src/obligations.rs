//! What policies oblige to, carried out on a JSON body: MASK, REDACT and HASH. It needs no clock, no network and no
//! operating system, so that every point where answers leave can use it.
//!
//! The attribute is looked for from the body's root; a `response.body.` before its path is left out. Nested objects and
//! dotted keys are the same, as in requests. Arrays are walked, at the root too: what stands in them is done to each of
//! their elements. A member that stands twice is done twice, since nobody knows which of the two its reader takes. All
//! else stays byte for byte: nothing is put in another order, and no number is written anew.
//!
//! | | text | number | `null` | true, false, object |
//! |---|---|---|---|---|
//! | MASK WITH LAST(n) | `*` for each character but the last n; for all if it has no more than n | its text, masked | stays | left out |
//! | HASH | `sha256:` and the digest of its UTF-8 in hexadecimal | of its JSON | stays | of its JSON |
//! | REDACT | left out | left out | left out | left out |
//!
//! What is left out is a member of an object with its name, and `null` in an array or as the whole body. Of two policies
//! that want different things of one attribute the stricter is done: the mask that shows less, else it is left out.
//!
//! A digest hides nothing that can be guessed: whoever knows what the values may be can hash them all.

use std::borrow::Cow;

use aecp_contract::{digest::Digest, manifest::Action};
use serde_json::value::RawValue;

mod rewrite;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

use rewrite::Rewriter;

/// The most bytes of a body, before and after.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// The most objects and arrays around an attribute.
const MAX_DEPTH: usize = 64;

/// Why obligations cannot be carried out. What they are about is denied then
/// ([`Reason::ObligationUnsupported`](crate::Reason::ObligationUnsupported)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfulfilled {
    /// FILTER and LIMIT are not for bodies.
    #[error("a policy obliges to FILTER or LIMIT, which cannot be done to a body")]
    NotOfBodies,
    /// The attribute is of the answer, but not of its body.
    #[error("a policy obliges to change `response.…` outside `response.body`")]
    OutsideBody,
    /// The body is not JSON.
    #[error("the body to be changed is no JSON")]
    NotJson,
    /// More than [`MAX_BODY_BYTES`], or than 64 objects and arrays around the attribute.
    #[error("the body to be changed is too large or too deep")]
    TooLarge,
}

/// Whether it is something that [`carry_out`] does to bodies.
#[must_use]
pub fn is_of_bodies(action: &Action) -> bool {
    matches!(action, Action::Mask { .. } | Action::Redact { .. } | Action::Hash { .. })
}

/// The body with these obligations carried out; the body itself if there are none, whatever it is.
///
/// # Errors
/// [`Unfulfilled`].
pub fn carry_out<'a, 'b>(
    actions: impl IntoIterator<Item = &'a Action>,
    body: &'b [u8],
) -> Result<Cow<'b, [u8]>, Unfulfilled> {
    let actions = actions.into_iter().map(Obligation::of).collect::<Result<Vec<_>, _>>()?;
    if actions.is_empty() {
        return Ok(Cow::Borrowed(body));
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(Unfulfilled::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| Unfulfilled::NotJson)?;
    let root: &RawValue = serde_json::from_str(text).map_err(|_| Unfulfilled::NotJson)?;
    let mut rewriter = Rewriter::new(text);
    let goals: Vec<Goal<'_>> =
        actions.iter().map(|Obligation { path, change }| Goal { rest: path, change: *change }).collect();
    rewriter.element(root, &goals, 0)?;
    rewriter.finish()
}

/// What is done to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// So many characters stay.
    Mask(u32),
    Redact,
    Hash,
}

impl Change {
    /// What does both.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Mask(one), Self::Mask(other)) => Self::Mask(one.min(other)),
            (Self::Hash, Self::Hash) => Self::Hash,
            _ => Self::Redact,
        }
    }
}

/// An obligation with its attribute's path, from the body's root.
struct Obligation<'a> {
    path: Vec<&'a str>,
    change: Change,
}

impl<'a> Obligation<'a> {
    fn of(action: &'a Action) -> Result<Self, Unfulfilled> {
        let (attribute, change) = match action {
            Action::Mask { attribute, last } => (attribute, Change::Mask(*last)),
            Action::Redact { attribute } => (attribute, Change::Redact),
            Action::Hash { attribute } => (attribute, Change::Hash),
            Action::Filter { .. } | Action::Limit { .. } => return Err(Unfulfilled::NotOfBodies),
        };
        let path: Vec<&str> = attribute.split('.').collect();
        let path = match path.as_slice() {
            ["response", "body", rest @ ..] => rest.to_vec(),
            ["response", ..] => return Err(Unfulfilled::OutsideBody),
            _ => path,
        };
        Ok(Self { path, change })
    }
}

/// What is to be done further inside: the names that still lead there. None are left where it is to be done.
#[derive(Clone, Copy)]
struct Goal<'p> {
    rest: &'p [&'p str],
    change: Change,
}

impl<'p> Goal<'p> {
    /// The goal as it is behind a member's name, which may be dotted; `None` if that leads elsewhere.
    fn behind(self, name: &str) -> Option<Self> {
        let mut rest = self.rest;
        for part in name.split('.') {
            let (next, others) = rest.split_first()?;
            if *next != part {
                return None;
            }
            rest = others;
        }
        Some(Self { rest, ..self })
    }
}

/// What becomes of a value.
enum Fate {
    Stays,
    /// This JSON stands in its place.
    Becomes(String),
    LeftOut,
    /// What is in it may change: the change of each element, if it is an array of what is to be changed.
    IsWalked(Option<Change>),
}

impl Fate {
    fn of(value: &str, goals: &[Goal<'_>]) -> Self {
        let here = goals.iter().filter(|goal| goal.rest.is_empty()).map(|goal| goal.change);
        let change = here.reduce(Change::and);
        match (change, value.as_bytes().first()) {
            (Some(Change::Redact), _) => Self::LeftOut,
            (_, Some(b'[')) | (None, Some(b'{')) => Self::IsWalked(change),
            (None, _) | (_, Some(b'n')) => Self::Stays,
            (Some(Change::Mask(last)), Some(b'"')) => match decoded(value) {
                Some(text) => Self::Becomes(masked(&text, last)),
                None => Self::LeftOut,
            },
            (Some(Change::Mask(last)), Some(b'-' | b'0'..=b'9')) => Self::Becomes(masked(value, last)),
            (Some(Change::Mask(_)), _) => Self::LeftOut,
            (Some(Change::Hash), _) => {
                let text = decoded(value);
                let digest = Digest::of(text.as_deref().unwrap_or(value).as_bytes());
                Self::Becomes(format!("\"sha256:{digest}\""))
            }
        }
    }
}

/// What a JSON string says; `None` if it is none, or has half a surrogate pair and so is no text.
fn decoded(json: &str) -> Option<Cow<'_, str>> {
    if let Some(inside) = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'))
        && !inside.contains('\\')
    {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str::<String>(json).ok().map(Cow::Owned)
}

/// The JSON string of a text of which only the last characters are shown, or none if there are no more than these.
fn masked(text: &str, last: u32) -> String {
    let count = text.chars().count();
    let hidden = count.checked_sub(last as usize).filter(|hidden| *hidden > 0).unwrap_or(count);
    let masked: String =
        text.chars().enumerate().map(|(at, char)| if at < hidden { '*' } else { char }).collect();
    serde_json::Value::String(masked).to_string()
}
