//! What is known of an invocation while the function has it.

use std::{borrow::Cow, sync::Arc};

use aecp_enforcer::{
    Decided, PolicyPre,
    enforcer::Snapshot,
    obligations::{self, Unfulfilled},
    record::{Answer, RequestContext},
};
use bytes::Bytes;

use crate::{
    denial::{Denial, Why},
    event::Event,
};

/// What is known of an invocation that the function has, until it answers. All of an invocation is decided by the release
/// that it began with.
pub(crate) struct InHand {
    pub(crate) context: RequestContext,
    pub(crate) event: Bytes,
    pub(crate) function: String,
    pub(crate) snapshot: Snapshot,
    /// Which requests of the event the function has.
    pub(crate) requests: Vec<usize>,
    /// What was decided of them with something left to be done.
    pub(crate) due: Vec<Way>,
    /// The ids of the messages that it has not: its answer is to name them as failed.
    pub(crate) failed: Vec<String>,
}

impl InHand {
    /// The policies, if they are asked about the answer.
    pub(crate) fn asking(&self) -> Option<&Arc<PolicyPre>> {
        self.snapshot.set().filter(|set| set.asks_for_answers())
    }

    /// Whether the answer is more than the rest of a batch.
    pub(crate) fn is_looked_at(&self) -> bool {
        !self.due.is_empty() || self.asking().is_some()
    }

    /// Whether the answer's body is needed before anything of it may leave.
    pub(crate) fn needs_body(&self) -> bool {
        !self.due.is_empty() || self.asking().is_some_and(|set| set.asks_for_answer_bodies())
    }

    /// The denial of the answer.
    pub(crate) fn denial(&self, why: Why, is_streamed: bool) -> Denial {
        let event = Event::of(&self.event);
        if is_streamed { Denial::streamed(&event, why) } else { Denial::of(&event, why) }
    }

    /// The event that is answered.
    pub(crate) fn event(&self) -> Event<'_> {
        Event::of(&self.event)
    }

    /// Whether anything is left to be done to the answer's body, by these decisions on it or by those on the event.
    pub(crate) fn obliges(&self, ways: &[Way]) -> bool {
        self.due.iter().chain(ways).any(Way::obliges)
    }
}

/// How a request may go on.
pub(crate) enum Way {
    /// It is allowed.
    Permitted(Answer),
    /// It could not be decided or recorded, and passes all the same, as configured.
    Opened(Box<Decided>),
}

impl Way {
    pub(crate) fn decided(&self) -> &Decided {
        match self {
            Self::Permitted(answer) => answer.decided(),
            Self::Opened(decided) => decided,
        }
    }

    pub(crate) fn obliges(&self) -> bool {
        self.decided().obligations().next().is_some()
    }

    pub(crate) fn carry_out<'b>(&self, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Unfulfilled> {
        let actions = self.decided().obligations().map(|(_, action)| action);
        obligations::carry_out(actions, body)
    }
}
