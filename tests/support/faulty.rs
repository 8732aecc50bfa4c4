//! A store with trouble on demand around another one.
//!
//! Owns: what a call answers while the store is locked, full, hung or gone; the death of its process at a commit; and
//! counting what happened, because a fault test asserts that its fault fired. Does not own: what is stored.

#![allow(dead_code, unreachable_pub, missing_docs)] // Each test file uses its own part of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use saga::definition::StoredDefinition;
use saga::store::async_trait;
use saga::store::{
    Address, AuditFilter, AuditRow, Batch, ConsumerRow, DeadId, DeadLetterRow, DedupRecord, Delivery,
    DeliveryId, DeliveryRow, DueTimer, HistoryRow, InboxId, Inspect, InstanceCount, InstanceFilter,
    InstancePage, Lease, Loaded, Mail, Maintain, OpenTask, Pause, Purged, RetiredName, RowId, Snapshot,
    StepOutcome, Store, StoreError, StoreSizes, StoredName, TaskId, TimerKey, Trace,
};
use saga::{Message, MessageId, Timestamp};
use tokio::sync::watch;

const NAME: &str = "the faulty store";

/// What calls answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// What the inner store answers.
    #[default]
    Fine,
    /// [`StoreError::Unavailable`].
    Locked,
    /// [`StoreError::Full`] where something is to be written.
    Full,
    /// Nothing, until the condition is another one.
    Hung,
    /// [`StoreError::Moved`].
    Gone,
}

/// On which side of a commit the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nothing of it is written.
    Before,
    /// All of it is durable.
    After,
}

/// A store in trouble. Clones share the trouble and the store.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    condition: Condition,
    /// By which commit from here on it dies, and on which side of it.
    fate: Option<(u64, Side)>,
    dead: bool,
    /// How many commits have been answered.
    commits: u64,
    /// How many calls the condition or the death has hit.
    struck: u64,
    /// How often each call was made.
    asked: BTreeMap<&'static str, u64>,
}

impl Faulty {
    pub fn new(inner: impl Store) -> Self {
        Self { inner: Arc::new(inner), state: Arc::default() }
    }

    /// What calls answer from here on. Those that hang go on.
    pub fn set(&self, condition: Condition) {
        self.state.send_modify(|state| state.condition = condition);
    }

    /// Dies by the `nth` commit from here on, counted from 1: that commit is never answered, and neither is any later
    /// call.
    pub fn die(&self, nth: u64, side: Side) {
        self.state.send_modify(|state| state.fate = Some((nth, side)));
    }

    /// Ends when it has died.
    pub async fn died(&self) {
        self.until(|state| state.dead).await;
    }

    pub fn is_dead(&self) -> bool {
        self.state.borrow().dead
    }

    /// How many commits have been answered.
    pub fn commits(&self) -> u64 {
        self.state.borrow().commits
    }

    /// How many calls the condition or the death has hit.
    pub fn struck(&self) -> u64 {
        self.state.borrow().struck
    }

    /// Ends when so many calls have been hit.
    pub async fn until_struck(&self, calls: u64) {
        self.until(|state| state.struck >= calls).await;
    }

    /// How often a call of this name was made.
    pub fn asked(&self, call: &str) -> u64 {
        self.state.borrow().asked.get(call).copied().unwrap_or(0)
    }

    /// Ends when a call of this name has been made so often.
    pub async fn until_asked(&self, call: &str, times: u64) {
        self.until(|state| state.asked.get(call).is_some_and(|asked| *asked >= times)).await;
    }

    async fn until(&self, condition: impl Fn(&State) -> bool) {
        // The sender lives in `self`.
        let _ = self.state.subscribe().wait_for(condition).await;
    }

    fn strike(&self) {
        self.state.send_modify(|state| state.struck += 1);
    }

    /// Counts a call, and answers what is wrong, if anything is. Does not come back while the store hangs.
    async fn enter(&self, call: &'static str, writes: bool) -> Result<(), StoreError> {
        self.state.send_modify(|state| *state.asked.entry(call).or_default() += 1);
        let mut changes = self.state.subscribe();
        let mut hangs = false;
        loop {
            let (condition, dead) = {
                let state = changes.borrow_and_update();
                (state.condition, state.dead)
            };
            let store = NAME.to_owned();
            let error = match condition {
                _ if dead => None,
                Condition::Hung => None,
                Condition::Locked => {
                    Some(StoreError::Unavailable { store, source: "locked by the test".into() })
                }
                Condition::Full if writes => {
                    Some(StoreError::Full { store, source: "no room left by the test".into() })
                }
                Condition::Gone => Some(StoreError::Moved { store }),
                Condition::Fine | Condition::Full => return Ok(()),
            };
            if !hangs {
                self.strike();
            }
            if let Some(error) = error {
                return Err(error);
            }
            hangs = true;
            // The sender lives in `self`.
            let _ = changes.changed().await;
        }
    }

    /// Whether this is the commit by which it dies.
    fn dies(&self, side: Side) -> bool {
        let mut dies = false;
        self.state.send_if_modified(|state| {
            let Some((left, of)) = state.fate.filter(|(_, of)| *of == side) else { return false };
            state.fate = (left > 1).then_some((left - 1, of));
            if left <= 1 {
                (state.dead, dies) = (true, true);
                state.struck += 1;
            }
            true
        });
        dies
    }
}

