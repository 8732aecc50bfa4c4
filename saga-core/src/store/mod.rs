//! The storage layer: the trait [`Store`], its data types, and the in-memory reference store.
//!
//! Owns: the promises between engine and storage. The methods of [`Store`] and its supertraits document them.
//! Does not own: any decision. A store never sees user types and never calls user code. A store never interprets a
//! payload and never reads a clock.

mod audit;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod dead_letter_list;
mod delivery_list;
mod export;
mod inspect;
pub(crate) mod json;
mod label_condition;
mod list;
mod meeting;
mod memory;
mod problems;
mod redacted;
mod relocation;
mod replay;
mod search;
mod waiting;
mod work_lists;

pub use crate::step::*;
pub use audit::{AuditChains, AuditFilter, AuditFrom, AuditRow};
pub use dead_letter_list::{DeadLetterFilter, DeadLetterPage};
pub use delivery_list::{DeliveryFilter, DeliveryPage, DeliveryRow};
pub use export::{ImportError, InstanceExport};
pub use inspect::{
    ConsumerRow, DeadLetterRow, HistoryRow, Inspect, InstanceCount, Maintain, NameOf, Purged, RetiredName,
    StoreSizes, Stored, StoredName, Trace,
};
pub use label_condition::{LabelCondition, LabelConditionError, LabelTest};
pub use list::{
    InstanceFilter, InstanceOrder, InstancePage, InstanceView, PageFrom, Position, PositionError, TimeRange,
};
pub use meeting::{Meeting, Node, Seen};
#[cfg(any(test, feature = "testing"))]
pub use memory::Fault;
pub use memory::MemoryStore;
pub use problems::{Problem, ProblemKind, Problems};

pub use redacted::Redacted;
pub(crate) use relocation::marked;
pub use relocation::{Relocated, Relocation, RelocationError};
pub use work_lists::{ScheduleLine, TaskLine, TimerLine, WorkPage};

use std::sync::Arc;
use std::time::Duration;

// Authors of a store need this macro.
pub use async_trait::async_trait;

use crate::message::{BoxError, InstanceName, Key, Timestamp};

/// The exclusive right to advance instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The fencing number. Every commit checks this number. Each lease has a higher number than all earlier leases.
    pub epoch: u64,
    /// The last epoch that ended without a release. The value is 0 if there is none.
    ///
    /// A task written under this epoch or an earlier one may have been running at the end of that epoch. Later releases
    /// do not change this.
    pub unclean: u64,
    /// How long attempts of the process with the last unclean epoch may still run, besides the timeout of each handler.
    ///
    /// Zero for a store whose lease ends with the process of its holder. Otherwise a holder can be cut off and live. The
    /// dispatcher then reports a command of an unclean epoch as unknown only after this time and after the timeout of its
    /// handler, counted from its start.
    pub linger: Duration,
    /// The instances that this lease may advance: those of one shard.
    pub shard: ShardId,
}

impl Lease {
    /// Returns whether a task last written under `epoch` may have been running when a process ended.
    pub const fn is_suspect(&self, epoch: u64) -> bool {
        epoch <= self.unclean
    }
}

/// Steps for one call of [`Store::commit`].
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The number of the batch under its lease. The lease holder counts from 1. A repeated batch has the same number
    /// and the same steps.
    pub number: u64,
    /// The steps, in order. At most one step per instance changes the instance.
    pub steps: Vec<Step>,
}

/// Durable storage for instances and all their rows.
///
/// The rows are tasks, timers, obligations, aliases, history, inbox rows, deliveries, deduplication records and dead
/// letters. Steps are atomic. Batches need not be atomic. Every method may be called again after any error.
///
/// Each method below states its guarantee, window and duty, as far as they exist. The guarantee holds after a
/// successful call. The window is the uncertainty that remains. The duty is the part of the caller.
///
/// # Cancellation
/// Dropping the future of [`commit`](Self::commit) does not withdraw the batch. Dropping any other future only loses
/// the answer.
#[async_trait]
pub trait Store: Inspect + Maintain {
    /// Takes a new lease. `owner` is a text for people.
    ///
    /// - Guarantee: the new epoch is durable. Holders of earlier epochs can no longer write. A lease taken through this
    ///   same handle is superseded as well.
    /// - Window: after an error, a new epoch may be durable. An earlier lease may be fenced.
    /// - Duty: end the lease with [`release`](Self::release) or [`abandon`](Self::abandon).
    ///
    /// # Errors
    /// [`StoreError::Owned`] while another process holds the lease, or another handle opened separately.
    async fn lease(&self, owner: &str) -> Result<Lease, StoreError>;

    /// Returns the number of shards. Each has a lease of its own, so several processes can share the work.
    fn shards(&self) -> u16 {
        1
    }

