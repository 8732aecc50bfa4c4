//! The position of an instance, for people and programs.

use super::instance::Instance;
use super::live::decode_state;
use super::record::ParkReason;
use super::saga::Saga;
use crate::message::{Name, PayloadError, not_newer};
use crate::step::Parked;
use crate::step::{InstanceChange, Obligation, Status, Task, TaskKind};

/// The position of an instance of the saga `S`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position<S> {
    /// The instance is in this state. It takes events, or has ended there.
    In(S),
    /// The instance is between turn and arrival. It undoes its obligations, newest first.
    #[non_exhaustive]
    Compensating {
        /// The state that the instance is leaving.
        leaving: S,
        /// The stored name of the running undo.
        undoing: Option<String>,
        /// The stored name of the command, or of the child's saga, that must end before the first undo (rules R13,
        /// R21).
        waiting_for: Option<String>,
    },
    /// The instance waits for a person. Nothing is lost meanwhile.
    #[non_exhaustive]
    Parked {
        /// The present state, or the state that the instance is leaving.
        at: S,
        /// Why the instance is parked.
        reason: ParkReason,
        /// A description for the person.
        detail: String,
    },
    /// The instance was aborted, and its saga has no `on_abort(..)`.
    Aborted,
}

impl<S: Saga> Position<S> {
    /// Decodes the position from the stored record.
    pub(crate) fn read(
        record: &InstanceChange,
        tasks: &[Task],
        parked: Option<(ParkReason, String)>,
    ) -> Result<Self, PayloadError> {
        if record.status == Status::Aborted {
            return Ok(Self::Aborted);
        }
        let definition = S::definition();
        let index = definition.state(&record.state).ok_or_else(|| {
            let (name, version) = (definition.name, definition.version);
            PayloadError::Decode(format!("`{name}` v{version} has no state `{}`", record.state))
        })?;
        not_newer(record.version, definition.version)?;
        let state = decode_state::<S>(index, record.payload.as_ref(), record.version)?;
        let open =
            |kind| tasks.iter().find(|task| task.kind == kind).map(|task| task.command.name.to_string());
        Ok(match (parked, record.status) {
            (Some((reason, detail)), _) => Self::Parked { at: state, reason, detail },
            (None, Status::Compensating) => Self::Compensating {
                leaving: state,
                undoing: open(TaskKind::Undo),
                waiting_for: open(TaskKind::Command).or_else(|| open(TaskKind::Child)),
            },
            (None, _) => Self::In(state),
        })
    }

    /// The state, if the position is [`In`](Self::In).
    pub fn state(&self) -> Option<&S> {
        match self {
            Self::In(state) => Some(state),
            _ => None,
        }
    }

    /// Returns whether the instance waits for a person.
    pub fn is_parked(&self) -> bool {
        matches!(self, Self::Parked { .. })
    }
}

impl Instance {
    /// Why the instance is parked, with a description for the person.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn park_reason(&self) -> Option<(ParkReason, String)> {
        read_parked(&self.record)
    }
}

/// Why an instance is parked, with a description for the person.
pub(crate) fn read_parked(record: &InstanceChange) -> Option<(ParkReason, String)> {
    let Parked { reason, detail, .. } = Parked::from_stored(record.parked.as_ref()?, record.changed_at);
    Some((reason, detail))
}

/// The stored names of the outstanding undo commands, oldest first.
pub(crate) fn owed_names(obligations: &[Obligation]) -> Vec<Name> {
    obligations.iter().map(|obligation| obligation.undo.clone()).collect()
}

/// The stored names of the states in which the turn can arrive. Empty if there is no turn, or if its record cannot be
/// read.
pub(crate) fn turn_targets(record: &InstanceChange) -> Vec<String> {
    let turn = record.turn.as_ref();
    let turn = turn.and_then(|turn| super::record::read::<super::record::TurnRecord>("turn", turn).ok());
    match turn.map(|turn| turn.cause) {
        Some(super::record::TurnCause::Row(row)) => row.to,
        Some(super::record::TurnCause::Abort { .. }) | None => Vec::new(),
    }
}
