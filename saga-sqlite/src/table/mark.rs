//! `saga_mark`: which messages which taker has been given.

use rusqlite::{Connection, OptionalExtension, Result, params};
use saga_core::message::{MessageId, Timestamp};
use saga_core::store::{Address, Mark, Outcome};

super::statements! {
    RENAME = "UPDATE OR REPLACE saga_mark SET taker = ?2 WHERE taker = ?1";
    INSERT = "INSERT INTO saga_mark (taker, key, message, content, at) VALUES (?1, ?2, ?3, ?4, ?5)
              ON CONFLICT DO NOTHING";
    CONTENT = "SELECT content FROM saga_mark WHERE taker = ?1 AND key = ?2 AND message = ?3";
    PURGE = "DELETE FROM saga_mark WHERE (taker, key, message) IN
                 (SELECT taker, key, message FROM saga_mark INDEXED BY saga_mark_at WHERE at < ?1 ORDER BY at LIMIT ?2)";
}

/// Sets the mark; answers what the step is to be called when it was there already.
pub(crate) fn set(db: &Connection, mark: &Mark) -> Result<Option<Outcome>> {
    let (taker, key, message) = (&*mark.to.saga, mark.to.key.as_str(), mark.id.as_str());
    let content = mark.content.cast_signed();
    let set =
        db.prepare_cached(INSERT)?.execute(params![taker, key, message, content, mark.at.as_millis()])?;
    if set == 1 {
        return Ok(None);
    }
    let there: i64 = db.prepare_cached(CONTENT)?.query_row((taker, key, message), |row| row.get(0))?;
    Ok(Some(if there == content { Outcome::Duplicate } else { Outcome::IdConflict }))
}

/// The content of the mark, if there is one.
pub(crate) fn content(db: &Connection, to: &Address, id: &MessageId) -> Result<Option<u64>> {
    let found: Option<i64> = db
        .prepare_cached(CONTENT)?
        .query_row((&to.saga, to.key.as_str(), id.as_str()), |row| row.get(0))
        .optional()?;
    Ok(found.map(i64::cast_unsigned))
}

/// Removes at most `limit` marks older than `before`.
pub(crate) fn purge(db: &Connection, before: Timestamp, limit: usize) -> Result<usize> {
    db.prepare_cached(PURGE)?.execute((before.as_millis(), limit))
}
