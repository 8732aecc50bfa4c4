//! What goes into the machine and what comes out of it.

use super::family::{Outgoing, ParentRecord};
use super::outbox::Published;
use super::record::{MessageRecord, ParkReason, ReportRecord};
use crate::definition::Value;
use crate::message::{Id, Message, MessageId, PayloadLimits, Timestamp};
use crate::step::{Step, Task, TaskId};

/// When and under which identity a step is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) now: Timestamp,
    /// The epoch of the lease.
    pub(crate) epoch: u64,
    pub(crate) step: Id,
    pub(crate) limits: PayloadLimits,
}

/// An event for an instance.
pub(crate) struct EventIn {
    pub(crate) message: Message,
    /// The value, when it has not been through a store.
    pub(crate) value: Option<Value>,
    pub(crate) id: Option<MessageId>,
    /// Whose child it starts, if it starts one.
    pub(crate) parent: Option<ParentRecord>,
}

impl std::fmt::Debug for EventIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventIn")
            .field("message", &self.message)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// One thing that happens to an instance that exists.
#[derive(Debug)]
pub(crate) enum Input {
    Event(EventIn),
    /// A command or undo has ended.
    Report(TaskId, ReportRecord),
    /// The timer of this name of this visit is due.
    Timer {
        name: String,
        visit: u32,
        /// What it was due for: one that repeats has been set again when it has fired.
        due: Timestamp,
    },
    /// A task waits for a person without having ended, for this reason and as these words say.
    Stuck(TaskId, ParkReason, String),
    /// Go on unwinding: the next undo, or the arrival.
    Continue,
    /// An operator's verb.
    Verb(VerbRecord),
}

/// An operator's verb, as it is kept in the inbox: who, why, and which step the operator was looking at.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct VerbRecord {
    pub(crate) verb: Verb,
    pub(crate) by: String,
    pub(crate) why: String,
    /// Refused when the instance has moved on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
}

/// What an operator may do to an instance.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    Abort,
    Retry,
    Skip,
    Resolve(Resolution),
}

/// The outcome an operator supplies for a command.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resolution {
    Done,
    Replied(MessageRecord),
    Refused,
}

impl Verb {
    /// The word for the history.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Resolve(_) => "resolve",
        }
    }
}

/// How far a task of the instance has come, as only the engine knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// No attempt has begun, and none will.
    No,
    /// Some attempt has begun, none is running.
    Between,
    /// An attempt is running.
    Running,
}

/// Tells how far a task has come. It is asked at a turn only.
pub(crate) type HowFar<'a> = &'a dyn Fn(&Task) -> Begun;

/// Why an event that starts instances is ignored while its instance runs.
pub(super) const ALREADY_STARTED: &str = "already started";
/// Why any event is ignored when its instance has ended, also one that starts instances.
pub(super) const HAS_ENDED: &str = "the instance has ended";

/// What a decision means for whoever sent the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// A row took it.
    Applied,
    /// It had no effect, for this reason.
    Ignored(&'static str),
    /// It becomes a dead letter: a word and the details.
    Dead { reason: &'static str, detail: String },
    /// The instance is parked over it and it stays at the head of the queue.
    Kept,
    /// It waits for another visit; nothing is changed (rule R6).
    Deferred,
    /// It is about something that is gone; nothing is written.
    Stale,
    /// A verb that cannot be done, and why; nothing is written.
    Declined(String),
}

/// What one input does. The instance has already changed in memory; the step must be committed, or the instance
/// reloaded.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Nothing to commit when `instance` is `None`.
    pub(crate) step: Step,
    pub(crate) disposition: Disposition,
    pub(crate) published: Vec<Published>,
    /// For the inboxes of its parent and its children.
    pub(crate) outgoing: Vec<Outgoing>,
    /// Tasks that ended without a report of their own: withdrawn, or given up between attempts.
    pub(crate) ended: Vec<TaskId>,
    /// Running tasks to tell to stop.
    pub(crate) stop: Vec<TaskId>,
    /// Held tasks that may run again.
    pub(crate) rerun: Vec<TaskId>,
    /// Whether the verb has used up what the instance was parked over ([`Instance::head`](super::Instance)): its row goes
    /// in this step, and an event becomes a dead letter in it.
    pub(crate) skipped: bool,
    /// Whether [`Input::Continue`] must follow.
    pub(crate) again: bool,
    /// How far the tasks it has changed or ended had come before.
    pub(crate) before: Vec<Task>,
}

impl Decision {
    /// A decision that writes nothing.
    pub(crate) fn nothing(disposition: Disposition) -> Self {
        Self {
            step: Step::default(),
            disposition,
            published: Vec::new(),
            outgoing: Vec::new(),
            ended: Vec::new(),
            stop: Vec::new(),
            rerun: Vec::new(),
            skipped: false,
            again: false,
            before: Vec::new(),
        }
    }
}
