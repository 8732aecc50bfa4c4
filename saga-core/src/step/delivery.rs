//! Deliveries of events to subscribers.

use super::{Address, DeliveryId, TaskProgress};
use crate::message::{Message, MessageId, Timestamp, TraceContext};

/// A delivery of an event to a subscriber. The delivery is a task without an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The subscriber and the key of the event.
    pub to: Address,
    /// The event with its payload.
    pub event: Message,
    /// The message id of the event. The subscriber uses the id as its idempotency key.
    pub id: MessageId,
    /// Whether the publisher chose the id. Only then can the publisher ask for a receipt by this id.
    pub named: bool,
    /// The number of sagas the event has passed through.
    pub hops: u32,
    /// The trace context of the publisher.
    pub trace: Option<TraceContext>,
    /// The progress of the delivery. The only stage in use is [`TaskStage::Ready`](super::TaskStage::Ready).
    pub progress: TaskProgress,
}

impl Delivery {
    /// Creates a delivery that is queued at `at` under the lease of `epoch`. The publisher did not choose the id. Other
    /// fields can be set with struct update syntax.
    pub fn new(to: Address, event: Message, id: MessageId, at: Timestamp, epoch: u64) -> Self {
        Self { to, event, id, named: false, hops: 0, trace: None, progress: TaskProgress::queued(at, epoch) }
    }
}

/// A change to a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryChange {
    /// Queues the delivery.
    Add(Delivery),
    /// Replaces the progress. A missing delivery is not an error.
    Progress(DeliveryId, TaskProgress),
    /// Removes the delivery. A missing delivery is not an error.
    Finish(DeliveryId),
}
