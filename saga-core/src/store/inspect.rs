//! Reads for people, and maintenance.
//!
//! Owns: the traits [`Inspect`] and [`Maintain`] with their data types. Does not own: the reads of the engine
//! ([`Store`](super::Store)). Both traits grow by fields of structs, never by further positional arguments.

use crate::step::DeadLetterReason;
use async_trait::async_trait;

use super::{
    Address, AuditFilter, AuditRow, DeadId, DeadLetter, DedupRecord, DeliveryId, DeliveryRow, HistoryEntry,
    InboxId, InstanceFilter, InstancePage, Mail, MailKind, Meeting, Pause, Snapshot, Status, StoreError,
    TaskKind,
};
use crate::definition::StoredDefinition;
use crate::message::{Message, MessageId, Timestamp};

/// Reads for people.
///
/// Every read is a page of bounded size. The reads do not disturb the lease holder.
#[async_trait]
pub trait Inspect: Send + Sync + 'static {
    /// Returns one instance with its obligations, timers and open tasks. `address` holds a key or a claimed alias.
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError>;

    /// Returns one page of the instances that match `filter`.
    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError>;

    /// Returns the number of instances for each saga, state, status and park, in order. The counts describe one moment.
    /// The cost does not grow with the number of instances.
    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError>;

    /// Returns the names in the store with their counts, in order (rule [R34](crate::rules#r34)). Writes may happen
    /// during the count. The counts therefore do not describe one single moment.
    async fn names(&self) -> Result<Vec<StoredName>, StoreError>;

    /// Returns the retired names, each with its present name, in order (rule [R34](crate::rules#r34)). The answer
    /// includes every [`rename`](Maintain::rename) answered before the call.
    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError>;

    /// Returns at most the newest `limit` history lines of an instance, oldest first. Trimmed lines are not returned.
    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;

    /// Returns dead letters in order. The page starts behind `after`.
    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError>;

    /// Returns open deliveries in order. The page starts behind `after`.
    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError>;

    /// Returns deduplication records in the order of consumer, key and message id (rule [R26](crate::rules#r26)). The page
    /// starts behind `after`.
    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError>;

    /// Returns all pairs of event and consumer (rule [R28](crate::rules#r28)).
    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError>;

    /// Returns the definition of each saga and version that has run on the store, in order. The answer includes every
    /// [`define`](Maintain::define) answered before the call. A renamed saga has its present name.
    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError>;

    /// Returns the paused sagas and handlers, in order (rule [R37](crate::rules#r37)). The answer includes every commit
    /// answered before the call.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// Returns the rows of the audit that match `filter` (rule [R38](crate::rules#r38)). The answer includes every commit
    /// answered before the call.
    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError>;

    /// Returns how much the store holds. The cost does not grow with the number of instances.
    async fn sizes(&self) -> Result<StoreSizes, StoreError>;

    /// Returns the processes that share the shards, and the owner of each shard. `None` for a store that processes do not share.
    /// A silence counts from the first look of this handle.
    async fn meeting(&self) -> Result<Option<Meeting>, StoreError> {
        Ok(None)
    }

    /// Returns the inbox rows of one instance, oldest first.
    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError>;

    /// Returns the stored traces of `event` under the message id `id`, one for each address in `consumers`.
    ///
    /// The answers have the order of `consumers` and describe one single moment. They include every commit answered
    /// before the call.
    ///
    /// For an alias, the deduplication record belongs to the alias. Inbox rows and dead letters are also searched at
    /// the instance that holds the alias. Events are compared by name and payload, as in
    /// [`DedupRecord::content`](super::DedupRecord::content).
    async fn traces(
        &self,
        id: &MessageId,
        event: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError>;
}

/// Maintenance by the lease holder.
#[async_trait]
pub trait Maintain: Send + Sync + 'static {
    /// Adds the missing consumers, and ends the retirement of these consumers (rule [R28](crate::rules#r28)). A consumer is
    /// never removed.
    async fn register(&self, consumers: &[ConsumerRow]) -> Result<(), StoreError>;

    /// Keeps these definitions. Each replaces the definition with the same saga and version. A definition is never
    /// removed.
    async fn define(&self, definitions: &[StoredDefinition]) -> Result<(), StoreError>;

    /// Retires names in order: all of them or none. Returns the number of moved instances for each name.
    ///
    /// The present name of a saga takes over the rows of the earlier name. These rows are instances with their
    /// partitions, aliases, inbox rows, deduplication records, dead letters, consumers, definitions, pauses and retired names. Rows under
    /// the earlier name of a state, an event or a command stay unchanged.
    ///
    /// On `Ok` each earlier name is retired, even without any row under the name. Names retired earlier now lead to the
    /// present name. A retired name therefore never leads to another retired name. The present name is no longer
    /// retired. Retiring the same name again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Clash`] if two merged sagas both have an instance or an alias with the same key. Nothing is
    /// changed then. [`StoreError::Fenced`] without a lease.
    async fn rename(&self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError>;

    /// Removes ended instances with their history, and deduplication records. All of them are older than `before`.
    ///
    /// One call removes at most `limit` rows of each kind, the oldest first. The caller repeats the call while a call
    /// removes `limit` rows. Instances that have not ended or still have tasks are never removed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] without a lease.
    async fn purge(&self, before: Timestamp, limit: usize) -> Result<Purged, StoreError>;
}

/// The counts of one call to [`Maintain::purge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// The number of removed instances.
    pub instances: usize,
    /// The number of removed deduplication records.
    pub dedup: usize,
}

