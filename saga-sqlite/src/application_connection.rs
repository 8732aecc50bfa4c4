//! The connection of the application during a transaction, with the time limit.
//!
//! Owns: the limit, with and without running SQL, the veto on foreign commits, and the check of the calling thread.
//! Does not own: the content of the transaction (`transaction`).

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use rusqlite::Connection;

use crate::store_file::StoreFile;

/// The number of SQLite instructions between two checks of the limit.
const LOOK: i32 = 1_000;
/// The value for no limit.
const NONE: u64 = u64::MAX;

thread_local! {
    /// The stores with an open transaction of this thread.
    static HOLDING: RefCell<Vec<Arc<StoreFile>>> = const { RefCell::new(Vec::new()) };
}

/// A connection of the application. The thread of the transaction and the watching thread use the connection, one at a
/// time.
pub(crate) struct ApplicationConnection {
    /// The lock is reentrant. A transaction may publish while it reads a row.
    db: ReentrantMutex<Connection>,
    /// The time at which running SQL is interrupted, in microseconds since `made`.
    deadline: Arc<AtomicU64>,
    /// Whether the store itself is committing. Any other commit is refused. An error can make SQLite end the
    /// transaction. Each later statement would then be durable alone.
    committing: Arc<AtomicBool>,
    made: Instant,
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// The progress of the present transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The number of the transaction.
    number: u64,
    ended: bool,
    /// Whether the transaction was rolled back because of its limit.
    over: bool,
}

/// The reason for the early end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    Limit,
    Statement,
}

impl ApplicationConnection {
    pub(crate) fn new(mut db: Connection) -> rusqlite::Result<Self> {
        let (made, deadline) = (Instant::now(), Arc::new(AtomicU64::new(NONE)));
        let limit = Arc::clone(&deadline);
        let committing = Arc::new(AtomicBool::new(false));
        let allowed = Arc::clone(&committing);
        db.commit_hook(Some(move || !allowed.load(Ordering::Relaxed)))?;
        db.progress_handler(LOOK, Some(move || micros(made.elapsed()) >= limit.load(Ordering::Relaxed)))?;
        Ok(Self {
            db: ReentrantMutex::new(db),
            deadline,
            committing,
            made,
            progress: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Returns the connection. After the end of the transaction, returns the reason.
    pub(crate) fn connection(&self) -> Result<ReentrantMutexGuard<'_, Connection>, EndedBy> {
        let db = self.db.lock();
        if self.progress().over {
            Err(EndedBy::Limit)
        } else if db.is_autocommit() {
            Err(EndedBy::Statement)
        } else {
            Ok(db)
        }
    }

    /// Commits the transaction on the connection from [`idle`](Self::idle).
    pub(crate) fn commit(&self, db: &Connection) -> rusqlite::Result<()> {
        self.committing.store(true, Ordering::Relaxed);
        let committed = db.execute_batch("COMMIT");
        self.committing.store(false, Ordering::Relaxed);
        committed
    }

    /// Returns the connection before or after a transaction.
    pub(crate) fn idle(&self) -> ReentrantMutexGuard<'_, Connection> {
        self.db.lock()
    }

    /// Starts the limit of a new transaction. Returns the number of the transaction.
    fn begin(&self, limit: Duration) -> u64 {
        self.deadline.store(micros(self.made.elapsed().saturating_add(limit)), Ordering::Relaxed);
        let mut progress = self.progress();
        *progress = Progress { number: progress.number + 1, ..Progress::default() };
        progress.number
    }

    /// Ends the limit after the application has finished. Returns whether the limit was exceeded. From here on only the
    /// caller ends the transaction.
    pub(crate) fn end(&self) -> bool {
        let overdue = micros(self.made.elapsed()) >= self.deadline.swap(NONE, Ordering::Relaxed);
        // A rollback in progress holds the connection.
        let db = self.db.lock();
        let mut progress = self.progress();
        progress.ended = true;
        self.changed.notify_all();
        drop(db);
        progress.over || overdue
    }

    /// Waits for the end of transaction `number`. Rolls the transaction back at its limit.
    fn watch(&self, number: u64, until: Instant, store: &str) {
        let ended = |progress: &mut Progress| progress.number != number || progress.ended;
        let progress = self.progress();
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(progress, left, |progress| !ended(progress));
        let (mut progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if ended(&mut progress) {
            return;
        }
        drop(progress);
        if self.db.is_locked() {
            tracing::warn!(
                store,
                "a transaction has exceeded its limit while its connection is in use; the rollback waits for the connection"
            );
        }
        let db = self.db.lock();
        let mut progress = self.progress();
        if !ended(&mut progress) {
            progress.over = true;
            if !db.is_autocommit()
                && let Err(error) = db.execute_batch("ROLLBACK")
            {
                tracing::error!(store, %error, "a transaction that is over its limit cannot be rolled back");
            }
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // A poisoned lock is harmless here, because the state has only independent plain values.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ApplicationConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApplicationConnection").field("progress", &*self.progress()).finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX - 1)
}

/// A transaction for the watching thread: connection, number and time limit.
type Watched = (Arc<ApplicationConnection>, u64, Instant);

/// The thread that watches transactions. Only one transaction holds the store at a time. The thread therefore watches
/// one at a time.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<Option<(mpsc::Sender<Watched>, JoinHandle<()>)>>);

impl Watch {
    /// Starts the limit of a new transaction and marks this thread as holding the store.
    pub(crate) fn begin(
        &self,
        place: &Arc<StoreFile>,
        held: &Arc<ApplicationConnection>,
        limit: Duration,
    ) -> std::io::Result<Holding> {
        let until = Instant::now().checked_add(limit);
        let number = held.begin(limit);
        if let Some(until) = until {
            let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if thread.is_none() {
                *thread = Some(start(place)?);
            }
            if let Some((watch, _)) = &*thread {
                // The receiving thread lives as long as the sender. The send cannot fail.
                let _ = watch.send((Arc::clone(held), number, until));
            }
        }
        HOLDING.with_borrow_mut(|holding| holding.push(Arc::clone(place)));
        Ok(Holding)
    }
}

fn start(place: &Arc<StoreFile>) -> std::io::Result<(mpsc::Sender<Watched>, JoinHandle<()>)> {
    let (sender, watched) = mpsc::channel::<Watched>();
    let place = Arc::clone(place);
    let thread = std::thread::Builder::new().name("saga-transaction".to_owned()).spawn(move || {
        while let Ok((held, number, until)) = watched.recv() {
            held.watch(number, until, place.name());
        }
    })?;
    Ok((sender, thread))
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((watch, thread)) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            drop(watch);
            // A panic of the thread was already reported.
            let _ = thread.join();
        }
    }
}

/// Marks this thread as inside a transaction until drop.
pub(crate) struct Holding;

impl Drop for Holding {
    fn drop(&mut self) {
        HOLDING.with_borrow_mut(|holding| drop(holding.pop()));
    }
}

/// Returns whether the calling thread is inside a transaction on this file. Such a thread would block itself by waiting
/// for a commit.
pub(crate) fn is_held_here(place: &StoreFile) -> bool {
    HOLDING.with_borrow(|holding| holding.iter().any(|held| held.path() == place.path()))
}
