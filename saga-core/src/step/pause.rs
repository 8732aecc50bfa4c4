//! Pauses of sagas and handlers.

use crate::message::Timestamp;

/// A saga or a handler that an operator has paused (rule [R37](crate::rules#r37)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The paused saga or handler.
    pub of: PauseOf,
    /// The operator.
    pub who: String,
    /// The reason that the operator gave. May be empty.
    pub why: String,
    /// The time of the pause.
    pub at: Timestamp,
}

/// The object of a pause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseOf {
    /// All instances of the saga with this stored name.
    Saga(String),
    /// The handler of the command with this stored name, or the subscriber with this name.
    Handler(String),
}

impl PauseOf {
    /// Returns the stored word of the kind: `saga` or `handler`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Saga(_) => "saga",
            Self::Handler(_) => "handler",
        }
    }

    /// Returns the stored name of the saga, the command or the subscriber.
    pub fn name(&self) -> &str {
        match self {
            Self::Saga(name) | Self::Handler(name) => name,
        }
    }

    /// Reads the stored form. `None` for an unknown kind.
    pub fn from_stored(kind: &str, name: impl Into<String>) -> Option<Self> {
        match kind {
            "saga" => Some(Self::Saga(name.into())),
            "handler" => Some(Self::Handler(name.into())),
            _ => None,
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
