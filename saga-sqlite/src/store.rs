//! The store for the dispatcher: the implementations of `Store` and `Maintain`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use saga_core::definition::StoredDefinition;
use saga_core::message::Timestamp;
use saga_core::store::{
    Address, Batch, ConsumerRow, Delivery, DeliveryId, DueTimer, InboxId, Lease, Loaded, Mail, Maintain,
    OpenTask, Purged, RetiredName, RowId, StepOutcome, Store, StoreError, TaskId, TimerKey,
};
use tokio::sync::Notify;

use crate::application_connection::{Watch, is_held_here};
use crate::checkpoint::{CheckpointStats, Checkpoints};
use crate::open;
use crate::options::SqliteOptions;
use crate::read::{self, Readers};
use crate::reader::SqliteReader;
use crate::refusal;
use crate::store_file::StoreFile;
use crate::table::{delivery, inbox, instance};
use crate::transaction::Idle;
use crate::writer::{Handle, Writer};

/// The maximum number of steps that the calling thread writes itself. For such a batch, two changes of thread take
/// longer than the write. Batches are larger under load. A larger batch is prepared during the write of the batch
/// before. On a slow disk the calling thread writes nothing itself (`Writer::commit_promptly`).
const STEPS_HERE: usize = 16;

/// A store in one SQLite file. Clones share threads and connections. The last clone closes them.
#[derive(Clone)]
pub struct SqliteStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) place: Arc<StoreFile>,
    pub(crate) writer: Handle,
    pub(crate) readers: Arc<Readers>,
    pub(crate) delivered: Notify,
    pub(crate) idle: Idle,
    pub(crate) watch: Watch,
    pub(crate) checkpoints: Arc<Checkpoints>,
    checkpointer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// The version of the tables that this build reads and writes. `docs/format.md` describes them.
    pub const SCHEMA: usize = crate::schema::latest();

    /// Opens the file. Creates the file if it is missing.
    ///
    /// An application without a dispatcher opens the store in the same way. Only [`Store::lease`] asks for the right to
    /// advance instances. The path is resolved at once. A later change of the working directory has no effect. A file
    /// has one owner under all its paths. This call blocks until the file is open. The drop of the last clone blocks
    /// until the file is closed.
    ///
    /// # Errors
    /// The same as for [`SqliteOptions::open`](crate::SqliteOptions::open).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path)
    }

    /// Returns the default options, for opening a store with other options.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    pub(crate) fn start(path: PathBuf, options: SqliteOptions) -> Result<Self, StoreError> {
        let place = Arc::new(StoreFile::new(path, options));
        let db = open::open(&place)?;
        let checkpoints = Arc::new(Checkpoints::default());
        let writer = Writer::new(Arc::clone(&place), Arc::clone(&checkpoints), db)
            .map_err(|error| refusal::explain(&place, error))?;
        let start = || {
            let (background, of) = (Arc::clone(&checkpoints), Arc::clone(&place));
            Ok(Shared {
                writer: Handle::start(Arc::clone(&place), writer)?,
                readers: Arc::new(Readers::start(&place)?),
                checkpointer: Some(
                    std::thread::Builder::new()
                        .name("saga-checkpoint".to_owned())
                        .spawn(move || background.background(&of))?,
                ),
                delivered: Notify::new(),
                idle: Idle::default(),
                watch: Watch::default(),
                place: Arc::clone(&place),
                checkpoints: Arc::clone(&checkpoints),
            })
        };
        let shared = start().map_err(|error: std::io::Error| refusal::refuse(&place, error.to_string()))?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the absolute path of the file, without symbolic links.
    pub fn path(&self) -> &Path {
        self.shared.place.path()
    }

    /// Returns a handle that only reads, for a part of the application that must not change the store.
    pub fn reader(&self) -> SqliteReader {
        SqliteReader { readers: Arc::clone(&self.shared.readers) }
    }

    /// Returns counts of the checkpoints since the store was opened.
    pub fn checkpoints(&self) -> CheckpointStats {
        self.shared.checkpoints.stats()
    }

    /// Wakes the dispatcher. A dispatcher in this process wakes at once, and another one within a second.
    pub(crate) fn wake(&self, dispatcher_here: bool) {
        self.shared.delivered.notify_one();
        if !dispatcher_here {
            self.shared.place.wake();
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.checkpoints.quit();
        if let Some(thread) = self.checkpointer.take() {
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn lease(&self, owner: &str) -> Result<Lease, StoreError> {
        let owner = owner.to_owned();
        self.shared.writer.call(move |writer| writer.lease(&owner)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.shared.writer.call(move |writer| writer.release(&lease)).await
    }

    fn is_held_here(&self) -> bool {
        is_held_here(&self.shared.place)
    }

    fn abandon(&self, lease: &Lease) {
        self.shared.writer.abandon(lease.epoch);
    }

    async fn commit(&self, lease: &Lease, batch: Arc<Batch>) -> Result<Vec<StepOutcome>, StoreError> {
        if batch.steps.len() <= STEPS_HERE
            && let Some(written) =
                self.shared.writer.call_here(|writer| writer.commit_promptly(lease, &batch))
        {
            return written;
        }
        let lease = lease.clone();
        self.shared.writer.call(move |writer| writer.commit(&lease, &batch)).await
    }

    async fn deliver(&self, mail: Vec<Mail>) -> Result<Vec<InboxId>, StoreError> {
        let (ids, here) =
            self.shared.writer.call(move |writer| Ok((writer.deliver(&mail)?, writer.holds_lease()))).await?;
        self.wake(here);
        Ok(ids)
    }

    async fn load(&self, addresses: &[Address]) -> Result<Vec<Option<Loaded>>, StoreError> {
        let addresses = addresses.to_vec();
        self.shared
            .readers
            .read(move |db| addresses.iter().map(|address| read::load(db, address)).collect())
            .await
    }

    async fn open_tasks(
        &self,
        after: Option<(RowId, TaskId)>,
        limit: usize,
    ) -> Result<Vec<OpenTask>, StoreError> {
        let after = after.unwrap_or((RowId(i64::MIN), TaskId { seq: 0, ord: 0 }));
        self.shared.readers.read(move |db| read::open_tasks(db, after, limit)).await
    }

    async fn compensating(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Address)>, StoreError> {
        let after = after.map_or(i64::MIN, |row| row.0);
        self.shared
            .readers
            .read(move |db| read::page(db, instance::COMPENSATING, (after,), limit, instance::place))
            .await
    }

    async fn inbox(&self, after: InboxId, limit: usize) -> Result<Vec<(InboxId, Mail)>, StoreError> {
        self.shared.readers.read(move |db| read::page(db, inbox::PAGE, (after.0,), limit, inbox::read)).await
    }

    async fn deliveries(
        &self,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<(DeliveryId, Delivery)>, StoreError> {
        self.shared
            .readers
            .read(move |db| read::page(db, delivery::PAGE, (after.0,), limit, delivery::read))
            .await
    }

    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerKey>,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        let (due, row, name) = match after {
            Some(after) => (after.due.as_millis(), after.row.0, after.name),
            None => (i64::MIN, i64::MIN, String::new()),
        };
        self.shared
            .readers
            .read(move |db| read::due_timers(db, (until.as_millis(), due, row, name), limit))
            .await
    }

    async fn pulse(&self) -> Result<bool, StoreError> {
        self.shared.place.check()?;
        Ok(self.shared.place.was_woken())
    }

    async fn woken(&self) {
        self.shared.delivered.notified().await;
    }
}

#[async_trait]
impl Maintain for SqliteStore {
    async fn register(&self, consumers: &[ConsumerRow]) -> Result<(), StoreError> {
        let consumers = consumers.to_vec();
        self.shared.writer.call(move |writer| writer.register(&consumers)).await
    }

    async fn define(&self, definitions: &[StoredDefinition]) -> Result<(), StoreError> {
        let definitions = definitions.to_vec();
        self.shared.writer.call(move |writer| writer.define(&definitions)).await
    }

    async fn rename(&self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError> {
        let names = names.to_vec();
        self.shared.writer.call(move |writer| writer.rename(&names)).await
    }

    async fn purge(&self, before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        self.shared.writer.call(move |writer| writer.purge(before, limit)).await
    }
}
