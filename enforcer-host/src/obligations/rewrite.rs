//! One pass over a body, which copies what stays and writes what changes.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Change, Fate, Goal, MAX_BODY_BYTES, MAX_DEPTH, Unfulfilled, decoded};

/// Writes the body anew as far as it changes, from the front to the back.
pub(super) struct Rewriter<'b> {
    text: &'b str,
    /// So much of the text is in `out`, changed or not.
    copied: usize,
    out: Vec<u8>,
    /// What ended it early.
    stopped: Option<Unfulfilled>,
}

impl<'b> Rewriter<'b> {
    pub(super) fn new(text: &'b str) -> Self {
        Self { text, copied: 0, out: Vec::new(), stopped: None }
    }

    /// The body as it is now.
    pub(super) fn finish(mut self) -> Result<Cow<'b, [u8]>, Unfulfilled> {
        if self.copied == 0 {
            return Ok(Cow::Borrowed(self.text.as_bytes()));
        }
        self.replace(self.text.len(), self.text.len(), "")?;
        Ok(Cow::Owned(self.out))
    }

    /// Puts JSON in the place of what stands there.
    fn replace(&mut self, start: usize, end: usize, json: &str) -> Result<(), Unfulfilled> {
        self.out.extend_from_slice(&self.text.as_bytes()[self.copied..start]);
        self.out.extend_from_slice(json.as_bytes());
        self.copied = end;
        if self.out.len() > MAX_BODY_BYTES { Err(Unfulfilled::TooLarge) } else { Ok(()) }
    }

    /// Where a part of the text starts and ends in it.
    fn place(&self, part: &RawValue) -> (usize, usize) {
        let start = (part.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        (start, start + part.get().len())
    }

    /// Does what is to be done to a value that no name goes with: what is left out is `null`.
    pub(super) fn element(
        &mut self,
        value: &'b RawValue,
        goals: &[Goal<'_>],
        depth: usize,
    ) -> Result<(), Unfulfilled> {
        let (start, end) = self.place(value);
        match Fate::of(value.get(), goals) {
            Fate::Stays => Ok(()),
            Fate::Becomes(json) => self.replace(start, end, &json),
            Fate::LeftOut => self.replace(start, end, "null"),
            Fate::IsWalked(change) => self.walk(value, change, goals, depth),
        }
    }

    /// Does what is to be done inside an object or array.
    fn walk(
        &mut self,
        value: &'b RawValue,
        change: Option<Change>,
        goals: &[Goal<'_>],
        depth: usize,
    ) -> Result<(), Unfulfilled> {
        if depth == MAX_DEPTH {
            return Err(Unfulfilled::TooLarge);
        }
        let each = change.map(|change| Goal { rest: &[], change });
        let goals = each.as_ref().map_or(goals, std::slice::from_ref);
        let inside = Inside { rewriter: self, goals, depth: depth + 1 };
        let mut json = serde_json::Deserializer::from_str(value.get());
        let walked = match value.get().as_bytes().first() {
            Some(b'{') => json.deserialize_map(inside),
            _ => json.deserialize_seq(inside),
        };
        walked.map_err(|_| self.stopped.unwrap_or(Unfulfilled::NotJson))
    }

    /// The result as an error of serde's, which cannot carry ours.
    fn carried<E: serde::de::Error>(&mut self, done: Result<(), Unfulfilled>) -> Result<(), E> {
        done.map_err(|unfulfilled| {
            self.stopped = Some(unfulfilled);
            E::custom(unfulfilled)
        })
    }
}

/// The members or elements of a value, as they come.
struct Inside<'r, 'b, 'p> {
    rewriter: &'r mut Rewriter<'b>,
    goals: &'p [Goal<'p>],
    depth: usize,
}

impl<'b> Visitor<'b> for Inside<'_, 'b, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or array")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&'b RawValue>()? {
            let done = self.rewriter.element(element, self.goals, self.depth);
            self.rewriter.carried(done)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'b>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut remover = Remover::default();
        while let Some((name, value)) = members.next_entry::<&'b RawValue, &'b RawValue>()? {
            let done = self.member(name, value, &mut remover);
            self.rewriter.carried(done)?;
        }
        let done = remover.end(self.rewriter);
        self.rewriter.carried(done)
    }
}

impl<'b> Inside<'_, 'b, '_> {
    fn member(
        &mut self,
        name: &'b RawValue,
        value: &'b RawValue,
        remover: &mut Remover,
    ) -> Result<(), Unfulfilled> {
        // A name that is no text is that of no attribute.
        let goals: Vec<Goal<'_>> = match decoded(name.get()) {
            Some(name) => self.goals.iter().filter_map(|goal| goal.behind(&name)).collect(),
            None => Vec::new(),
        };
        let fate = Fate::of(value.get(), &goals);
        let ((start, _), (value_start, end)) = (self.rewriter.place(name), self.rewriter.place(value));
        let stays = !matches!(fate, Fate::LeftOut);
        remover.next(self.rewriter, start, end, stays)?;
        match fate {
            Fate::Stays | Fate::LeftOut => Ok(()),
            Fate::Becomes(json) => self.rewriter.replace(value_start, end, &json),
            Fate::IsWalked(_) if goals.is_empty() => Ok(()),
            Fate::IsWalked(change) => self.rewriter.walk(value, change, &goals, self.depth),
        }
    }
}

/// Takes members out of an object, each with the comma that goes with it.
#[derive(Default)]
struct Remover {
    /// Where the last member ended, if any stayed so far.
    stayed: Option<usize>,
    /// Where the first member started and the last one ended, if none stayed so far.
    removed: Option<(usize, usize)>,
}

impl Remover {
    /// The next member, which stays or is taken out.
    fn next(
        &mut self,
        rewriter: &mut Rewriter<'_>,
        start: usize,
        end: usize,
        stays: bool,
    ) -> Result<(), Unfulfilled> {
        match (self.stayed, stays) {
            (Some(last), false) => rewriter.replace(last, end, "")?,
            (None, false) => {
                let first = self.removed.map_or(start, |(first, _)| first);
                self.removed = Some((first, end));
                return Ok(());
            }
            (None, true) => {
                if let Some((first, _)) = self.removed.take() {
                    rewriter.replace(first, start, "")?;
                }
            }
            (Some(_), true) => {}
        }
        self.stayed = Some(end);
        Ok(())
    }

    /// The object ends.
    fn end(self, rewriter: &mut Rewriter<'_>) -> Result<(), Unfulfilled> {
        match self.removed {
            Some((start, end)) => rewriter.replace(start, end, ""),
            None => Ok(()),
        }
    }
}
