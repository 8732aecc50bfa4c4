//! Tasks: open commands, undos and children, with their progress.

use std::time::Duration;

use crate::message::{Message, Payload, Timestamp, TraceContext};

/// The age at which a pending undo becomes *overdue*. The attempts of the undo continue (rule R14).
pub(crate) const OVERDUE: Duration = Duration::from_secs(24 * 60 * 60);

/// The id of a task: the `seq` of its step and its place in that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The `seq` of the step that queued the task.
    pub seq: u64,
    /// The place among the tasks of the step, counted from 0.
    pub ord: u32,
}

/// An open command, undo or child.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The id of the task.
    pub id: TaskId,
    /// The kind of the task.
    pub kind: TaskKind,
    /// The command with its payload.
    pub command: Message,
    /// The visit to which the task belongs (rule [R9](crate::rules#r9)).
    pub visit: u32,
    /// The trace context of the step that queued the task.
    pub trace: Option<TraceContext>,
    /// The progress of the task.
    pub progress: TaskProgress,
}

/// The kind of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// A command sent by a row.
    Command,
    /// The undo of an obligation. The obligation records the id of this task.
    Undo,
    /// A child, open until its end. No handler runs for this task. Its message has the name of the saga of the child.
    /// Only the machine reads the payload.
    Child,
}

impl TaskKind {
    /// Returns the stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Undo => "undo",
            Self::Child => "child",
        }
    }

    /// Parses the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Command, Self::Undo, Self::Child].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The progress of a task: the changing part of the task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskProgress {
    /// The stage of the task.
    pub stage: TaskStage,
    /// The number of recorded attempts that have ended.
    pub attempts: u32,
    /// The number of skipped attempt numbers after unclean starts. Unrecorded attempts may have used these numbers. The
    /// value never decreases.
    pub left_out: u32,
    /// The number of unclean starts in a row that found the task begun (rule [R19](crate::rules#r19)).
    pub recoveries: u32,
    /// The time when the task was first ready, for people and for the *overdue* flag.
    pub since: Timestamp,
    /// The charged milliseconds: ended attempts and the waits before them (rule [R17](crate::rules#r17)).
    pub spent_ms: u64,
    /// The epoch of the lease that wrote this progress. A task written under an earlier lease may have begun (rule
    /// [R19](crate::rules#r19)).
    pub epoch: u64,
    /// The time when `due` was set (rule [R33](crate::rules#r33)).
    pub armed: Timestamp,
    /// The earliest time of the next attempt. [`Timestamp::EPOCH`] means at once.
    pub due: Timestamp,
    /// Whether the same command was sent again in a later visit (rule [R9](crate::rules#r9)).
    pub superseded: bool,
    /// The error text of the last attempt.
    pub error: Option<String>,
    /// The progress saved by the handler for later attempts. Only the dispatcher reads the content.
    pub saved: Option<Payload>,
}

impl TaskProgress {
    /// Returns the progress of a newly queued task.
    pub const fn queued(now: Timestamp, epoch: u64) -> Self {
        Self {
            stage: TaskStage::Ready,
            attempts: 0,
            left_out: 0,
            recoveries: 0,
            since: now,
            spent_ms: 0,
            epoch,
            armed: now,
            due: Timestamp::EPOCH,
            superseded: false,
            error: None,
            saved: None,
        }
    }

    /// Returns the number of the next attempt, counted from 1.
    pub const fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(self.left_out).saturating_add(1)
    }
}

/// The stage of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStage {
    /// The task runs when due. A child has not been started yet.
    Ready,
    /// An at-most-once command has its start record: the call may have begun (rule [R18](crate::rules#r18)). A child
    /// has been started.
    Started,
    /// The task has ended, and its report is in the inbox. The task does not run again.
    Answered,
    /// The task waits for a person, together with its parked instance.
    Held,
}

impl TaskStage {
    /// Returns the stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Started => "started",
            Self::Answered => "answered",
            Self::Held => "held",
        }
    }

    /// Parses the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ready, Self::Started, Self::Answered, Self::Held]
            .into_iter()
            .find(|stage| stage.as_str() == text)
    }
}

/// A change to the tasks of the instance.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskChange {
    /// Queues the task.
    Add(Task),
    /// Replaces the progress. A missing task is not an error.
    Progress(TaskId, TaskProgress),
    /// Removes the task. A missing task is not an error.
    Finish(TaskId),
}
