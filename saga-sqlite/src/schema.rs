//! The tables and their versions: numbered migrations, each in one transaction.
//!
//! A file that a newer version has written is refused before any connection that could write to it is opened.

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use saga_core::store::StoreError;

use crate::lock::OwnerLock;
use crate::open::harden;
use crate::place::Place;
use crate::refusal::{explain, refuse};

/// One after another; the last one's number is the version this crate writes. Never edited once released.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_initial.sql")];

const HAS_META: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'saga_meta'";
const VERSION: &str = "SELECT schema_version FROM saga_meta WHERE id = 1";
const SET_VERSION: &str = "UPDATE saga_meta SET schema_version = ?1 WHERE id = 1";

/// The version this crate writes.
pub(crate) fn latest() -> usize {
    MIGRATIONS.len()
}

/// Refuses a file of a newer version, without writing a byte to it.
pub(crate) fn refuse_newer(place: &Place) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = || {
        let db = Connection::open_with_flags(place.path(), flags)?;
        db.busy_timeout(place.options.busy_timeout)?;
        harden(&db)?;
        version(&db)
    };
    let found = look().map_err(|error| explain(place, error))?;
    check(place, found)
}

/// Brings the tables to the latest version.
pub(crate) fn migrate(place: &Place, db: &Connection) -> Result<(), StoreError> {
    let found = version(db).map_err(|error| explain(place, error))?;
    check(place, found)?;
    if found == latest() {
        return Ok(());
    }
    // A dispatcher of the old version must not run on while its tables change; an empty file has none.
    let _lock = if found > 0 { Some(OwnerLock::take(place, "a migration")?) } else { None };
    for number in found + 1..=latest() {
        apply(db, number).map_err(|error| explain(place, error))?;
    }
    Ok(())
}

fn apply(db: &Connection, number: usize) -> rusqlite::Result<()> {
    let tx = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    // Somebody else may have been faster.
    if version(&tx)? < number {
        tx.execute_batch(MIGRATIONS[number - 1])?;
        tx.execute(SET_VERSION, (number,))?;
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
