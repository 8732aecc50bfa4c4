//! The schema versions and migrations. All missing migrations of a file run in one transaction.
//!
//! A file from a newer version is refused before any write.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use saga_core::store::StoreError;

use crate::carry_over;
use crate::error::of_store;
use crate::lock::OwnerLock;
use crate::open::{harden, open_file, set};
use crate::refusal::{explain, refuse};
use crate::store_file::StoreFile;

/// The migrations in order, each with its name. The last number is the version of this crate. Released migrations are never edited.
const MIGRATIONS: &[(&str, &str)] = &[
    ("initial", include_str!("../migrations/0001_initial.sql")),
    ("retired_names", include_str!("../migrations/0002_retired_names.sql")),
    ("receipts", include_str!("../migrations/0003_receipts.sql")),
    ("words", include_str!("../migrations/0004_words.sql")),
    ("narrow_rows", include_str!("../migrations/0005_narrow_rows.sql")),
    ("counts", include_str!("../migrations/0006_counts.sql")),
    ("definitions", include_str!("../migrations/0007_definitions.sql")),
    ("audit", include_str!("../migrations/0008_audit.sql")),
    ("labels_and_traces", include_str!("../migrations/0009_labels_and_traces.sql")),
];

/// The migration that changes the words of history lines.
const NEW_WORDS: usize = 4;
/// The migration that copies all rows of instances and history.
const NARROW_ROWS: usize = 5;

const HAS_META: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'saga_meta'";
const VERSION: &str = "SELECT schema_version FROM saga_meta WHERE id = 1";
const SET_VERSION: &str = "UPDATE saga_meta SET schema_version = ?1 WHERE id = 1";

/// The version that this crate writes.
pub(crate) const fn latest() -> usize {
    MIGRATIONS.len()
}

/// The version of the tables of a file, beside the version of this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// The version of the file.
    pub found: usize,
    /// The version that this crate reads and writes, [`SqliteStore::SCHEMA`](crate::SqliteStore::SCHEMA).
    pub known: usize,
    /// The names of the migrations that the file needs, in order. Empty for a file of this or a newer version.
    pub missing: Vec<&'static str>,
}

/// Compares the version of a file, which may be of any version.
pub(crate) fn status(place: &StoreFile, db: &Connection) -> Result<Schema, StoreError> {
    let found = version(db).map_err(|error| explain(place, error))?;
    if found == 0 {
        return Err(no_tables(place));
    }
    let missing = MIGRATIONS.iter().skip(found).map(|(name, _)| *name).collect();
    Ok(Schema { found, known: latest(), missing })
}

fn no_tables(place: &StoreFile) -> StoreError {
    refuse(place, "the file has no tables of a store; name the file of a store")
}

/// Refuses a file from a newer version. The file stays unchanged, and no new file remains beside it.
pub(crate) fn refuse_newer(place: &StoreFile) -> Result<(), StoreError> {
    let found = look(place).map_err(|error| explain(place, error))?;
    check(place, found)
}

/// Refuses a write without a lease to a file migrated since its opening. No migration can happen during a lease.
pub(crate) fn check_still(place: &StoreFile, db: &Connection) -> Result<(), StoreError> {
    let found = db.prepare_cached(VERSION).and_then(|mut version| version.query_row([], |row| row.get(0)));
    check(place, found.map_err(|error| of_store(place.name(), error))?)
}

/// Refuses a file without the tables of this version. Nothing is migrated.
pub(crate) fn check_present(place: &StoreFile, db: &Connection) -> Result<(), StoreError> {
    let found = version(db).map_err(|error| explain(place, error))?;
    check(place, found)?;
    let known = latest();
    match found {
        0 => Err(no_tables(place)),
        found if found < known => Err(refuse(
            place,
            format!(
                "the file was written by an earlier version (schema {found}; this version knows schema {known}); open it with the application once, which migrates it"
            ),
        )),
        _ => Ok(()),
    }
}

/// Reads the version on a separate connection without lasting changes.
///
/// A read-only connection is not sufficient. It cannot roll back the unfinished transaction of a killed process. It
/// also leaves files of SQLite beside a file with a log.
fn look(place: &StoreFile) -> rusqlite::Result<usize> {
    let log = place.has_log();
    if log && !place.has_log_index() {
        match version_of(place, Look::Alone) {
            // Another process has opened the file in the meantime. The index therefore exists now.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            found => return found,
        }
    }
    version_of(place, if log { Look::BesideLog } else { Look::Plain })
}

/// The way to read the version without lasting changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// There is no log, or the log is empty. SQLite removes its new files at closing.
    Plain,
    /// The log holds commits, perhaps from a newer version. Closing must not move these commits into the file.
    BesideLog,
    /// The log has no index, because no process has the file open. With an exclusive lock SQLite creates no index.
    Alone,
}

