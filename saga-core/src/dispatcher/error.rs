//! What can go wrong towards a caller.

use super::calling::NotAnswered;
use crate::message::{KeyError, MessageId, PayloadError, chain};
use crate::store::StoreError;

/// The dispatcher could not start. Nothing has been run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// What is registered does not fit together.
    #[error("cannot start: {}", .problems.join("; "))]
    Registration {
        /// Each problem, with what to do about it.
        problems: Vec<String>,
    },
    /// A later build has renamed what this one has, and this one does not know the new names. Nothing has been changed.
    #[error("cannot start: {}", .problems.join("; "))]
    Retired {
        /// Each retired name with the present one, and the ways out.
        problems: Vec<String>,
    },
    /// A setting is out of its range.
    #[error("cannot start: {0}")]
    Setting(String),
    /// The store cannot be used.
    #[error("cannot start")]
    Store(#[from] StoreError),
    /// The store was not available for as long as a call may wait. Nothing has been run.
    #[error("cannot start: the store was not available for {within:?}")]
    NotAvailable {
        /// How long it was tried.
        within: std::time::Duration,
        /// What the store said last.
        source: StoreError,
    },
    /// There is no tokio runtime to run handlers on.
    #[error("cannot start: call `start` inside a tokio runtime, which is where handlers run")]
    NoRuntime,
    /// The dispatcher's own thread could not be made.
    #[error("cannot start: there is no thread for the dispatcher")]
    Thread(#[source] std::io::Error),
}

/// An event was not accepted, or nobody knows whether it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Nobody takes this event. Nothing was stored.
    #[error(
        "event `{event}` has no consumer: no saga of this dispatcher has it in its table, and no subscriber is registered for it"
    )]
    NoConsumer {
        /// Its stored name.
        event: &'static str,
    },
    /// The event names no instance. Nothing was stored.
    #[error("event `{event}` has no usable key for `{consumer}`")]
    Key {
        /// Its stored name.
        event: &'static str,
        /// Who would have taken it.
        consumer: String,
        /// What is wrong with the key.
        source: KeyError,
    },
    /// The event cannot be kept. Nothing was stored.
    #[error("event `{event}` cannot be stored")]
    Payload {
        /// Its stored name.
        event: &'static str,
        /// What is wrong with it.
        source: PayloadError,
    },
    /// Too many events wait at the instance already. Nothing was stored; publish it again later.
    #[error(
        "{instance} has {waiting} events waiting, which is its limit; find out why it does not take them"
    )]
    InstanceFull {
        /// Saga and key.
        instance: String,
        /// How many wait.
        waiting: usize,
    },
    /// The message id was used for another event before. This one was kept as a dead letter, or was counted on the one that
    /// an earlier conflict under this id has left.
    #[error("message id `{id}` was used before for an event with other content")]
    IdConflict {
        /// The message id.
        id: MessageId,
    },
    /// The store will not take this event. Nothing was stored.
    #[error("refused: {0}")]
    Refused(String),
    /// The dispatcher has stopped. Nothing was stored.
    #[error("the dispatcher has stopped")]
    Stopped,
    /// The event is surely not stored, and will not be. Publish it again later.
    #[error("the event is not stored: {why}; publish it again later")]
    NotStored {
        /// Why not.
        why: String,
    },
    /// Nobody knows whether it was accepted. Publishing it again with the same message id is always safe.
    #[error("nobody knows whether the event was accepted ({why}); publish it again with the same message id")]
    Unknown {
        /// The message id, when the caller gave one.
        id: Option<MessageId>,
        /// Why nobody knows.
        why: String,
    },
}

impl PublishError {
    /// Whether the event is in the store: `None` when that is not known. An event with a message id that was used before is kept
    /// as a dead letter.
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

    /// Whether the same call may succeed later. Repeat one that is [`Unknown`](Self::Unknown) with the same message id.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::InstanceFull { .. } | Self::NotStored { .. } | Self::Unknown { .. })
    }
}

