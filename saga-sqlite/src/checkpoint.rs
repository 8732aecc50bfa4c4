//! Moves pages from the write-ahead log into the file, at our own moments: an error inside SQLite's automatic
//! checkpoint would be swallowed.
//!
//! In the background after a quiet second or every 4,000 pages, which never stops a commit; in the writer's own thread
//! once the log passes 64 MiB, because under constant load the background never catches up with its end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::open::{Role, connect};
use crate::place::Place;

/// The log is checkpointed by the writer itself beyond this.
pub(crate) const WAL_BYTES_MAX: i64 = 64 << 20;
const WAL_PAGES_MAX: u32 = 16_384;
const PAGES: u32 = 4_000;
const QUIET: Duration = Duration::from_secs(1);

pub(crate) const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
pub(crate) const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// What checkpoints have done since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// Those that worked, also in part.
    pub done: u64,
    /// Those that failed; each is also reported to `tracing`.
    pub failed: u64,
    /// Pages in the write-ahead log after the last commit.
    pub wal_pages: u32,
}

#[derive(Debug, Default)]
struct State {
    stats: CheckpointStats,
    /// Counts commits, so that a quiet second can be told.
    commits: u64,
    /// The log's pages when it was last checkpointed.
    checkpointed: u32,
    dirty: bool,
    quit: bool,
}

/// Shared by the writer, which reports commits, and the thread that checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    state: Mutex<State>,
    changed: Condvar,
    /// One at a time: SQLite would answer the second one that it is busy.
    running: Mutex<()>,
    /// Set by SQLite's WAL hook in the middle of a commit.
    pages: Arc<AtomicU32>,
}

impl Checkpoints {
    /// Counts the pages that `db` commits. Replaces SQLite's automatic checkpoint, which is such a hook too.
    pub(crate) fn watch(&self, db: &mut Connection) -> rusqlite::Result<()> {
        let pages = Arc::clone(&self.pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n: std::ffi::c_int| {
            pages.store(u32::try_from(n).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// To be called after each commit of the writer.
    pub(crate) fn after_commit(&self, db: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        let inline = {
            let mut state = self.state();
            state.commits += 1;
            state.stats.wal_pages = pages;
            if pages < state.checkpointed {
                state.checkpointed = 0;
            }
            let due = pages >= state.checkpointed + PAGES;
            if due || !state.dirty {
                self.changed.notify_one();
            }
            state.dirty = true;
            // Not again at every commit while a reader keeps the log from being emptied.
            pages >= WAL_PAGES_MAX.max(state.checkpointed + PAGES)
        };
        if inline {
            self.run(db, PASSIVE);
        }
    }

    /// Checkpoints now; failures are counted and reported, never returned: the commits are durable without it.
    pub(crate) fn run(&self, db: &Connection, sql: &'static str) {
        let _turn = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.pages.load(Ordering::Relaxed);
        let result = db.query_row(sql, [], |row| row.get::<_, bool>(0));
        let mut state = self.state();
        match result {
            Ok(_) => {
                state.stats.done += 1;
                state.checkpointed = before;
            }
            Err(error) => {
                state.stats.failed += 1;
                tracing::warn!(%error, "checkpoint failed");
            }
        }
    }

    pub(crate) fn stats(&self) -> CheckpointStats {
        self.state().stats
    }

    /// Ends [`background`](Self::background).
    pub(crate) fn quit(&self) {
        self.state().quit = true;
        self.changed.notify_all();
    }

    /// The body of the thread that checkpoints.
    pub(crate) fn background(&self, place: &Place) {
        let mut db = None;
        while self.wait() {
            if db.is_none() {
                db = place.check().ok().and_then(|()| match connect(place, Role::Checkpoint) {
                    Ok(db) => Some(db),
                    Err(error) => {
                        self.state().stats.failed += 1;
                        tracing::warn!(store = place.name(), %error, "cannot open the file for a checkpoint");
                        None
                    }
                });
            }
            if let Some(db) = &db {
                self.run(db, PASSIVE);
            }
        }
    }

    /// Waits until there is something to checkpoint; `false` at the end.
    fn wait(&self) -> bool {
        let mut state = self.state();
        while !state.quit && !state.dirty {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        loop {
            if state.quit {
                return false;
            }
            let commits = state.commits;
            if state.stats.wal_pages >= state.checkpointed + PAGES {
                break;
            }
            state = self.changed.wait_timeout(state, QUIET).unwrap_or_else(PoisonError::into_inner).0;
            if commits == state.commits {
                break;
            }
        }
        state.dirty = false;
        !state.quit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters only: there is no half of them to be left by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
