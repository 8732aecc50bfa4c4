//! The two checksums of a row, and the move of rows to another saga, which changes one of them.

use rusqlite::{Connection, Result};
use saga_core::store::RowId;

use super::{MOVE, OF_SAGA};
use crate::checksum::{self, Checksum};
use crate::stored::instance as body;
use crate::table::value::{maybe_text, text};

/// Moves at most `limit` instances of the saga `from` to the saga `to`. A damaged instance stays damaged.
pub(crate) fn move_to(db: &Connection, from: i64, to: i64, limit: usize) -> Result<usize> {
    let mut statement = db.prepare_cached(OF_SAGA)?;
    let rows: Vec<(i64, i64)> = statement
        .query_map((from, limit), |row| {
            let (id, stored): (i64, i64) = (row.get(0)?, row.get(5)?);
            let sums = text(row, 6).and_then(|body| {
                let data = if body::has_large_data(body) { maybe_text(row, 7)? } else { None };
                let key = text(row, 2)?;
                let (status, seq, last) = (row.get(1)?, row.get(3)?, row.get(4)?);
                let sum = |saga| step_checksum(RowId(id), saga, key, status, seq, last, body, data);
                Ok((sum(from), sum(to)))
            });
            Ok(match sums {
                Ok((was, now)) if checksum::is_step(stored, was) => (id, checksum::joined(now, stored)),
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

/// Returns the checksum over everything that a step decides, except the pending items.
#[allow(clippy::too_many_arguments)] // The columns of the row, once to write and once to read.
pub(super) fn step_checksum(
    id: RowId,
    saga: i64,
    key: &str,
    status: i64,
    seq: i64,
    last: Option<i64>,
    body: &str,
    large: Option<&str>,
) -> i64 {
    // The row numbers of history lines begin at 1.
    let sum = Checksum::new().number(id.0).number(saga).text(key).number(status).number(seq);
    let sum = sum.number(last.unwrap_or(0)).text(body);
    large.map_or_else(|| sum.end(), |data| sum_with(&sum, data))
}

fn sum_with(sum: &Checksum, data: &str) -> i64 {
    Checksum::new().number(sum.end()).text(data).end()
}

/// Returns the checksum over the pending items and the flag for recovery.
pub(super) fn pending_checksum(id: RowId, open: bool, items: &str) -> i64 {
    Checksum::new().number(id.0).number(open.into()).text(items).end()
}
