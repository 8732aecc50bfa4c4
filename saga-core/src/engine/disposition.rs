//! The result of an event at one consumer, as the engine answers and as a publisher reads it.

use crate::step::{DeadLetterReason, IgnoredReason};

/// The possible results of an event at one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// A row of the saga's table applied the event, and the step is committed.
    Applied,
    /// The event has no effect, and the history states the reason.
    #[non_exhaustive]
    Ignored {
        /// The reason.
        why: IgnoredReason,
    },
    /// The event waits durably in the queue of the consumer. This result is always possible.
    Queued,
    /// The event waits durably until its instance is in another visit, or until its instance exists.
    Deferred,
    /// The event is a dead letter.
    #[non_exhaustive]
    Dead {
        /// The reason.
        reason: DeadLetterReason,
    },
    /// The consumer had already received the same message. This call changed nothing.
    Duplicate,
    /// The consumer received the event, and no work on the event remains. At a saga, a row applied the event or the
    /// event had no effect. The history of the instance shows the case. At a subscriber, the subscriber has received
    /// the event. Only `Dispatcher::receipt` and `Dispatcher::taken_up` return this result and the ones below.
    Taken,
    /// The consumer received an event with other content under this message id. If this event arrived, it is counted on
    /// a dead letter `id-conflict`.
    Conflict,
    /// This consumer has no record of the event, but another consumer has one. The consumer was added later.
    NotKnown,
}

/// The reason why an event was not stored at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The message id was used before for other content.
    IdConflict,
    /// The maximum number of events waits at the instance.
    Full { waiting: usize },
    /// The store or a quarantined instance takes no event. The text is the reason.
    Refused(String),
}

/// The answer of the engine for one consumer.
pub(crate) type ConsumerAnswer = Result<Disposition, Rejection>;
