//! Deduplication records of messages (rule R26).

use super::Address;
use crate::message::{MessageId, Timestamp};

/// A deduplication record: this consumer has already received this message (rule R26).
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
