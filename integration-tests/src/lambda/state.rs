//! What the two APIs and the life of the processes share.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, Config, Exits, Failure, TRACE, epoch_ms};

/// Where in its life an environment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// There is none.
    #[default]
    None,
    /// Extensions register, and the runtime starts.
    Init,
    /// An event can come.
    Ready,
    /// It ends.
    Shutdown,
}

/// An environment.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Counts the environments, so that what is left of one is not taken for the next.
    pub(super) environment: u64,
    pub(super) phase: Phase,
    /// When the first of its processes was started.
    pub(super) began: Option<Instant>,
    pub(super) extensions: Vec<Extension>,
    /// Whether the runtime waits for its next event.
    pub(super) runtime_waits: bool,
    pub(super) event: Option<Event>,
    /// The processes that ended.
    pub(super) exits: Exits,
    /// What a process said that it failed of.
    pub(super) failure: Option<Failure>,
}

/// An extension that registered.
#[derive(Debug)]
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) wants: Vec<String>,
    /// Whether it waits for its next event.
    pub(super) waits: bool,
    /// When it first did, from the environment's beginning.
    pub(super) ready: Option<Duration>,
    pub(super) events: VecDeque<Value>,
}

impl Extension {
    pub(super) fn wants(&self, event: &str) -> bool {
        self.wants.iter().any(|wanted| wanted == event)
    }
}

/// The event in hand.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) arn: String,
    pub(super) deadline: u64,
    pub(super) payload: Bytes,
    pub(super) is_given: bool,
    pub(super) answer: Option<Answer>,
}

impl State {
    /// A new environment, of which nothing is there yet.
    pub(super) fn begin(&mut self) {
        let (environment, began) = (self.environment + 1, Some(Instant::now()));
        *self = Self { environment, began, phase: Phase::Init, ..Self::default() };
    }

    /// Whether extensions of these names are registered.
    pub(super) fn are_registered<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> bool {
        names.all(|name| self.extensions.iter().any(|extension| extension.name == name))
    }

    /// Whether there is nothing left to do until the next event.
    pub(super) fn is_idle(&self) -> bool {
        let is_answered = self.event.as_ref().is_none_or(|event| event.answer.is_some());
        let wait =
            self.extensions.iter().all(|extension| extension.waits && extension.events.is_empty());
        is_answered && self.runtime_waits && wait
    }

    /// Why the environment cannot go on.
    pub(super) fn failed(&self) -> Option<Failure> {
        let exited = || {
            let (name, status) = self.exits.iter().next()?;
            Some(match name.as_str() {
                "runtime" => Failure::new("Runtime.ExitError", format!("the runtime ended: {status}")),
                name => Failure::new("Extension.Crash", format!("the extension {name} ended: {status}")),
            })
        };
        self.failure.clone().or_else(exited)
    }

    /// An event for the runtime, and INVOKE for the extensions that want it.
    pub(super) fn invoke(&mut self, request_id: &str, config: &Config, payload: Bytes) {
        let deadline = epoch_ms(config.timeout);
        for extension in self.extensions.iter_mut().filter(|extension| extension.wants("INVOKE")) {
            extension.events.push_back(json!({
                "eventType": "INVOKE", "deadlineMs": deadline, "requestId": request_id,
                "invokedFunctionArn": config.arn(),
                "tracing": { "type": "X-Amzn-Trace-Id", "value": TRACE },
            }));
        }
        self.event = Some(Event {
            request_id: request_id.to_owned(),
            arn: config.arn(),
            deadline,
            payload,
            is_given: false,
            answer: None,
        });
    }

    /// Whether an extension is told before it is killed.
    pub(super) fn wants_shutdown(&self, name: &str) -> bool {
        self.extensions.iter().any(|extension| extension.name == name && extension.wants("SHUTDOWN"))
    }

    /// SHUTDOWN for the extensions that want it.
    pub(super) fn shut_down(&mut self, reason: &str, within: Duration) {
        let deadline = epoch_ms(within);
        for extension in self.extensions.iter_mut().filter(|extension| extension.wants("SHUTDOWN")) {
            extension.events.push_back(
                json!({ "eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline }),
            );
        }
    }
}
