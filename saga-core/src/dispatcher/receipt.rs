//! What a publisher gets back.

use crate::message::{Key, MessageId};

/// What became of an event that is durable: it survives `kill -9` and power loss (rule R24).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The message id, when the caller gave one.
    pub id: Option<MessageId>,
    /// What became of it at each consumer, so far.
    pub consumers: Vec<ConsumerReceipt>,
}

/// What became of an event at one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerReceipt {
    /// The saga's stored name, or the subscriber's.
    pub consumer: String,
    /// The key under which it took the event.
    pub key: Key,
    /// What became of it.
    pub disposition: Disposition,
}

/// What became of an event at one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// A row took it: the step is committed.
    Applied,
    /// It has no effect, and the history says why.
    #[non_exhaustive]
    Ignored {
        /// Why.
        why: &'static str,
    },
    /// It waits for its turn, durably. Always a legal answer.
    Queued,
    /// It waits, durably, until its instance is in another visit, or exists.
    Deferred,
    /// It is a dead letter.
    #[non_exhaustive]
    Dead {
        /// Why, in one word.
        reason: String,
    },
    /// The same message was taken before; nothing happened now.
    Duplicate,
    /// It was taken, and nothing of it waits any more: a row has taken it or it had no effect, which the history of its
    /// instance says; or the subscriber has received it. Said by [`receipt`](super::Dispatcher::receipt) and
    /// [`taken_up`](super::Dispatcher::taken_up), as are those that follow.
    Taken,
    /// An event with other content was taken under its message id. It is counted on a dead letter `id-conflict`, if it came.
    Conflict,
    /// Nothing is known of it here, although something is at another consumer: it takes the event since later.
    NotKnown,
}

impl Receipt {
    /// Whether every consumer has applied it, ignored it, or has it waiting; not when it became a dead letter, or was never
    /// taken.
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
