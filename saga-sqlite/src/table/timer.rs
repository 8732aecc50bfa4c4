//! `saga_timer`: durable wake-ups. Timers are found by instance and name, and by due time.

use rusqlite::{Connection, Result, Row, params};
use saga_core::store::{DueTimer, RowId, TimerRow};

use super::value::{address, name, time};

super::statements! {
    NAMES = "SELECT owner.saga, timer.name, 0, '' FROM saga_timer AS timer JOIN saga_instance AS owner ON owner.id = instance
             WHERE instance > ?1 AND instance <= ?2";
    SET = "INSERT INTO saga_timer (instance, name, visit, armed_at, due_at, fired) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
           ON CONFLICT (instance, name) DO UPDATE SET visit = ?3, armed_at = ?4, due_at = ?5, fired = ?6";
    CLEAR = "DELETE FROM saga_timer WHERE instance = ?1 AND name = ?2";
    CLEAR_ALL = "DELETE FROM saga_timer WHERE instance = ?1";
    OF_INSTANCE = "SELECT name, visit, armed_at, due_at, fired FROM saga_timer WHERE instance = ?1 ORDER BY name";
    DUE = "SELECT timer.name, timer.visit, armed_at, due_at, fired, instance, saga, key
           FROM saga_timer AS timer INDEXED BY saga_timer_due JOIN saga_instance AS owner ON owner.id = timer.instance
           WHERE due_at <= ?1 AND (due_at, instance, timer.name) > (?2, ?3, ?4)
           ORDER BY due_at, instance, timer.name";
}

/// Sets the timer. A timer with the same name is replaced.
pub(crate) fn set(db: &Connection, instance: RowId, timer: &TimerRow) -> Result<()> {
    db.prepare_cached(SET)?.execute(params![
        instance.0,
        timer.name,
        timer.visit,
        timer.armed.as_millis(),
        timer.due.as_millis(),
        timer.fired,
    ])?;
    Ok(())
}

/// Removes the timer with this name. A missing timer is not an error.
pub(crate) fn clear(db: &Connection, instance: RowId, name: &str) -> Result<()> {
    db.prepare_cached(CLEAR)?.execute((instance.0, name))?;
    Ok(())
}

pub(crate) fn clear_all(db: &Connection, instance: RowId) -> Result<()> {
    db.prepare_cached(CLEAR_ALL)?.execute((instance.0,))?;
    Ok(())
}

/// Returns the timers of an instance, ordered by name.
pub(crate) fn of_instance(db: &Connection, instance: RowId) -> Result<Vec<TimerRow>> {
    let mut statement = db.prepare_cached(OF_INSTANCE)?;
    let rows = statement.query_map((instance.0,), read)?;
    rows.collect()
}

fn read(row: &Row<'_>) -> Result<TimerRow> {
    Ok(TimerRow {
        name: name(row, 0)?,
        visit: row.get(1)?,
        armed: time(row, 2)?,
        due: time(row, 3)?,
        fired: row.get(4)?,
    })
}

/// Reads a row of [`DUE`].
pub(crate) fn due(row: &Row<'_>) -> Result<DueTimer> {
    Ok(DueTimer { row: RowId(row.get(5)?), address: address(row, 6)?, timer: read(row)? })
}
