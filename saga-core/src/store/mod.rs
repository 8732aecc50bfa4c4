//! Where instances live: the trait a store implements, the data it is given, and the in-memory reference store.
//!
//! Owns: the promises between engine and storage, written on each method.
//! Does not own: any decision. A store never sees user types, never calls user code, never interprets a payload and
//! never reads a clock.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod inspect;
mod memory;

pub use crate::step::*;
pub use inspect::{
    ConsumerRow, DeadLetterRow, HistoryRow, Inspect, InstanceFilter, InstanceView, Maintain, NameOf, Purged,
    RetiredName, Stored, StoredName, Trace,
};
#[cfg(any(test, feature = "testing"))]
pub use memory::Fault;
pub use memory::MemoryStore;

use std::sync::Arc;

// For those who write a store.
pub use async_trait::async_trait;

use crate::message::{BoxError, Key, Timestamp};

/// The exclusive right to advance instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The fencing number, checked in every commit. Higher for every lease.
    pub epoch: u64,
    /// The last epoch that ended without a release, 0 when there is none. What was last written under it or an earlier
    /// one may have been running when it ended, however many leases were released properly since.
    pub unclean: u64,
}

impl Lease {
    /// Whether a task that was last written under `epoch` may have been running when a process ended.
    pub const fn is_suspect(&self, epoch: u64) -> bool {
        epoch <= self.unclean
    }
}

/// Steps to commit together, numbered by the lease holder from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its number under the lease. A batch that is sent again has the same number and the same steps.
    pub number: u64,
    /// The steps, in order. At most one per instance changes the instance.
    pub steps: Vec<Step>,
}

/// Where instances, tasks, timers, obligations, inbox, dedup_records, dead letters and history live.
///
/// Steps are atomic; batches are not promised to be. Every method may be called again after any error.
///
/// # Cancellation
/// Dropping the future of `commit` does not withdraw the batch. Dropping any other future has no effect beyond not
/// getting the answer.
#[async_trait]
pub trait Store: Inspect + Maintain {
    /// Takes the right to advance instances, as `owner` (for people to read).
    ///
    /// On `Ok` the epoch is durable, and nobody who holds an earlier epoch can write any more. That includes a lease
    /// taken through this very handle: a dispatcher that died without releasing it is superseded.
    ///
    /// # Errors
    /// [`StoreError::Owned`] while another process, or another handle opened by itself, holds it.
    async fn lease(&self, owner: &str) -> Result<Lease, StoreError>;

    /// Gives the right back and records that nothing was running.
    ///
    /// On `Ok` this epoch is not the next lease's [`unclean`](Lease::unclean) one. Duty: call it only when no handler can still be running.
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Whether the calling thread itself holds up the commits of this store, as inside a transaction of the application's
    /// own: then it must not wait for one.
    fn is_held_here(&self) -> bool {
        false
    }

    /// Ends the lease as the end of this process would: nothing is written, and the next lease finds this one unclean.
    /// Returns at once; whoever else wants the lease gets it as soon as the store has done what it is doing. A lease that
    /// has been given back or taken over is left alone.
    fn abandon(&self, lease: &Lease);

    /// Commits the steps of `batch`, each all or nothing, in order.
    ///
    /// On `Ok` there is one outcome per step, and what it calls committed survives `kill -9` and, unless the store was
    /// opened otherwise, power loss. A refused step harms no other. On [`StoreError::Unavailable`] nobody knows: duty
    /// of the caller is to call again with the same batch, as often as it takes; a store then first makes sure what
    /// became of it (rule R30), and never applies it twice (rule R32). The last batch can be sent again at any time, and
    /// is answered as it was. Of a step, the instance is looked at before the deduplication records, and those before its claims.
    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<Outcome>, StoreError>;

    /// Puts rows into the inbox. Anybody may call this, with or without a lease. All rows or none.
    ///
    /// On `Ok` they are durable, and the lease holder is woken by [`pulse`](Self::pulse) or
    /// [`woken`](Self::woken) if it is alive.
    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError>;