#[async_trait]
impl Store for Faulty {
    async fn lease(&self, owner: &str) -> Result<Lease, StoreError> {
        self.enter("lease", true).await?;
        self.inner.lease(owner).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.enter("release", true).await?;
        self.inner.release(lease).await
    }

    fn is_held_here(&self) -> bool {
        self.inner.is_held_here()
    }

    fn has_lapsed(&self) -> bool {
        self.inner.has_lapsed()
    }

    fn abandon(&self, lease: &Lease) {
        self.inner.abandon(lease);
    }

    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<StepOutcome>, StoreError> {
        self.enter("commit", true).await?;
        if self.dies(Side::Before) {
            return std::future::pending().await;
        }
        let outcomes = self.inner.commit(lease, batch).await?;
        if self.dies(Side::After) {
            return std::future::pending().await;
        }
        self.state.send_modify(|state| state.commits += 1);
        Ok(outcomes)
    }

    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError> {
        self.enter("deliver", true).await?;
        self.inner.deliver(mail).await
    }

    async fn load(&self, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, StoreError> {
        self.enter("load", false).await?;
        self.inner.load(addresses).await
    }

    async fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
    ) -> Result<Vec<OpenTask>, StoreError> {
        self.enter("open_tasks", false).await?;
        self.inner.open_tasks(after, limit).await
    }

    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError> {
        self.enter("compensating", false).await?;
        self.inner.compensating(after, limit).await
    }

    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        self.enter("inbox", false).await?;
        self.inner.inbox(after, limit).await
    }

    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError> {
        self.enter("deliveries", false).await?;
        self.inner.deliveries(after, limit).await
    }

    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        self.enter("timers", false).await?;
        self.inner.timers(until, after, limit).await
    }

    async fn pulse(&self) -> Result<bool, StoreError> {
        self.enter("pulse", false).await?;
        self.inner.pulse().await
    }

    async fn woken(&self) {
        // Only a hint, which a store in trouble may still give.
        self.inner.woken().await;
    }
}

#[async_trait]
impl Inspect for Faulty {
    async fn instance(&self, address: &Address) -> Result<Option<Snapshot>, StoreError> {
        self.enter("instance", false).await?;
        self.inner.instance(address).await
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<InstancePage, StoreError> {
        self.enter("instances", false).await?;
        self.inner.instances(filter).await
    }

    async fn counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        self.enter("counts", false).await?;
        self.inner.counts().await
    }

    async fn names(&self) -> Result<Vec<StoredName>, StoreError> {
        self.enter("names", false).await?;
        self.inner.names().await
    }

    async fn history(&self, address: &Address, limit: usize) -> Result<Vec<HistoryRow>, StoreError> {
        self.enter("history", false).await?;
        self.inner.history(address, limit).await
    }

    async fn dead_letters(&self, after: DeadId, limit: usize) -> Result<Vec<DeadLetterRow>, StoreError> {
        self.enter("dead_letters", false).await?;
        self.inner.dead_letters(after, limit).await
    }

    async fn consumers(&self) -> Result<Vec<ConsumerRow>, StoreError> {
        self.enter("consumers", false).await?;
        self.inner.consumers().await
    }

    async fn sizes(&self) -> Result<StoreSizes, StoreError> {
        self.enter("sizes", false).await?;
        self.inner.sizes().await
    }

    async fn open_deliveries(&self, after: DeliveryId, limit: usize) -> Result<Vec<DeliveryRow>, StoreError> {
        self.enter("open_deliveries", false).await?;
        self.inner.open_deliveries(after, limit).await
    }

    async fn dedup_records(
        &self,
        after: Option<&(Address, MessageId)>,
        limit: usize,
    ) -> Result<Vec<DedupRecord>, StoreError> {
        self.enter("dedup_records", false).await?;
        self.inner.dedup_records(after, limit).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.enter("pauses", false).await?;
        self.inner.pauses().await
    }

    async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        self.enter("audit", false).await?;
        self.inner.audit(filter).await
    }

    async fn definitions(&self) -> Result<Vec<StoredDefinition>, StoreError> {
        self.enter("definitions", false).await?;
        self.inner.definitions().await
    }

    async fn waiting(&self, address: &Address, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        self.enter("waiting", false).await?;
        self.inner.waiting(address, limit).await
    }

    async fn retired(&self) -> Result<Vec<RetiredName>, StoreError> {
        self.enter("retired", false).await?;
        self.inner.retired().await
    }

    async fn traces(
        &self,
        id: &MessageId,
        message: &Message,
        consumers: &[Address],
    ) -> Result<Vec<Trace>, StoreError> {
        self.enter("traces", false).await?;
        self.inner.traces(id, message, consumers).await
    }
}

#[async_trait]
impl Maintain for Faulty {
    async fn register(&self, consumers: &[ConsumerRow]) -> Result<(), StoreError> {
        self.enter("register", true).await?;
        self.inner.register(consumers).await
    }

    async fn define(&self, definitions: &[StoredDefinition]) -> Result<(), StoreError> {
        self.enter("define", true).await?;
        self.inner.define(definitions).await
    }

    async fn rename(&self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError> {
        self.enter("rename", true).await?;
        self.inner.rename(names).await
    }

    async fn purge(&self, before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        self.enter("purge", true).await?;
        self.inner.purge(before, limit).await
    }
}
