//! The row of an instance, its aliases, and the lines of its history.

use super::HistoryKind;
use super::{Address, Labels, Obligation, RowId, Task, TimerRow};
use crate::message::{Alias, Id, Incarnation, Key, Name, Payload, Timestamp, TraceContext};

/// The instance row after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceChange {
    /// Saga and key. Fixed at creation.
    pub address: Address,
    /// The incarnation of the instance. Fixed at creation.
    pub incarnation: Incarnation,
    /// The time of the creation. Fixed at creation.
    pub created_at: Timestamp,
    /// The number of the step. The first step has 1. Each later step has the `seq` of the row plus 1.
    pub seq: u64,
    /// The id of the step. A step sent twice is recognised by this id (rule [R32](crate::rules#r32)).
    pub step: Id,
    /// The version of the saga that wrote the row.
    pub version: u32,
    /// The status of the instance.
    pub status: Status,
    /// The stored name of the state.
    pub state: Name,
    /// The payload of the state. `None` for a state without payload.
    pub payload: Option<Payload>,
    /// The data of the instance, kept in all states.
    pub data: Payload,
    /// The labels of the data, for searches.
    pub labels: Labels,
    /// The number of the visit. The first visit has 1.
    pub visit: u32,
    /// The stored cause of the current compensation. Only the machine reads the content.
    pub turn: Option<Payload>,
    /// The reason of the park. `None` if the instance is not parked. Only the machine and [`Parked`](super::Parked)
    /// read the content.
    pub parked: Option<Payload>,
    /// The events received so far for the `when_all` sets of the state. Only the machine reads the content.
    pub joined: Option<Payload>,
    /// The parent of the instance, and the ends of its children so far. Only the machine reads the content.
    pub family: Option<Payload>,
    /// The trace context of the last step that had one. Timers and undos continue it.
    pub trace: Option<TraceContext>,
    /// The time of this step.
    pub changed_at: Timestamp,
}

/// The status of an instance. Parked is not a status. A running or compensating instance can be parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// In a state that accepts events.
    Running,
    /// Between turn and arrival.
    Compensating,
    /// Ended in a `#[terminal]` state.
    Completed,
    /// Ended in a `#[terminal(failure)]` state.
    Failed,
    /// Ended by an abort, without a state for the abort.
    Aborted,
}

impl Status {
    /// Returns the stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }

    /// Parses the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Compensating, Self::Completed, Self::Failed, Self::Aborted]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Returns whether the instance has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }
}

impl InstanceChange {
    /// Returns the key of the instance.
    ///
    /// # Panics
    /// If the address is an alias. An instance is always stored under its key.
    pub fn key(&self) -> Key {
        self.address.key.as_key().expect("an instance is stored under its key")
    }
}

/// One line in the history of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// The kind of the line.
    pub kind: HistoryKind,
    /// The time of the line.
    pub at: Timestamp,
    /// The name of the event, command, timer or verb. Empty for a line without a name.
    pub name: Name,
    /// The payload of the event, command, timer or verb.
    pub payload: Option<Payload>,
    /// The state before. Empty at the start.
    pub from: Name,
    /// The state after.
    pub to: Name,
    /// The cause: the message id, or the operator.
    pub cause: Option<Name>,
    /// A note for people.
    pub note: Option<Name>,
}

/// A change to the aliases of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasChange {
    /// Claims the alias. Claiming an alias again is not an error for its holder.
    Claim(Alias),
    /// Releases the alias. An alias held by no instance or by another instance is not an error.
    Release(Alias),
}

/// An instance with all its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The row number of the instance.
    pub row: RowId,
    /// The instance row after its last step.
    pub instance: InstanceChange,
    /// The open tasks, ordered by id.
    pub tasks: Vec<Task>,
    /// The timers, ordered by name.
    pub timers: Vec<TimerRow>,
    /// The obligations, oldest first.
    pub obligations: Vec<Obligation>,
    /// The claimed aliases, ordered by text.
    pub aliases: Vec<Alias>,
}
