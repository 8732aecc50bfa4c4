//! `saga_consumer`: the consumers of each event.

use rusqlite::{Connection, Result, Row};
use saga_core::store::ConsumerRow;

use super::value::text;

super::statements! {
    RENAME = "UPDATE OR REPLACE saga_consumer SET consumer = ?2 WHERE consumer = ?1 AND subscriber = 0";
    INSERT = "INSERT INTO saga_consumer (event, consumer, subscriber) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    /// Retired consumers are left out (rule R28).
    OF_EVENT = "SELECT event, consumer, subscriber FROM saga_consumer WHERE event = ?1
                    AND NOT EXISTS (SELECT 1 FROM saga_pause WHERE kind = 'consumer' AND name = saga_consumer.consumer)
                ORDER BY consumer, subscriber";
    ALL = "SELECT event, consumer, subscriber FROM saga_consumer ORDER BY event, consumer, subscriber";
}

/// Adds the consumer. An existing row is not an error.
pub(crate) fn insert(db: &Connection, consumer: &ConsumerRow) -> Result<()> {
    db.prepare_cached(INSERT)?.execute((&consumer.event, &consumer.consumer, consumer.subscriber))?;
    Ok(())
}

pub(crate) fn of_event(db: &Connection, event: &str) -> Result<Vec<ConsumerRow>> {
    let mut statement = db.prepare_cached(OF_EVENT)?;
    let rows = statement.query_map((event,), read)?;
    rows.collect()
}

/// Reads a row of [`ALL`].
pub(crate) fn read(row: &Row<'_>) -> Result<ConsumerRow> {
    Ok(ConsumerRow {
        event: text(row, 0)?.to_owned(),
        consumer: text(row, 1)?.to_owned(),
        subscriber: row.get(2)?,
    })
}
