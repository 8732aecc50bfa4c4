//! The receipt that a publisher gets.

use crate::engine::Disposition;
use crate::message::{InstanceName, MessageId};

/// The result of publishing a durable event. The event survives `kill -9` and power loss (rule
/// [R24](crate::rules#r24)).
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
    pub key: InstanceName,
    /// The result.
    pub disposition: Disposition,
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
