//! The readers: two threads with a read-only connection each. A reader never waits for a commit.
//!
//! Every call is one read transaction and describes one moment of the store. An unreadable row is reported and does not
//! affect other rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Params, Row};
use saga_core::store::{Address, DueTimer, Loaded, OpenTask, RowId, Snapshot, StoreError, TaskId};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Kind, kind, of_store, unavailable};
use crate::open::{Role, connect};
use crate::store_file::StoreFile;
use crate::table::instance::LoadedRow;
use crate::table::value::{self, address};
use crate::table::{alias, instance, item, timer};
use saga_stored::pending;

const THREADS: usize = 2;
const QUEUE: usize = 256;

/// The time limit of a read for people. The write-ahead log cannot be emptied during a read.
const PATIENCE: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// The handle to the readers.
#[derive(Debug)]
pub(crate) struct Readers {
    place: Arc<StoreFile>,
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// The connection of one thread. The connection is opened at its first use, and again after an error.
struct Reader {
    place: Arc<StoreFile>,
    db: Option<Connection>,
}

impl Readers {
    pub(crate) fn start(place: &Arc<StoreFile>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let mut readers = Self { place: Arc::clone(place), jobs: Some(jobs), threads: Vec::new() };
        for n in 1..=THREADS {
            let (queue, mut reader) = (Arc::clone(&queue), Reader { place: Arc::clone(place), db: None });
            let thread = std::thread::Builder::new().name(format!("saga-reader-{n}")).spawn(move || {
                // An idle thread waits for jobs with the lock of the queue. The lock is released before the job runs.
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                while let Some(job) = next() {
                    if catch_unwind(AssertUnwindSafe(|| job(&mut reader))).is_err() {
                        reader.db = None;
                    }
                }
            })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Returns the name of the store, for errors.
    pub(crate) fn name(&self) -> &str {
        self.place.name()
    }

    pub(crate) fn place(&self) -> &StoreFile {
        &self.place
    }

    /// Runs a read for the dispatcher, without a time limit.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(body, None).await
    }

    /// Runs a read for people, with a time limit.
    pub(crate) async fn inspect<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(body, Some(PATIENCE)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        patience: Option<Duration>,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |reader| {
            // The receiver is gone if the caller was cancelled.
            let _ = answer.send(reader.run(body, patience));
        });
        if let Some(jobs) = &self.jobs
            && jobs.send(job).await.is_ok()
            && let Ok(result) = answered.await
        {
            return result;
        }
        Err(unavailable(self.place.name(), "a reader panicked; the next call opens a new connection"))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}

impl Reader {
    fn run<T>(
        &mut self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
        patience: Option<Duration>,
    ) -> Result<T, StoreError> {
        // An open connection can still read a deleted or replaced file.
        self.place.check()?;
        let result = self.one_transaction(body, patience);
        if let Err(error) = &result
            && kind(error) != Kind::Step
        {
            self.db = None;
        }
        result.map_err(|error| of_store(self.place.name(), error))
    }

    fn one_transaction<T>(
        &mut self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
        patience: Option<Duration>,
    ) -> rusqlite::Result<T> {
        let db = match &mut self.db {
            Some(db) => db,
            none => none.insert(connect(&self.place, Role::Read)?),
        };
        let deadline = patience.map(|patience| Instant::now() + patience);
        db.progress_handler(10_000, deadline.map(|deadline| move || Instant::now() > deadline))?;
        let tx = db.transaction()?;
        let value = body(&tx)?;
        tx.finish()?;
        Ok(value)
    }
}

/// Reads at most `limit` rows of a page. An unreadable row is reported and left out. The page continues behind that
/// row. A short page therefore always means the end.
pub(crate) fn page<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    limit: usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut page = Vec::new();
    while page.len() < limit
        && let Some(row) = rows.next()?
    {
        match read(row) {
            Ok(value) => page.push(value),
            Err(error) => tracing::error!(%error, "a row cannot be read and is left out"),
        }
    }
    Ok(page)
}

/// Loads one instance with all its rows. An alias gives the key of its instance.
pub(crate) fn load(db: &Connection, address: &Address) -> rusqlite::Result<Option<Loaded>> {
    if address.key.is_alias() {
        return Ok(alias::owner(db, address)?.map(|owner| match owner.key.as_key() {
            Some(key) => Loaded::Alias(key),
            None => Loaded::Unreadable(format!("{address}: its instance is stored under an alias")),
        }));
    }
    let unreadable = |why: String| Some(Loaded::Unreadable(format!("{address}: {why}")));
    let LoadedRow { id, instance, items } = match instance::load(db, address)? {
        None => return Ok(None),
        Some(Ok(row)) => row,
        Some(Err(why)) => return Ok(unreadable(why)),
    };
    let items = match items.map_or_else(|| item::of_instance(db, id), Ok) {
        Ok(items) => items,
        Err(error) if kind(&error) == Kind::Step => return Ok(unreadable(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(Some(Loaded::Snapshot(Box::new(Snapshot {
        row: id,
        instance,
        tasks: items.tasks,
        timers: items.timers,
        obligations: items.obligations,
        aliases: items.aliases,
    }))))
}

/// Reads a page of open tasks behind `after`, ordered by instance. An unreadable instance is reported and left out.
pub(crate) fn open_tasks(
    db: &Connection,
    after: (RowId, TaskId),
    limit: usize,
) -> rusqlite::Result<Vec<OpenTask>> {
    let mut statement = db.prepare_cached(instance::OPEN)?;
    let mut rows = statement.query((after.0.0,))?;
    let mut page = Vec::new();
    while page.len() < limit
        && let Some(row) = rows.next()?
    {
        match tasks(db, row) {
            Ok(open) => {
                let behind = open.into_iter().filter(|open| (open.row, open.task.id) > after);
                page.extend(behind.take(limit - page.len()));
            }
            Err(error) if kind(&error) == Kind::Step => {
                tracing::error!(%error, "a row cannot be read and is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

fn tasks(db: &Connection, row: &Row<'_>) -> rusqlite::Result<Vec<OpenTask>> {
    let (id, address) = (RowId(row.get(2)?), address(row, 0)?);
    let items = match instance::checked_items(row, id, 3)? {
        Some(text) => pending::read(text).map_err(|error| value::bad(3, error))?,
        None => item::of_instance(db, id)?,
    };
    let open = |task| OpenTask { row: id, address: address.clone(), task };
    Ok(items.tasks.into_iter().map(open).collect())
}

/// Reads a page of due timers.
pub(crate) fn due_timers(
    db: &Connection,
    params: impl Params,
    limit: usize,
) -> rusqlite::Result<Vec<DueTimer>> {
    page(db, timer::DUE, params, limit, |row| timer::due(db, row))
}
