//! The receipt that a publisher gets.

use crate::message::{Key, MessageId};

/// The result of publishing a durable event. The event survives `kill -9` and power loss (rule R24).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The message id, when the caller gave one.
    pub id: Option<MessageId>,
    /// The result at each consumer, as known so far.
    pub consumers: Vec<ConsumerReceipt>,
}

/// The result of an event at one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerReceipt {
    /// The stored name of the saga or the subscriber.
    pub consumer: String,
    /// The key of the event at this consumer.
    pub key: Key,
    /// The result.
    pub disposition: Disposition,
}

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
        why: &'static str,
    },
    /// The event waits durably in the queue of the consumer. This result is always possible.
    Queued,
    /// The event waits durably until its instance is in another visit, or until its instance exists.
    Deferred,
    /// The event is a dead letter.
    #[non_exhaustive]
    Dead {
        /// The reason, in one word.
        reason: String,
    },
    /// The consumer had already received the same message. This call changed nothing.
    Duplicate,
    /// The consumer received the event, and no work on the event remains. At a saga, a row applied the event or the
    /// event had no effect. The history of the instance shows the case. At a subscriber, the subscriber has received
    /// the event. Only [`receipt`](super::Dispatcher::receipt) and [`taken_up`](super::Dispatcher::taken_up) return
    /// this result and the ones below.
    Taken,
    /// The consumer received an event with other content under this message id. If this event arrived, it is counted on
    /// a dead letter `id-conflict`.
    Conflict,
    /// This consumer has no record of the event, but another consumer has one. The consumer was added later.
    NotKnown,
}

impl Receipt {
    /// Returns whether every consumer has applied the event, ignored it, or holds it as waiting. A dead letter or a
    /// missing record gives `false`.
    pub fn is_accepted(&self) -> bool {
        self.consumers.iter().all(|consumer| match consumer.disposition {
            Disposition::Applied
            | Disposition::Ignored { .. }
            | Disposition::Queued
            | Disposition::Deferred
            | Disposition::Duplicate
            | Disposition::Taken => true,
            Disposition::Dead { .. } | Disposition::Conflict | Disposition::NotKnown => false,
        })
    }
}
