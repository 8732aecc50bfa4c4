//! Inbox rows and dead letters.

use super::DeadLetterReason;
use super::{Address, TaskId};
use crate::message::{Message, MessageId, Name, Timestamp, TraceContext};

/// An inbox row for an instance or a subscriber.
///
/// The inbox holds messages that cannot be applied now. The inbox also holds all messages from writers other than the
/// lease holder (rule [R23](crate::rules#r23)).
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Saga and key, or subscriber and key of the event.
    pub to: Address,
    /// The kind of the row.
    pub kind: MailKind,
    /// The event or verb with its payload. A report holds the reply or an outcome. Only the machine reads an outcome.
    pub message: Message,
    /// The message id for the recognition of duplicates.
    pub id: Option<MessageId>,
    /// Whether the deduplication record already exists.
    pub deduplicated: bool,
    /// The task of a report.
    pub task: Option<TaskId>,
    /// The number of sagas the message has passed through.
    pub hops: u32,
    /// The epoch of the lease holder that wrote the row and keeps the row in memory. The value is 0 for a row to be
    /// found by a scan.
    pub epoch: u64,
    /// The cause: the id of the causing message, or the operator.
    pub cause: Option<Name>,
    /// The trace context of the publisher.
    pub trace: Option<TraceContext>,
    /// The time of acceptance.
    pub at: Timestamp,
}

impl Mail {
    /// Creates an inbox row for `message`, accepted at `at`, to be found by a scan. The row has no message id and no
    /// cause. Other fields can be set with struct update syntax.
    pub fn new(to: Address, kind: MailKind, message: Message, at: Timestamp) -> Self {
        Self {
            to,
            kind,
            message,
            id: None,
            deduplicated: false,
            task: None,
            hops: 0,
            epoch: 0,
            cause: None,
            trace: None,
            at,
        }
    }

    /// Creates an inbox row for an event to an instance, as [`new`](Self::new) does.
    pub fn event(to: Address, event: Message, at: Timestamp) -> Self {
        Self::new(to, MailKind::Event, event, at)
    }
}

/// The kind of an inbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// An event for an instance.
    Event,
    /// An event for a subscriber.
    Delivery,
    /// A report about a task of the instance.
    Report,
    /// A verb from an operator or from the parent.
    Verb,
    /// The starting event of a child, together with its parent. Only the machine reads the content.
    Start,
    /// A notice of another shard of the store. Only the engine reads it.
    Notice,
}

impl MailKind {
    /// Returns the stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::Report => "report",
            Self::Verb => "verb",
            Self::Start => "start",
            Self::Notice => "notice",
        }
    }

    /// Parses the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Delivery, Self::Report, Self::Verb, Self::Start, Self::Notice]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A message that could not be applied, with its bytes and the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The consumer (saga or subscriber) and the key.
    pub to: Address,
    /// The kind of the message.
    pub kind: MailKind,
    /// The message with its payload.
    pub message: Message,
    /// The message id.
    pub id: Option<MessageId>,
    /// The number of sagas the message has passed through.
    pub hops: u32,
    /// The trace context of the publisher.
    pub trace: Option<TraceContext>,
    /// The reason.
    pub reason: DeadLetterReason,
    /// The reason as a text for people.
    pub detail: String,
    /// The number of occurrences. The value is 1, except for conflicts. Conflicts share one letter
    /// ([`Step::dead`](super::Step::dead)).
    pub times: u32,
    /// The time of the last occurrence.
    pub at: Timestamp,
}

impl DeadLetter {
    /// Creates the dead letter of a message without a message id. Other fields can be set with struct update syntax.
    pub fn new(
        to: Address,
        kind: MailKind,
        message: Message,
        reason: DeadLetterReason,
        at: Timestamp,
    ) -> Self {
        Self {
            to,
            kind,
            message,
            id: None,
            hops: 0,
            trace: None,
            reason,
            detail: String::new(),
            times: 1,
            at,
        }
    }

    /// Returns whether the message id was used earlier for other content.
    pub fn is_conflict(&self) -> bool {
        self.id.is_some() && self.reason == DeadLetterReason::IdConflict
    }

    /// Returns whether `other` is counted on this letter instead of a letter of its own.
    pub fn counts(&self, other: &Self) -> bool {
        self.is_conflict() && other.is_conflict() && (&self.to, &self.id) == (&other.to, &other.id)
    }
}
