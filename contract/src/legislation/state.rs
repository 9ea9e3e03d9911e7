//! The life of a policy on a channel: how far it is enforced, whatever it says of itself.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::manifest::Enforcement;

/// How far a policy is enforced. What it says itself (ENFORCEMENT) holds up to here and not beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Compiled and tested, and not in the release.
    Draft,
    /// At most AUDIT_ONLY.
    AuditOnly,
    /// At most ADVISORY.
    Advisory,
    /// As it says itself: the state of every policy that was never moved.
    Blocking,
    /// Not in the release any more, for good.
    Retired,
}

/// The states of the policies that are held back, by their names: every one that is not [`State::Blocking`].
pub type States = BTreeMap<String, State>;

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The policy.
    pub policy: String,
    /// The state that it had.
    pub from: State,
    /// The state that it has from now on.
    pub to: State,
}

/// A text that is none of the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a state is draft, audit-only, advisory, blocking or retired")]
pub struct NotAState;

impl State {
    /// All of them, in the order of a policy's life.
    pub const ALL: [Self; 5] =
        [Self::Draft, Self::AuditOnly, Self::Advisory, Self::Blocking, Self::Retired];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::AuditOnly => "audit-only",
            Self::Advisory => "advisory",
            Self::Blocking => "blocking",
            Self::Retired => "retired",
        }
    }

    /// What becomes of a policy that says `written`; `None` if it is not in the release.
    #[must_use]
    pub fn cap(self, written: Enforcement) -> Option<Enforcement> {
        // The least enforced stands last.
        match self {
            Self::Draft | Self::Retired => None,
            Self::AuditOnly => Some(written.max(Enforcement::AuditOnly)),
            Self::Advisory => Some(written.max(Enforcement::Advisory)),
            Self::Blocking => Some(written),
        }
    }

    /// Whether a policy may be moved from this state to `to`: forwards and backwards, but never out of retirement.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        self != Self::Retired && self != to
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(NotAState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_never_makes_a_policy_stricter_than_it_says() {
        let all = [Enforcement::Blocking, Enforcement::Advisory, Enforcement::AuditOnly];
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            for written in all {
                match state.cap(written) {
                    Some(capped) => assert!(capped >= written, "{state} {written:?}"),
                    None => assert!(matches!(state, State::Draft | State::Retired)),
                }
            }
        }
        assert_eq!(State::Advisory.cap(Enforcement::Blocking), Some(Enforcement::Advisory));
        assert_eq!(State::Advisory.cap(Enforcement::AuditOnly), Some(Enforcement::AuditOnly));
        assert_eq!(State::AuditOnly.cap(Enforcement::Blocking), Some(Enforcement::AuditOnly));
        assert_eq!("Blocking".parse::<State>(), Err(NotAState));
    }

    #[test]
    fn nothing_comes_back_from_retirement() {
        for to in State::ALL {
            assert!(!State::Retired.may_become(to));
            assert_eq!(State::Blocking.may_become(to), to != State::Blocking);
        }
    }
}
