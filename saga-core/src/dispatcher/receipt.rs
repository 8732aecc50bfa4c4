//! What a publisher gets back.

use crate::message::{Key, MessageId};

/// The event is durable: it survives `kill -9` and power loss (rule R24).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The message id, when the caller gave one.
    pub id: Option<MessageId>,
    /// What became of it at each taker, so far.
    pub takers: Vec<TakerReceipt>,
}

/// What became of an event at one taker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakerReceipt {
    /// The saga's stored name, or the subscriber's.
    pub taker: String,
    /// The key under which it took the event.
    pub key: Key,
    /// What became of it.
    pub disposition: Disposition,
}

/// What became of an event at one taker.
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
}

impl Receipt {
    /// Whether every taker has applied it, ignored it, or has it waiting; not when it became a dead letter.
    pub fn is_accepted(&self) -> bool {
        self.takers.iter().all(|taker| !matches!(taker.disposition, Disposition::Dead { .. }))
    }
}
