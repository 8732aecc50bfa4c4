//! The two checksums of a row, and the move of rows to another saga, which changes one of them.

use rusqlite::{Connection, Result};
use saga_core::store::RowId;

use super::{MOVE, OF_SAGA};
use crate::table::value::{maybe_text, text};
use saga_stored::checksum::{self, Checksum};
use saga_stored::instance as body;

/// Moves at most `limit` instances of the saga `from` to the saga `to`. A damaged instance stays damaged.
pub(crate) fn move_to(db: &Connection, from: i64, to: i64, limit: usize) -> Result<usize> {
    let mut statement = db.prepare_cached(OF_SAGA)?;
    let rows: Vec<(i64, i64)> = statement
        .query_map((from, limit), |row| {
            let (id, stored): (i64, i64) = (row.get(0)?, row.get(5)?);
            let columns = text(row, 6).and_then(|body| {
                Ok(StepColumns {
                    id: RowId(id),
                    saga: from,
                    key: text(row, 2)?,
                    status: row.get(1)?,
                    seq: row.get(3)?,
                    last: row.get(4)?,
                    body,
                    large: if body::has_large_data(body) { maybe_text(row, 7)? } else { None },
                })
            });
            Ok(match columns {
                Ok(columns) if checksum::is_step(stored, columns.checksum()) => {
                    let moved = StepColumns { saga: to, ..columns };
                    (id, checksum::joined(moved.checksum(), stored))
                }
                // The stored checksum does not fit the new saga either.
                _ => (id, stored),
            })
        })?
        .collect::<Result<_>>()?;
    for &(id, sum) in &rows {
        db.prepare_cached(MOVE)?.execute((id, to, sum))?;
    }
    Ok(rows.len())
}

/// Everything that a step decides, except the pending items.
#[derive(Clone, Copy)]
pub(super) struct StepColumns<'a> {
    pub(super) id: RowId,
    pub(super) saga: i64,
    pub(super) key: &'a str,
    pub(super) status: i64,
    pub(super) seq: i64,
    pub(super) last: Option<i64>,
    pub(super) body: &'a str,
    /// The data, if it has a row of its own.
    pub(super) large: Option<&'a str>,
}

impl StepColumns<'_> {
    pub(super) fn checksum(&self) -> i64 {
        let sum = Checksum::new().number(self.id.0).number(self.saga).text(self.key);
        // The row numbers of history lines begin at 1.
        let sum =
            sum.number(self.status).number(self.seq).number(self.last.unwrap_or(0)).text(self.body).end();
        self.large.map_or(sum, |data| Checksum::new().number(sum).text(data).end())
    }
}

/// Returns the checksum over the pending items and the flag for recovery.
pub(super) fn pending_checksum(id: RowId, open: bool, items: &str) -> i64 {
    Checksum::new().number(id.0).number(open.into()).text(items).end()
}
