//! `saga_dead`: messages that could not be applied.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use saga_core::message::{Message, MessageId};
use saga_core::store::{Address, DeadId, DeadLetter, DeadLetterReason, DeadLetterRow, MailKind};

use super::value::{address, message, message_id, name, text, time, trace, word};

super::statements! {
    BOUNDS = "SELECT (SELECT min(id) FROM saga_dead), (SELECT max(id) FROM saga_dead)";
    NAMES = "SELECT consumer, name, version, kind FROM saga_dead WHERE id > ?1 AND id <= ?2";
    RENAME = "UPDATE saga_dead SET consumer = ?2 WHERE consumer = ?1 AND kind <> 'delivery'";
    INSERT = "INSERT INTO saga_dead (consumer, key, kind, name, version, payload, message, hops, reason, detail, at, times,
                  trace)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    COUNT = "UPDATE saga_dead SET times = min(times + ?4, 4294967295), at = ?5
             WHERE id = (SELECT id FROM saga_dead WHERE consumer = ?1 AND key = ?2 AND message = ?3 AND reason = 'id-conflict'
                         ORDER BY id LIMIT 1)";
    REASON = "SELECT reason FROM saga_dead
              WHERE consumer = ?1 AND key = ?2 AND message = ?3 AND name = ?4 AND payload = ?5 ORDER BY id DESC LIMIT 1";
    COUNT_UP_TO = "SELECT count(*) FROM (SELECT 1 FROM saga_dead LIMIT ?1)";
    DELETE = "DELETE FROM saga_dead WHERE id = ?1";
    PAGE = "SELECT id, consumer, key, kind, name, version, payload, message, hops, reason, detail, at, times, trace
            FROM saga_dead WHERE id > ?1 ORDER BY id";
}

/// Adds a letter, or counts a conflict on the existing letter.
pub(crate) fn insert(db: &Connection, letter: &DeadLetter) -> Result<()> {
    if letter.is_conflict() && count(db, letter)? {
        return Ok(());
    }
    db.prepare_cached(INSERT)?.execute(params![
        letter.to.saga,
        letter.to.key.stored(),
        letter.kind.as_str(),
        letter.message.name,
        letter.message.version,
        letter.message.payload.as_str(),
        letter.id.as_ref().map(|id| id.as_str()),
        letter.hops,
        letter.reason.as_str(),
        letter.detail,
        letter.at.as_millis(),
        letter.times,
        letter.trace.map(|trace| trace.to_string()),
    ])?;
    Ok(())
}

/// Counts a conflict on the oldest letter with the same id. Returns whether there is one.
///
/// The UPDATE comes before the INSERT. An INSERT with a conflict clause would use up a row number each time.
fn count(db: &Connection, letter: &DeadLetter) -> Result<bool> {
    let counted = db.prepare_cached(COUNT)?.execute(params![
        letter.to.saga,
        letter.to.key.stored(),
        letter.id.as_ref().map(|id| id.as_str()),
        letter.times,
        letter.at.as_millis(),
    ])?;
    Ok(counted > 0)
}

/// Returns the reason of the newest letter with this event and this id.
pub(crate) fn reason(
    db: &Connection,
    to: &Address,
    id: &MessageId,
    event: &Message,
) -> Result<Option<DeadLetterReason>> {
    let params = (&to.saga, to.key.stored(), id.as_str(), &event.name, event.payload.as_str());
    db.prepare_cached(REASON)?
        .query_row(params, |row| Ok(DeadLetterReason::from_word(name(row, 0)?)))
        .optional()
}

/// Removes a letter. Returns whether the letter existed.
pub(crate) fn delete(db: &Connection, id: DeadId) -> Result<bool> {
    Ok(db.prepare_cached(DELETE)?.execute((id.0,))? > 0)
}

/// Reads a row of [`PAGE`].
pub(crate) fn read(row: &Row<'_>) -> Result<DeadLetterRow> {
    let letter = DeadLetter {
        to: address(row, 1)?,
        kind: word(row, 3, MailKind::parse)?,
        message: message(row, 4)?,
        id: message_id(row, 7)?,
        hops: row.get(8)?,
        reason: DeadLetterReason::from_word(name(row, 9)?),
        detail: text(row, 10)?.to_owned(),
        at: time(row, 11)?,
        times: row.get(12)?,
        trace: trace(row, 13)?,
    };
    Ok(DeadLetterRow { id: DeadId(row.get(0)?), letter })
}
