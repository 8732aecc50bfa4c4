//! Inputs of the machine, and the decisions that it returns.

use super::declined::DeclinedReason;
use super::family::{Outgoing, ParentRecord, StartRecord};
use super::outbox::Published;
use super::record::{MessageRecord, ParkReason, ReportRecord, read, write};
use crate::definition::Value;
use crate::message::{Id, Message, MessageId, Payload, PayloadLimits, Timestamp, TraceContext};
use crate::step::{Address, AuditEntry, DeadLetterReason, IgnoredReason};
use crate::step::{Mail, MailKind, Step, Task, TaskId};

/// Everything that a step needs from outside the instance.
#[derive(Clone, Copy)]
pub(crate) struct StepContext<'a> {
    pub(crate) now: Timestamp,
    /// The epoch of the lease.
    pub(crate) epoch: u64,
    /// The identity of the step.
    pub(crate) step: Id,
    pub(crate) limits: PayloadLimits,
    /// The state of the attempts of a task. Only the engine knows this state. The machine asks for it at a turn only.
    pub(crate) attempts: &'a dyn Fn(&Task) -> AttemptState,
    /// The trace context of the step.
    pub(crate) trace: Option<TraceContext>,
}

/// An event for an instance.
pub(crate) struct EventIn {
    pub(crate) message: Message,
    /// The decoded event, if the event did not come from a store.
    pub(crate) value: Option<Value>,
    pub(crate) id: Option<MessageId>,
    /// The parent, if the event starts a child.
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

/// An input for an existing instance.
#[derive(Debug)]
pub(crate) enum Input {
    Event(EventIn),
    /// The report of a command, an undo or a child.
    Report(TaskId, ReportRecord),
    /// The timer of this name and visit is due.
    Timer {
        name: String,
        visit: u32,
        /// The due time of this firing. A repeating timer has another due time after it has fired.
        due: Timestamp,
    },
    /// A task that has not ended waits for a person. The text is the description.
    Stuck(TaskId, ParkReason, String),
    /// Continue unwinding, with the next undo or the arrival.
    Continue,
    Verb(VerbRecord),
}

impl Input {
    /// Reads an inbox row of an instance. `Err` holds the reason why the row cannot be read.
    pub(crate) fn of_mail(mail: Mail) -> Result<Self, String> {
        Ok(match mail.kind {
            MailKind::Event => {
                Self::Event(EventIn { message: mail.message, value: None, id: mail.id, parent: None })
            }
            MailKind::Start => {
                let start: StartRecord = read("start", &mail.message.payload)?;
                let (message, parent) = (start.event.into(), Some(start.parent));
                Self::Event(EventIn { message, value: None, id: None, parent })
            }
            MailKind::Report => {
                let report: ReportRecord = read("report", &mail.message.payload)?;
                let task = mail.task.ok_or("the report names no task")?;
                Self::Report(task, report)
            }
            MailKind::Verb => Self::Verb(read("verb", &mail.message.payload)?),
            MailKind::Delivery => return Err("a delivery is not for an instance".to_owned()),
            MailKind::Notice => return Err("a notice is not for an instance".to_owned()),
        })
    }
}

/// An operator's verb, as stored in the inbox, with its author, its reason and the step that the operator saw.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct VerbRecord {
    pub(crate) verb: Verb,
    pub(crate) by: String,
    pub(crate) why: String,
    /// The step that the operator saw. The verb is declined if the instance has made another step since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// The creation of the instance that the operator saw, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<i64>,
    /// The parent that requests the verb, by its mark. Another instance may have the key of its child by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Id>,
    /// The id under which the audit has the answer, for a caller in another process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
}

/// An operator's action on an instance (rules R7, R15, R16).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verb {
    Abort,
    Retry,
    Skip,
    Resolve(Resolution),
    /// Makes a set timer due now.
    Fire {
        timer: String,
    },
    /// Sets the due time of a set timer, in milliseconds.
    Postpone {
        timer: String,
        until: i64,
    },
    Purge,
}

/// The outcome that an operator supplies for a command.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resolution {
    Done,
    Replied(MessageRecord),
    Refused,
}

