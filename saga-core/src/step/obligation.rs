//! Undo commands that are owed.

use super::TaskId;
use crate::message::{Message, Name, Payload};

/// An undo command that is owed. Named by the step that made it owed and its place among that step's obligations;
/// the stack order is the order of these names.
#[derive(Clone, Debug, PartialEq)]
pub struct Obligation {
    /// Which one. Not the id of a task.
    pub id: TaskId,
    /// The stored name of the undo command.
    pub undo: Name,
    /// What it undoes.
    pub of: ObligationOf,
    /// What is known about the command it undoes, in the machine's own form.
    pub report: Option<Payload>,
    /// The task that is paying it.
    pub task: Option<TaskId>,
}

/// What an obligation undoes.
#[derive(Clone, Debug, PartialEq)]
pub enum ObligationOf {
    /// A command that was sent as the task `task`.
    Command {
        /// The task it was queued as.
        task: TaskId,
        /// The command as sent.
        command: Message,
    },
    /// Having been in a state.
    State {
        /// The stored name of the state.
        state: Name,
        /// The visit.
        visit: u32,
        /// The version of the saga that wrote the payload.
        version: u32,
        /// What the state carried when it was left; `None` while the visit lasts, or when it carries nothing.
        payload: Option<Payload>,
    },
}

/// A change to the obligations of the step's instance.
#[derive(Clone, Debug, PartialEq)]
pub enum ObligationChange {
    /// Adds it, or replaces the one with its id.
    Put(Obligation),
    /// Removes it. One that is gone is not an error.
    Drop(TaskId),
}
