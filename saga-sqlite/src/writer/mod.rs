//! The writer: the only connection that writes as the store, and its thread.
//!
//! Owns: the connection that writes, the transaction around every write, the lease of this process, and the result of
//! an unknown COMMIT (rule R30). Does not own: the statements of a step (`commit`).
//!
//! ```text
//! async callers ──▶ bounded queue of jobs ──▶ this thread: BEGIN IMMEDIATE · fence · steps · COMMIT ──▶ their answers
//!                                                  │ COMMIT returns an error
//!                                                  ▼
//!                                   the connection is dropped; the next job opens a new connection,
//!                                   commits a new epoch on it, and reads whether the last batch is durable
//! ```

#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use saga_core::definition::StoredDefinition;
use saga_core::message::{Id, Timestamp};
use saga_core::store::{
    Batch, ConsumerRow, InboxId, Lease, Mail, Purged, RetiredName, RowId, ShardId, StepOutcome, StoreError,
};

use crate::checkpoint::{Checkpoints, PASSIVE, TRUNCATE};
use crate::commit::{self, Isolation, Texts};
use crate::error::{Kind, kind, of_store, unavailable};
use crate::lock::OwnerLock;
use crate::maintain;
use crate::numbers::Numbers;
use crate::open::{Role, connect};
use crate::rename;
use crate::schema;
use crate::store_file::StoreFile;
use crate::table::{consumer, definition, inbox, instance, meta, pause};

pub(crate) use thread::Handle;

/// The maximum average time of a commit on the calling thread.
const PROMPT: Duration = Duration::from_millis(1);

pub(crate) struct Writer {
    place: Arc<StoreFile>,
    checkpoints: Arc<Checkpoints>,
    db: Option<Connection>,
    held: Option<HeldLease>,
    /// The buffers of a step, for the next batch.
    texts: Texts,
    /// The moving average of the time of a commit.
    pace: Duration,
    #[cfg(test)]
    pub(crate) faults: tests::Faults,
}

/// The lease of this process.
struct HeldLease {
    /// The epoch known to the caller.
    presented: u64,
    /// The epoch in the file. After a renewal this epoch is later than the presented epoch.
    epoch: u64,
    /// The secret name of this process in the file. A renewal recognises its own lease by this name.
    holder: String,
    numbers: Numbers,
    /// The last durable batch.
    answered: Option<Answered>,
    /// The batch with a failed COMMIT, until its result is known.
    doubt: Option<Doubt>,
    /// The lock ends with this lease, after the write of the release.
    _lock: OwnerLock,
}

/// A batch with its outcomes. A repeated batch gets the same outcomes (rule R32).
#[derive(Clone)]
struct Answered {
    number: u64,
    outcomes: Vec<StepOutcome>,
}

/// A batch with a COMMIT of unknown result.
struct Doubt {
    batch: Answered,
    proof: Proof,
}

/// The proof that a batch is durable.
#[derive(Clone, Copy)]
enum Proof {
    /// A row of the batch is at its step. Only this batch writes this step. Nearly every batch has such a row, and
    /// needs no page for its number.
    Step(RowId, Id),
    /// The number of the batch is recorded.
    Number(u64),
}

impl Proof {
    fn of(batch: &Batch, outcomes: &[StepOutcome]) -> Self {
        let step = batch.steps.iter().zip(outcomes).find_map(|(step, outcome)| match outcome {
            StepOutcome::Committed(committed) => {
                Some(Self::Step(committed.row.or(step.row)?, step.instance.as_ref()?.step))
            }
            _ => None,
        });
        step.unwrap_or(Self::Number(batch.number))
    }

