//! `saga_history`: append-only history lines. The lines of an instance form a chain from the newest line.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Result, Row};
use saga_core::store::{HistoryEntry, HistoryRow, RowId};

use super::value::{bad, text};
use crate::error::{Kind, kind};
use saga_stored::checksum::Checksum;
use saga_stored::history as body;

super::statements! {
    INSERT = "INSERT INTO saga_history (id, instance, prev, checksum, body, moved) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    LINE = "SELECT instance, prev, checksum, body FROM saga_history WHERE id = ?1";
    LINK = "SELECT prev FROM saga_history WHERE id = ?1 AND instance = ?2";
    DELETE = "DELETE FROM saga_history WHERE id = ?1";
}

/// A new line, without its text.
#[derive(Clone, Copy)]
pub(crate) struct NewLine {
    pub(crate) instance: RowId,
    pub(crate) id: i64,
    /// The line before in the chain of the instance.
    pub(crate) prev: Option<i64>,
    /// The change of the counts.
    pub(crate) moved: Option<i64>,
}

/// Appends one line. `text` is used for the body.
pub(crate) fn append(
    statement: &mut CachedStatement<'_>,
    line: NewLine,
    seq: u64,
    entry: &HistoryEntry,
    text: &mut String,
) -> Result<()> {
    text.clear();
    body::write(text, seq, entry);
    let NewLine { instance, id, prev, moved } = line;
    statement.execute((id, instance.0, prev, checksum(id, instance, prev, text), &*text, moved))?;
    Ok(())
}

/// Returns one line and the number of the line before. Returns `None` for a trimmed line.
///
/// An unreadable line has the kind `unreadable` and the error as its note. The other lines stay visible.
pub(crate) fn line(db: &Connection, instance: RowId, id: i64) -> Result<Option<(HistoryRow, Option<i64>)>> {
    db.prepare_cached(LINE)?.query_row((id,), |row| read(instance, id, row)).optional()
}

fn read(instance: RowId, id: i64, row: &Row<'_>) -> Result<(HistoryRow, Option<i64>)> {
    let prev = row.get(1)?;
    match read_body(instance, id, prev, row) {
        Ok(line) => Ok((line, prev)),
        Err(error) if kind(&error) == Kind::Step => {
            Ok((body::unreadable(text(row, 3).unwrap_or_default(), &error), prev))
        }
        Err(error) => Err(error),
    }
}

fn read_body(instance: RowId, id: i64, prev: Option<i64>, row: &Row<'_>) -> Result<HistoryRow> {
    let body = text(row, 3)?;
    if row.get::<_, i64>(0)? != instance.0 || row.get::<_, i64>(2)? != checksum(id, instance, prev, body) {
        return Err(bad(2, Mismatch { seq: body::seq(body) }));
    }
    body::read(body).map_err(|error| bad(3, error))
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

/// Returns the checksum of a line. Line numbers begin at 1.
pub(crate) fn checksum(id: i64, instance: RowId, prev: Option<i64>, body: &str) -> i64 {
    Checksum::new().number(id).number(instance.0).number(prev.unwrap_or(0)).text(body).end()
}

#[derive(Debug, thiserror::Error)]
#[error("the line of step {seq} has a wrong checksum")]
struct Mismatch {
    seq: u64,
}
