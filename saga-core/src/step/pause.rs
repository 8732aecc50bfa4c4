//! Pauses of sagas and handlers, and retired consumers.

use crate::message::Timestamp;

/// A saga or a handler that an operator has paused (rule [R37](crate::rules#r37)), or a consumer that an operator has
/// retired (rule [R28](crate::rules#r28)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The paused saga or handler, or the retired consumer.
    pub of: PauseOf,
    /// The operator.
    pub who: String,
    /// The reason that the operator gave. May be empty.
    pub why: String,
    /// The time of the decision.
    pub at: Timestamp,
}

impl Pause {
    /// Returns whether this pause retires the consumer with this name.
    pub fn retires(&self, consumer: &str) -> bool {
        matches!(&self.of, PauseOf::Consumer(name) if name == consumer)
    }
}

/// The object of a pause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseOf {
    /// All instances of the saga with this stored name.
    Saga(String),
    /// The handler of the command with this stored name, or the subscriber with this name.
    Handler(String),
    /// A consumer that no release has any more: a saga by its stored name, or a subscriber. Its pause retires it. No event
    /// is recorded for it, and its waiting events become dead letters. The start of a release that has the consumer ends
    /// the pause.
    Consumer(String),
}

impl PauseOf {
    /// Returns the stored word of the kind: `saga`, `handler` or `consumer`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Saga(_) => "saga",
            Self::Handler(_) => "handler",
            Self::Consumer(_) => "consumer",
        }
    }

    /// Returns the stored name of the saga, the command, the subscriber or the consumer.
    pub fn name(&self) -> &str {
        match self {
            Self::Saga(name) | Self::Handler(name) | Self::Consumer(name) => name,
        }
    }

    /// Reads the stored form. `None` for an unknown kind.
    pub fn from_stored(kind: &str, name: impl Into<String>) -> Option<Self> {
        match kind {
            "saga" => Some(Self::Saga(name.into())),
            "handler" => Some(Self::Handler(name.into())),
            "consumer" => Some(Self::Consumer(name.into())),
            _ => None,
        }
    }

    /// Returns the state of a paused object in words: `paused`, or `retired` for a consumer.
    pub const fn state(&self) -> &'static str {
        match self {
            Self::Saga(_) | Self::Handler(_) => "paused",
            Self::Consumer(_) => "retired",
        }
    }
}

/// Writes the kind and the name, such as "saga `order`".
impl std::fmt::Display for PauseOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} `{}`", self.kind(), self.name())
    }
}

/// A change of the pauses in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PauseChange {
    /// Pauses. An existing pause of the same object stays as it is.
    Pause(Pause),
    /// Ends the pause. Without a pause nothing changes.
    Resume(PauseOf),
}
