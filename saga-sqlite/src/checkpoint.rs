//! Checkpoints: moving pages from the write-ahead log into the file.
//!
//! SQLite's automatic checkpoint is replaced, because its errors would not be reported. A background thread runs a
//! checkpoint after a quiet second, and after every 4,000 pages. Such a checkpoint never stops a commit.
//!
//! Under constant load, the background checkpoint never reaches the end of the log. The writer therefore moves the last
//! pages itself when few are left. The log then starts again at its beginning and does not grow. Above 64 MiB the
//! writer moves any number of pages.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::open::{Role, connect};
use crate::store_file::StoreFile;

/// The size of the log above which the writer itself runs a checkpoint.
pub(crate) const WAL_BYTES_MAX: i64 = 64 << 20;
const WAL_PAGES_MAX: u32 = 16_384;
const PAGES: u32 = 4_000;
/// The maximum number of last pages that the writer moves itself.
const LAST_PAGES: u32 = 1_000;
const QUIET: Duration = Duration::from_secs(1);

pub(crate) const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
pub(crate) const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Counts of the checkpoints since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// The number of successful checkpoints, including partial ones.
    pub done: u64,
    /// The number of failed checkpoints. Each failure is also reported to `tracing`.
    pub failed: u64,
    /// The number of pages in the write-ahead log after the last commit.
    pub wal_pages: u32,
}

#[derive(Debug, Default)]
struct State {
    stats: CheckpointStats,
    /// The number of commits, to detect a quiet second.
    commits: u64,
    /// The number of pages in the log at the last checkpoint.
    checkpointed: u32,
    dirty: bool,
    /// Whether the background thread has moved all except the last pages.
    nearly: bool,
    quit: bool,
}

/// The shared state of the writer, which reports commits, and of the background thread.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    state: Mutex<State>,
    changed: Condvar,
    /// Allows one checkpoint at a time. SQLite would report a second one as busy.
    running: Mutex<()>,
    /// The number of pages in the log, set by SQLite's WAL hook during a commit.
    pages: Arc<AtomicU32>,
}

impl Checkpoints {
    /// Installs a hook that counts the committed pages of `db`. The hook replaces SQLite's automatic checkpoint, which
    /// uses the same hook.
    pub(crate) fn watch(&self, db: &mut Connection) -> rusqlite::Result<()> {
        let pages = Arc::clone(&self.pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n: std::ffi::c_int| {
            pages.store(u32::try_from(n).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Must be called after each commit.
    pub(crate) fn after_commit(&self, db: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        let inline = {
            let mut state = self.state();
            state.commits += 1;
            state.stats.wal_pages = pages;
            // The log has started again at its beginning.
            if pages < state.checkpointed {
                state.checkpointed = 0;
            }
            let due = pages >= state.checkpointed + PAGES;
            if due || !state.dirty {
                self.changed.notify_one();
            }
            state.dirty = true;
            let last = std::mem::take(&mut state.nearly) && pages <= state.checkpointed + LAST_PAGES;
            // The second condition prevents a checkpoint at every commit while a reader holds the log.
            last || pages >= WAL_PAGES_MAX.max(state.checkpointed + PAGES)
        };
        if inline {
            self.run(db, PASSIVE);
        }
    }

    /// Runs a checkpoint now. Returns whether the checkpoint succeeded.
    ///
    /// A failure is counted and reported. A failure is not an error, because the commits are already durable.
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

    /// The body of the background thread.
    pub(crate) fn background(&self, place: &StoreFile) {
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

    /// Waits for the next reason to run a checkpoint. Returns `false` at the end.
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
        // A poisoned lock is harmless here, because the state has only independent plain values.
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

    /// Commits about `pages` pages. Returns the number of pages in the log.
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
        // The reader keeps the pages of the next commit in the log, as under constant load.
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
