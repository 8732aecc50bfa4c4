//! `saga_delivery`: events for subscribers.

use rusqlite::{Connection, Result, Row, params};
use saga_core::message::MessageId;
use saga_core::store::{Address, Delivery, DeliveryId, TaskProgress};

use super::progress;
use super::value::{address, bad, message, text, trace};

super::statements! {
    BOUNDS = "SELECT (SELECT min(id) FROM saga_delivery), (SELECT max(id) FROM saga_delivery)";
    NAMES = "SELECT consumer, name, version, '' FROM saga_delivery WHERE id > ?1 AND id <= ?2";
    INSERT = "INSERT INTO saga_delivery (id, consumer, key, name, version, payload, message, hops, stage, attempts,
                  recoveries, since, spent_ms, epoch, armed_at, due_at, superseded, error, saved, left_out,
                  named, trace)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";
    PROGRESS = "UPDATE saga_delivery SET stage = ?2, attempts = ?3, recoveries = ?4, since = ?5, spent_ms = ?6,
                    epoch = ?7, armed_at = ?8, due_at = ?9, superseded = ?10, error = ?11, saved = ?12,
                    left_out = ?13 WHERE id = ?1";
    DELETE = "DELETE FROM saga_delivery WHERE id = ?1";
    PAGE = "SELECT id, consumer, key, name, version, payload, message, hops, stage, attempts, recoveries, since, spent_ms,
                epoch, armed_at, due_at, superseded, error, saved, left_out, named, trace
            FROM saga_delivery WHERE id > ?1 ORDER BY id";
    NAMED = "SELECT 1 FROM saga_delivery WHERE consumer = ?1 AND key = ?2 AND message = ?3 AND named = 1";
}

pub(crate) fn insert(db: &Connection, id: DeliveryId, delivery: &Delivery) -> Result<()> {
    let progress = &delivery.progress;
    db.prepare_cached(INSERT)?.execute(params![
        id.0,
        delivery.to.saga,
        delivery.to.key.stored(),
        delivery.event.name,
        delivery.event.version,
        delivery.event.payload.as_str(),
        delivery.id.as_str(),
        delivery.hops,
        progress.stage.as_str(),
        progress.attempts,
        progress.recoveries,
        progress.since.as_millis(),
        progress.spent_ms,
        progress.epoch,
        progress.armed.as_millis(),
        progress.due.as_millis(),
        progress.superseded,
        progress.error,
        progress.saved.as_ref().map(|saved| saved.as_str()),
        progress.left_out,
        delivery.named,
        delivery.trace.map(|trace| trace.to_string()),
    ])?;
    Ok(())
}

/// Returns whether a delivery under this id is open. The publisher must have chosen the id.
pub(crate) fn is_under_way(db: &Connection, to: &Address, id: &MessageId) -> Result<bool> {
    db.prepare_cached(NAMED)?.exists((&to.saga, to.key.stored(), id.as_str()))
}

/// Replaces the progress. A missing delivery is not an error.
pub(crate) fn progress(db: &Connection, id: DeliveryId, progress: &TaskProgress) -> Result<()> {
    db.prepare_cached(PROGRESS)?.execute(params![
        id.0,
        progress.stage.as_str(),
        progress.attempts,
        progress.recoveries,
        progress.since.as_millis(),
        progress.spent_ms,
        progress.epoch,
        progress.armed.as_millis(),
        progress.due.as_millis(),
        progress.superseded,
        progress.error,
        progress.saved.as_ref().map(|saved| saved.as_str()),
        progress.left_out,
    ])?;
    Ok(())
}

/// Removes the delivery. A missing delivery is not an error.
pub(crate) fn delete(db: &Connection, id: DeliveryId) -> Result<()> {
    db.prepare_cached(DELETE)?.execute((id.0,))?;
    Ok(())
}

/// Reads a row of [`PAGE`].
pub(crate) fn read(row: &Row<'_>) -> Result<(DeliveryId, Delivery)> {
    let delivery = Delivery {
        to: address(row, 1)?,
        event: message(row, 3)?,
        id: MessageId::new(text(row, 6)?).map_err(|error| bad(6, error))?,
        hops: row.get(7)?,
        progress: progress::read(row, 8)?,
        named: row.get(20)?,
        trace: trace(row, 21)?,
    };
    Ok((DeliveryId(row.get(0)?), delivery))
}
