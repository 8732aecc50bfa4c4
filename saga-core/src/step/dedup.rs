//! Records by which a repeated message is recognised (rule R26).

use super::Address;
use crate::message::{MessageId, Timestamp};

/// A dedup_record against duplicates: this consumer has been given this message (rule R26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupRecord {
    /// Saga or subscriber, and key.
    pub to: Address,
    /// The message.
    pub id: MessageId,
    /// A hash of its name and content.
    pub content: u64,
    /// The time from which it is kept for the window.
    pub at: Timestamp,
}
