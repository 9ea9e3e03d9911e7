//! Decisions on answers, at the point of enforcement EGRESS: what policies ask of an answer, and how its body is read. A
//! request there has all the attributes that it had when it came in, and `response.…` beside them.

use aecp_contract::{manifest::Point, request::RequestError, slots::SlotBuffer};
use serde_json::value::RawValue;

use crate::policy::PolicyPre;

/// The attribute that an answer's body is.
const BODY: &str = "response.body";

impl PolicyPre {
    /// Whether the policies look at this attribute or at one below it.
    #[must_use]
    pub fn asks_for(&self, name: &str) -> bool {
        self.below(name).next().is_some()
    }

    /// Whether answers are to be decided: the policies look at them, or at where a request is decided. Where they do
    /// neither, an answer would be decided as its request was.
    #[must_use]
    pub fn asks_for_answers(&self) -> bool {
        self.attributes().asks_for_point() || self.asks_for("response")
    }

    /// Whether the policies look at answers' bodies.
    #[must_use]
    pub fn asks_for_answer_bodies(&self) -> bool {
        self.asks_for(BODY)
    }

    /// Reads the body of an answer into slots that hold its request. What is no JSON is there but unusable: policies that
    /// look at it are in doubt. `None` stands for what could not even be decoded.
    ///
    /// # Errors
    /// [`RequestError::TooLarge`].
    pub fn add_answer_body(
        &self,
        body: Option<&[u8]>,
        slots: &mut SlotBuffer,
    ) -> Result<(), RequestError> {
        if !self.asks_for_answer_bodies() {
            return Ok(());
        }
        match body {
            Some(body) if serde_json::from_slice::<&RawValue>(body).is_ok() => {
                self.attributes().add_json(BODY, body, slots)
            }
            _ => {
                self.below(BODY).for_each(|slot| slots.set_invalid(slot));
                Ok(())
            }
        }
    }

    /// Says that the request in these slots is decided at EGRESS, whatever point the host stands at otherwise.
    ///
    /// # Errors
    /// [`RequestError::TooLarge`].
    pub fn set_egress(&self, slots: &mut SlotBuffer) -> Result<(), RequestError> {
        Ok(self.attributes().fill_in(Some(Point::Egress), crate::now, slots)?)
    }

    /// The slots of an attribute and of those below it.
    fn below(&self, name: &str) -> impl Iterator<Item = usize> {
        let is_below = move |path: &str| {
            path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let attributes = self.manifest().attributes.iter().enumerate();
        attributes.filter(move |(_, declared)| is_below(&declared.path)).map(|(slot, _)| slot)
    }
}
