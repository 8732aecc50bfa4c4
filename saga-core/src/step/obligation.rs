//! Obligations: undo commands that are owed.

use super::TaskId;
use crate::message::{Message, Name, Payload};

/// An undo command owed for a command or a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Obligation {
    /// The id of the obligation: the `seq` of its step, and its place among the obligations of that step. The ids give
    /// the order of the stack. The id of an obligation is not the id of a task.
    pub id: TaskId,
    /// The stored name of the undo command.
    pub undo: Name,
    /// The command or state to undo.
    pub of: ObligationOf,
    /// The known outcome of the command to undo. Only the machine reads the content.
    pub report: Option<Payload>,
    /// The task that runs the undo command now.
    pub task: Option<TaskId>,
}

/// The command or state that an obligation undoes.
#[derive(Clone, Debug, PartialEq)]
pub enum ObligationOf {
    /// A command sent as a task.
    Command {
        /// The id of the task.
        task: TaskId,
        /// The command as sent.
        command: Message,
    },
    /// A visit to a state.
    State {
        /// The stored name of the state.
        state: Name,
        /// The number of the visit.
        visit: u32,
        /// The version of the saga that wrote the payload.
        version: u32,
        /// The payload of the state at the end of the visit. `None` during the visit, and for a state without payload.
        payload: Option<Payload>,
    },
}

/// A change to the obligations of the instance.
#[derive(Clone, Debug, PartialEq)]
pub enum ObligationChange {
    /// Adds the obligation, or replaces the obligation with the same id.
    Put(Obligation),
    /// Removes the obligation. A missing obligation is not an error.
    Drop(TaskId),
}