impl InstanceError {
    /// Whether the verb was done: `None` when that is not known.
    pub const fn was_done(&self) -> Option<bool> {
        match self {
            Self::Unknown { .. } => None,
            _ => Some(false),
        }
    }

    /// Whether the same call may succeed later. Look at the instance before a verb is repeated that is
    /// [`Unknown`](Self::Unknown).
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NotDone { .. } | Self::Unknown { .. } => true,
            Self::Store(error) => error.is_temporary(),
            _ => false,
        }
    }
}

/// A question about an instance, or an operator's verb, could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// There is no instance of this saga with this key.
    #[error("there is no {saga} `{key}`")]
    Missing {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
    },
    /// The key cannot be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is stored cannot be read by this build.
    #[error("{saga} `{key}` cannot be read: {why}")]
    Unreadable {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
        /// Why not.
        why: String,
    },
    /// The verb cannot be done now. Nothing has changed.
    #[error("{0}")]
    Declined(String),
    /// There was no answer in time. Nothing was done, and nothing will be.
    #[error("nothing was done: {why}; try again later")]
    NotDone {
        /// Why not.
        why: String,
    },
    /// There was no answer in time, and nobody knows whether it was done.
    #[error("nobody knows whether it was done: {why}; look at the instance before doing it again")]
    Unknown {
        /// Why nobody knows.
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

/// What became of an event cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// No such event can have been published: it has no consumer, its key is none, or it cannot be kept.
    #[error(transparent)]
    Event(#[from] PublishError),
    /// There was no answer in time. Nothing is lost by asking.
    #[error("what became of the event is not known: {why}; ask again later")]
    NotAnswered {
        /// Why not.
        why: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dispatcher has stopped.
    #[error("the dispatcher has stopped")]
    Stopped,
}

/// There is no answer, or not yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The event was not accepted, or nobody knows whether it was.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The event became a dead letter at the saga that was asked.
    #[error("`{saga}` did not take event `{event}`: {reason}; it is a dead letter")]
    Dead {
        /// The event's stored name.
        event: &'static str,
        /// The saga.
        saga: &'static str,
        /// Why, in one word.
        reason: String,
    },
    /// The event reached no instance and waits for none, so no answer will come of it.
    #[error("no answer will come from {saga} `{key}` to event `{event}`: {why}")]
    NoInstance {
        /// The event's stored name.
        event: &'static str,
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// The instance cannot be read.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// No answer in time. Nothing is lost: what was accepted goes on, and `wait_for` waits for it again.
    #[error("no answer from {saga} `{key}` within {within:?}; it goes on, wait for it again with `wait_for`")]
    Late {
        /// The saga.
        saga: &'static str,
        /// The key.
        key: String,
        /// How long was waited.
        within: std::time::Duration,
    },
}

/// The dispatcher did not stop cleanly. Everything accepted is in the store; the next start treats what was running as
/// begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShutdownError {
    /// Handlers went on when the grace period was over and could not be dropped: they block their threads.
    #[error("{handlers} handlers are still running and cannot be dropped")]
    StillRunning {
        /// How many.
        handlers: usize,
    },
    /// The store did not answer in time. What was answered is stored; of what was being written nobody knows.
    #[error(
        "the store did not take what was still to be written: {why}; callers who wait for it learn that nobody knows"
    )]
    NotWritten {
        /// What is known about the store.
        why: String,
    },
    /// It had stopped by itself before, for this reason.
    #[error("it had stopped already: {0}")]
    Failed(String),
    /// The lease could not be given back.
    #[error("the lease could not be given back")]
    Store(#[from] StoreError),
}

impl ShutdownError {
    /// The same for somebody else who asked.
    pub(super) fn for_another(&self) -> Self {
        match self {
            Self::StillRunning { handlers } => Self::StillRunning { handlers: *handlers },
            Self::NotWritten { why } => Self::NotWritten { why: why.clone() },
            Self::Failed(why) => Self::Failed(why.clone()),
            Self::Store(error) => Self::NotWritten { why: chain(error).to_string() },
        }
    }
}