    /// Returns whether the batch is durable. `recorded` is the last recorded number of a batch.
    fn holds(self, db: &Connection, recorded: u64) -> rusqlite::Result<bool> {
        match self {
            Self::Step(row, step) => instance::is_at(db, row, step),
            Self::Number(number) => Ok(number == recorded),
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(
        place: Arc<StoreFile>,
        checkpoints: Arc<Checkpoints>,
        mut db: Connection,
    ) -> rusqlite::Result<Self> {
        checkpoints.watch(&mut db)?;
        Ok(Self {
            place,
            checkpoints,
            db: Some(db),
            held: None,
            texts: Texts::default(),
            pace: Duration::ZERO,
            #[cfg(test)]
            faults: tests::Faults::default(),
        })
    }

    pub(crate) fn lease(&mut self, owner: &str) -> Result<Lease, StoreError> {
        let lock = match self.held.take() {
            // A new lease through the same handle supersedes the earlier lease. The lock stays.
            Some(held) => held._lock,
            None => OwnerLock::take(&self.place, owner)?,
        };
        let holder = uuid::Uuid::new_v4().to_string();
        let mut numbers = Numbers::default();
        let (epoch, unclean) = self.write(|db| {
            numbers.raise(db)?;
            meta::take(db, &holder, owner)
        })?;
        self.held = Some(HeldLease {
            presented: epoch,
            epoch,
            holder,
            numbers,
            answered: None,
            doubt: None,
            _lock: lock,
        });
        // The lock of the file ends with its process, and its handlers with it.
        Ok(Lease { epoch, unclean, linger: Duration::ZERO, shard: ShardId::WHOLE })
    }

    pub(crate) fn release(&mut self, lease: &Lease) -> Result<(), StoreError> {
        self.ready()?;
        let epoch = self.holding(lease)?.epoch;
        if !self.write(|db| meta::release(db, epoch))? {
            return Err(self.lost(lease.epoch));
        }
        self.held = None;
        // The release is durable. A reader must not delay its answer, and the next owner can empty the log as well.
        self.without_waiting(|writer| {
            if let Some(db) = &writer.db {
                writer.checkpoints.run(db, TRUNCATE);
            }
        });
        Ok(())
    }

    /// Runs `body` with a connection that does not wait for locks. Returns `None` without a connection.
    fn without_waiting<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.db.as_ref()?.busy_timeout(Duration::ZERO).ok()?;
        let value = body(self);
        if self.db.as_ref().is_some_and(|db| db.busy_timeout(self.place.options.busy_timeout).is_err()) {
            self.db = None;
        }
        Some(value)
    }

    /// Ends the lease in the same way as the end of the process.
    pub(crate) fn abandon(&mut self, epoch: u64) {
        self.held.take_if(|held| held.presented == epoch);
    }

    pub(crate) fn commit(&mut self, lease: &Lease, batch: &Batch) -> Result<Vec<StepOutcome>, StoreError> {
        self.holding(lease)?;
        self.ready()?;
        let held = self.holding(lease)?;
        match &held.answered {
            Some(answered) if answered.number == batch.number => return Ok(answered.outcomes.clone()),
            Some(answered) if answered.number > batch.number => {
                let reason = format!(
                    "batch {} came after batch {}; batch numbers must rise",
                    batch.number, answered.number
                );
                return Ok(vec![StepOutcome::Refused(reason); batch.steps.len()]);
            }
            _ => {}
        }
        let (outcomes, numbers) = match self.steps(lease, batch, Isolation::Hopeful)? {
            Some(written) => written,
            None => {
                self.roll_back();
                self.ready()?;
                let alone = self.steps(lease, batch, Isolation::Each)?;
                alone.ok_or_else(|| {
                    unavailable(self.place.name(), "the steps could not be written one by one")
                })?
            }
        };
        #[cfg(test)]
        self.faults.panic_if_asked();
        let proof = Proof::of(batch, &outcomes);
        if let Proof::Number(number) = proof {
            let recorded = meta::set_batch(self.open()?, number);
            recorded.map_err(|error| self.give_up(error))?;
        }
        let held = self.holding_mut(lease)?;
        held.numbers = numbers;
        // The batch is in doubt before the COMMIT. A panic during the COMMIT also leaves the batch in doubt.
        let batch = Answered { number: batch.number, outcomes: outcomes.clone() };
        held.doubt = Some(Doubt { batch, proof });
        self.finish()?;
        let held = self.holding_mut(lease)?;
        held.answered = held.doubt.take().map(|doubt| doubt.batch);
        Ok(outcomes)
    }

    /// Commits like [`commit`](Self::commit), for a thread that must not wait.
    ///
    /// `None` means that nothing was written. The disk was slow, the connection must be opened again, or another
    /// process is writing.
    pub(crate) fn commit_promptly(
        &mut self,
        lease: &Lease,
        batch: &Batch,
    ) -> Option<Result<Vec<StepOutcome>, StoreError>> {
        if self.pace > PROMPT {
            return None;
        }
        let (written, missed) = self.without_waiting(|writer| {
            let written = writer.commit(lease, batch);
            // Without a connection the cause is a failed COMMIT, not a missed lock. The batch is then in doubt.
            let missed = writer.db.is_some() && matches!(written, Err(StoreError::Unavailable { .. }));
            (written, missed)
        })?;
        if missed { None } else { Some(written) }
    }

    /// Begins a transaction and writes the steps. Returns `None` if the steps need the other isolation.
    fn steps(
        &mut self,
        lease: &Lease,
        batch: &Batch,
        isolation: Isolation,
    ) -> Result<Option<(Vec<StepOutcome>, Numbers)>, StoreError> {
        let held = self.holding(lease)?;
        let (epoch, mut numbers) = (held.epoch, held.numbers.clone());
        self.begin()?;
        let mut texts = std::mem::take(&mut self.texts);
        let written = match meta::holds(self.open()?, epoch) {
            Ok(true) => commit::steps(self.open()?, &mut numbers, &mut texts, &batch.steps, isolation),
            Ok(false) => {
                self.roll_back();
                return Err(self.lost(lease.epoch));
            }
            Err(error) => Err(error),
        };
        self.texts = texts;
        let outcomes = written.map_err(|error| self.give_up(error))?;
        Ok(outcomes.map(|outcomes| (outcomes, numbers)))
    }

    pub(crate) fn deliver(&mut self, mail: &[Mail]) -> Result<Vec<InboxId>, StoreError> {
        self.write(|db| mail.iter().map(|mail| inbox::insert(db, mail)).collect())
    }

    pub(crate) fn register(&mut self, consumers: &[ConsumerRow]) -> Result<(), StoreError> {
        self.write(|db| {
            consumers.iter().try_for_each(|consumer| {
                consumer::insert(db, consumer)?;
                pause::end_retirement(db, &consumer.consumer)
            })
        })
    }

    pub(crate) fn define(&mut self, definitions: &[StoredDefinition]) -> Result<(), StoreError> {
        self.write(|db| definitions.iter().try_for_each(|definition| definition::put(db, definition)))
    }

    pub(crate) fn purge(&mut self, before: Timestamp, limit: usize) -> Result<Purged, StoreError> {
        self.write_numbered(|db, numbers| maintain::purge(db, numbers, before, limit))
    }

    pub(crate) fn rename(&mut self, names: &[RetiredName]) -> Result<Vec<usize>, StoreError> {
        let renamed = self.write_numbered(|db, numbers| {
            let renamed = rename::rename(db, numbers, names)?;
            // A rename changes the numbers of the sagas and the rows of the counts.
            numbers.raise(db)?;
            Ok(renamed)
        })?;
        let store = self.place.name();
        renamed.map_err(|(RetiredName { was, name, .. }, key)| {
            let store = store.to_owned();
            StoreError::Clash { store, was, name, key }
        })
    }

    /// Runs a write that needs the lease, and keeps the numbers as the write has left them.
    fn write_numbered<T>(
        &mut self,
        body: impl FnOnce(&Connection, &mut Numbers) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.ready()?;
        let Some(held) = &self.held else { return Err(StoreError::Fenced { epoch: 0 }) };
        let (presented, epoch, mut numbers) = (held.presented, held.epoch, held.numbers.clone());
        let written = self
            .write(|db| if meta::holds(db, epoch)? { body(db, &mut numbers).map(Some) } else { Ok(None) })?;
        let Some(written) = written else { return Err(self.lost(presented)) };
        if let Some(held) = &mut self.held {
            held.numbers = numbers;
        }
        Ok(written)
    }

    /// Returns whether this process holds a lease. A lease holder finds its own deliveries without the wake file.
    pub(crate) fn holds_lease(&self) -> bool {
        self.held.is_some()
    }

    fn holding(&self, lease: &Lease) -> Result<&HeldLease, StoreError> {
        self.held
            .as_ref()
            .filter(|held| held.presented == lease.epoch)
            .ok_or(StoreError::Fenced { epoch: lease.epoch })
    }

    fn holding_mut(&mut self, lease: &Lease) -> Result<&mut HeldLease, StoreError> {
        self.held
            .as_mut()
            .filter(|held| held.presented == lease.epoch)
            .ok_or(StoreError::Fenced { epoch: lease.epoch })
    }

    /// Ends the lease after a takeover. Nothing more is written under this lease.
    fn lost(&mut self, epoch: u64) -> StoreError {
        self.held = None;
        StoreError::Fenced { epoch }
    }

    /// Makes the connection usable. After an error, a new connection with a new epoch is opened (rule R30).
    fn ready(&mut self) -> Result<(), StoreError> {
        if self.db.is_some() {
            return Ok(());
        }
        self.place.check()?;
        let name = self.place.name();
        let mut db = connect(&self.place, Role::Write).map_err(|error| of_store(name, error))?;
        self.checkpoints.watch(&mut db).map_err(|error| of_store(name, error))?;
        self.db = Some(db);
        let Some(held) = &self.held else { return Ok(()) };
        let (presented, holder) = (held.presented, held.holder.clone());
        let mut numbers = held.numbers.clone();
        let proof = held.doubt.as_ref().map(|doubt| doubt.proof);
        let renewed = self.transaction(|db| {
            numbers.raise(db)?;
            let Some((epoch, recorded)) = meta::renew(db, &holder)? else { return Ok(None) };
            let durable = proof.map_or(Ok(false), |proof| proof.holds(db, recorded))?;
            Ok(Some((epoch, durable)))
        });
        let renewed = match renewed {
            Ok(renewed) => renewed,
            Err(error) => {
                // The next job must renew the epoch again. Reads are not reliable before that.
                self.db = None;
                return Err(unavailable(self.place.name(), error));
            }
        };
        let Some((epoch, durable)) = renewed else { return Err(self.lost(presented)) };
        if let Some(held) = &mut self.held {
            held.epoch = epoch;
            held.numbers = numbers;
            let doubt = held.doubt.take();
            if durable {
                held.answered = doubt.map(|doubt| doubt.batch);
            }
        }
        Ok(())
    }

    /// Runs one transaction without retries. After an error before COMMIT, nothing was written. After an error of
    /// COMMIT, the result is unknown.
    fn write<T>(&mut self, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.ready()?;
        self.transaction(body)
    }

    fn transaction<T>(
        &mut self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.begin()?;
        // Without a lease, another build may have migrated the file since its opening.
        if self.held.is_none()
            && let Err(error) = schema::check_still(&self.place, self.open()?)
        {
            self.roll_back();
            return Err(error);
        }
        match body(self.open()?) {
            Ok(value) => {
                self.finish()?;
                Ok(value)
            }
            Err(error) => Err(self.give_up(error)),
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let begun = self.open()?.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        begun.map(drop).map_err(|error| self.give_up(error))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        #[cfg(test)]
        let fault = self.faults.next_commit();
        let began = Instant::now();
        let db = self.open()?;
        let commit = || db.prepare_cached("COMMIT")?.execute([]);
        #[cfg(test)]
        let commit = || tests::around(fault, commit);
        match commit() {
            Ok(_) => {
                self.pace = (self.pace * 3 + began.elapsed()) / 4;
                self.checkpoints.after_commit(self.open()?);
                // A commit to a deleted file is lost, although SQLite still writes to the file.
                let checked = self.place.check();
                #[cfg(test)]
                let checked = tests::checked(fault, checked);
                if checked.is_err() {
                    // The caller sends the batch again. The next connection finds out whether the batch is durable.
                    self.db = None;
                }
                checked
            }
            Err(error) => {
                tracing::warn!(store = self.place.name(), %error, "the outcome of the commit is not known");
                self.db = None;
                Err(unavailable(self.place.name(), error))
            }
        }
    }

    /// Rolls the transaction back and converts the error.
    fn give_up(&mut self, error: rusqlite::Error) -> StoreError {
        let fatal = !matches!(kind(&error), Kind::Step | Kind::Full)
            && error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy);
        self.roll_back();
        if fatal {
            // The connection may have lost its view of the file or its memory.
            self.db = None;
        }
        of_store(self.place.name(), error)
    }

    fn roll_back(&mut self) {
        let ended =
            self.db.as_ref().is_none_or(|db| db.is_autocommit() || db.execute_batch("ROLLBACK").is_ok());
        if !ended {
            // Closing the connection also ends the transaction.
            self.db = None;
        }
    }

    /// Returns the connection opened by [`ready`](Self::ready).
    fn open(&self) -> Result<&Connection, StoreError> {
        self.db.as_ref().ok_or_else(|| unavailable(self.place.name(), "the connection was lost"))
    }

    /// Drops the connection. Its state is not reliable after a panic.
    fn panicked(&mut self) {
        self.db = None;
    }

    /// Closes the writer after the drop of the last handle. The lease stays unclean.
    fn close(&mut self) {
        if let Some(db) = self.db.take() {
            // This checkpoint never waits, because the thread that drops the last handle waits for it.
            self.checkpoints.run(&db, PASSIVE);
        }
        self.held = None;
    }
}
