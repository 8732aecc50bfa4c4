//! `saga_dedup`: the messages received by each consumer.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use saga_core::message::{MessageId, Timestamp};
use saga_core::store::{Address, DedupRecord, StepOutcome};

use super::value;

super::statements! {
    RENAME = "UPDATE OR REPLACE saga_dedup SET consumer = ?2 WHERE consumer = ?1";
    INSERT = "INSERT INTO saga_dedup (consumer, key, message, content, at) VALUES (?1, ?2, ?3, ?4, ?5)
              ON CONFLICT DO NOTHING";
    CONTENT = "SELECT content FROM saga_dedup WHERE consumer = ?1 AND key = ?2 AND message = ?3";
    PAGE = "SELECT consumer, key, message, content, at FROM saga_dedup WHERE (consumer, key, message) > (?1, ?2, ?3)
            ORDER BY consumer, key, message LIMIT ?4";
    PURGE = "DELETE FROM saga_dedup WHERE (consumer, key, message) IN
                 (SELECT consumer, key, message FROM saga_dedup INDEXED BY saga_dedup_at WHERE at < ?1 ORDER BY at LIMIT ?2)";
}

/// Adds the deduplication record. Returns the outcome of the step if the record exists already.
pub(crate) fn set(db: &Connection, dedup_record: &DedupRecord) -> Result<Option<StepOutcome>> {
    let (consumer, key, message) =
        (&*dedup_record.to.saga, dedup_record.to.key.stored(), dedup_record.id.as_str());
    let content = dedup_record.content.cast_signed();
    let set = db.prepare_cached(INSERT)?.execute(params![
        consumer,
        key,
        message,
        content,
        dedup_record.at.as_millis()
    ])?;
    if set == 1 {
        return Ok(None);
    }
    let there: i64 = db.prepare_cached(CONTENT)?.query_row((consumer, key, message), |row| row.get(0))?;
    Ok(Some(if there == content { StepOutcome::Duplicate } else { StepOutcome::IdConflict }))
}

/// Returns the content hash in the deduplication record, if there is one.
pub(crate) fn content(db: &Connection, to: &Address, id: &MessageId) -> Result<Option<u64>> {
    let found: Option<i64> = db
        .prepare_cached(CONTENT)?
        .query_row((&to.saga, to.key.stored(), id.as_str()), |row| row.get(0))
        .optional()?;
    Ok(found.map(i64::cast_unsigned))
}

/// Returns the records behind `after`, in the order of consumer, key and message.
pub(crate) fn records(
    db: &Connection,
    after: Option<&(Address, MessageId)>,
    limit: usize,
) -> Result<Vec<DedupRecord>> {
    let (consumer, key, message) =
        after.map_or(("", "", ""), |(to, id)| (&*to.saga, to.key.stored(), id.as_str()));
    let mut page = db.prepare_cached(PAGE)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    page.query_map((consumer, key, message, limit), record)?.collect()
}

fn record(row: &Row<'_>) -> Result<DedupRecord> {
    // The column is never `NULL`.
    let id = value::message_id(row, 2)?.ok_or(rusqlite::Error::InvalidQuery)?;
    Ok(DedupRecord {
        to: value::address(row, 0)?,
        id,
        content: row.get::<_, i64>(3)?.cast_unsigned(),
        at: Timestamp::from_millis(row.get(4)?),
    })
}

/// Removes at most `limit` deduplication records older than `before`.
pub(crate) fn purge(db: &Connection, before: Timestamp, limit: usize) -> Result<usize> {
    db.prepare_cached(PURGE)?.execute((before.as_millis(), limit))
}
