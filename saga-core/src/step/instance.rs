//! The row of an instance, its aliases, and the lines of its history.

use super::{Address, Obligation, RowId, Task, TimerRow};
use crate::message::{Id, Incarnation, Key, Name, Payload, Timestamp};

/// The instance row as a step leaves it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceChange {
    /// Saga and key. Fixed at creation.
    pub address: Address,
    /// Fixed at creation.
    pub incarnation: Incarnation,
    /// When it was created. Fixed at creation.
    pub created_at: Timestamp,
    /// The step's number: one more than the row's, 1 at creation.
    pub seq: u64,
    /// The step's identity, so that the same step sent twice is recognised (rule R32).
    pub step: Id,
    /// The saga's version that wrote it.
    pub version: u32,
    /// Where it is in its life.
    pub status: Status,
    /// The stored name of the state it is in.
    pub state: Name,
    /// What the state carries.
    pub payload: Option<Payload>,
    /// What lives as long as the instance.
    pub data: Payload,
    /// The number of the visit, 1 for the first.
    pub visit: u32,
    /// The kept cause of the compensation under way, in the machine's own form.
    pub turn: Option<Payload>,
    /// Why it waits for a person, in the machine's own form.
    pub parked: Option<Payload>,
    /// Which events of its state's sets have come, in the machine's own form.
    pub joined: Option<Payload>,
    /// Whose child it is, and how its own children have ended so far, in the machine's own form.
    pub family: Option<Payload>,
    /// The time of this step.
    pub changed_at: Timestamp,
}

/// Where an instance is in its life. Parked is not a status: it overlays running and compensating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// In a state, taking events.
    Running,
    /// Between turn and arrival.
    Compensating,
    /// Ended in a `#[terminal]` state.
    Completed,
    /// Ended in a `#[terminal(failure)]` state.
    Failed,
    /// Ended by an abort, without a state for it.
    Aborted,
}

impl Status {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Compensating, Self::Completed, Self::Failed, Self::Aborted]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether the instance has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

/// One line of an instance's history.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// What kind of line, such as `applied` or `parked`.
    pub kind: Name,
    /// When.
    pub at: Timestamp,
    /// The event, command, timer or verb it is about; empty when it is about none.
    pub name: Name,
    /// Its payload.
    pub payload: Option<Payload>,
    /// The state before; empty at the start.
    pub from: Name,
    /// The state after.
    pub to: Name,
    /// Why: the message id of the cause, or who did it.
    pub cause: Option<Name>,
    /// Anything a person should know.
    pub note: Option<Name>,
}

/// A change to the aliases of the step's instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasChange {
    /// Claims it. One that the instance holds already is not an error.
    Claim(Key),
    /// Gives it up. One that the instance does not hold is not an error.
    Release(Key),
}

/// An instance with everything that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its row.
    pub row: RowId,
    /// As its last step left it.
    pub instance: InstanceChange,
    /// Its open tasks, by id.
    pub tasks: Vec<Task>,
    /// Its timers, by name.
    pub timers: Vec<TimerRow>,
    /// What it owes, oldest first.
    pub obligations: Vec<Obligation>,
    /// The aliases it has claimed, in order of their text.
    pub aliases: Vec<Key>,
}
