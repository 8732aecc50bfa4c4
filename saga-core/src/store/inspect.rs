//! Reading for people, and upkeep. Both grow by fields of a struct, never by further positional arguments.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    Address, DeadId, DeadLetter, HistoryEntry, InboxId, Mail, MailKind, Snapshot, Status, StoreError,
    TaskKind,
};
use crate::message::{Message, MessageId, Name, Timestamp};
use crate::step::Parked;

/// Reads for people: pages by key, never everything at once, without disturbing the lease holder.
#[async_trait]
pub trait Inspect: Send + Sync + 'static {
    /// One instance with what it owes, its timers and its open tasks, by its key or by an alias it has claimed.
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError>;

    /// Instances that match `filter`, by row.
    async fn instances(&self, filter: &InstanceFilter) -> Result<Vec<InstanceView>, StoreError>;

    /// How many instances each saga has in each status; `parked` ones are counted under `parked` instead.
    async fn counts(&self) -> Result<BTreeMap<(String, String), u64>, StoreError>;

    /// The names that stand in the store, with how often each does (rule R34), in their order. Counted while others write,
    /// so the numbers are of no single moment.
    async fn names(&self) -> Result<Vec<StoredName>, StoreError>;

    /// The names that are retired, each with the present one, in their order (rule R34). Includes what
    /// [`rename`](Maintain::rename) has answered before the call.
    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError>;

    /// The history of an instance, oldest first, as far as it has not been trimmed; at most the newest `limit` lines.
    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;

    /// Dead letters in order, starting behind `after`.
    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError>;

    /// Who takes which events (rule R28).
    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError>;

    /// What waits in the inbox of one instance, oldest first.
    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError>;

    /// What is kept of `event` under the message id `id`, for each of `consumers` in the order asked. All of it is of one
    /// moment, and that moment sees every commit that was answered before the call.
    ///
    /// Of an alias the deduplication record is the alias's own; what waits and what is dead is looked for at the instance that holds it too.
    /// The events are told apart by name and payload, as by [`DedupRecord::content`](super::DedupRecord::content).
    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError>;
}

/// Upkeep by the lease holder.
#[async_trait]
pub trait Maintain: Send + Sync + 'static {
    /// Adds consumers that are not there yet. Never removes one.
    async fn register(&self, consumers: &[ConsumerRow]) -> Result<(), StoreError>;

    /// Retires names, one after the other, all of them or none. Returns how many instances each one moved.
    ///
    /// The present name of a saga gets everything that is stored under the earlier one: instances with their partitions,
    /// aliases, what waits in the inbox, dedup_records, dead letters, consumers, and the retired names of what belongs to it. What is
    /// stored under the earlier name of a state, an event or a command stays as it is.
    ///
    /// On `Ok` each earlier name is retired, also when nothing was stored under it. What was retired for it
    /// before leads to the present name, so no retired name leads to another one. The present name is not retired any
    /// more. To retire the same name again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Clash`] when two sagas that become one have an instance, or an alias, of one key; then nothing is
    /// changed. [`StoreError::Fenced`] without a lease.
    async fn rename(&self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError>;

    /// Removes ended instances (with their history) and dedup_records older than `before`, the oldest first and at most `limit`
    /// of each; call again while it removes as many. Never touches an instance that has not ended or still has tasks.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] without a lease.
    async fn purge(&self, before: Timestamp, limit: usize) -> Result<Purged, StoreError>;
}

/// What one call to [`Maintain::purge`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Ended instances.
    pub instances: usize,
    /// Deduplication records.
    pub dedup: usize,
}

/// Which instances to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct InstanceFilter {
    /// Only of this saga.
    pub saga: Option<String>,
    /// Only in this status.
    pub status: Option<Status>,
    /// Only parked ones, or only ones that are not.
    pub parked: Option<bool>,
    /// Only behind this one, in the order of the list: the `position` of the last line of the page before.
    pub after: Option<i64>,
    /// At most so many; 0 is the default of 50, and there are never more than 200.
    pub limit: usize,
}

impl InstanceFilter {
    /// The number of lines a page has.
    pub fn page(&self) -> usize {
        match self.limit {
            0 => 50,
            limit => limit.min(200),
        }
    }
}

