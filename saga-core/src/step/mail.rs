//! Rows of the inbox, and dead letters.

use super::{Address, TaskId};
use crate::message::{Message, MessageId, Name, Timestamp};

/// A row for the inbox of an instance or a subscriber: what cannot be applied now, and whatever comes from anybody
/// but the lease holder (rule R23).
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Saga and key, or subscriber and event key.
    pub to: Address,
    /// What it is.
    pub kind: MailKind,
    /// The event or verb with its payload; for a report the reply, or an outcome in the machine's own form.
    pub message: Message,
    /// Names it towards duplicates.
    pub id: Option<MessageId>,
    /// Whether its deduplication record has been set already.
    pub deduplicated: bool,
    /// The task a report is about.
    pub task: Option<TaskId>,
    /// How many sagas it has come through.
    pub hops: u32,
    /// The epoch of the lease holder that wrote it and will remember it; 0 when it is to be found by a scan.
    pub epoch: u64,
    /// Why: the id of what caused it, or who asked for it.
    pub cause: Option<Name>,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What an inbox row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// An event for an instance.
    Event,
    /// An event for a subscriber.
    Delivery,
    /// A report about a task of the instance.
    Report,
    /// An operator's verb, or a parent's.
    Verb,
    /// The event that starts a child, with whose child it is, in the machine's own form.
    Start,
}

impl MailKind {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Delivery => "delivery",
            Self::Report => "report",
            Self::Verb => "verb",
            Self::Start => "start",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Event, Self::Delivery, Self::Report, Self::Verb, Self::Start]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// An event that could not be applied, with its bytes and the reason.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Saga or subscriber, and key.
    pub to: Address,
    /// What it was.
    pub kind: MailKind,
    /// The event with its payload.
    pub message: Message,
    /// Its message id.
    pub id: Option<MessageId>,
    /// How many sagas it has come through.
    pub hops: u32,
    /// Why, in one word: `unhandled`, `missing-instance`, `start-failed`, `declined` of a verb, ...
    pub reason: Name,
    /// Why, for a person.
    pub detail: String,
    /// How many such there were: 1, except of conflicts, which share a letter ([`Step::dead`](super::Step::dead)).
    pub times: u32,
    /// When; of several the last time.
    pub at: Timestamp,
}

impl DeadLetter {
    /// The reason of an event whose message id was used for other content before.
    pub const ID_CONFLICT: &'static str = "id-conflict";
    /// The reason of an event of which nobody knows which instance it is for, so it cannot be put back on its way.
    pub const BAD_KEY: &'static str = "bad-key";

    /// Whether its message id was used for other content before.
    pub fn is_conflict(&self) -> bool {
        self.id.is_some() && self.reason == Self::ID_CONFLICT
    }

    /// Whether `other` is counted on this one instead of being kept beside it.
    pub fn counts(&self, other: &Self) -> bool {
        self.is_conflict() && other.is_conflict() && (&self.to, &self.id) == (&other.to, &other.id)
    }
}