    /// Returns the store as the owner of one shard sees it. `None` if the store has no such shard, or only one.
    ///
    /// - Guarantee: a lease of the answer is a lease of this shard. The reads for an engine return the rows of this shard
    ///   alone: [`open_tasks`](Self::open_tasks), [`compensating`](Self::compensating), [`inbox`](Self::inbox),
    ///   [`deliveries`](Self::deliveries) and [`timers`](Self::timers). [`purge`](Maintain::purge) removes instances of this
    ///   shard alone. All other methods concern the whole store.
    /// - Guarantee: mail of a [commit](Self::commit) for another shard is durable with its step, and its owner finds it. Its
    ///   number in the outcome is 0.
    fn shard(&self, shard: ShardId) -> Option<Arc<dyn Store>> {
        let _ = shard;
        None
    }

    /// Shows that this process shares the shards with others, and looks who else does. A process calls it about once a second,
    /// on the handle of the whole store. The owner of a shard is the text that was given to [`lease`](Self::lease), so that a
    /// process gives the name of its node there.
    ///
    /// - Window: a change during the call may or may not be included.
    ///
    /// # Errors
    /// [`StoreError::Open`] for a store that several processes cannot share.
    async fn meet(&self, node: &Node) -> Result<Meeting, StoreError> {
        let _ = node;
        Err(StoreError::Open {
            store: "the store".to_owned(),
            detail: "several processes cannot share it; use PostgreSQL".to_owned(),
        })
    }

    /// Tells the others that this process no longer takes part. Its leases are not changed.
    async fn leave(&self, node: &Node) -> Result<(), StoreError> {
        let _ = node;
        Ok(())
    }

    /// Ends the lease and records that no handler was running.
    ///
    /// - Guarantee: the next lease does not report this epoch as [`unclean`](Lease::unclean). This lease commits
    ///   nothing more.
    /// - Window: after an error, the release may be durable. The same call can be repeated.
    /// - Duty: call `release` only when no handler can still be running.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the lease has ended or a newer epoch exists.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Returns whether the calling thread itself blocks the commits of this store.
    ///
    /// A thread inside a transaction of the application is an example.
    ///
    /// - Duty: such a thread must not wait for a commit.
    fn is_held_here(&self) -> bool {
        false
    }

    /// Ends the lease in the same way as the end of this process.
    ///
    /// - Guarantee: the call writes nothing. The next lease finds this epoch unclean. A lease that was already released
    ///   or taken over is not changed.
    /// - Window: the call returns at once. Another caller gets the lease after the store has finished its current work.
    fn abandon(&self, lease: &Lease);

    /// Returns whether another process may have ended the lease of this process without its knowledge.
    ///
    /// The dispatcher asks before each attempt, and begins none while the answer is `true`. The method waits for nothing.
    ///
    /// - Guarantee: while the answer is `false`, no other process has had the lease since the last answer.
    /// - Window: an attempt that has begun goes on until its timeout. The idempotency key protects its effect.
    fn has_lapsed(&self) -> bool {
        false
    }

    /// Commits the steps of `batch` in order. Each step is all or nothing.
    ///
    /// - Guarantee: there is one outcome per step. A committed step survives `kill -9`. A committed step also survives
    /// power loss, unless the store was opened with weaker durability. A refused step does not affect other steps. The
    /// last batch can be sent again at any time and gets the same answer. No batch is applied twice (rule
    /// [R32](crate::rules#r32)).
    /// - Window: after [`StoreError::Unavailable`] the result of the commit is unknown.
    /// - Duty: the caller then sends the same batch again until the store answers. The store first determines the
    /// result of the earlier commit (rule [R30](crate::rules#r30)).
    ///
    /// Within a step the checks run in this order: instance `seq`, deduplication records, everything else.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if `lease` has ended or a newer epoch exists. The caller must stop at once.
    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<StepOutcome>, StoreError>;

    /// Adds rows to the inbox. Every process may call this method, with or without a lease.
    ///
    /// - Guarantee: all rows are durable, or none of them is written. A running lease holder is woken by
    /// [`pulse`](Self::pulse) or [`woken`](Self::woken).
    /// - Window: after an error, the rows may be durable. A repeated call can then add them twice.
    /// - Duty: give each row a message id ([`Mail::id`]) if a repetition must be recognised (rule [R26](crate::rules#r26)).
    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError>;

    /// Loads instances with their tasks, timers, obligations and aliases.
    ///
    /// - Guarantee: the answers have the order of `addresses`. An address without an instance gives `None`. The answers
    ///   include every commit answered before the call. An alias gives the key of its instance ([`Loaded::Alias`]). A
    ///   damaged row gives [`Loaded::Unreadable`] and does not affect other rows.
    /// - Window: a commit during the call may or may not be included.
    async fn load(&self, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, StoreError>;

    /// Reads one page of the open tasks of all instances, ordered by instance.
    ///
    /// - Guarantee: an open task that exists during all pages is returned exactly once. A page with fewer than `limit`
    ///   rows is the last page.
    /// - Window: a task added or finished between two pages may or may not be returned.
    /// - Duty: start with `None`. Then pass the last row of the page before as `after`.
    async fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
    ) -> Result<Vec<OpenTask>, StoreError>;

    /// Reads one page of the compensating instances, ordered by row. The paging works as in
    /// [`open_tasks`](Self::open_tasks).
    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError>;

