//! Moves pages from the write-ahead log into the file, at our own moments: an error inside SQLite's automatic
//! checkpoint would be swallowed.
//!
//! In the background after a quiet second or every 4,000 pages, which never stops a commit. Under constant load that
//! never catches up with the end of the log, so the writer moves the last pages itself when few are left: then the log
//! starts again at its beginning instead of growing. Once the log passes 64 MiB the writer moves however many there are.

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
/// The writer moves the last pages itself if there are no more than these.
const LAST_PAGES: u32 = 1_000;
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
    /// The background has moved all but the last pages.
    nearly: bool,
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
            let last = std::mem::take(&mut state.nearly) && pages <= state.checkpointed + LAST_PAGES;
            // Not again at every commit while a reader keeps the log from being emptied.
            last || pages >= WAL_PAGES_MAX.max(state.checkpointed + PAGES)
        };
        if inline {
            self.run(db, PASSIVE);
        }
    }

    /// Checkpoints now; failures are counted and reported, and are no error: the commits are durable without it.
    /// Returns whether it worked.
    pub(crate) fn run(&self, db: &Connection, sql: &'static str) -> bool {
        let _turn = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.pages.load(Ordering::Relaxed);
        let result = db.query_row(sql, [], |row| row.get::<_, bool>(0));
        let mut state = self.state();
        let worked = result.is_ok();
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
        worked
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
                let worked = self.run(db, PASSIVE);
                self.state().nearly = worked;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(path: &std::path::Path, checkpoints: &Checkpoints) -> Connection {
        let mut db = Connection::open(path).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (bytes BLOB)").unwrap();
        checkpoints.watch(&mut db).unwrap();
        db
    }

    /// Commits about so many pages.
    fn commit(db: &Connection, checkpoints: &Checkpoints, pages: u32) -> u32 {
        db.execute("INSERT INTO t VALUES (zeroblob(?))", [pages * 4096]).unwrap();
        checkpoints.after_commit(db);
        checkpoints.stats().wal_pages
    }

    #[test]
    fn the_writer_moves_the_last_pages_and_the_log_starts_again() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::default();
        let db = writer(&dir.path().join("saga.db"), &checkpoints);
        let background = Connection::open(dir.path().join("saga.db")).unwrap();
        commit(&db, &checkpoints, 2 * PAGES);
        // What is committed while the background is at work stays behind, as if a reader held it back.
        let reader = Connection::open(dir.path().join("saga.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        commit(&db, &checkpoints, LAST_PAGES / 2);
        assert!(checkpoints.run(&background, PASSIVE));
        checkpoints.state().nearly = true;
        reader.execute_batch("COMMIT").unwrap();
        assert!(commit(&db, &checkpoints, 1) > 2 * PAGES);
        assert_eq!(checkpoints.stats().done, 2, "the background, and the writer");
        assert!(commit(&db, &checkpoints, 1) < 10, "the log starts again");
    }

    #[test]
    fn many_last_pages_are_left_to_the_background() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::default();
        let db = writer(&dir.path().join("saga.db"), &checkpoints);
        let background = Connection::open(dir.path().join("saga.db")).unwrap();
        commit(&db, &checkpoints, 2 * PAGES);
        assert!(checkpoints.run(&background, PASSIVE));
        checkpoints.state().nearly = true;
        commit(&db, &checkpoints, 2 * LAST_PAGES);
        assert_eq!(checkpoints.stats().done, 1);
        commit(&db, &checkpoints, 1);
        assert_eq!(checkpoints.stats().done, 1, "until the background has been there again");
    }
}