impl VerbRecord {
    /// Returns the entry of the audit for this verb on an instance.
    pub(crate) fn entry(&self, to: &Address, at: Timestamp) -> AuditEntry {
        let (object, payload) = match &self.verb {
            Verb::Abort | Verb::Retry | Verb::Skip | Verb::Purge => (String::new(), None),
            Verb::Resolve(Resolution::Done) => ("done".to_owned(), None),
            Verb::Resolve(Resolution::Refused) => ("refused".to_owned(), None),
            Verb::Resolve(Resolution::Replied(reply)) => {
                let reply = Message::from(reply.clone());
                (reply.name.into_owned(), Some(reply.payload))
            }
            Verb::Fire { timer } | Verb::Postpone { timer, .. } => (timer.clone(), self.verb.details()),
        };
        AuditEntry {
            at,
            who: self.by.clone(),
            why: self.why.clone(),
            verb: self.verb.word().into(),
            to: Some(to.clone()),
            object,
            payload,
            declined: None,
            request: self.request.as_ref().and_then(|id| MessageId::new(id.as_str()).ok()),
        }
    }
}

impl Verb {
    /// The name of the verb in the history.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Resolve(_) => "resolve",
            Self::Fire { .. } => "fire",
            Self::Postpone { .. } => "postpone",
            Self::Purge => "purge",
        }
    }

    /// Returns the choice that the operator made with the verb, for the history.
    pub(crate) fn details(&self) -> Option<Payload> {
        match self {
            Self::Fire { timer } => Some(write(&serde_json::json!({ "timer": timer }))),
            Self::Postpone { timer, until } => {
                let until = Timestamp::from_millis(*until).to_string();
                Some(write(&serde_json::json!({ "timer": timer, "until": until })))
            }
            Self::Abort | Self::Retry | Self::Skip | Self::Resolve(_) | Self::Purge => None,
        }
    }
}

/// The state of the attempts of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptState {
    /// No attempt has begun, and none will.
    NotBegun,
    /// An attempt has begun, but no attempt is running.
    Between,
    /// An attempt is running.
    Running,
}

/// The effect of one input on the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A row took the input.
    Applied,
    /// The input had no effect. The text is the reason.
    Ignored(IgnoredReason),
    /// The input becomes a dead letter.
    Dead { reason: DeadLetterReason, detail: String },
    /// The instance is parked over the input. The input stays at the head of the queue.
    Kept,
    /// The input waits for another visit. Nothing is changed (rule R6).
    Deferred,
    /// The input concerns something that no longer exists.
    Stale,
    /// The verb is not possible. The text is the reason, and nothing is written.
    Declined(DeclinedReason),
}

/// The decision on one input. The instance in memory has already changed. So the step must be committed, or the
/// instance must be reloaded.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The step to commit. Without `instance` there is nothing to commit.
    pub(crate) step: Box<Step>,
    pub(crate) effect: Effect,
    pub(crate) published: Vec<Published>,
    /// Messages for the inboxes of the parent and the children.
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) after: AfterCommit,
    /// True if the verb has used up the input over which the instance was parked ([`Instance::head`](super::Instance)).
    /// This step removes the inbox row of the input. A skipped event also becomes a dead letter in this step.
    pub(crate) skipped: bool,
    /// The changed and ended tasks, as they were before the step.
    pub(crate) before: Vec<Task>,
}

/// The work that follows when the step is durable. Nothing of it may happen earlier.
#[derive(Debug, Default)]
pub(crate) struct AfterCommit {
    /// Tasks that ended without a report: withdrawn, or given up between two attempts.
    pub(crate) ended: Vec<TaskId>,
    /// Running tasks that are asked to stop.
    pub(crate) stop: Vec<TaskId>,
    /// Held tasks that may run again.
    pub(crate) rerun: Vec<TaskId>,
    /// True if [`Input::Continue`] must follow.
    pub(crate) again: bool,
    /// True if the store must remove the instance now.
    pub(crate) purge: bool,
}

impl Decision {
    /// Creates a decision that writes nothing.
    pub(crate) fn nothing(effect: Effect) -> Self {
        Self {
            step: Box::default(),
            effect,
            published: Vec::new(),
            outgoing: Vec::new(),
            after: AfterCommit::default(),
            skipped: false,
            before: Vec::new(),
        }
    }
}
