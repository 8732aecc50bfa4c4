//! The in-memory store: the reference model of [`Store`], for tests and for examples.
//!
//! Owns: the simplest possible form of every promise. Other stores are compared with this form. Does not own:
//! durability. Data survives as long as one clone of the handle exists.

#[cfg(any(test, feature = "testing"))]
mod faults;
mod model;
mod names;
mod read;
mod rename;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

#[cfg(any(test, feature = "testing"))]
pub use faults::Fault;

use self::model::Model;
use super::{
    Address, Batch, ConsumerRow, Delivery, DeliveryId, DueTimer, InboxId, Lease, Loaded, Mail, Maintain,
    Meeting, Node, OpenTask, PauseOf, Purged, RetiredName, RowId, ShardId, StepOutcome, Store, StoreError,
    TaskId, TimerKey,
};
use crate::definition::StoredDefinition;
use crate::message::Timestamp;

/// A store in memory.
///
/// Clones share their contents. A test can simulate a crash: drop a dispatcher, then start another one on a clone.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    /// The shard of this handle. The handle of the whole store has none, unless the store is not divided.
    shard: Option<ShardId>,
}

struct Shared {
    model: Mutex<Model>,
    /// One for each shard.
    delivered: Vec<Notify>,
    #[cfg(any(test, feature = "testing"))]
    faults: Mutex<faults::Faults>,
    /// The number of calls except `pulse`.
    #[cfg(any(test, feature = "testing"))]
    uses: std::sync::atomic::AtomicU64,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::with_shards(1)
    }

    /// Creates an empty store with this number of shards, for tests of several dispatchers on one store. The number is at
    /// least 1 and at most [`ShardId::MAX`].
    pub fn with_shards(shards: u16) -> Self {
        let shards = shards.clamp(1, ShardId::MAX);
        let shared = Shared {
            model: Mutex::new(Model::with_shards(shards)),
            delivered: (0..shards).map(|_| Notify::new()).collect(),
            #[cfg(any(test, feature = "testing"))]
            faults: Mutex::default(),
            #[cfg(any(test, feature = "testing"))]
            uses: std::sync::atomic::AtomicU64::default(),
        };
        Self { shared: Arc::new(shared), shard: (shards == 1).then_some(ShardId::WHOLE) }
    }

    /// Returns whether the row of `address` belongs to this handle.
    fn owns(&self, address: &Address) -> bool {
        self.shard.is_none_or(|shard| shard.owns(address))
    }

    fn own_shard(&self) -> Result<ShardId, StoreError> {
        self.shard.ok_or_else(|| StoreError::Owned {
            store: "the memory store".to_owned(),
            owner: format!("its {} shards, each with a lease of its own", self.shared.delivered.len()),
        })
    }

    /// Wakes the owners of the shards with mail.
    fn wake<'m>(&self, mail: impl IntoIterator<Item = &'m Mail>) {
        for mail in mail {
            let shard = ShardId::of_address(&mail.to, self.shards());
            self.shared.delivered[usize::from(shard.number())].notify_one();
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        #[cfg(any(test, feature = "testing"))]
        self.shared.uses.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        // A poisoned lock is harmless here: all checks of a step run before its first write.
        self.shared.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = self.model();
        f.debug_struct("MemoryStore")
            .field("epoch", &model.epoch)
            .field("instances", &model.instances.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn meet(&self, node: &Node) -> Result<Meeting, StoreError> {
        let mut model = self.model();
        model.nodes.insert(node.name.clone(), node.clone());
        Ok(model.meeting())
    }

    async fn leave(&self, node: &Node) -> Result<(), StoreError> {
        self.model().nodes.remove(&node.name);
        Ok(())
    }

    async fn lease(&self, owner: &str) -> Result<Lease, StoreError> {
        let shard = self.own_shard()?;
        let mut model = self.model();
        model.epoch += 1;
        let epoch = model.epoch;
        let tenure = model.tenure(shard);
        // The earlier lease was not released.
        if std::mem::replace(&mut tenure.running, true) {
            tenure.unclean = tenure.epoch;
        }
        (tenure.epoch, tenure.held, tenure.last_batch) = (epoch, true, None);
        owner.clone_into(&mut tenure.owner);
        let unclean = tenure.unclean;
        #[cfg(any(test, feature = "testing"))]
        let linger = self.with_faults(|faults| faults.linger);
        #[cfg(not(any(test, feature = "testing")))]
        let linger = std::time::Duration::ZERO;
        Ok(Lease { epoch, unclean, linger, shard })
    }

    fn shards(&self) -> u16 {
        // The vector was built from a number of this type.
        u16::try_from(self.shared.delivered.len()).unwrap_or(ShardId::MAX)
    }

    fn shard(&self, shard: ShardId) -> Option<Arc<dyn Store>> {
        let fits = self.shard.is_none() && shard.of() == self.shards();
        fits.then(|| {
            Arc::new(Self { shared: Arc::clone(&self.shared), shard: Some(shard) }) as Arc<dyn Store>
        })
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut model = self.model();
        model.fence(lease)?;
        let tenure = model.tenure(lease.shard);
        (tenure.held, tenure.running) = (false, false);
        Ok(())
    }

    #[cfg(any(test, feature = "testing"))]
    fn has_lapsed(&self) -> bool {
        self.with_faults(|faults| faults.lapsed)
    }

    fn abandon(&self, lease: &Lease) {
        let mut model = self.lock();
        let tenure = model.tenure(lease.shard);
        if tenure.epoch == lease.epoch {
            tenure.held = false;
        }
    }

    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<StepOutcome>, StoreError> {
        let mut model = self.model();
        model.fence(lease)?;
        let shard = lease.shard;
        #[cfg(any(test, feature = "testing"))]
        if let Some(fault) = self.next_fault() {
            return fault.strike(&mut model, &batch, shard);
        }
        let outcomes = model.commit(&batch, shard);
        self.wake(batch.steps.iter().flat_map(|step| &step.mail).filter(|mail| !shard.owns(&mail.to)));
        Ok(outcomes)
    }

    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError> {
        let mut model = self.model();
        self.wake(&mail);
        Ok(mail.into_iter().map(|mail| model.deliver(mail)).collect())
    }

    async fn load(&self, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, StoreError> {
        let model = self.model();
        Ok(addresses.iter().map(|address| model.load(address)).collect())
    }

    async fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
    ) -> Result<Vec<OpenTask>, StoreError> {
        Ok(self.model().open_tasks(after, limit, |address| self.owns(address)))
    }

    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError> {
        Ok(self.model().compensating(after, limit, |address| self.owns(address)))
    }

    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        let mut model = self.model();
        let Some(shard) = self.shard else { return Ok(model.whole_inbox(after, limit)) };
        model.collect_arrivals(shard);
        Ok(model::behind(&model.inbox, after, limit, |mail| shard.owns(&mail.to)))
    }

    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError> {
        Ok(model::behind(&self.model().deliveries, after, limit, |delivery| self.owns(&delivery.to)))
    }

    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        Ok(self.model().timers(until, after.as_ref(), limit, |address| self.owns(address)))
    }

    async fn pulse(&self) -> Result<bool, StoreError> {
        // `pulse` does not count in `uses`.
        let Some(shard) = self.shard else { return Ok(false) };
        Ok(std::mem::take(&mut self.lock().tenure(shard).delivered))
    }

    async fn woken(&self) {
        match self.shard {
            Some(shard) => self.shared.delivered[usize::from(shard.number())].notified().await,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Maintain for MemoryStore {
    async fn register(&self, consumers: &[ConsumerRow]) -> Result<(), StoreError> {
        let mut model = self.model();
        model.consumers.extend(consumers.iter().cloned());
        for row in consumers {
            model.pauses.remove(&PauseOf::Consumer(row.consumer.clone()));
        }
        Ok(())
    }

    async fn define(&self, definitions: &[StoredDefinition]) -> Result<(), StoreError> {
        let of = |definition: &StoredDefinition| (definition.saga.clone(), definition.version);
        let known = definitions.iter().map(|definition| (of(definition), definition.clone()));
        self.model().definitions.extend(known);
        Ok(())
    }

    async fn rename(&self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError> {
        self.model().rename(names)
    }

    async fn purge(&self, before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        let shard = self.own_shard()?;
        self.model().purge(before, limit, shard)
    }
}
