//! The schema versions and migrations. All missing migrations of a file run in one transaction.
//!
//! A file from a newer version is refused before any write.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use saga_core::store::StoreError;

use crate::error::of_store;
use crate::lock::OwnerLock;
use crate::open::{harden, open_file, set};
use crate::refusal::{explain, refuse};
use crate::store_file::StoreFile;
use crate::table::history;

/// The migrations in order. The last number is the version of this crate. Released migrations are never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_retired_names.sql"),
    include_str!("../migrations/0003_receipts.sql"),
    include_str!("../migrations/0004_words.sql"),
];

/// The migration that changes the words of history lines.
const NEW_WORDS: usize = 4;

const HAS_META: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'saga_meta'";
const VERSION: &str = "SELECT schema_version FROM saga_meta WHERE id = 1";
const SET_VERSION: &str = "UPDATE saga_meta SET schema_version = ?1 WHERE id = 1";

/// The version that this crate writes.
pub(crate) fn latest() -> usize {
    MIGRATIONS.len()
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
        for (number, migration) in (1..).zip(MIGRATIONS).skip(found) {
            tx.execute_batch(migration)?;
            if number == NEW_WORDS {
                history::change_words(&tx)?;
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
