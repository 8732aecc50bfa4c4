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
    OpenTask, PauseOf, Purged, RetiredName, RowId, StepOutcome, Store, StoreError, TaskId, TimerKey,
};
use crate::definition::StoredDefinition;
use crate::message::Timestamp;

/// A store in memory.
///
/// Clones share their contents. A test can simulate a crash: drop a dispatcher, then start another one on a clone.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    model: Mutex<Model>,
    delivered: Notify,
    #[cfg(any(test, feature = "testing"))]
    faults: Mutex<faults::Faults>,
    /// The number of calls except `pulse`.
    #[cfg(any(test, feature = "testing"))]
    uses: std::sync::atomic::AtomicU64,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
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
    async fn lease(&self, _owner: &str) -> Result<Lease, StoreError> {
        let mut model = self.model();
        // The earlier lease was not released.
        if std::mem::replace(&mut model.running, true) {
            model.unclean = model.epoch;
        }
        model.epoch += 1;
        model.held = true;
        model.last_batch = None;
        #[cfg(any(test, feature = "testing"))]
        let linger = self.with_faults(|faults| faults.linger);
        #[cfg(not(any(test, feature = "testing")))]
        let linger = std::time::Duration::ZERO;
        Ok(Lease { epoch: model.epoch, unclean: model.unclean, linger })
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut model = self.model();
        model.fence(lease)?;
        model.held = false;
        model.running = false;
        Ok(())
    }

    #[cfg(any(test, feature = "testing"))]
    fn has_lapsed(&self) -> bool {
        self.with_faults(|faults| faults.lapsed)
    }

    fn abandon(&self, lease: &Lease) {
        let mut model = self.lock();
        if model.epoch == lease.epoch {
            model.held = false;
        }
    }

    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<StepOutcome>, StoreError> {
        let mut model = self.model();
        model.fence(lease)?;
        #[cfg(any(test, feature = "testing"))]
        if let Some(fault) = self.next_fault() {
            return fault.strike(&mut model, &batch);
        }
        Ok(model.commit(&batch))
    }

    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError> {
        let mut model = self.model();
        let ids = mail.into_iter().map(|mail| model.add_mail(mail)).collect();
        model.delivered = true;
        self.shared.delivered.notify_one();
        Ok(ids)
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
        Ok(self.model().open_tasks(after, limit))
    }

    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError> {
        Ok(self.model().compensating(after, limit))
    }

    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        Ok(model::behind(&self.model().inbox, after, limit))
    }

    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError> {
        Ok(model::behind(&self.model().deliveries, after, limit))
    }

    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        Ok(self.model().timers(until, after.as_ref(), limit))
    }

    async fn pulse(&self) -> Result<bool, StoreError> {
        // `pulse` does not count in `uses`.
        Ok(std::mem::take(&mut self.lock().delivered))
    }

    async fn woken(&self) {
        self.shared.delivered.notified().await;
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
        self.model().purge(before, limit)
    }
}