/// The number of instances with the same saga, state, status and park.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceCount {
    /// The stored name of the saga.
    pub saga: String,
    /// The stored name of the state. Empty for damaged instances without a readable state.
    pub state: String,
    /// The status. `None` for damaged instances without a readable status.
    pub status: Option<Status>,
    /// Whether the instances are parked.
    pub parked: bool,
    /// The number of instances. Never 0.
    pub instances: u64,
}

impl InstanceCount {
    /// Returns whether these instances have ended and are not parked. They take no further step.
    pub fn has_ended(&self) -> bool {
        !self.parked && self.status.is_some_and(Status::is_over)
    }
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSizes {
    /// The rows of the inbox, at most [`MOST`](Self::MOST).
    pub inbox: u64,
    /// The dead letters, at most [`MOST`](Self::MOST).
    pub dead_letters: u64,
    /// The size of the database in bytes, if the store has one file.
    pub file_bytes: Option<u64>,
    /// The size of the write-ahead log in bytes, if the store has one.
    pub log_bytes: Option<u64>,
}

impl StoreSizes {
    /// The maximum count. Counting more rows would take too long.
    pub const MOST: u64 = 10_000;
}

/// One history line with the number of its step.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryRow {
    /// The `seq` of the step that wrote the line.
    pub seq: u64,
    /// The line itself.
    pub entry: HistoryEntry,
}

/// The stored traces of one event under a message id, at one consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The content hash in the deduplication record under the id. The record may belong to another event.
    pub dedup_record: Option<u64>,
    /// Whether an inbox row holds the event.
    pub waiting: bool,
    /// Whether a [`named`](super::Delivery::named) delivery under the id is open.
    pub delivering: bool,
    /// The reason of the newest dead letter with the event.
    pub dead: Option<DeadLetterReason>,
}

/// A dead letter with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetterRow {
    /// The number of the dead letter.
    pub id: DeadId,
    /// The dead letter itself.
    pub letter: DeadLetter,
}

impl DeadLetterRow {
    /// Reads one dead letter. `None` if there is no letter with this number.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(store: &(impl Inspect + ?Sized), id: DeadId) -> Result<Option<Self>, StoreError> {
        let found = store.dead_letters(DeadId(id.0.saturating_sub(1)), 1).await?;
        Ok(found.into_iter().find(|row| row.id == id))
    }
}

/// A stored name with its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredName {
    /// The stored name of the saga or subscriber.
    pub consumer: String,
    /// The use of the name.
    pub what: Stored,
    /// The stored name.
    pub name: String,
    /// The version that wrote the rows under this name. The value is 0 for rows without a version.
    pub version: u32,
    /// The number of rows with this name.
    pub count: u64,
}

/// The kind of a stored name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// The state of an instance that has not ended.
    State,
    /// The target state of a turn. No store counts these names, because they are inside payloads of the machine.
    Target,
    /// A command or an undo that has not ended.
    Command,
    /// The saga of an open child.
    Child,
    /// The undo command of an obligation.
    Undo,
    /// The command that an obligation undoes.
    UndoneCommand,
    /// The state that an obligation undoes.
    UndoneState,
    /// A set timer.
    Timer,
    /// A waiting event: an inbox row or a delivery.
    Event,
    /// An event that became a dead letter.
    DeadLetter,
}

impl Stored {
    /// Returns the kind of the name in a task. `kind` is a text of [`TaskKind::as_str`].
    pub fn of_task(kind: &str) -> Option<Self> {
        Some(match TaskKind::parse(kind)? {
            TaskKind::Command | TaskKind::Undo => Self::Command,
            TaskKind::Child => Self::Child,
        })
    }

    /// Returns the kind of the name in an obligation. `of` is `command` or `state`.
    pub fn of_obligation(of: &str) -> Option<Self> {
        match of {
            "command" => Some(Self::UndoneCommand),
            "state" => Some(Self::UndoneState),
            _ => None,
        }
    }

    /// Returns the kind of the name in an inbox row. `kind` is a text of [`MailKind::as_str`]. Rows without a name from
    /// user code give `None`.
    pub fn of_mail(kind: &str) -> Option<Self> {
        matches!(MailKind::parse(kind)?, MailKind::Event | MailKind::Delivery).then_some(Self::Event)
    }

    /// Returns the kind of the name in a dead letter. `kind` is a text of [`MailKind::as_str`].
    pub fn of_letter(kind: &str) -> Option<Self> {
        Self::of_mail(kind).map(|_| Self::DeadLetter)
    }
}

/// A retired name, with the present name that replaced the retired name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetiredName {
    /// The kind of the name.
    pub what: NameOf,
    /// The saga that owns the state, event or command. Empty for the name of a saga.
    pub saga: String,
    /// The retired name.
    pub was: String,
    /// The present name.
    pub name: String,
}

/// The kind of a name that can be retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NameOf {
    /// The name of a saga.
    Saga,
    /// The name of a state of a saga.
    State,
    /// The name of an event that a saga receives. The event may also be the reply to a command.
    Event,
    /// The name of a command that a saga sends. The command may also be an undo.
    Command,
}

impl NameOf {
    /// Returns the stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saga => "saga",
            Self::State => "state",
            Self::Event => "event",
            Self::Command => "command",
        }
    }

    /// Parses the stored text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Saga, Self::State, Self::Event, Self::Command].into_iter().find(|what| what.as_str() == text)
    }
}

/// One consumer of one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerRow {
    /// The stored name of the event.
    pub event: String,
    /// The stored name of the saga or subscriber.
    pub consumer: String,
    /// Whether the consumer is a subscriber.
    pub subscriber: bool,
}
