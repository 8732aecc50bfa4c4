//! The errors that the public API returns.

use super::calling::NotAnswered;
use crate::engine::StartProblem;
use crate::machine::DeclinedReason;
use crate::message::{KeyError, MessageId, PayloadError, chain};
use crate::store::DeadLetterReason;
use crate::store::StoreError;

/// The dispatcher could not start. Nothing has been run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The registered parts are not consistent.
    #[error("cannot start: {}", StartProblem::join(.problems))]
    Registration {
        /// Each problem, with its solution.
        problems: Vec<StartProblem>,
    },
    /// A later build has retired names that this build uses, and this build does not know the new names. Or the store is
    /// being moved, or was moved to another one. Nothing has been changed.
    #[error("cannot start: {}", StartProblem::join(.problems))]
    Retired {
        /// Each retired name with its present name, and the possible solutions.
        problems: Vec<StartProblem>,
    },
    /// A setting is out of its range.
    #[error("cannot start: {0}")]
    Setting(String),
    /// The store cannot be used.
    #[error("cannot start")]
    Store(#[from] StoreError),
    /// The store was not available within the limit of a call. Nothing has been run.
    #[error("cannot start: the store was not available for {within:?}")]
    NotAvailable {
        /// The duration of the tries.
        within: std::time::Duration,
        /// The last error of the store.
        source: StoreError,
    },
    /// There is no tokio runtime to run handlers on.
    #[error("cannot start: handlers need a tokio runtime; call `start` inside a tokio runtime")]
    NoRuntime,
    /// The thread of the dispatcher could not be created.
    #[error("cannot start: the thread of the dispatcher could not be created")]
    Thread(#[source] std::io::Error),
}

/// An event was not accepted, or its acceptance is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event has no consumer. Nothing was stored.
    #[error(
        "event `{event}` has no consumer; register a saga with the event in its table, or a subscriber of the event"
    )]
    NoConsumer {
        /// The stored name of the event.
        event: &'static str,
    },
    /// The event has no valid key of an instance. Nothing was stored.
    #[error("event `{event}` has no usable key for `{consumer}`")]
    Key {
        /// The stored name of the event.
        event: &'static str,
        /// The consumer of the event.
        consumer: String,
        /// The problem with the key.
        source: KeyError,
    },
    /// The event cannot be stored. Nothing was stored.
    #[error("event `{event}` cannot be stored")]
    Payload {
        /// The stored name of the event.
        event: &'static str,
        /// The problem with the payload.
        source: PayloadError,
    },
    /// The instance already has the maximum number of waiting events. Nothing was stored. Publish the event again
    /// later.
    #[error(
        "{instance} has {waiting} waiting events, the limit of `max_waiting_events`; check why the instance takes no events"
    )]
    InstanceFull {
        /// The saga and the key.
        instance: String,
        /// The number of waiting events.
        waiting: usize,
    },
    /// The message id was used before for an event with other content. This event was stored as a dead letter. If an
    /// earlier conflict under this id has left a dead letter, this event was counted on it.
    #[error("message id `{id}` was used before for an event with other content")]
    IdConflict {
        /// The message id.
        id: MessageId,
    },
    /// The store refuses this event. Nothing was stored.
    #[error("refused: {0}")]
    Refused(String),
    /// The dispatcher has stopped. Nothing was stored.
    #[error("the dispatcher has stopped")]
    Stopped,
    /// The event is certainly not stored, and will not be stored. Publish it again later.
    #[error("the event is not stored: {why}; publish the event again later")]
    NotStored {
        /// The reason.
        why: String,
    },
    /// The outcome is not known: the event may or may not be accepted. Publishing it again with the same message id is
    /// always safe.
    #[error(
        "the acceptance of the event is not known ({why}); publish the event again with the same message id"
    )]
    Unknown {
        /// The message id, when the caller gave one.
        id: Option<MessageId>,
        /// The reason why the outcome is not known.
        why: String,
    },
}

impl PublishError {
    /// Returns whether the event is in the store, or `None` when this is not known. An event under a message id that
    /// was used before is stored as a dead letter.
    pub const fn was_stored(&self) -> Option<bool> {
        match self {
            Self::Unknown { .. } => None,
            Self::IdConflict { .. } => Some(true),
            Self::NoConsumer { .. }
            | Self::Key { .. }
            | Self::Payload { .. }
            | Self::InstanceFull { .. }
            | Self::Refused(_)
            | Self::Stopped
            | Self::NotStored { .. } => Some(false),
        }
    }

    /// Returns whether the same call may succeed later. Repeat a call that returned [`Unknown`](Self::Unknown) only
    /// with the same message id.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::InstanceFull { .. } | Self::NotStored { .. } | Self::Unknown { .. })
    }
}

