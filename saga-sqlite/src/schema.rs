//! The tables and their versions: numbered migrations, all that a file lacks in one transaction.
//!
//! A file that a newer version has written is refused before anything is written to it.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use saga_core::store::StoreError;

use crate::error::of_store;
use crate::lock::OwnerLock;
use crate::open::{harden, open_file, set};
use crate::place::Place;
use crate::refusal::{explain, refuse};
use crate::table::history;

/// One after another; the last one's number is the version this crate writes. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_retired_names.sql"),
    include_str!("../migrations/0003_receipts.sql"),
    include_str!("../migrations/0004_words.sql"),
];

/// The migration that gives lines of history their present words.
const NEW_WORDS: usize = 4;

const HAS_META: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'saga_meta'";
const VERSION: &str = "SELECT schema_version FROM saga_meta WHERE id = 1";
const SET_VERSION: &str = "UPDATE saga_meta SET schema_version = ?1 WHERE id = 1";

/// The version this crate writes.
pub(crate) fn latest() -> usize {
    MIGRATIONS.len()
}

/// Refuses a file of a newer version, with the file as it was and nothing new beside it.
pub(crate) fn refuse_newer(place: &Place) -> Result<(), StoreError> {
    let found = look(place).map_err(|error| explain(place, error))?;
    check(place, found)
}

/// Refuses to write without a lease to a file that has been migrated since it was opened. With one nobody migrates it.
pub(crate) fn check_still(place: &Place, db: &Connection) -> Result<(), StoreError> {
    let found = db.prepare_cached(VERSION).and_then(|mut version| version.query_row([], |row| row.get(0)));
    check(place, found.map_err(|error| of_store(place.name(), error))?)
}

/// Reads the version by a connection of its own, which leaves no trace.
///
/// A connection that only reads would not do. It cannot roll back what a killed process has left half done, and it leaves
/// behind the files that SQLite makes beside a file with a log.
fn look(place: &Place) -> rusqlite::Result<usize> {
    let log = place.has_log();
    if log && !place.has_log_index() {
        match version_of(place, Look::Alone) {
            // Somebody has opened the file in the meantime, so the index is there now.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            found => return found,
        }
    }
    version_of(place, if log { Look::BesideLog } else { Look::Plain })
}

/// How the version is read without leaving a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// There is no log, or an empty one. What SQLite creates it removes on closing.
    Plain,
    /// The log holds commits, perhaps of a newer version. Closing must not move them into the file.
    BesideLog,
    /// The same without an index beside it: nobody has the file open. Under a lock on all of it SQLite creates none.
    Alone,
}

fn version_of(place: &Place, how: Look) -> rusqlite::Result<usize> {
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

/// Brings the tables to the latest version.
pub(crate) fn migrate(place: &Place, db: &Connection) -> Result<(), StoreError> {
    let found = version(db).map_err(|error| explain(place, error))?;
    check(place, found)?;
    if found == latest() {
        return Ok(());
    }
    // A dispatcher of the old version must not run on while its tables change; an empty file has none.
    let lock = if found > 0 { OwnerLock::take(place, "a migration").map(Some) } else { Ok(None) };
    let _lock = match lock {
        // Whoever has the lock may have migrated the file meanwhile.
        Err(_) if version(db).is_ok_and(|found| found == latest()) => return Ok(()),
        lock => lock?,
    };
    apply(db).map_err(|error| explain(place, error))
}

/// One transaction, so that nobody finds a new file half migrated.
fn apply(db: &Connection) -> rusqlite::Result<()> {
    let tx = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    // Somebody else may have been faster.
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

fn check(place: &Place, found: usize) -> Result<(), StoreError> {
    if found <= latest() {
        return Ok(());
    }
    let known = latest();
    Err(refuse(
        place,
        format!(
            "it was written by a newer version (schema {found}; this one knows {known}); update this application"
        ),
    ))
}

/// The version of the tables; 0 when there are none.
fn version(db: &Connection) -> rusqlite::Result<usize> {
    if !db.prepare(HAS_META)?.exists([])? {
        return Ok(0);
    }
    Ok(db.query_row(VERSION, [], |row| row.get(0)).optional()?.unwrap_or(0))
}
