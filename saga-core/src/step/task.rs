//! Tasks: commands, undos and children that are open, and how far each is.

use crate::message::{Message, Payload, Timestamp};

/// A task of an instance is named by the step that queued it and its place in that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The `seq` of the step.
    pub seq: u64,
    /// Its place among the step's tasks, from 0.
    pub ord: u32,
}

/// A command or an undo that the dispatcher must run.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Which one.
    pub id: TaskId,
    /// What it is for.
    pub kind: TaskKind,
    /// The command.
    pub command: Message,
    /// The visit it belongs to (rule R9).
    pub visit: u32,
    /// How far it is.
    pub progress: TaskProgress,
}

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// A command a row sent.
    Command,
    /// An undo of the obligation with the same identity as recorded in it.
    Undo,
    /// A child, open until it has ended. Nothing runs for it here; its message is in the machine's own form, under the
    /// name of the child's saga.
    Child,
}

impl TaskKind {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Undo => "undo",
            Self::Child => "child",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Command, Self::Undo, Self::Child].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How far a task is: the part of it that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskProgress {
    /// What may be done with it.
    pub stage: TaskStage,
    /// How many attempts have ended, as far as is written down.
    pub attempts: u32,
    /// How many numbers of attempts were left out after unclean starts, because attempts that nobody wrote down may have
    /// had them. It never falls.
    pub left_out: u32,
    /// How many times in a row it was found begun after an unclean start (rule R19).
    pub recoveries: u32,
    /// When it was first ready to run, for people and for the *overdue* flag.
    pub since: Timestamp,
    /// The milliseconds charged to it: attempts that ended, and the waits before them (rule R17).
    pub spent_ms: u64,
    /// The epoch of the lease under which this was written: what an earlier one left may have begun (rule R19).
    pub epoch: u64,
    /// When `due` was set (rule R33).
    pub armed: Timestamp,
    /// The next attempt is not before this; [`Timestamp::EPOCH`] is "at once".
    pub due: Timestamp,
    /// Whether the same command was sent again in a later visit (rule R9).
    pub superseded: bool,
    /// What the last attempt said.
    pub error: Option<String>,
    /// What its handler has saved for the attempts to come, in the dispatcher's own form.
    pub saved: Option<Payload>,
}

impl TaskProgress {
    /// A task that has just been queued.
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

    /// The number that the next attempt has, counted from 1.
    pub const fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(self.left_out).saturating_add(1)
    }
}

/// What may be done with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStage {
    /// It runs when due. A child: it has not been started yet.
    Ready,
    /// At most once: the deduplication record that it may have begun (rule R18). A child: it has been started.
    Started,
    /// It has ended and its report waits in the inbox; it does not run again.
    Answered,
    /// It waits for a person together with its parked instance.
    Held,
}

impl TaskStage {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Started => "started",
            Self::Answered => "answered",
            Self::Held => "held",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ready, Self::Started, Self::Answered, Self::Held]
            .into_iter()
            .find(|stage| stage.as_str() == text)
    }
}

/// A change to the tasks of the step's instance.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskChange {
    /// Queues it.
    Add(Task),
    /// Writes how far it is. A task that is gone is not an error.
    Progress(TaskId, TaskProgress),
    /// Removes it. A task that is gone is not an error.
    Finish(TaskId),
}