impl InstanceError {
    /// Returns whether the verb was done, or `None` when this is not known.
    pub const fn was_done(&self) -> Option<bool> {
        match self {
            Self::Unknown { .. } => None,
            _ => Some(false),
        }
    }

    /// Returns whether the same call may succeed later. After [`Unknown`](Self::Unknown), read the instance before you
    /// repeat a verb.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NotDone { .. } | Self::Unknown { .. } => true,
            Self::Store(error) => error.is_temporary(),
            _ => false,
        }
    }
}

/// A read of an instance, or an operator verb, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// No instance of this saga has this key.
    #[error("{saga} `{key}` does not exist")]
    Missing {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
    },
    /// The key is not valid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// This build cannot read the stored instance.
    #[error("{saga} `{key}` cannot be read: {why}")]
    Unreadable {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
        /// The reason.
        why: String,
    },
    /// The verb cannot be done now. Nothing has changed.
    #[error("{0}")]
    Declined(DeclinedReason),
    /// The call reached its limit without an answer. Nothing was done, and nothing will be done.
    #[error("nothing was done: {why}; try again later")]
    NotDone {
        /// The reason.
        why: String,
    },
    /// The call reached its limit without an answer. The verb may or may not have been done.
    #[error("the outcome of the call is not known: {why}; read the instance before you repeat the call")]
    Unknown {
        /// The reason why the outcome is not known.
        why: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dispatcher has stopped.
    #[error("the dispatcher has stopped")]
    Stopped,
}

impl From<NotAnswered> for InstanceError {
    fn from(not: NotAnswered) -> Self {
        match not {
            NotAnswered::Stopped => Self::Stopped,
            NotAnswered::NotDone(why) => Self::NotDone { why },
            NotAnswered::Unknown(why) => Self::Unknown { why },
        }
    }
}

/// The receipt of an event could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The event cannot have been published: it has no consumer, its key is not valid, or it cannot be stored.
    #[error(transparent)]
    Event(#[from] PublishError),
    /// The call reached its limit without an answer. The call can be repeated safely.
    #[error("the result of the event is not known: {why}; request the receipt again later")]
    NotAnswered {
        /// The reason.
        why: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dispatcher has stopped.
    #[error("the dispatcher has stopped")]
    Stopped,
}

/// An ask has no answer, or has no answer yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The event was not accepted, or its acceptance is not known.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The event became a dead letter at the saga of the ask.
    #[error("`{saga}` did not take event `{event}`: {reason}; the event is a dead letter")]
    Dead {
        /// The stored name of the event.
        event: &'static str,
        /// The saga.
        saga: &'static str,
        /// The reason.
        reason: DeadLetterReason,
    },
    /// The event reached no instance and does not wait for one. No answer will follow.
    #[error("{saga} `{key}` will not answer event `{event}`: {why}")]
    NoInstance {
        /// The stored name of the event.
        event: &'static str,
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
        /// The reason, and the solution.
        why: &'static str,
    },
    /// The instance cannot be read.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The time limit passed without an answer. Nothing is lost: accepted work continues, and `wait_for` can wait
    /// again.
    #[error(
        "{saga} `{key}` did not answer within {within:?}; the work continues; wait for the answer with `wait_for`"
    )]
    Late {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
        /// The time waited.
        within: std::time::Duration,
    },
}

/// The dispatcher did not stop cleanly. Every accepted event is in the store. The next start treats running work as
/// begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Handlers still ran after the grace period. They block their threads, so the dispatcher could not drop them.
    #[error("{handlers} handlers are still running and cannot be dropped")]
    StillRunning {
        /// The number of such handlers.
        handlers: usize,
    },
    /// The store did not answer in time. Every answered call is stored. The outcome of a write in progress is not
    /// known.
    #[error("the store did not accept the last writes: {why}; the outcome of the waiting calls is not known")]
    NotWritten {
        /// The known state of the store.
        why: String,
    },
    /// The dispatcher had already stopped, for this reason.
    #[error("the dispatcher had already stopped: {0}")]
    Failed(String),
    /// The lease could not be given back.
    #[error("the lease could not be released")]
    Store(#[from] StoreError),
}

impl ShutdownError {
    /// Returns a copy of the error for another caller.
    pub(super) fn for_another(&self) -> Self {
        match self {
            Self::StillRunning { handlers } => Self::StillRunning { handlers: *handlers },
            Self::NotWritten { why } => Self::NotWritten { why: why.clone() },
            Self::Failed(why) => Self::Failed(why.clone()),
            Self::Store(error) => Self::NotWritten { why: chain(error).to_string() },
        }
    }
}
