//! `saga_history` up to schema 4.

use rusqlite::{Connection, Result, Row};
use saga_core::message::Name;
use saga_core::store::{HistoryEntry, HistoryKind, HistoryRow, RowId};

use super::checksum::Checksum;
use crate::error::{Kind, kind};
use crate::table::value::{maybe_name, maybe_payload, name, time};

/// The columns of [`read`], and then the number of the line.
pub(super) const ALL: &str =
    "SELECT instance, prev, seq, kind, at, name, payload, from_state, to_state, cause, note,
        checksum, id
    FROM saga_history_4 ORDER BY id";
const LINE: &str =
    "SELECT instance, prev, seq, kind, at, name, payload, from_state, to_state, cause, note, checksum
    FROM saga_history WHERE id = ?1";
/// Adds a line to the table of schema 5.
pub(super) const INSERT: &str =
    "INSERT INTO saga_history (id, instance, prev, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)";
const SET_KIND: &str = "UPDATE saga_history SET kind = ?2, checksum = ?3 WHERE id = ?1";
const LINES_OF_KIND: &str = "SELECT id FROM saga_history WHERE kind = ?1";

/// Former and present words for the kinds of history lines.
const WORDS: [(&str, &str); 4] =
    [("turned", "compensating"), ("arrived", "compensated"), ("noted", "joined"), ("held", "kept")];

/// Returns the instance, the line and the number of the line before. Returns `None` for a wrong checksum.
pub(super) fn read(row: &Row<'_>) -> Result<Option<(RowId, HistoryRow)>> {
    let instance = RowId(row.get(0)?);
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
    let right = row.get::<_, i64>(11)? == checksum(instance, seq, &entry);
    Ok(right.then_some((instance, HistoryRow { seq, entry })))
}

/// Migration 4: gives every line its present word and the matching checksum. An unreadable line stays unchanged.
pub(super) fn change_words(db: &Connection) -> Result<()> {
    let mut lines = db.prepare(LINES_OF_KIND)?;
    for (was, word) in WORDS {
        let found: Vec<i64> = lines.query_map((was,), |row| row.get(0))?.collect::<Result<_>>()?;
        for id in found {
            match db.prepare_cached(LINE)?.query_row((id,), read) {
                Ok(Some((instance, HistoryRow { seq, mut entry }))) => {
                    entry.kind = HistoryKind::from_word(Name::Borrowed(word));
                    let sum = checksum(instance, seq, &entry);
                    db.prepare_cached(SET_KIND)?.execute((id, word, sum))?;
                }
                Ok(None) => {}
                Err(error) if kind(&error) == Kind::Step => {}
                Err(error) => return Err(error),
            }
        }
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
