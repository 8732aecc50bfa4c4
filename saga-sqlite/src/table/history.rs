//! `saga_history`: append-only history lines. The lines of an instance form a chain from the newest line.

use rusqlite::{Connection, Error, OptionalExtension, Result, Row, params};
use saga_core::message::Timestamp;
use saga_core::store::{HistoryEntry, HistoryKind, HistoryRow, RowId};

use super::value::{bad, maybe_name, maybe_payload, name, time};
use crate::checksum::Checksum;
use crate::error::{Kind, kind};

super::statements! {
    BEGIN = "INSERT INTO saga_history (id, instance, prev, seq, kind, at, name, payload, from_state, to_state, cause,
                 note, checksum)
             VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    FIRST = "INSERT INTO saga_history (id, instance, prev, seq, kind, at, name, payload, from_state, to_state, cause,
                 note, checksum)
             VALUES (?1, ?2, (SELECT last FROM saga_instance WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    NEXT = "INSERT INTO saga_history (id, instance, prev, seq, kind, at, name, payload, from_state, to_state, cause,
                note, checksum)
            VALUES (?1, ?2, ?1 - 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    LINE = "SELECT instance, prev, seq, kind, at, name, payload, from_state, to_state, cause, note, checksum
            FROM saga_history WHERE id = ?1";
    LINK = "SELECT prev FROM saga_history WHERE id = ?1 AND instance = ?2";
    PLACE = "SELECT seq, prev FROM saga_history WHERE id = ?1";
    DELETE = "DELETE FROM saga_history WHERE id = ?1";
    SET_KIND = "UPDATE saga_history SET kind = ?2, checksum = ?3 WHERE id = ?1";
    // This statement runs only in a migration. An index for it is not worth its cost.
    LINES_OF_KIND = "SELECT id, instance FROM saga_history WHERE kind = ?1";
}

/// Former and present words for the kinds of history lines.
const WORDS: [(&str, &str); 4] =
    [("turned", "compensating"), ("arrived", "compensated"), ("noted", "joined"), ("held", "kept")];

/// Appends the lines of one step, numbered from `first`. Returns the highest number in use.
///
/// The oldest new line continues the chain from the newest line in the instance row. The lines must therefore be
/// written before that row changes. The first lines of a new instance begin a chain.
pub(crate) fn append(
    db: &Connection,
    instance: RowId,
    begins: bool,
    seq: u64,
    first: i64,
    entries: &[HistoryEntry],
) -> Result<i64> {
    let mut sql = if begins { BEGIN } else { FIRST };
    let mut id = first;
    for entry in entries {
        db.prepare_cached(sql)?.execute(params![
            id,
            instance.0,
            seq,
            entry.kind.as_str(),
            entry.at.as_millis(),
            entry.name,
            entry.payload.as_ref().map(|payload| payload.as_str()),
            entry.from,
            entry.to,
            entry.cause,
            entry.note,
            checksum(instance, seq, entry),
        ])?;
        sql = NEXT;
        id += 1;
    }
    Ok(id - 1)
}

/// Returns one line and the number of the line before. Returns `None` for a trimmed line.
///
/// An unreadable line has the kind `unreadable` and the error as its note. The other lines stay visible.
pub(crate) fn line(db: &Connection, instance: RowId, id: i64) -> Result<Option<(HistoryRow, Option<i64>)>> {
    match db.prepare_cached(LINE)?.query_row((id,), |row| read(instance, row)).optional() {
        Err(error) if kind(&error) == Kind::Step => db
            .prepare_cached(PLACE)?
            .query_row((id,), |row| {
                let entry = unreadable(&error);
                Ok((HistoryRow { seq: row.get(0)?, entry }, row.get(1)?))
            })
            .optional(),
        line => line,
    }
}

fn unreadable(error: &Error) -> HistoryEntry {
    HistoryEntry {
        kind: HistoryKind::Unreadable,
        at: Timestamp::EPOCH,
        name: "".into(),
        payload: None,
        from: "".into(),
        to: "".into(),
        cause: None,
        note: Some(error.to_string().into()),
    }
}

fn read(instance: RowId, row: &Row<'_>) -> Result<(HistoryRow, Option<i64>)> {
    let seq = row.get(2)?;
    let entry = HistoryEntry {
        kind: HistoryKind::from_word(name(row, 3)?),
        at: time(row, 4)?,
        name: name(row, 5)?,
        payload: maybe_payload(row, 6)?,
        from: name(row, 7)?,
        to: name(row, 8)?,
        cause: maybe_name(row, 9)?,
        note: maybe_name(row, 10)?,
    };
    let stored: i64 = row.get(11)?;
    if row.get::<_, i64>(0)? != instance.0 || stored != checksum(instance, seq, &entry) {
        return Err(bad(11, Mismatch { seq }));
    }
    Ok((HistoryRow { seq, entry }, row.get(1)?))
}

/// Gives every line its present word and the matching checksum. An unreadable line stays unchanged.
pub(crate) fn change_words(db: &Connection) -> Result<()> {
    let mut lines = db.prepare(LINES_OF_KIND)?;
    for (was, word) in WORDS {
        let found = lines.query_map((was,), |row| Ok((row.get(0)?, RowId(row.get(1)?))))?;
        let found: Vec<(i64, RowId)> = found.collect::<Result<_>>()?;
        for (id, instance) in found {
            let line = db.prepare_cached(LINE)?.query_row((id,), |row| read(instance, row));
            match line {
                Ok((HistoryRow { seq, mut entry }, _)) => {
                    entry.kind = HistoryKind::from_word(word);
                    let sum = checksum(instance, seq, &entry);
                    db.prepare_cached(SET_KIND)?.execute((id, word, sum))?;
                }
                Err(error) if kind(&error) == Kind::Step => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Removes the whole chain that ends in `last`.
pub(crate) fn delete_chain(db: &Connection, instance: RowId, mut last: Option<i64>) -> Result<()> {
    while let Some(id) = last {
        let Some(prev) = db
            .prepare_cached(LINK)?
            .query_row((id, instance.0), |row| row.get::<_, Option<i64>>(0))
            .optional()?
        else {
            break;
        };
        db.prepare_cached(DELETE)?.execute((id,))?;
        // Only smaller ids follow. A damaged chain therefore cannot form a cycle.
        last = prev.filter(|prev| *prev < id);
    }
    Ok(())
}

fn checksum(instance: RowId, seq: u64, entry: &HistoryEntry) -> i64 {
    Checksum::new()
        .number(instance.0)
        .number(seq.cast_signed())
        .text(entry.kind.as_str())
        .number(entry.at.as_millis())
        .text(&entry.name)
        .maybe(entry.payload.as_ref().map(|payload| payload.as_str()))
        .text(&entry.from)
        .text(&entry.to)
        .maybe(entry.cause.as_deref())
        .maybe(entry.note.as_deref())
        .end()
}

#[derive(Debug, thiserror::Error)]
#[error("the line of step {seq} has a wrong checksum")]
struct Mismatch {
    seq: u64,
}