    /// Reads one page of the inbox, in order. The page starts behind `after`.
    ///
    /// - Guarantee: rows become visible in ascending order of their [`InboxId`]. A page with fewer than `limit` rows is
    ///   the last page.
    /// - Window: a row delivered during the call may or may not be included.
    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError>;

    /// Reads one page of the deliveries, in order. The page starts behind `after`. The paging works as in
    /// [`inbox`](Self::inbox).
    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError>;

    /// Reads one page of the timers due at or before `until`. The page starts behind `after`.
    ///
    /// - Guarantee: the order is due time, instance, name. The removal of timers between two pages skips no other
    ///   timer.
    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError>;

    /// Checks for deliveries by others, and checks the identity of the store.
    ///
    /// The dispatcher calls this method once a second. The method reads no table.
    ///
    /// - Guarantee: the answer is `true` once after another process has delivered rows. The file is still the file that
    ///   was opened.
    /// - Window: a delivery in this process may be reported here or by [`woken`](Self::woken).
    /// - Duty: call again a second later after a temporary error ([`StoreError::is_temporary`]).
    ///
    /// # Errors
    /// [`StoreError::Moved`] if the file was deleted or replaced. The dispatcher then stops.
    async fn pulse(&self) -> Result<bool, StoreError>;

    /// Completes after a delivery in this process.
    ///
    /// - Window: a wake-up is only a hint. Correctness depends on the scan of the inbox once a minute.
    async fn woken(&self);
}

/// An open task together with its instance.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTask {
    /// The row of the instance.
    pub row: RowId,
    /// The address of the instance.
    pub address: Address,
    /// The open task.
    pub task: Task,
}

/// A due timer together with its instance.
#[derive(Clone, Debug, PartialEq)]
pub struct DueTimer {
    /// The row of the instance.
    pub row: RowId,
    /// The address of the instance.
    pub address: Address,
    /// The due timer.
    pub timer: TimerRow,
}

/// The sort key of a timer in the order of due times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    /// The due time of the timer.
    pub due: Timestamp,
    /// The row of the instance.
    pub row: RowId,
    /// The name of the timer.
    pub name: String,
}

/// The answer of [`Store::load`] for one address.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded {
    /// The instance, as its last step left it.
    Snapshot(Box<Snapshot>),
    /// The row exists and cannot be read, for this reason. The engine quarantines the instance and changes nothing.
    Unreadable(String),
    /// The address was an alias ([`InstanceName::is_alias`](crate::message::InstanceName::is_alias)). The instance with this key holds the alias.
    Alias(Key),
}

/// The reason for a failed call to a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another epoch holds the lease. The caller must stop at once.
    #[error("the lease of epoch {epoch} has been taken over; this dispatcher must stop")]
    Fenced {
        /// The epoch of the caller.
        epoch: u64,
    },
    /// Another process or handle holds the lease.
    #[error("{store} is in use by {owner}; stop the owner first, or open the store without a dispatcher")]
    Owned {
        /// The name of the store, such as its path.
        store: String,
        /// The lease holder, as far as known.
        owner: String,
    },
    /// The store cannot answer now. The result of a commit in progress is unknown. The same call can be repeated.
    #[error("{store} is not available")]
    Unavailable {
        /// The name of the store, such as its path.
        store: String,
        /// The cause.
        source: BoxError,
    },
    /// The store has no space left. Nothing was written. The same call can be repeated when there is space.
    #[error("{store} is full")]
    Full {
        /// The name of the store, such as its path.
        store: String,
        /// The cause.
        source: BoxError,
    },
    /// The file was deleted or replaced while in use. The store writes nothing more to the file.
    #[error("{store} was deleted or replaced while in use; stop the process and restore the file")]
    Moved {
        /// The name of the store, such as its path.
        store: String,
    },
    /// The stored data contradicts itself. The store writes nothing more.
    #[error("{store} is damaged: {detail}; restore the store from a backup")]
    Corrupt {
        /// The name of the store, such as its path.
        store: String,
        /// The contradiction that was found.
        detail: String,
    },
    /// The server has lost what it had answered before, or another server has taken its place. Memory and store may differ,
    /// so the store writes nothing more. The next start goes on from what the server has.
    #[error(
        "{store} may have lost answered writes: {detail}; start the process again, which goes on from what the server has"
    )]
    Rewound {
        /// The name of the store.
        store: String,
        /// The difference that was found.
        detail: String,
    },
    /// A saga cannot take over the name of another saga. Both have an instance or an alias with this key. Nothing was
    /// changed.
    #[error(
        "saga `{was}` of {store} cannot be renamed to `{name}`: both sagas have `{key}`; choose another name"
    )]
    Clash {
        /// The name of the store, such as its path.
        store: String,
        /// The earlier name of the saga.
        was: String,
        /// The present name of the saga.
        name: String,
        /// The key that both sagas have.
        key: InstanceName,
    },
    /// The store cannot be opened in its present condition.
    #[error("cannot open {store}: {detail}")]
    Open {
        /// The name of the store, such as its path.
        store: String,
        /// The reason and the remedy.
        detail: String,
    },
}

impl StoreError {
    /// Returns whether the same call may succeed later. The caller should then repeat the call.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}
