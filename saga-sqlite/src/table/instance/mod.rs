//! `saga_instance`: one narrow row per instance, as its last step left it.

pub(crate) mod list;
mod read;
mod sums;
mod write;

use rusqlite::{Connection, OptionalExtension, Result, Row};
use saga_core::message::{Id, InstanceName};
use saga_core::store::{Address, RowId, Status};

use super::value::{address, bad, key, text};
use saga_stored::instance as body;

pub(crate) use read::{LoadedRow, Over, OverItems, checked_items, load, over, saga_and_status};
pub(crate) use sums::move_to;
pub(crate) use write::{
    Current, Damaged, Update, Written, current, group, insert, insert_damaged, misfit_of_start, set_pending,
    update,
};

super::statements! {
    BOUNDS = "SELECT (SELECT min(id) FROM saga_instance), (SELECT max(id) FROM saga_instance)";
    INSERT = "INSERT INTO saga_instance (id, saga, key, status, parked, open, over_at, seq, last, checksum, body, pending)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
              ON CONFLICT DO NOTHING";
    CURRENT = "SELECT saga, seq, status, parked, open, last, checksum, body, pending FROM saga_instance WHERE id = ?1";
    ADVANCE = "UPDATE saga_instance SET seq = ?2, last = ?3, checksum = ?4, body = ?5, pending = ?6 WHERE id = ?1";
    REOPEN = "UPDATE saga_instance SET seq = ?2, last = ?3, checksum = ?4, body = ?5, pending = ?6, open = ?7 WHERE id = ?1";
    TURN = "UPDATE saga_instance SET seq = ?2, last = ?3, checksum = ?4, body = ?5, pending = ?6, open = ?7, status = ?8,
                parked = ?9, over_at = ?10
            WHERE id = ?1";
    SET_PENDING = "UPDATE saga_instance SET checksum = ?2, pending = ?3 WHERE id = ?1";
    SET_PENDING_OPEN = "UPDATE saga_instance SET checksum = ?2, pending = ?3, open = ?4 WHERE id = ?1";
    STEP_OF_ADDRESS = "SELECT seq, body FROM saga_instance WHERE saga = ?1 AND key = ?2";
    BODY = "SELECT body FROM saga_instance WHERE id = ?1";
    EXISTS = "SELECT 1 FROM saga_instance WHERE id = ?1";
    LOAD = "SELECT id, saga, status, parked, open, seq, last, checksum, body, pending,
                (SELECT data FROM saga_data WHERE instance = saga_instance.id)
            FROM saga_instance WHERE saga = (SELECT id FROM saga_name WHERE name = ?1) AND key = ?2";
    LAST = "SELECT id, last FROM saga_instance WHERE saga = (SELECT id FROM saga_name WHERE name = ?1) AND key = ?2";
    COMPENSATING = "SELECT name, key, saga_instance.id
                    FROM saga_instance JOIN saga_name ON saga_name.id = saga
                    WHERE status = 2 AND saga_instance.id > ?1 ORDER BY saga_instance.id";
    OPEN = "SELECT name, key, saga_instance.id, pending, open, checksum
            FROM saga_instance JOIN saga_name ON saga_name.id = saga
            WHERE open = 1 AND (over_at IS NULL OR open = 1) AND saga_instance.id >= ?1 ORDER BY saga_instance.id";
    OVER = "SELECT id, saga, last, pending, open, checksum, status, parked, body FROM saga_instance
            WHERE over_at < ?1 AND open IS NULL ORDER BY over_at LIMIT ?2";
    NAMES = "SELECT name, status, body, pending, saga_instance.id
             FROM saga_instance JOIN saga_name ON saga_name.id = saga
             WHERE saga_instance.id > ?1 AND saga_instance.id <= ?2 AND (status <= 2 OR pending IS NOT '{}')";
    CLASH = "SELECT key FROM saga_instance AS one WHERE saga = ?1
               AND EXISTS (SELECT 1 FROM saga_instance AS other WHERE other.saga = ?2 AND other.key = one.key) LIMIT 1";
    OF_SAGA = "SELECT id, status, key, seq, last, checksum, body, (SELECT data FROM saga_data WHERE instance = saga_instance.id)
               FROM saga_instance WHERE saga = ?1 LIMIT ?2";
    MOVE = "UPDATE saga_instance SET saga = ?2, checksum = ?3 WHERE id = ?1";
    COUNT_OF_SAGA = "SELECT count(*) FROM saga_instance WHERE saga = ?1";
    DELETE = "DELETE FROM saga_instance WHERE id = ?1";
}

/// The number of a status in the column `status`.
pub(crate) fn status_number(status: Status) -> i64 {
    body::status_number(status).into()
}

fn status(row: &Row<'_>, at: usize) -> Result<Status> {
    let number: i64 = row.get(at)?;
    body::known_status(number).ok_or_else(|| bad(at, UnknownStatus(number)))
}

/// Returns whether the last step of the instance is `step`.
pub(crate) fn is_at(db: &Connection, row: RowId, step: Id) -> Result<bool> {
    let there = db.prepare_cached(BODY)?.query_row((row.0,), |row| {
        Ok(body::identities(text(row, 0)?).is_some_and(|(_, there)| there == step.as_u128()))
    });
    Ok(there.optional()?.unwrap_or(false))
}

pub(crate) fn exists(db: &Connection, row: RowId) -> Result<bool> {
    db.prepare_cached(EXISTS)?.exists((row.0,))
}

/// Returns the row of an address, and the newest line of its history.
pub(crate) fn last(db: &Connection, address: &Address) -> Result<Option<(RowId, Option<i64>)>> {
    db.prepare_cached(LAST)?
        .query_row((&address.saga, address.key.stored()), |row| Ok((RowId(row.get(0)?), row.get(1)?)))
        .optional()
}

/// Reads a row of [`COMPENSATING`].
pub(crate) fn place(row: &Row<'_>) -> Result<(RowId, Address)> {
    Ok((RowId(row.get(2)?), address(row, 0)?))
}

/// Returns a key for which both sagas have an instance.
pub(crate) fn clash(db: &Connection, one: i64, other: i64) -> Result<Option<InstanceName>> {
    db.prepare_cached(CLASH)?.query_row((one, other), |row| key(row, 0)).optional()
}

pub(crate) fn count_of_saga(db: &Connection, saga: i64) -> Result<usize> {
    db.prepare_cached(COUNT_OF_SAGA)?.query_row((saga,), |row| row.get(0))
}

pub(crate) fn delete(db: &Connection, row: RowId) -> Result<usize> {
    db.prepare_cached(DELETE)?.execute((row.0,))
}

#[derive(Debug, thiserror::Error)]
#[error("this version does not know the stored status {0}")]
struct UnknownStatus(i64);