fn version_of(place: &StoreFile, how: Look) -> rusqlite::Result<usize> {
    let db = open_file(place, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(if how == Look::Alone { Duration::ZERO } else { place.options.busy_timeout })?;
    if how != Look::Plain {
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    if how == Look::Alone {
        set(&db, "locking_mode", "exclusive".to_owned())?;
    }
    harden(&db)?;
    version(&db)
}

/// Migrates the tables to the latest version.
pub(crate) fn migrate(place: &StoreFile, db: &Connection) -> Result<(), StoreError> {
    let found = version(db).map_err(|error| explain(place, error))?;
    check(place, found)?;
    if found == latest() {
        return Ok(());
    }
    // A dispatcher of the old version must not run during the migration. An empty file has no dispatcher.
    let lock = if found > 0 { OwnerLock::take(place, "a migration").map(Some) } else { Ok(None) };
    let _lock = match lock {
        // The lock holder may have migrated the file in the meantime.
        Err(_) if version(db).is_ok_and(|found| found == latest()) => return Ok(()),
        lock => lock?,
    };
    apply(db).map_err(|error| explain(place, error))
}

/// Runs all missing migrations in one transaction. No process can see a half migrated file.
fn apply(db: &Connection) -> rusqlite::Result<()> {
    let tx = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    // Another process may have migrated the file in the meantime.
    let found = version(&tx)?;
    if found < latest() {
        for (number, (_, migration)) in (1..).zip(MIGRATIONS).skip(found) {
            tx.execute_batch(migration)?;
            match number {
                NEW_WORDS => carry_over::change_words(&tx)?,
                NARROW_ROWS => carry_over::narrow_rows(&tx)?,
                _ => {}
            }
        }
        tx.execute(SET_VERSION, (latest(),))?;
    }
    tx.commit()
}

fn check(place: &StoreFile, found: usize) -> Result<(), StoreError> {
    if found <= latest() {
        return Ok(());
    }
    let known = latest();
    Err(refuse(
        place,
        format!(
            "the file was written by a newer version (schema {found}; this version knows schema {known}); update this application"
        ),
    ))
}

/// Returns the version of the tables. The version is 0 without tables.
fn version(db: &Connection) -> rusqlite::Result<usize> {
    if !db.prepare(HAS_META)?.exists([])? {
        return Ok(0);
    }
    Ok(db.query_row(VERSION, [], |row| row.get(0)).optional()?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::SqliteStore;
    use crate::open::{Role, connect};

    const SCHEMA_4: &str = include_str!("../tests/earlier/schema_4.sql");
    const FILES: [&str; 2] = ["saga.db", "saga.db-wal"];

    fn place(dir: &Path) -> StoreFile {
        StoreFile::new(dir.join("saga.db"), SqliteStore::options())
    }

    fn earlier(dir: &Path) {
        Connection::open(dir.join("saga.db")).unwrap().execute_batch(SCHEMA_4).unwrap();
    }

    /// Returns all rows of all tables.
    fn content(dir: &Path) -> String {
        let db = Connection::open(dir.join("saga.db")).unwrap();
        let mut tables =
            db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut all = String::new();
        for table in tables {
            let mut rows = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = rows.column_count();
            let mut rows = rows.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<_> = (0..columns).map(|at| row.get_ref(at).unwrap()).collect();
                all += &format!("{table}: {values:?}\n");
            }
        }
        all
    }

    /// Files as a kill at one moment leaves them.
    fn copy(from: &Path, to: &Path) {
        for name in FILES {
            if from.join(name).exists() {
                fs::copy(from.join(name), to.join(name)).unwrap();
            }
        }
    }

    fn migrated() -> String {
        let dir = tempfile::tempdir().unwrap();
        earlier(dir.path());
        drop(SqliteStore::open(dir.path().join("saga.db")).unwrap());
        content(dir.path())
    }

    #[test]
    fn a_migration_killed_at_any_statement_changes_nothing_and_runs_again() {
        let expected = migrated();
        let dir = tempfile::tempdir().unwrap();
        earlier(dir.path());
        let mut db = connect(&place(dir.path()), Role::Write).unwrap();
        // With a small cache, SQLite writes pages of the unfinished transaction into the log.
        db.pragma_update(None, "cache_size", 4).unwrap();
        let moments = Arc::new(Mutex::new(Vec::new()));
        let (kept, from) = (Arc::clone(&moments), dir.path().to_owned());
        let take = move || {
            let moment = tempfile::tempdir().unwrap();
            copy(&from, moment.path());
            kept.lock().unwrap().push(moment);
            false
        };
        db.progress_handler(100, Some(take)).unwrap();
        apply(&db).unwrap();
        db.progress_handler(0, None::<fn() -> bool>).unwrap();
        let moments = std::mem::take(&mut *moments.lock().unwrap());
        assert!(moments.len() > 100, "{} moments", moments.len());
        let grown = moments.iter().filter(|moment| {
            fs::metadata(moment.path().join("saga.db-wal")).is_ok_and(|log| log.len() > 100_000)
        });
        assert!(grown.count() > 10, "pages were written before the commit");
        for moment in &moments {
            let path = moment.path();
            let found = version(&connect(&place(path), Role::Write).unwrap()).unwrap();
            assert_eq!(found, 4);
            drop(SqliteStore::open(path.join("saga.db")).unwrap());
            assert!(content(path) == expected);
        }
        // A log that was cut while the COMMIT was written.
        let log = fs::read(dir.path().join("saga.db-wal")).unwrap();
        let (mut before, mut after) = (0, 0);
        for length in (0..=log.len()).rev().step_by(4096 + 24).chain([0]) {
            let cut = tempfile::tempdir().unwrap();
            copy(dir.path(), cut.path());
            fs::write(cut.path().join("saga.db-wal"), &log[..length]).unwrap();
            match version(&connect(&place(cut.path()), Role::Write).unwrap()).unwrap() {
                4 => before += 1,
                _ => after += 1,
            }
            drop(SqliteStore::open(cut.path().join("saga.db")).unwrap());
            assert!(content(cut.path()) == expected, "cut at {length}");
        }
        assert!(before > 0 && after > 0, "{before} before the COMMIT, {after} after it");
    }
}