    /// Loads instances with their tasks, timers and obligations, in the order asked; `None` where there is none. Of an
    /// alias it says whose it is ([`Loaded::Alias`]).
    ///
    /// Sees every commit that was answered before the call. A row that cannot be read, or whose checksum is wrong, is
    /// [`Loaded::Unreadable`]: it never fails its neighbours.
    async fn load(&self, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, StoreError>;

    /// Pages through all open tasks of all instances, by instance; starts with `None`, goes on with the last row of
    /// the page before. Every task that was there throughout is seen once.
    async fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
    ) -> Result<Vec<OpenTask>, StoreError>;

    /// Pages through the instances that are compensating, in order of their rows.
    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError>;

    /// Pages through the inbox in order, starting behind `after`.
    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError>;

    /// Pages through the deliveries in order, starting behind `after`.
    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError>;

    /// Pages through the timers due at `until` or before, by (due, instance, name), starting behind `after`.
    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError>;

    /// A cheap look, made once a second: has anything been delivered by somebody else since the last look, and is the
    /// store still the one that was opened? Touches no table.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when the file has been deleted or replaced, which stops the dispatcher. After an error that is
    /// temporary ([`StoreError::is_temporary`]) it looks again a second later.
    async fn pulse(&self) -> Result<bool, StoreError>;

    /// Ends when something is delivered in this process. A hint: correctness rests on the scan once a minute.
    async fn woken(&self);
}

/// One task with its instance.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTask {
    /// The row of the instance.
    pub row: RowId,
    /// The instance.
    pub address: Address,
    /// The task.
    pub task: Task,
}

/// One timer with its instance.
#[derive(Clone, Debug, PartialEq)]
pub struct DueTimer {
    /// The row of the instance.
    pub row: RowId,
    /// The instance.
    pub address: Address,
    /// The timer.
    pub timer: TimerRow,
}

/// The place of a timer in the order of due times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    /// When it is due.
    pub due: Timestamp,
    /// The row of its instance.
    pub row: RowId,
    /// Its name.
    pub name: String,
}

/// An instance as it was loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded {
    /// As it is.
    Snapshot(Box<Snapshot>),
    /// The row is there but cannot be read, for this reason. The engine quarantines it and touches nothing.
    Unreadable(String),
    /// The address was an alias ([`Key::is_alias`]), and the instance with this key holds it.
    Alias(Key),
}

/// Why a call to a store did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another epoch holds the lease: whoever gets this must stop at once.
    #[error("the lease of epoch {epoch} has been taken over; this dispatcher must stop")]
    Fenced {
        /// The epoch that was presented.
        epoch: u64,
    },
    /// Somebody else holds the lease.
    #[error("{store} is in use by {owner}; stop it first, or open the store without a dispatcher")]
    Owned {
        /// The store.
        store: String,
        /// Who holds it, as far as is known.
        owner: String,
    },
    /// The store cannot answer now. Nothing is known about a commit that was under way; call again.
    #[error("{store} is not available: {source}")]
    Unavailable {
        /// The store.
        store: String,
        /// Why.
        source: BoxError,
    },
    /// There is no room left. Nothing was written; call again when there is.
    #[error("{store} is full: {source}")]
    Full {
        /// The store.
        store: String,
        /// Why.
        source: BoxError,
    },
    /// The file was deleted or replaced while it was in use. Nothing more is written to it.
    #[error("{store} was deleted or replaced while in use; stop, and put the file back")]
    Moved {
        /// The store.
        store: String,
    },
    /// What is stored contradicts itself. Nothing more is written.
    #[error("{store} is damaged: {detail}; restore it from a backup")]
    Corrupt {
        /// The store.
        store: String,
        /// What was found.
        detail: String,
    },
    /// A saga cannot get the name of another one: both have an instance, or an alias, of this key. Nothing was changed.
    #[error(
        "saga `{was}` of {store} cannot be called `{name}` from now on: both have `{key}`; give the new one another name"
    )]
    Clash {
        /// The store.
        store: String,
        /// The earlier name.
        was: String,
        /// The present one.
        name: String,
        /// The key.
        key: Key,
    },
    /// The store cannot be opened as it is.
    #[error("cannot open {store}: {detail}")]
    Open {
        /// The store.
        store: String,
        /// Why, and what to do.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later, so that it should be repeated.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}
