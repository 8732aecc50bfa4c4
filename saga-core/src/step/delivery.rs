//! Events on their way to subscribers.

use super::{Address, DeliveryId, TaskProgress};
use crate::message::{Message, MessageId};

/// An event on its way to a subscriber: a task that belongs to no instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Subscriber and event key.
    pub to: Address,
    /// The event.
    pub event: Message,
    /// Its message id, which is the subscriber's idempotency key.
    pub id: MessageId,
    /// Whether its publisher has chosen the id, and so can ask by it what became of the event.
    pub named: bool,
    /// How many sagas it has come through.
    pub hops: u32,
    /// How far it is; only [`TaskStage::Ready`](super::TaskStage::Ready) is used.
    pub progress: TaskProgress,
}

/// A change to deliveries.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryChange {
    /// Queues it.
    Add(Delivery),
    /// Writes how far it is. One that is gone is not an error.
    Progress(DeliveryId, TaskProgress),
    /// Removes it. One that is gone is not an error.
    Finish(DeliveryId),
}
