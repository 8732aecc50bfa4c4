//! What several test files need: directories that are looked at, a line that is seen, and this program once more as a
//! child.

#![allow(dead_code)] // Each test file uses its own part of it.

pub(crate) mod filled;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use saga_sqlite::rusqlite::Connection;

/// A directory that goes with the test.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// In memory if there is such a place: a kill leaves what was written there as well, and syncing takes no time.
    pub(crate) fn quick() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self(tempfile::tempdir_in(memory).unwrap()) } else { Self::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.file("saga.db")
    }

    /// Every file with its content. Not while this process has a database in it open: reading one drops its locks.
    pub(crate) fn content(&self) -> BTreeMap<OsString, Vec<u8>> {
        self.names()
            .into_iter()
            .map(|name| (name.clone(), fs::read(self.path().join(name)).unwrap()))
            .collect()
    }

    pub(crate) fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// Files of this directory in another one, as a process that is killed now would leave them.
    pub(crate) fn copy(&self, names: &[&str], to: &Self) {
        for name in names {
            fs::copy(self.file(name), to.file(name)).unwrap();
        }
    }
}

/// The application's own connection, which moves nothing out of the log by itself.
pub(crate) fn application(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    db
}

/// Prints a line although the test passes; by a macro the harness would keep it to itself.
pub(crate) fn say(line: &str) {
    let mut screen = std::io::stderr();
    // Nobody can be told that nobody can be told.
    let _ = writeln!(screen, "{line}");
}

/// What tells a child that it is one; its value is up to the test.
pub(crate) const CHILD: &str = "SAGA_TEST_CHILD";

/// The arguments by which this program runs one of its tests alone.
pub(crate) fn alone(test: &str) -> [String; 4] {
    ["--exact".to_owned(), test.to_owned(), "--nocapture".to_owned(), "--test-threads=1".to_owned()]
}

/// Runs one of this program's tests in a process of its own, with `work` to do there, and answers what it printed.
pub(crate) fn run_child(test: &str, work: &Path) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let output = child.args(alone(test)).env(CHILD, work).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {}\n{said}\n{complained}", output.status);
    said
}

/// Copies `saga.db` as it is left by a kill in the middle of a transaction of the application, with a hot journal.
pub(crate) fn copy_with_hot_journal(application: &Connection, from: &Dir, to: &Dir) {
    let begin = "PRAGMA journal_mode = delete; PRAGMA cache_size = 10;
        CREATE TABLE big (bytes BLOB NOT NULL);
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200)
            INSERT INTO big SELECT zeroblob(3000) FROM n;
        BEGIN; UPDATE big SET bytes = randomblob(3000)";
    application.execute_batch(begin).unwrap();
    from.copy(&["saga.db", "saga.db-journal"], to);
    application.execute_batch("ROLLBACK").unwrap();
    let journal = fs::read(to.file("saga.db-journal")).unwrap();
    assert!(journal.starts_with(&[0xd9, 0xd5, 0x05, 0xf9]), "SQLite takes it for hot");
    assert!(fs::read(to.db()).unwrap() != fs::read(from.db()).unwrap(), "some pages have been overwritten");
}
