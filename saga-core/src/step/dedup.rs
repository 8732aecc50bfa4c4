//! Deduplication records of messages (rule R26).

use super::Address;
use crate::message::{Message, MessageId, Timestamp};

/// A deduplication record: this consumer has already received this message (rule [R26](crate::rules#r26)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupRecord {
    /// The consumer (saga or subscriber) and the key.
    pub to: Address,
    /// The id of the message.
    pub id: MessageId,
    /// A hash of the stored name and the JSON of the message.
    pub content: u64,
    /// The start of the window during which the record is kept.
    pub at: Timestamp,
}

impl DedupRecord {
    /// Creates the record of `message` with the id `id` at the consumer `to`.
    pub fn new(to: Address, id: MessageId, message: &Message, at: Timestamp) -> Self {
        Self { to, id, content: message.content_hash(), at }
    }
}
