//! `saga_taker`: who takes which events.

use rusqlite::{Connection, Result, Row};
use saga_core::store::TakerRow;

use super::value::text;

super::statements! {
    RENAME = "UPDATE OR REPLACE saga_taker SET taker = ?2 WHERE taker = ?1 AND subscriber = 0";
    INSERT = "INSERT INTO saga_taker (event, taker, subscriber) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    OF_EVENT = "SELECT event, taker, subscriber FROM saga_taker WHERE event = ?1 ORDER BY taker, subscriber";
    ALL = "SELECT event, taker, subscriber FROM saga_taker ORDER BY event, taker, subscriber";
}

/// Adds the taker, if it is not there.
pub(crate) fn insert(db: &Connection, taker: &TakerRow) -> Result<()> {
    db.prepare_cached(INSERT)?.execute((&taker.event, &taker.taker, taker.subscriber))?;
    Ok(())
}

/// Who takes this event.
pub(crate) fn of_event(db: &Connection, event: &str) -> Result<Vec<TakerRow>> {
    let mut statement = db.prepare_cached(OF_EVENT)?;
    let rows = statement.query_map((event,), read)?;
    rows.collect()
}

/// Reads a row of [`ALL`].
pub(crate) fn read(row: &Row<'_>) -> Result<TakerRow> {
    Ok(TakerRow { event: text(row, 0)?.to_owned(), taker: text(row, 1)?.to_owned(), subscriber: row.get(2)? })
}