/// One line of a list of instances.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceView {
    /// Saga and key.
    pub address: Address,
    /// Where it is in its life.
    pub status: Status,
    /// The stored name of its state.
    pub state: Name,
    /// Why it is parked, if it is. A store makes it with [`Parked::from_stored`], so that a reason which cannot be read is
    /// said in this line and harms no other.
    pub parked: Option<Parked>,
    /// The number of its last step.
    pub seq: u64,
    /// When that was.
    pub changed_at: Timestamp,
    /// Its place in the list, for [`InstanceFilter::after`].
    pub position: i64,
}

/// One line of an instance's history, with its step.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// The step that wrote it.
    pub seq: u64,
    /// The line.
    pub entry: HistoryEntry,
}

/// What a store keeps of one event under a message id, at one consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The content of the deduplication record under the id, be it this event's or another's.
    pub dedup_record: Option<u64>,
    /// Whether the event lies in the inbox.
    pub waiting: bool,
    /// Whether a delivery under the id is on its way, of those that are [`named`](super::Delivery::named).
    pub delivering: bool,
    /// The reason of the newest dead letter with the event.
    pub dead: Option<Name>,
}

/// A dead letter with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetterRow {
    /// Its number.
    pub id: DeadId,
    /// The letter.
    pub letter: DeadLetter,
}

/// A name that stands in a store, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredName {
    /// The saga, or the subscriber.
    pub consumer: String,
    /// What is called so.
    pub what: Stored,
    /// The name.
    pub name: String,
    /// The version that wrote what is stored under it; 0 where none is written down.
    pub version: u32,
    /// How often.
    pub count: u64,
}

/// What has a stored name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// The state of an instance that has not ended.
    State,
    /// A state towards which an instance has turned. No store counts these: they stand in the machine's own form.
    Target,
    /// A command or an undo that has not ended.
    Command,
    /// The saga of an open child.
    Child,
    /// An undo command that is owed.
    Undo,
    /// A command for which an undo is owed.
    UndoneCommand,
    /// A state for which an undo is owed.
    UndoneState,
    /// A timer that is set.
    Timer,
    /// An event that waits, in the inbox or for a subscriber.
    Event,
    /// An event that became a dead letter.
    DeadLetter,
}

impl Stored {
    /// What the name of a task of this kind is; the words are those of [`TaskKind::as_str`].
    pub fn of_task(kind: &str) -> Option<Self> {
        Some(match TaskKind::parse(kind)? {
            TaskKind::Command | TaskKind::Undo => Self::Command,
            TaskKind::Child => Self::Child,
        })
    }

    /// What the name in an obligation is: that of a `command` or of a `state`.
    pub fn of_obligation(of: &str) -> Option<Self> {
        match of {
            "command" => Some(Self::UndoneCommand),
            "state" => Some(Self::UndoneState),
            _ => None,
        }
    }

    /// What the name of mail of this kind is; `None` for what has no name of the user's. The words are those of
    /// [`MailKind::as_str`].
    pub fn of_mail(kind: &str) -> Option<Self> {
        matches!(MailKind::parse(kind)?, MailKind::Event | MailKind::Delivery).then_some(Self::Event)
    }

    /// The same for a dead letter.
    pub fn of_letter(kind: &str) -> Option<Self> {
        Self::of_mail(kind).map(|_| Self::DeadLetter)
    }
}

/// A name that is not used any more, because what was called so has another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetiredName {
    /// What was called so.
    pub what: NameOf,
    /// The saga whose state, event or command it is; empty for the name of a saga.
    pub saga: String,
    /// The name that is retired.
    pub was: String,
    /// The present one.
    pub name: String,
}

/// What has a name that can be retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NameOf {
    /// A saga.
    Saga,
    /// A state of a saga.
    State,
    /// An event that a saga takes, also as the reply to a command.
    Event,
    /// A command that a saga sends, also as an undo.
    Command,
}

impl NameOf {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saga => "saga",
            Self::State => "state",
            Self::Event => "event",
            Self::Command => "command",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Saga, Self::State, Self::Event, Self::Command].into_iter().find(|what| what.as_str() == text)
    }
}

/// One consumer of one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerRow {
    /// The stored name of the event.
    pub event: String,
    /// The stored name of the saga, or the name of the subscriber.
    pub consumer: String,
    /// Whether it is a subscriber.
    pub subscriber: bool,
}
